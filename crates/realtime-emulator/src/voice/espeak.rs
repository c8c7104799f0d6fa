//! Speech from `espeak-ng`, if it is installed: words that a person understands.

use std::collections::VecDeque;
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

use crate::voice::{SAMPLE_RATE, Utterance, program, spread, wav};

/// The program `espeak-ng`. Clones share what was spoken before.
///
/// Each new text takes the program some 20 ms, and the caller waits, at most five seconds. A server lets its
/// connections speak on separate threads, so that no other connection waits. If the program fails three times
/// in a row, it is not asked again.
#[derive(Clone)]
pub struct Espeak {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// What was spoken, oldest first.
    spoken: VecDeque<(String, Utterance)>,
    /// Samples in it.
    samples: usize,
    /// Failures since it last worked.
    failures: u32,
}

impl Espeak {
    /// The program, if it is installed and works.
    pub fn find() -> Option<Self> {
        (!run("one")?.is_empty()).then(Self::perhaps)
    }

    /// One that might be installed or not.
    pub(crate) fn perhaps() -> Self {
        Self { shared: Arc::default() }
    }

    /// Speaks `text`. `None`: the program failed.
    pub(super) fn speak(&self, text: &str) -> Option<Utterance> {
        {
            let shared = self.lock();
            if let Some((_, known)) = shared.spoken.iter().find(|(known, _)| known == text) {
                return Some(known.clone());
            }
            if shared.failures >= MOST_FAILURES {
                return None;
            }
        }
        let samples = run(text);
        let mut shared = self.lock();
        let Some(samples) = samples else {
            shared.failures += 1;
            let says = if shared.failures < MOST_FAILURES { "this line is" } else { "all lines are" };
            tracing::warn!(failures = shared.failures, "espeak-ng failed: {says} spoken as tones");
            return None;
        };
        shared.failures = 0;
        let length = AudioFormat::PCM16_24K.duration(2 * samples.len() as u64);
        let utterance = Utterance { words: spread(text, length), samples };
        shared.keep(text, &utterance);
        Some(utterance)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn keep(&mut self, text: &str, utterance: &Utterance) {
        if utterance.samples.len() > MOST_SAMPLES || text.len() > MOST_TEXT {
            return;
        }
        self.samples += utterance.samples.len();
        self.spoken.push_back((text.into(), utterance.clone()));
        while self.spoken.len() > MOST_KEPT || self.samples > MOST_SAMPLES {
            let Some((_, oldest)) = self.spoken.pop_front() else { break };
            self.samples -= oldest.samples.len();
        }
    }
}

impl fmt::Debug for Espeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Espeak").finish_non_exhaustive()
    }
}

fn run(text: &str) -> Option<Vec<i16>> {
    let mut command = Command::new("espeak-ng");
    command.args(["--stdin", "--stdout", "-b", "1", "-s", "150"]);
    let end = (0..=text.len().min(MOST_TEXT)).rev().find(|at| text.is_char_boundary(*at))?;
    wav::read(&program::run(&mut command, &text[..end], MOST_OUTPUT, SLOWEST)?)
}

/// Texts.
const MOST_KEPT: usize = 64;
/// Samples of all texts kept: about five minutes, 14 MB.
const MOST_SAMPLES: usize = 300 * SAMPLE_RATE as usize;
/// Bytes.
const MOST_TEXT: usize = 16 << 10;
/// Bytes of a WAV: about 20 minutes, which is more than the longest text takes.
const MOST_OUTPUT: usize = 64 << 20;
/// For one text.
const SLOWEST: Duration = Duration::from_secs(5);
/// In a row.
const MOST_FAILURES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_installed_it_speaks_as_long_as_people_do() {
        let Some(espeak) = Espeak::find() else { return };
        let text = "The weather in Paris is sunny today, with a light wind from the west.";
        let spoken = espeak.speak(text).unwrap();
        let seconds = spoken.duration().as_duration().as_secs_f64();
        assert!((3.0..9.0).contains(&seconds), "{seconds} s");
        assert_eq!(spoken.words.iter().map(|word| word.text.as_str()).collect::<String>(), text);
        assert!(spoken.samples.iter().any(|sample| sample.unsigned_abs() > 3000));
        assert_eq!(espeak.speak(text).unwrap(), spoken);
    }

    #[test]
    fn what_it_spoke_is_kept_within_bounds() {
        let mut shared = Shared::default();
        let minute = Utterance { samples: vec![0; 60 * SAMPLE_RATE as usize], words: Vec::new() };
        (0..7).for_each(|number| shared.keep(&number.to_string(), &minute));
        let kept: Vec<&str> = shared.spoken.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!((kept.as_slice(), shared.samples), (&["2", "3", "4", "5", "6"][..], MOST_SAMPLES));
        shared.keep("six minutes", &Utterance { samples: vec![0; MOST_SAMPLES + 1], words: Vec::new() });
        (0..200).for_each(|number| shared.keep(&number.to_string(), &Utterance::default()));
        assert_eq!((shared.spoken.len(), shared.samples), (MOST_KEPT, 0));
    }

    #[test]
    fn a_program_that_fails_is_not_asked_for_ever() {
        let espeak = Espeak::perhaps();
        espeak.lock().failures = MOST_FAILURES;
        assert_eq!(espeak.speak("One, two."), None);
    }
}
