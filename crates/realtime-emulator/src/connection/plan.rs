//! From a brain's reply to a timed schedule: which piece of the response goes out when.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::brain::{AudioSource, Ending, Reply, Step};
use crate::codec;
use crate::connection::options::ConnectionOptions;
use crate::voice;

/// One piece of a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Beat {
    /// An item begins.
    Open(Kind),
    /// Words of the transcript, or text.
    Words(String),
    /// Sound, in the output format.
    Sound(Bytes),
    /// Characters of a call's arguments.
    Arguments(String),
    /// The item ends.
    Close,
    /// The response ends.
    End(Ending),
}

/// What an item is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Audio,
    Text,
    Call { name: String },
}

pub(crate) type Schedule = VecDeque<(Timestamp, Beat)>;

/// Lays out a reply from `start` on.
pub(crate) fn plan(
    reply: Reply,
    start: Timestamp,
    options: &ConnectionOptions,
    format: AudioFormat,
    text_only: bool,
) -> Schedule {
    let mut planner =
        Planner { beats: VecDeque::new(), at: start + options.latency, pace: options.pace, format };
    for step in reply.steps {
        match step {
            Step::Say { transcript, .. } if text_only => planner.text(&transcript),
            Step::Say { transcript, audio } => planner.say(&transcript, audio, options.audio_delta),
            Step::Text(text) => planner.text(&text),
            Step::Call { name, arguments } => planner.call(name, &arguments),
            Step::Wait(time) => planner.at = planner.at + time,
        }
    }
    let Planner { mut beats, at, .. } = planner;
    // What is cut off or fails does so in its last item.
    if reply.ending != Ending::Completed && matches!(beats.back(), Some((_, Beat::Close))) {
        beats.pop_back();
    }
    beats.push_back((at, Beat::End(reply.ending)));
    beats
}

struct Planner {
    beats: Schedule,
    at: Timestamp,
    pace: f64,
    format: AudioFormat,
}

impl Planner {
    fn say(&mut self, transcript: &str, audio: AudioSource, delta: Duration) {
        let (samples, words) = match audio {
            AudioSource::Tones => {
                let spoken = voice::speak(transcript);
                (spoken.samples, spoken.words)
            }
            AudioSource::Pcm(samples) => {
                let length = AudioFormat::PCM16_24K.duration(2 * samples.len() as u64);
                (samples, voice::spread(transcript, length))
            }
        };
        let sound = Bytes::from(codec::encode(&samples, self.format));
        let step = MediaTime::from(delta.max(Duration::from_millis(1)));
        let step_bytes = usize::try_from(self.format.bytes(step)).unwrap_or(usize::MAX).max(2);
        let (begin, mut end) = (self.at, MediaTime::ZERO);
        let mut words = words.into_iter().peekable();
        self.push(Beat::Open(Kind::Audio));
        let mut from = 0;
        while from < sound.len() {
            self.at = begin + self.paced(end.as_duration());
            end += step;
            while let Some(word) = words.next_if(|word| word.start < end) {
                self.push(Beat::Words(word.text));
            }
            let to = from.saturating_add(step_bytes).min(sound.len());
            self.push(Beat::Sound(sound.slice(from..to)));
            from = to;
        }
        for word in words {
            self.push(Beat::Words(word.text));
        }
        let length = self.format.duration(sound.len() as u64);
        self.at = begin + self.paced(length.as_duration());
        self.push(Beat::Close);
    }

    fn text(&mut self, text: &str) {
        self.push(Beat::Open(Kind::Text));
        for word in voice::words(text) {
            self.push(Beat::Words(word.into()));
            self.at = self.at + self.paced(WRITING);
        }
        self.push(Beat::Close);
    }

    fn call(&mut self, name: String, arguments: &str) {
        self.push(Beat::Open(Kind::Call { name }));
        let characters: Vec<char> = arguments.chars().collect();
        for piece in characters.chunks(ARGUMENTS_DELTA) {
            self.push(Beat::Arguments(piece.iter().collect()));
            self.at = self.at + self.paced(WRITING);
        }
        self.push(Beat::Close);
    }

    fn push(&mut self, beat: Beat) {
        self.beats.push_back((self.at, beat));
    }

    /// How long it takes to send what sounds that long.
    fn paced(&self, length: Duration) -> Duration {
        if self.pace > 0.0 && self.pace.is_finite() {
            Duration::try_from_secs_f64(length.as_secs_f64() / self.pace).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }
}

/// From one word, or piece of arguments, to the next, before the pace is applied.
const WRITING: Duration = Duration::from_millis(200);
/// Characters.
const ARGUMENTS_DELTA: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: Reply, pace: f64, format: AudioFormat) -> Schedule {
        let options = ConnectionOptions { pace, ..ConnectionOptions::default() };
        plan(reply, Timestamp::ZERO, &options, format, false)
    }

    #[test]
    fn sound_goes_out_ten_times_as_fast_as_it_plays_and_after_its_words() {
        let schedule = check(Reply::say("One two three four five six."), 10.0, AudioFormat::PCM16_24K);
        let mut sent = 0;
        let mut words = 0;
        for (at, beat) in &schedule {
            match beat {
                Beat::Sound(bytes) => {
                    assert_eq!(at.as_micros(), 200_000 + 10_000 * (sent / 4800));
                    sent += bytes.len() as u64;
                    assert!(words >= 1);
                }
                Beat::Words(_) => words += 1,
                _ => {}
            }
        }
        assert_eq!(words, 6);
        assert!(schedule.iter().zip(schedule.iter().skip(1)).all(|(a, b)| a.0 <= b.0));
    }

    #[test]
    fn without_a_pace_all_comes_at_once() {
        for pace in [0.0, f64::INFINITY, f64::NAN, -1.0] {
            let schedule = check(Reply::say("Hello there"), pace, AudioFormat::Pcmu);
            assert!(schedule.iter().all(|(at, _)| *at == Timestamp::from_millis(200)), "{pace}");
        }
    }

    #[test]
    fn a_reply_that_fails_leaves_its_last_item_open() {
        let ending = Ending::Failed { code: "server_error".into(), message: String::new() };
        let schedule = check(Reply::say("Hi").ending(ending.clone()), 0.0, AudioFormat::PCM16_24K);
        assert!(!schedule.iter().any(|(_, beat)| *beat == Beat::Close));
        assert_eq!(schedule.back().unwrap().1, Beat::End(ending));
    }
}
