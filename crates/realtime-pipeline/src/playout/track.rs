//! The account of one part or clip: [`Track`] knows what came, what waits, and what was heard of it.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::call::PlaybackPosition;
use realtime_protocol::id::ResponseId;

use crate::chain::{Audio, AudioSource, OutputAudio};
use crate::playout::clock::time_of;
use crate::playout::form::{Form, join, split_to, whole};

/// One part, clip, or row of tones. All positions are samples from its beginning.
#[derive(Debug)]
pub(super) struct Track {
    /// Tracks play in the order of their numbers.
    pub(super) number: u64,
    pub(super) response_id: Option<ResponseId>,
    pub(super) source: AudioSource,
    pub(super) form: Form,
    /// Whether nothing more comes.
    pub(super) is_whole: bool,
    /// Whether a stop has ended it. It waits only for the sink to say what was heard.
    pub(super) is_cut: bool,
    /// Whether it goes on after a stop.
    pub(super) survives: bool,
    /// What waits, in order.
    pieces: VecDeque<Piece>,
    /// Samples in `pieces`.
    waiting: u64,
    /// Where the next audio is to begin.
    received: u64,
    /// How far it was handed out.
    sent: u64,
    /// How far it was heard; at most `sent`.
    heard: u64,
    /// What was last reported. `None`: nothing.
    reported: Option<u64>,
    /// Whether any of it was handed out.
    pub(super) has_begun: bool,
}

/// A stretch of a track.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    /// The position of its first sample.
    pub(super) start: u64,
    /// The newest mark that ends in it.
    pub(super) mark: Option<u64>,
    pub(super) audio: Audio,
}

/// A report is due each time that so much more was heard (ms).
const REPORT_EVERY: u64 = 100;

impl Piece {
    /// The position after its last sample.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.audio.frames())
    }

    /// Takes off what lies before this position.
    pub(super) fn cut_before(&mut self, position: u64) {
        let heard = position.saturating_sub(self.start);
        split_to(&mut self.audio, heard);
        self.start += heard;
    }
}

impl Track {
    /// A track that begins with this audio. What is before it in the part has been heard, or was lost.
    pub(super) fn new(number: u64, audio: &OutputAudio) -> Self {
        let start = audio.start;
        Self {
            number,
            response_id: audio.response_id.clone(),
            source: audio.source.clone(),
            form: Form::of(&audio.audio),
            is_whole: false,
            is_cut: false,
            survives: false,
            pieces: VecDeque::new(),
            waiting: 0,
            received: start,
            sent: start,
            heard: start,
            reported: (start > 0).then_some(start),
            has_begun: false,
        }
    }

    /// Returns whether this audio goes on with it. A clip that begins anew does not.
    pub(super) fn grows_by(&self, audio: &OutputAudio) -> bool {
        let is_clip = matches!(audio.source, AudioSource::Clip(_));
        self.is_growing(&audio.source)
            && self.response_id == audio.response_id
            && self.form == Form::of(&audio.audio)
            && !(is_clip && audio.start == 0)
    }

    /// Returns whether it is this part or clip, and more may come.
    pub(super) fn is_growing(&self, source: &AudioSource) -> bool {
        !self.is_whole && !self.is_cut && self.source == *source
    }

    /// Returns whether it is a part of the model's.
    pub(super) const fn is_part(&self) -> bool {
        matches!(self.source, AudioSource::Part { .. })
    }

    pub(super) fn receive(&mut self, start: u64, mark: Option<u64>, audio: Audio) {
        let audio = whole(audio);
        // If it is further ahead than expected, some was lost in between, and the given position counts.
        let start = start.max(self.received);
        let samples = audio.frames();
        self.received = start.saturating_add(samples);
        if samples > 0 {
            self.waiting += samples;
            self.pieces.push_back(Piece { start, mark, audio });
        }
    }

    /// Hands out the next audio: at most so many samples, and without a gap.
    pub(super) fn take(&mut self, most: u64) -> Option<Piece> {
        let mut taken = self.take_piece(most)?;
        let (mut end, mut samples) = (taken.end(), taken.audio.frames());
        if samples < most && self.continues(end) {
            let mut audio = vec![taken.audio.clone()];
            // Odd little pieces are put together.
            while samples < most
                && self.continues(end)
                && let Some(more) = self.take_piece(most - samples)
            {
                (end, samples) = (more.end(), samples + more.audio.frames());
                taken.mark = more.mark.or(taken.mark);
                audio.push(more.audio);
            }
            taken.audio = join(audio)?;
        }
        self.sent = end;
        self.has_begun = true;
        Some(taken)
    }

    /// Gives audio back that was handed out and not heard: it is handed out again.
    pub(super) fn give_back(&mut self, mut piece: Piece) {
        piece.cut_before(self.heard);
        let samples = piece.audio.frames();
        self.sent = self.heard;
        if samples > 0 {
            self.waiting += samples;
            self.pieces.push_front(piece);
        }
    }

    /// Drops what waits. Returns how many pieces that were.
    pub(super) fn drop_waiting(&mut self) -> usize {
        self.waiting = 0;
        let dropped = self.pieces.len();
        self.pieces.clear();
        dropped
    }

    /// It has been heard up to here. Returns whether a report is due: at the first sample, so that the time
    /// of first sound is known, each time that a step is passed, and at the end.
    pub(super) fn hear(&mut self, position: u64) -> bool {
        self.heard = self.heard.max(position.min(self.sent));
        let step = |samples| time_of(samples, self.form.rate()).as_millis() as u64 / REPORT_EVERY;
        match self.reported {
            None => self.heard > 0,
            Some(reported) => {
                self.heard > reported && (step(self.heard) > step(reported) || self.is_heard_to_its_end())
            }
        }
    }

    /// All that was handed out has been heard. Returns whether a report is due.
    pub(super) fn hear_all(&mut self) -> bool {
        self.hear(self.sent)
    }

    /// Returns whether something was heard that was not reported.
    pub(super) fn owes_report(&self) -> bool {
        self.heard > self.reported.unwrap_or(0)
    }

    /// What to report. `None`: it is no part of the model's.
    pub(super) fn report(&mut self) -> Option<PlaybackPosition> {
        self.reported = Some(self.heard);
        self.position()
    }

    /// How far it was heard. `None`: it is no part of the model's.
    pub(super) fn position(&self) -> Option<PlaybackPosition> {
        match &self.source {
            AudioSource::Part { item_id, content_index } => Some(PlaybackPosition {
                item_id: item_id.clone(),
                content_index: *content_index,
                played: self.heard,
            }),
            _ => None,
        }
    }

    /// Returns whether nothing more of it will be heard, as far as it is known.
    pub(super) const fn is_heard_to_its_end(&self) -> bool {
        self.is_whole && self.waiting == 0 && self.heard == self.sent
    }

    /// The position of what waits. `None`: nothing does.
    pub(super) fn next_start(&self) -> Option<u64> {
        self.pieces.front().map(|piece| piece.start)
    }

    /// How long it sounds what waits, rounded down to a microsecond.
    pub(super) fn waiting_time(&self) -> Duration {
        time_of(self.waiting, self.form.rate())
    }

    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }

    fn continues(&self, end: u64) -> bool {
        self.next_start() == Some(end)
    }

    fn take_piece(&mut self, most: u64) -> Option<Piece> {
        let first = self.pieces.front_mut()?;
        let samples = first.audio.frames();
        if samples <= most {
            self.waiting -= samples;
            return self.pieces.pop_front();
        }
        self.waiting -= most;
        let piece = Piece { start: first.start, mark: None, audio: split_to(&mut first.audio, most) };
        first.start = first.start.saturating_add(most);
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(start: u64, samples: i16) -> OutputAudio {
        let samples: Vec<i16> = (start as i16..start as i16 + samples).collect();
        OutputAudio {
            response_id: Some("r".into()),
            source: AudioSource::Part { item_id: "i".into(), content_index: 0 },
            start,
            mark: Some(start),
            audio: Audio::mono(8_000, samples),
        }
    }

    fn track(pieces: &[(u64, i16)]) -> Track {
        let mut track = Track::new(0, &audio(0, 0));
        for (start, samples) in pieces {
            let piece = audio(*start, *samples);
            track.receive(piece.start, piece.mark, piece.audio);
        }
        track
    }

    #[test]
    fn odd_pieces_are_put_together_and_keep_the_newest_mark_that_ends_in_them() {
        let mut track = track(&[(0, 10), (10, 5), (15, 30)]);
        let first = track.take(20).unwrap();
        assert_eq!((first.start, first.end(), first.mark), (0, 20, Some(10)));
        assert_eq!(first.audio.pcm().unwrap().as_slice(), (0..20).collect::<Vec<i16>>());
        let rest = track.take(99).unwrap();
        assert_eq!((rest.start, rest.end(), rest.mark), (20, 45, Some(15)));
        assert_eq!((track.take(1), track.waiting(), track.sent()), (None, 0, 45));
    }

    #[test]
    fn lost_audio_leaves_the_places_of_the_rest_as_they_are() {
        let mut track = track(&[(0, 10), (40, 10), (3, 10)]);
        let ranges: Vec<_> = std::iter::from_fn(|| track.take(20)).map(|p| (p.start, p.end())).collect();
        assert_eq!(ranges, [(0, 10), (40, 60)], "what overlaps comes after what was there");
    }

    #[test]
    fn what_was_not_heard_is_handed_out_again() {
        let mut track = track(&[(0, 100)]);
        let [first, second] = [track.take(40).unwrap(), track.take(40).unwrap()];
        assert!(track.hear(50));
        assert_eq!(track.heard(), 50);
        track.give_back(second);
        track.give_back(first);
        let again = track.take(1_000).unwrap();
        assert_eq!((again.start, again.end(), track.waiting()), (50, 100, 0));
        assert!(track.hear(9_999) || track.heard() == 100);
        assert_eq!(track.heard(), 100, "never more than was handed out");
    }

    #[test]
    fn reports_are_due_at_the_first_sample_each_tenth_of_a_second_and_at_the_end() {
        let mut track = track(&[(0, 2_000)]);
        let mut told = Vec::new();
        track.is_whole = true;
        while track.take(160).is_some() {
            if track.hear_all() {
                told.push(track.report().unwrap().played / 8);
            }
        }
        assert_eq!(told, [20, 100, 200, 250]);
    }
}
