//! From a brain's reply to a timed schedule: when each piece of the response is sent.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::McpError;
use realtime_protocol::response::StatusReason;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::brain::{AudioSource, Ending, McpCall, Reply, Step};
use crate::codec;
use crate::connection::options::ConnectionOptions;
use crate::voice::{self, Utterance};

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
    /// The call to an MCP server runs.
    Run,
    /// The item ends.
    Close,
    /// The response was cancelled before, and ends now.
    Cancel(StatusReason),
    /// The response ends.
    End(Ending),
}

/// What an item is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Audio,
    Text,
    Call { name: String },
    Mcp { call: McpCall, approval: Option<ItemId>, outcome: Result<String, McpError> },
    Approval(McpCall),
}

pub(crate) type Schedule = VecDeque<(Timestamp, Beat)>;

/// Lays out a reply from `start` on.
pub(crate) fn plan(reply: Reply, start: Timestamp, options: &ConnectionOptions, form: Form) -> Schedule {
    let (beats, at) = (VecDeque::new(), start + options.latency);
    let mut planner = Planner { beats, at, options, form };
    for step in reply.steps {
        match step {
            Step::Say { transcript, .. } if form.text_only => planner.text(&transcript),
            Step::Say { transcript, audio } => planner.say(&transcript, audio),
            Step::Text(text) => planner.text(&text),
            Step::Call { name, arguments } => planner.call(Kind::Call { name }, &arguments),
            Step::Mcp { call, approval, outcome } => {
                let arguments = call.arguments.clone();
                planner.call(Kind::Mcp { call, approval, outcome }, &arguments);
            }
            Step::AskApproval(call) => {
                planner.push(Beat::Open(Kind::Approval(call)));
                planner.push(Beat::Close);
            }
            Step::Wait(time) => planner.at = planner.at + time,
        }
    }
    let Planner { mut beats, at, .. } = planner;
    // A response that is cut off or fails does so in its last item.
    if reply.ending != Ending::Completed && matches!(beats.back(), Some((_, Beat::Close))) {
        beats.pop_back();
    }
    beats.push_back((at, Beat::End(reply.ending)));
    beats
}

/// The form of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) format: AudioFormat,
    /// How fast the voice speaks; 1 is its own speed.
    pub(crate) speed: f64,
    pub(crate) text_only: bool,
}

struct Planner<'a> {
    beats: Schedule,
    at: Timestamp,
    options: &'a ConnectionOptions,
    form: Form,
}

impl Planner<'_> {
    fn say(&mut self, transcript: &str, audio: AudioSource) {
        let format = self.form.format;
        let (samples, words) = match audio {
            AudioSource::Tones => {
                let spoken = self.options.voice.speak(transcript).at_speed(self.form.speed);
                (spoken.samples, spoken.words)
            }
            AudioSource::Pcm(samples) => {
                let length = AudioFormat::PCM16_24K.duration(2 * samples.len() as u64);
                let words = voice::spread(transcript, length);
                let spoken = Utterance { samples, words }.at_speed(self.form.speed);
                (spoken.samples, spoken.words)
            }
        };
        let sound = Bytes::from(codec::encode(&samples, format));
        let step = self.options.audio_delta.max(Duration::from_millis(1));
        // The pieces of one burst are sent at once, when the first is due.
        let burst = u64::try_from(self.options.burst.as_micros() / step.as_micros()).unwrap_or(1).max(1);
        let step = MediaTime::from(step);
        let step_bytes = usize::try_from(format.bytes(step)).unwrap_or(usize::MAX).max(2);
        let (begin, mut end) = (self.at, MediaTime::ZERO);
        let mut words = words.into_iter().peekable();
        self.push(Beat::Open(Kind::Audio));
        let (mut from, mut index) = (0, 0_u64);
        while from < sound.len() {
            if index.is_multiple_of(burst) {
                self.at = begin + self.paced(end.as_duration());
            }
            index += 1;
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
        let length = format.duration(sound.len() as u64);
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

    fn call(&mut self, kind: Kind, arguments: &str) {
        let runs = matches!(kind, Kind::Mcp { .. });
        self.push(Beat::Open(kind));
        let characters: Vec<char> = arguments.chars().collect();
        for piece in characters.chunks(ARGUMENTS_DELTA) {
            self.push(Beat::Arguments(piece.iter().collect()));
            self.at = self.at + self.paced(WRITING);
        }
        if runs {
            self.push(Beat::Run);
            self.at = self.at + self.paced(RUNNING);
        }
        self.push(Beat::Close);
    }

    fn push(&mut self, beat: Beat) {
        self.beats.push_back((self.at, beat));
    }

    /// How long it takes to send audio of this length.
    fn paced(&self, length: Duration) -> Duration {
        let pace = self.options.pace;
        if pace > 0.0 && pace.is_finite() {
            Duration::try_from_secs_f64(length.as_secs_f64() / pace).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }
}

/// From one word, or piece of arguments, to the next, before the pace is applied.
const WRITING: Duration = Duration::from_millis(200);
/// How long a call to an MCP server takes, before the pace is applied.
const RUNNING: Duration = Duration::from_secs(1);
/// Characters.
const ARGUMENTS_DELTA: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: Reply, pace: f64, format: AudioFormat) -> Schedule {
        check_bursts(reply, pace, format, Duration::ZERO)
    }

    fn check_bursts(reply: Reply, pace: f64, format: AudioFormat, burst: Duration) -> Schedule {
        let options = ConnectionOptions { pace, burst, ..ConnectionOptions::default() };
        plan(reply, Timestamp::ZERO, &options, Form { format, speed: 1.0, text_only: false })
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
    fn bursts_hold_several_deltas_and_keep_the_speed() {
        let reply = Reply::say("One two three four five six.");
        let schedule = check_bursts(reply, 10.0, AudioFormat::PCM16_24K, Duration::from_millis(400));
        let times: Vec<_> = schedule
            .iter()
            .filter(|(_, beat)| matches!(beat, Beat::Sound(_)))
            .map(|(at, _)| at.as_micros() / 1000)
            .collect();
        assert_eq!(times[..10], [200, 200, 200, 200, 240, 240, 240, 240, 280, 280]);
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
