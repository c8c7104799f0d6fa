//! Speech from `espeak-ng`, if it is installed: words that a person understands.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use realtime_protocol::audio::AudioFormat;

use crate::voice::{SAMPLE_RATE, Utterance, spread};

/// The program `espeak-ng`. Clones share what was spoken before.
///
/// Each new text takes the program some 20 ms, and the caller waits. A server lets its connections speak on
/// separate threads, so that no other connection waits.
#[derive(Clone)]
pub struct Espeak {
    spoken: Arc<Mutex<BTreeMap<String, Arc<Utterance>>>>,
}

impl Espeak {
    /// The program, if it is installed and works.
    pub fn find() -> Option<Self> {
        let espeak = Self { spoken: Arc::default() };
        (!espeak.run("one")?.is_empty()).then_some(espeak)
    }

    /// One that might be installed or not.
    #[cfg(test)]
    pub(crate) fn perhaps() -> Self {
        Self { spoken: Arc::default() }
    }

    /// Speaks `text`. `None`: the program failed.
    pub(super) fn speak(&self, text: &str) -> Option<Utterance> {
        let spoken = || self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = spoken().get(text) {
            return Some(Utterance::clone(known));
        }
        let samples = self.run(text)?;
        let length = AudioFormat::PCM16_24K.duration(2 * samples.len() as u64);
        let utterance = Utterance { words: spread(text, length), samples };
        let mut spoken = spoken();
        if spoken.len() >= MOST_KEPT {
            spoken.pop_first();
        }
        spoken.insert(text.into(), Arc::new(utterance.clone()));
        Some(utterance)
    }

    fn run(&self, text: &str) -> Option<Vec<i16>> {
        let mut child = Command::new("espeak-ng")
            .args(["--stdin", "--stdout", "-b", "1", "-s", "150"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // A text is far smaller than the pipe's buffer, or is cut to it, so this never blocks.
        let end = (0..=text.len().min(MOST_TEXT)).rev().find(|at| text.is_char_boundary(*at))?;
        child.stdin.take()?.write_all(&text.as_bytes()[..end]).ok()?;
        let output = child.wait_with_output().ok()?;
        let samples = read_wav(&output.stdout).filter(|_| output.status.success())?;
        Some(samples)
    }
}

impl fmt::Debug for Espeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Espeak").finish_non_exhaustive()
    }
}

/// Samples at [`SAMPLE_RATE`] from a WAV file of 16-bit mono as the program writes it. Its lengths are not
/// trusted.
fn read_wav(wav: &[u8]) -> Option<Vec<i16>> {
    let rate = u32::from_le_bytes(wav.get(24..28)?.try_into().ok()?);
    let data = wav.windows(4).position(|name| name == b"data")?;
    let bytes = wav.get(data + 8..)?;
    let samples: Vec<i16> =
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Some(super::resample(&samples, f64::from(rate) / f64::from(SAMPLE_RATE)))
}

/// Texts.
const MOST_KEPT: usize = 64;
/// Bytes.
const MOST_TEXT: usize = 16 << 10;

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
}
