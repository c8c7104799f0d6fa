//! The user's audio on the clock: where each piece of it was recorded, whether it was sent, and which
//! position of which session it became.

use std::collections::VecDeque;

use realtime_protocol::audio::AudioFormat;

use super::line::{Sound, time_of};
use super::model::{InputSpan, Lane};
use super::peaks::{self, Peaks};
use super::tape::Tape;

/// How far audio may come behind its place without a gap (us): a network delivers it in bursts.
const JITTER: i64 = 60_000;
/// How long it may stay behind before there is a gap (us).
const PATIENCE: i64 = 1_000_000;
/// Pieces that wait to be sent. More were kept back for good.
const MOST_WAITING: usize = 20_000;

/// The user's audio so far.
#[derive(Debug)]
pub(super) struct Input {
    format: AudioFormat,
    spans: Vec<Span>,
    /// The reel of the tape, and the samples on it, for the format in force.
    reel: Option<(usize, u64)>,
    reels: Vec<usize>,
    /// Since when audio has been behind its place, and by how much at least.
    behind: Option<(i64, i64)>,
    /// Pieces that were not sent yet: where each begins on the clock, and its bytes.
    waiting: VecDeque<(i64, u64)>,
    /// What was sent for the input that is being handled: connections and bytes.
    sent: Vec<(u64, u64)>,
    /// Whether that input was audio, or the beginning of a turn: then the newest audio is sent, else the
    /// oldest.
    newest: bool,
    unsent: Vec<(i64, i64)>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Span {
    start: i64,
    samples: u64,
    rate: u32,
    peaks: Option<Peaks>,
    /// The reel, and its first sample there.
    reel: Option<(usize, u64)>,
}

/// Where audio of a session stands on the clock (us): at this position, and from there on without a gap.
#[derive(Clone, Copy, Debug)]
struct Place {
    connection: u64,
    position: i64,
    clock: i64,
    length: i64,
}

impl Input {
    pub(super) fn new(format: AudioFormat) -> Self {
        Self {
            format,
            spans: Vec::new(),
            reel: None,
            reels: Vec::new(),
            behind: None,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            newest: false,
            unsent: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The session's input format.
    pub(super) fn speaks(&mut self, format: AudioFormat) {
        if format != self.format {
            self.format = format;
            self.reel = None;
        }
    }

    /// Something went into the machines: what was sent before it belongs to the input before.
    pub(super) fn step(&mut self, newest: bool) {
        self.settle();
        self.newest = newest;
    }

    /// The application gave audio.
    pub(super) fn append(&mut self, at: i64, sound: &Sound, tape: &mut Tape) {
        let samples = self.format.samples(sound.len());
        if samples == 0 {
            return;
        }
        let length = self.format.time_of(samples).as_micros() as i64;
        let start = self.place(at, length, sound);
        let heard = sound.samples(self.format);
        if heard.is_some() && self.reel.is_none() {
            let reel = tape.reel(self.format.sample_rate());
            self.reels.push(reel);
            self.reel = Some((reel, 0));
        }
        let Some(span) = self.spans.last_mut() else { return };
        span.samples += samples;
        if let (Some(heard), Some(peaks), Some((reel, filled))) = (heard, &mut span.peaks, &mut self.reel) {
            span.reel.get_or_insert((*reel, *filled));
            peaks.add(&heard);
            tape.add(*reel, &heard);
            *filled += heard.len() as u64;
        }
        self.waiting.push_back((start, sound.len()));
        if self.waiting.len() > MOST_WAITING {
            self.keep_back(1);
        }
    }

    /// Audio was sent on a connection.
    pub(super) fn sent(&mut self, connection: u64, bytes: u64) {
        self.sent.push((connection, bytes));
    }

    /// The oldest audio was dropped before it could be sent (us).
    pub(super) fn dropped(&mut self, time: i64) {
        let mut left = time;
        while left > 0
            && let Some((_, bytes)) = self.waiting.front()
        {
            left -= self.format.duration(*bytes).as_micros() as i64;
            self.keep_back(1);
        }
    }

    /// Where a position in a session's input audio stands on the clock.
    pub(super) fn on_clock(&self, connection: u64, position: i64) -> Option<i64> {
        let of_it = self.places.iter().rev().filter(|place| place.connection == connection);
        let mut after = None;
        for place in of_it {
            if place.position <= position {
                let within = (position - place.position).min(place.length);
                return Some(place.clock + within);
            }
            after = Some(place.clock);
        }
        after
    }

    /// The lane, and the samples that it is drawn and heard from.
    pub(super) fn finish(mut self, tape: &mut Tape) -> Lane<InputSpan> {
        self.settle();
        let waiting = self.waiting.len();
        self.keep_back(waiting);
        let mut lane = Lane::default();
        let bases: Vec<(usize, u32, usize)> = self
            .reels
            .iter()
            .map(|reel| {
                let (rate, bytes) = tape.take(*reel);
                let base = lane.audio.len();
                lane.audio.extend(bytes);
                (*reel, rate, base)
            })
            .collect();
        for span in self.spans {
            let step = peaks::step(span.rate);
            let pairs = span.peaks.filter(|_| span.reel.is_some()).map(Peaks::finish).unwrap_or_default();
            let first = (!pairs.is_empty()).then_some(lane.peaks.len() / 2);
            lane.peaks.extend(pairs);
            let heard = span.reel.and_then(|(reel, first)| {
                let (_, rate, base) = bases.iter().find(|(number, ..)| *number == reel)?;
                Some((*base, *rate, first * u64::from(*rate) / u64::from(span.rate.max(1))))
            });
            lane.spans.push(InputSpan {
                at: span.start,
                samples: span.samples,
                rate: span.rate,
                step,
                peaks: first,
                audio: heard,
            });
        }
        lane.unsent = self.unsent;
        lane
    }

    /// Where a piece begins. Opens a span if it does not follow the one before.
    fn place(&mut self, at: i64, length: i64, sound: &Sound) -> i64 {
        let ideal = at.saturating_sub(length).max(0);
        let end = self.spans.last().map(Span::end);
        let same = self.spans.last().is_some_and(|span| {
            span.rate == self.format.sample_rate()
                && span.reel.is_some() == matches!(sound, Sound::Bytes(_))
                && (span.reel.is_none() || span.reel.map(|(reel, _)| reel) == self.reel.map(|(reel, _)| reel))
        });
        let Some(end) = end else { return self.open(ideal) };
        let lag = ideal - end;
        let gap = match &mut self.behind {
            _ if lag <= JITTER => {
                self.behind = None;
                0
            }
            None => {
                self.behind = Some((at, lag));
                0
            }
            Some((since, least)) => {
                *least = lag.min(*least);
                if at - *since > PATIENCE { *least } else { 0 }
            }
        };
        let gap = if lag > PATIENCE { lag } else { gap };
        if gap > 0 || !same {
            self.behind = None;
            return self.open(end + gap);
        }
        // Audio that comes faster than it can be spoken had waited somewhere: it belongs into the gap before.
        let before = self.spans.len().checked_sub(2).and_then(|index| self.spans.get(index)).map(Span::end);
        if lag < -JITTER
            && let Some(before) = before
            && let Some(span) = self.spans.last_mut()
        {
            span.start -= (-lag).min(span.start - before).max(0);
            return span.end();
        }
        end
    }

    fn open(&mut self, start: i64) -> i64 {
        let rate = self.format.sample_rate();
        self.spans.push(Span { start, samples: 0, rate, peaks: Some(Peaks::new(rate)), reel: None });
        start
    }

    /// Assigns what was sent to the pieces that wait.
    fn settle(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        let total: u64 = sent.iter().map(|(_, bytes)| bytes).sum();
        if total == 0 {
            return;
        }
        if self.newest {
            let mut left = self.waiting.iter().map(|(_, bytes)| bytes).sum::<u64>();
            while left > total
                && let Some((_, bytes)) = self.waiting.front()
                && left - bytes >= total
            {
                left -= bytes;
                self.keep_back(1);
            }
        }
        for (connection, bytes) in sent {
            let mut left = bytes;
            while left > 0
                && let Some((clock, waiting)) = self.waiting.pop_front()
            {
                let taken = left.min(waiting);
                self.note_place(connection, clock, taken);
                left -= taken;
                if taken < waiting {
                    let length = self.format.duration(taken).as_micros() as i64;
                    self.waiting.push_front((clock + length, waiting - taken));
                }
            }
        }
    }

    fn note_place(&mut self, connection: u64, clock: i64, bytes: u64) {
        let length = self.format.duration(bytes).as_micros() as i64;
        let before = self.places.iter_mut().rev().find(|place| place.connection == connection);
        let position = match before {
            Some(place) if (place.clock + place.length - clock).abs() < 1000 => {
                place.length += length;
                return;
            }
            Some(place) => place.position + place.length,
            None => 0,
        };
        self.places.push(Place { connection, position, clock, length });
    }

    /// The oldest pieces are never sent.
    fn keep_back(&mut self, pieces: usize) {
        for (start, bytes) in self.waiting.drain(..pieces.min(self.waiting.len())) {
            let end = start + self.format.duration(bytes).as_micros() as i64;
            match self.unsent.last_mut() {
                Some((_, last)) if start - *last < 1000 => *last = end.max(*last),
                _ => self.unsent.push((start, end)),
            }
        }
    }
}

impl Span {
    fn end(&self) -> i64 {
        self.start + time_of(self.samples, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms of G.711 each, at these times (ms); the spans as beginning and end (ms).
    fn spans(times: &[i64]) -> Vec<(i64, i64)> {
        let mut tape = Tape::new(1 << 20);
        let mut input = Input::new(AudioFormat::Pcmu);
        times.iter().for_each(|at| input.append(at * 1000, &Sound::Bytes(vec![0; 160]), &mut tape));
        input.spans.iter().map(|span| (span.start / 1000, span.end() / 1000)).collect()
    }

    #[test]
    fn audio_stands_where_it_was_recorded() {
        assert_eq!(spans(&[20, 40, 60]), [(0, 60)]);
        assert_eq!(spans(&[20, 70, 75, 80]), [(0, 80)], "jitter is no gap");
        assert_eq!(spans(&[20, 2040]), [(0, 20), (2020, 2040)]);
        assert_eq!(spans(&[0; 100]), [(0, 2000)], "a file that is given at once");
    }

    #[test]
    fn audio_that_stays_behind_gets_its_gap_and_audio_that_catches_up_loses_it() {
        let late: Vec<i64> = (1..100).map(|n| n * 20).chain((100..200).map(|n| n * 20 + 300)).collect();
        let found = spans(&late);
        assert_eq!((found.len(), found[1].1), (2, 199 * 20 + 300), "{found:?}");
        // Two seconds of silence on the line, and then all of it at once.
        let burst: Vec<i64> =
            (1..100).map(|n| n * 20).chain([4000; 101]).chain((201..300).map(|n| n * 20)).collect();
        let found = spans(&burst);
        assert_eq!(found.last().map(|span| span.1), Some(299 * 20), "{found:?}");
    }

    #[test]
    fn what_was_sent_has_a_place_and_what_was_kept_back_is_told() {
        let mut tape = Tape::new(1 << 20);
        let mut input = Input::new(AudioFormat::Pcmu);
        let audio = Sound::Size(160);
        for n in 1..=50 {
            input.step(true);
            input.append(n * 20_000, &audio, &mut tape);
            if n > 20 {
                input.sent(3, 160);
            }
        }
        input.step(false);
        assert_eq!(input.on_clock(3, 0), Some(400_000));
        assert_eq!(input.on_clock(3, 100_000), Some(500_000));
        assert_eq!(input.on_clock(2, 0), None);
        let lane = input.finish(&mut tape);
        assert_eq!(lane.unsent, [(0, 400_000)]);
        assert_eq!((lane.spans.len(), lane.spans[0].peaks), (1, None));
    }

    #[test]
    fn held_audio_is_sent_from_its_beginning_without_what_was_dropped() {
        let mut tape = Tape::new(1 << 20);
        let mut input = Input::new(AudioFormat::Pcmu);
        for n in 1..=10 {
            input.step(true);
            input.append(n * 20_000, &Sound::Size(160), &mut tape);
        }
        input.dropped(40_000);
        input.step(false);
        (0..8).for_each(|_| input.sent(0, 160));
        input.step(false);
        assert_eq!((input.on_clock(0, 0), input.on_clock(0, 160_000)), (Some(40_000), Some(200_000)));
        assert_eq!(input.finish(&mut tape).unsent, [(0, 40_000)]);
    }
}
