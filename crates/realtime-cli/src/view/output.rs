//! The model's audio on the clock: what came of each content part, when each sample of it was heard, and what
//! never was.

use std::collections::BTreeMap;

use realtime_protocol::audio::AudioFormat;

use super::line::{Sound, time_of};
use super::model::{Cut, Lane, Part};
use super::peaks::{self, Peaks};
use super::tape::Tape;

/// How exactly reports agree with the clock (us): one that is further off begins a new run.
const EXACT: i64 = 150_000;
/// The end of a part that was not reported, and was heard all the same (us): reports come now and then.
const UNREPORTED: i64 = 300_000;
/// The longest hole that is filled with silence (samples).
const LONGEST_HOLE: u64 = 48_000 * 60;

/// No position in a part is larger (samples), whatever a log says.
const FURTHEST: u64 = 1 << 48;

/// Which part of which item of which response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) response: &'a str,
    pub(super) item: &'a str,
    pub(super) index: u64,
}

/// What is known of playback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Playback {
    /// The application reports it.
    Reported,
    /// Audio is heard as it comes, at the speed of sound.
    Estimated,
    /// The server plays, and says when.
    Server,
}

/// The model's audio so far.
#[derive(Debug)]
pub(super) struct Output {
    playback: Playback,
    parts: Vec<Growing>,
    /// The latest part of each item.
    latest: BTreeMap<(String, u64), usize>,
    /// The part and the end of each chunk (samples).
    marks: BTreeMap<u64, (usize, u64)>,
    reported: bool,
    /// When the loudspeaker is free, by reports and by a guess.
    free: i64,
    guessed_free: i64,
    /// What the server plays: the response, and since when.
    serving: Option<(String, i64)>,
}

#[derive(Debug)]
struct Growing {
    part: Part,
    format: AudioFormat,
    peaks: Peaks,
    reel: Option<usize>,
    /// Samples on the reel, and among the peaks.
    filled: u64,
    done: bool,
    /// The length of the text.
    units: u64,
    guess: Vec<(i64, u64, u64)>,
}

impl Output {
    pub(super) const fn new(playback: Playback) -> Self {
        Self {
            playback,
            parts: Vec::new(),
            latest: BTreeMap::new(),
            marks: BTreeMap::new(),
            reported: false,
            free: 0,
            guessed_free: 0,
            serving: None,
        }
    }

    /// Audio came. `start`: the position of its first sample, if known.
    pub(super) fn audio(
        &mut self,
        at: i64,
        place: Place<'_>,
        chunk: &Chunk<'_>,
        event: usize,
        tape: &mut Tape,
    ) -> usize {
        let number = self.part(at, place, event);
        let growing = &mut self.parts[number];
        if growing.part.total == 0 {
            growing.format = chunk.format;
            growing.part.rate = chunk.format.sample_rate();
            growing.part.first = at;
            growing.peaks = Peaks::new(growing.part.rate);
            growing.part.step = peaks::step(growing.part.rate);
        }
        let format = growing.format;
        let part = &mut growing.part;
        part.out_of_band |= chunk.out_of_band;
        part.last = at;
        part.spoken = true;
        let samples = format.samples(chunk.sound.len());
        let start = chunk.start.unwrap_or(part.total).min(FURTHEST);
        part.total = part.total.max(start.saturating_add(samples));
        if let Some(heard) = chunk.sound.samples(format) {
            let reel = *growing.reel.get_or_insert_with(|| tape.reel(part.rate));
            let hole = start.saturating_sub(growing.filled).min(LONGEST_HOLE);
            if hole > 0 {
                growing.peaks.skip(hole);
                tape.add(reel, &vec![0; hole as usize]);
            }
            growing.peaks.add(&heard);
            tape.add(reel, &heard);
            growing.filled += hole + heard.len() as u64;
        }
        if let Some(mark) = chunk.mark {
            self.marks.insert(mark, (number, part.total));
        }
        if !part.out_of_band {
            let length = format.time_of(samples).as_micros() as i64;
            let begin = at.max(self.guessed_free);
            match growing.guess.last_mut() {
                Some(run) if begin - clock(run, part.rate) < EXACT => run.2 = part.total,
                _ => growing.guess.push((begin, start, part.total)),
            }
            self.guessed_free = begin + length;
        }
        number
    }

    /// All audio of a part came (samples).
    pub(super) fn audio_done(&mut self, item: &str, index: u64, total: Option<u64>) {
        if let Some(growing) = self.find(item, index) {
            growing.done = true;
            growing.part.total = growing.part.total.max(total.unwrap_or(0).min(FURTHEST));
        }
    }

    /// Words came. `hidden`: bytes that the log does not have.
    pub(super) fn text(
        &mut self,
        at: i64,
        place: Place<'_>,
        words: Result<&str, u64>,
        spoken: bool,
        event: usize,
    ) {
        let number = self.part(at, place, event);
        let growing = &mut self.parts[number];
        growing.part.spoken |= spoken;
        growing.part.last = at;
        match words {
            Ok(words) => {
                growing.part.text.push_str(words);
                growing.units += words.encode_utf16().count() as u64;
                let Part { words, total, .. } = &mut growing.part;
                match words.as_mut_slice() {
                    [.., sample, end] if sample == total => *end = growing.units,
                    _ => words.extend([*total, growing.units]),
                }
            }
            Err(hidden) => growing.part.hidden += hidden,
        }
    }

    /// So much of a part was played (samples).
    pub(super) fn played(&mut self, at: i64, item: &str, index: u64, played: u64) {
        self.reported = true;
        if let Some(part) = self.latest.get(&(item.to_owned(), index)) {
            self.note_played(at, *part, played);
        }
    }

    /// All up to a chunk was played.
    pub(super) fn mark(&mut self, at: i64, mark: u64) {
        self.reported = true;
        if let Some((part, end)) = self.marks.get(&mark).copied() {
            self.note_played(at, part, end);
        }
    }

    /// Playback stops: what was guessed to be heard later never is.
    pub(super) fn stop(&mut self, at: i64) {
        for growing in &mut self.parts {
            clip(&mut growing.guess, at, growing.part.rate);
        }
        self.guessed_free = self.guessed_free.min(at);
    }

    /// A part was cut off. `heard`: samples, if known so.
    pub(super) fn cut(&mut self, item: &str, index: u64, heard: Option<u64>, cut: Cut) -> Option<usize> {
        let number = *self.latest.get(&(item.to_owned(), index))?;
        if let Some(heard) = heard.filter(|_| self.playback == Playback::Reported && self.reported) {
            self.note_played(cut.at, number, heard);
        }
        self.parts[number].part.cut = Some(cut);
        Some(number)
    }

    /// The server begins to play a response.
    pub(super) fn served(&mut self, at: i64, response: &str) {
        self.serving = Some((response.to_owned(), at));
    }

    /// The server has stopped to play.
    pub(super) fn serves_no_more(&mut self, at: i64) {
        let Some((response, since)) = self.serving.take() else { return };
        let part = self.parts.iter_mut().rev().find(|growing| growing.part.response == response);
        if let Some(growing) = part
            && growing.part.total == 0
            && at > since
        {
            // There is no audio to count, so a sample is a microsecond.
            growing.part.rate = 1_000_000;
            growing.part.total = (at - since) as u64;
            growing.part.step = peaks::step(1_000_000);
            growing.part.runs = vec![(since, 0, growing.part.total)];
        }
    }

    /// The rate of a part's samples (Hz), once audio came.
    pub(super) fn rate(&self, item: &str, index: u64) -> Option<u32> {
        let number = self.latest.get(&(item.to_owned(), index))?;
        Some(self.parts[*number].part.rate).filter(|rate| *rate > 0)
    }

    /// The lane, and the samples that it is drawn and heard from.
    pub(super) fn finish(mut self, end: i64, tape: &mut Tape) -> Lane<Part> {
        self.serves_no_more(end);
        let by_reports = self.playback == Playback::Reported && self.reported;
        let mut lane = Lane::default();
        for growing in self.parts {
            let Growing { mut part, peaks, reel, done, guess, .. } = growing;
            if by_reports {
                close_run(&mut part, done);
            } else if part.runs.is_empty() {
                part.guessed = !guess.is_empty();
                part.runs = guess;
                clip(&mut part.runs, end, part.rate);
            }
            let pairs = peaks.finish();
            if reel.is_some() && !pairs.is_empty() {
                part.peaks = Some(lane.peaks.len() / 2);
                lane.peaks.extend(pairs);
            }
            part.audio = reel.map(|reel| {
                let (rate, bytes) = tape.take(reel);
                let first = lane.audio.len();
                lane.audio.extend(bytes);
                (first, rate, 0)
            });
            lane.spans.push(part);
        }
        lane
    }

    /// The part of this place. A response that uses an item again makes another part.
    fn part(&mut self, at: i64, place: Place<'_>, event: usize) -> usize {
        let key = (place.item.to_owned(), place.index);
        let latest = self.latest.get(&key).copied();
        if let Some(number) = latest
            && self.parts[number].part.response == place.response
        {
            return number;
        }
        self.parts.push(Growing {
            part: Part {
                response: place.response.to_owned(),
                item: place.item.to_owned(),
                index: place.index,
                first: at,
                last: at,
                event,
                ..Part::default()
            },
            format: AudioFormat::default(),
            peaks: Peaks::new(AudioFormat::default().sample_rate()),
            reel: None,
            filled: 0,
            done: false,
            units: 0,
            guess: Vec::new(),
        });
        self.latest.insert(key, self.parts.len() - 1);
        self.parts.len() - 1
    }

    fn find(&mut self, item: &str, index: u64) -> Option<&mut Growing> {
        let number = *self.latest.get(&(item.to_owned(), index))?;
        self.parts.get_mut(number)
    }

    fn note_played(&mut self, at: i64, number: usize, played: u64) {
        let part = &mut self.parts[number].part;
        let before = part.runs.last().map_or(0, |run| run.2);
        let played = played.min(part.total);
        if played <= before || part.rate == 0 {
            return;
        }
        let length = time_of(played - before, part.rate);
        match part.runs.last_mut() {
            Some(run) if at - (clock(run, part.rate) + length) < EXACT => run.2 = played,
            Some(run) => {
                let start = (at - length).max(clock(run, part.rate));
                part.runs.push((start, before, played));
            }
            None => {
                let start = (at - length).max(part.first);
                let start = if (0..EXACT).contains(&(self.free - start)) { self.free } else { start };
                part.runs.push((start, before, played));
            }
        }
        self.free = part.runs.last().map_or(0, |run| clock(run, part.rate));
    }
}

/// Audio of the model's.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub(super) format: AudioFormat,
    pub(super) sound: &'a Sound,
    pub(super) start: Option<u64>,
    pub(super) mark: Option<u64>,
    pub(super) out_of_band: bool,
}

/// The end of a run on the clock.
fn clock(run: &(i64, u64, u64), rate: u32) -> i64 {
    run.0 + time_of(run.2 - run.1, rate)
}

/// What lies behind this time was not heard.
fn clip(runs: &mut Vec<(i64, u64, u64)>, at: i64, rate: u32) {
    runs.retain_mut(|run| {
        let heard = ((at - run.0).max(0) as u64).saturating_mul(u64::from(rate)) / 1_000_000;
        run.2 = run.2.min(run.1.saturating_add(heard));
        run.2 > run.1
    });
}

/// A part that was not cut, and lacks only the end that no report came for, was heard whole.
fn close_run(part: &mut Part, done: bool) {
    if let Some(run) = part.runs.last_mut()
        && part.cut.is_none()
        && done
        && time_of(part.total.saturating_sub(run.2), part.rate) < UNREPORTED
    {
        run.2 = part.total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { response: "r", item: "i", index: 0 };

    /// An output to which a second of audio came at 1 s, in ten pieces.
    fn second(playback: Playback) -> (Output, Tape) {
        let (mut output, mut tape) = (Output::new(playback), Tape::new(1 << 20));
        for piece in 0..10 {
            add(&mut output, &mut tape, 1_000_000, PLACE, piece * 800, piece + 1);
        }
        (output, tape)
    }

    fn add(output: &mut Output, tape: &mut Tape, at: i64, place: Place<'_>, start: u64, mark: u64) {
        let sound = Sound::Bytes(vec![7; 800]);
        let (start, mark) = (Some(start), Some(mark));
        let chunk = Chunk { format: AudioFormat::Pcmu, sound: &sound, start, mark, out_of_band: false };
        output.audio(at, place, &chunk, 0, tape);
    }

    fn cut(at: i64) -> Cut {
        Cut { at, heard: 0, received: 0, text: None, estimated: false, told: String::new() }
    }

    #[test]
    fn what_was_reported_was_heard_and_the_rest_was_not() {
        let (mut output, mut tape) = second(Playback::Reported);
        for tenth in 1..=4 {
            output.played(1_000_000 + tenth * 100_000, "i", 0, tenth as u64 * 800);
        }
        output.cut("i", 0, Some(3600), cut(1_450_000));
        let lane = output.finish(9_000_000, &mut tape);
        let part = &lane.spans[0];
        assert_eq!((&part.runs[..], part.total, part.guessed), (&[(1_000_000, 0, 3600)][..], 8000, false));
        assert_eq!((lane.peaks.len(), lane.audio.len(), part.audio), (200, 16_000, Some((0, 8000, 0))));
    }

    #[test]
    fn a_pause_of_playback_begins_another_run() {
        let (mut output, mut tape) = second(Playback::Reported);
        output.played(1_200_000, "i", 0, 1600);
        output.played(2_000_000, "i", 0, 2400);
        output.mark(2_500_000, 10);
        output.audio_done("i", 0, Some(8000));
        let lane = output.finish(9_000_000, &mut tape);
        assert_eq!(lane.spans[0].runs, [(1_000_000, 0, 1600), (1_900_000, 1600, 8000)]);
    }

    #[test]
    fn without_reports_audio_is_heard_as_it_comes_until_playback_stops() {
        for playback in [Playback::Reported, Playback::Estimated] {
            let (mut output, mut tape) = second(playback);
            let second = Place { item: "j", ..PLACE };
            add(&mut output, &mut tape, 1_500_000, second, 0, 11);
            output.stop(2_050_000);
            let lane = output.finish(9_000_000, &mut tape);
            assert_eq!(lane.spans[0].runs, [(1_000_000, 0, 8000)]);
            assert_eq!((&lane.spans[1].runs[..], lane.spans[1].guessed), (&[(2_000_000, 0, 400)][..], true));
        }
    }

    #[test]
    fn what_the_server_plays_has_no_audio_and_a_time() {
        let mut output = Output::new(Playback::Server);
        output.text(100, PLACE, Ok("Once"), true, 0);
        output.served(200_000, "r");
        output.serves_no_more(1_700_000);
        let lane = output.finish(9_000_000, &mut Tape::new(0));
        assert_eq!((&lane.spans[0].runs[..], lane.spans[0].peaks), (&[(200_000, 0, 1_500_000)][..], None));
    }

    #[test]
    fn words_stand_at_the_audio_that_had_come_and_hidden_ones_are_counted() {
        let (mut output, mut tape) = second(Playback::Reported);
        output.text(0, PLACE, Ok("Hé"), true, 0);
        output.text(0, PLACE, Ok("llo \u{1f600}"), true, 0);
        add(&mut output, &mut tape, 1_000_000, PLACE, 8000, 11);
        output.text(0, PLACE, Ok("!"), true, 0);
        output.text(0, PLACE, Err(5), true, 0);
        let lane = output.finish(9_000_000, &mut tape);
        assert_eq!(lane.spans[0].words, [8000, 8, 8800, 9]);
        assert_eq!(lane.spans[0].hidden, 5);
    }
}
