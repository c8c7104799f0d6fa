//! Our audio on its way to the caller: [`Voice`] converts it, sets marks, and knows what was heard.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;
use realtime_telephony::MediaStream;

use crate::chain::{OutputAudio, SinkPosition};
use crate::convert::{ConvertError, Converter};
use crate::edges::Pace;
use crate::media::phone::is_spoken_by_sessions;
use crate::media::phone::places::Places;

/// The playout's audio as the carrier wants it, and what became of it.
#[derive(Debug)]
pub(super) struct Voice {
    /// Whether the carrier says what was heard.
    has_marks: bool,
    pace: Pace,
    converter: Converter,
    places: Places,
    /// Where marks are due, in the carrier's samples; in order.
    marks: VecDeque<u64>,
    /// Where the last mark stands.
    marked: u64,
    /// Marks that went out, and whether one has come back.
    marks_sent: u64,
    marks_come: bool,
    /// When what was given will have been played, if the carrier keeps up.
    ends: Timestamp,
    /// How long before that the rest goes out.
    margin: Duration,
    /// When the rest goes out: nothing has followed.
    finish_at: Option<Timestamp>,
    /// When to look how far playback has come.
    look_at: Option<Timestamp>,
    /// What was heard and was not taken.
    heard: VecDeque<SinkPosition>,
}

/// How far ahead a carrier is sent our audio.
const LEAD: Duration = Duration::from_secs(1);
/// The first mark of a part is so far behind its beginning.
const FIRST_MARK: Duration = Duration::from_millis(200);
/// Marks are no closer together than this.
const NEXT_MARK: Duration = Duration::from_secs(1);
/// How often it is told what was heard.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A carrier that has not played it all so long after its end is not looked after any more.
const OVERDUE: Duration = Duration::from_secs(2);
/// Audio that pauses for so long is at its end, if the carrier has little left.
const PAUSE: Duration = Duration::from_millis(80);
/// The rest goes out so long before the carrier runs dry.
const MARGIN: Duration = Duration::from_millis(150);

impl Voice {
    pub(super) fn new(has_marks: bool) -> Self {
        let format = AudioFormat::Pcmu;
        Self {
            has_marks,
            pace: Pace { lead: LEAD, reports: has_marks, format: None, whole_chunks: false },
            converter: Converter::new(format),
            places: Places::new(format.sample_rate()),
            marks: VecDeque::new(),
            marked: 0,
            marks_sent: 0,
            marks_come: false,
            ends: Timestamp::ZERO,
            margin: MARGIN,
            finish_at: None,
            look_at: None,
            heard: VecDeque::new(),
        }
    }

    /// The stream has started, and takes audio in this format.
    pub(super) fn start(&mut self, stream: &MediaStream, format: AudioFormat) {
        self.converter = Converter::new(format);
        self.places = Places::new(format.sample_rate());
        self.pace.format = Some(format).filter(|format| is_spoken_by_sessions(*format));
        if let Some(rules) = stream.chunk_rules() {
            let least = format.duration(rules.least as u64).as_duration();
            // A piece goes out when all of it is there: that must be in time.
            self.pace.lead = LEAD.max(least * 2);
            self.pace.whole_chunks = rules.pads;
            self.margin = MARGIN + least;
        }
    }

    pub(super) const fn pace(&self) -> Pace {
        self.pace
    }

    /// Sends audio. Returns whether the stream took it.
    pub(super) fn play(
        &mut self,
        now: Timestamp,
        played: &OutputAudio,
        stream: &mut MediaStream,
    ) -> Result<bool, ConvertError> {
        if stream.formats().is_none() {
            return Ok(false);
        }
        let bytes = self.converter.convert(&played.audio)?;
        let (begins, samples) = (self.places.end(), played.audio.frames());
        if self.places.push(&played.source, played.audio.rate(), played.start, samples) {
            self.begin_part(begins);
        }
        self.ends = self.ends.max(now) + played.audio.duration().as_duration();
        self.finish_at = Some((now + PAUSE).max(self.ends - self.margin));
        let taken = self.send(now, bytes, stream);
        if self.has_marks {
            self.look_at.get_or_insert(now + LOOK_EVERY);
        }
        Ok(taken)
    }

    /// Drops what was not heard. Returns how far playback had come.
    pub(super) fn clear(&mut self, now: Timestamp, stream: &mut MediaStream) -> Option<SinkPosition> {
        if let Ok(position) = stream.flush(now) {
            self.places.advance(position.samples, &mut self.heard);
            self.places.restart();
            self.converter.reset();
            self.marks.clear();
            (self.marked, self.ends) = (0, now);
            (self.finish_at, self.look_at) = (None, None);
        }
        self.places.heard().cloned()
    }

    /// A mark has come back.
    pub(super) fn mark_came(&mut self, now: Timestamp, stream: &MediaStream) {
        self.marks_come = true;
        self.look(now, stream);
    }

    /// How many marks went out, if none has ever come back.
    pub(super) const fn unanswered_marks(&self) -> u64 {
        if self.marks_come { 0 } else { self.marks_sent }
    }

    /// Looks how far playback has come.
    pub(super) fn look(&mut self, now: Timestamp, stream: &MediaStream) {
        let Some(position) = stream.position(now) else { return };
        self.places.advance(position.samples, &mut self.heard);
        // A carrier that is too late says it by its mark.
        let is_over = position.samples >= stream.given() || self.ends + OVERDUE <= now;
        self.look_at = (self.has_marks && !is_over).then(|| now + LOOK_EVERY);
    }

    /// What was heard, if it was not told before.
    pub(super) fn poll_heard(&mut self) -> Option<SinkPosition> {
        let at = self.heard.pop_front();
        at.filter(|_| self.has_marks)
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp, stream: &mut MediaStream) {
        if self.finish_at.take_if(|at| *at <= now).is_some() {
            self.finish(now, stream);
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(now, stream);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        [self.finish_at, self.look_at].into_iter().flatten().min()
    }

    /// Nothing follows for now: the rest goes out, with a mark at its end.
    fn finish(&mut self, now: Timestamp, stream: &mut MediaStream) {
        let rest = self.converter.flush();
        self.send(now, rest, stream);
        // The stream may be over.
        let _ = stream.finish(now);
        self.marks.clear();
        self.mark(now, stream);
        self.places.align(stream.given());
    }

    fn send(&mut self, now: Timestamp, mut bytes: Bytes, stream: &mut MediaStream) -> bool {
        let sample = self.converter.format().sample_bytes() as usize;
        bytes.truncate(bytes.len() - bytes.len() % sample);
        let taken = stream.play(now, bytes).is_ok();
        if self.has_marks {
            self.due_marks(now, stream);
        }
        taken
    }

    /// A part begins here, and the one before it ends.
    fn begin_part(&mut self, begins: u64) {
        self.marks.retain(|at| *at < begins);
        if begins > self.marked {
            self.marks.push_back(begins);
        }
        self.marks.push_back(begins + self.samples_in(FIRST_MARK));
    }

    fn due_marks(&mut self, now: Timestamp, stream: &mut MediaStream) {
        let given = stream.given();
        let due = self.marks.iter().take_while(|at| **at <= given).count();
        if due == 0 {
            return;
        }
        self.marks.drain(..due);
        self.mark(now, stream);
        if self.marks.is_empty() {
            self.marks.push_back(given + self.samples_in(NEXT_MARK));
        }
    }

    fn mark(&mut self, now: Timestamp, stream: &mut MediaStream) {
        if !self.has_marks {
            return;
        }
        self.marked = stream.given();
        // What is too many is counted by the stream.
        self.marks_sent += u64::from(stream.mark(now, self.marks_sent).is_ok());
    }

    fn samples_in(&self, time: Duration) -> u64 {
        self.converter.format().samples_in(time.into())
    }
}
