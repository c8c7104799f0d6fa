//! The voice: tones with the rhythm of words, made from the text alone; speech, if `espeak-ng` is installed;
//! and the recorded lines of the demo.
//!
//! Tones are not speech, but have what tests of speech need: words with a start, gaps between them, a level
//! that turn detection hears, and a length that grows with the text. The same text always gives the same
//! samples.

mod demo;
mod espeak;
mod program;
mod rate;
mod wav;

use std::fmt;

use realtime_protocol::time::MediaTime;

pub use espeak::Espeak;

/// Samples per second (Hz) of everything this module makes.
pub const SAMPLE_RATE: u32 = 24_000;

/// Spoken words: mono samples at [`SAMPLE_RATE`], peak about -9 dBFS, and where each word starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utterance {
    /// The sound: 16-bit mono samples at 24,000 Hz.
    pub samples: Vec<i16>,
    /// The words in order; their texts together are the text that was spoken.
    pub words: Vec<Word>,
}

/// One word of an [`Utterance`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// The word, with the white space before it.
    pub text: String,
    /// Where it starts.
    pub start: MediaTime,
}

impl Utterance {
    /// The samples as the wire has them: 16-bit little-endian bytes.
    pub fn pcm(&self) -> Vec<u8> {
        self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// The same, faster or slower; its pitch changes with it.
    #[must_use]
    pub fn at_speed(mut self, speed: f64) -> Self {
        if speed > 0.0 && speed.is_finite() && speed != 1.0 {
            self.samples = resample(&self.samples, speed);
            for word in &mut self.words {
                word.start = MediaTime::from_micros((word.start.as_micros() as f64 / speed) as u64);
            }
        }
        self
    }

    /// How long it sounds.
    pub fn duration(&self) -> MediaTime {
        at(self.samples.len())
    }
}

/// Which voice speaks.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum VoiceKind {
    /// Tones: see [`speak`]. The same everywhere.
    #[default]
    Tones,
    /// Speech. What it sounds like depends on the machine.
    Espeak(Espeak),
    /// The recorded lines of [`Script::demo`](crate::brain::Script::demo), the same everywhere. Any other
    /// text is spoken by this voice.
    Demo(Box<Self>),
}

impl VoiceKind {
    /// Speech if `espeak-ng` is installed, else tones. It runs the program once to see, so ask once.
    pub fn best() -> Self {
        Espeak::find().map_or(Self::Tones, Self::Espeak)
    }

    /// The recorded lines of the demo, and `others` for what is not among them.
    #[must_use]
    pub fn demo(others: Self) -> Self {
        Self::Demo(Box::new(others))
    }

    /// Returns whether it runs a program to speak, which takes time.
    pub(crate) fn waits_for_a_program(&self) -> bool {
        match self {
            Self::Tones => false,
            Self::Espeak(_) => true,
            Self::Demo(others) => others.waits_for_a_program(),
        }
    }

    /// Speaks `text`.
    pub fn speak(&self, text: &str) -> Utterance {
        let mut spoken = match self {
            Self::Tones => return speak(text),
            Self::Espeak(espeak) => espeak.speak(text).unwrap_or_else(|| speak(text)),
            Self::Demo(others) => return demo::speak(text).unwrap_or_else(|| others.speak(text)),
        };
        // Speech is never shorter than the tones, for tests that rely on their length.
        let least = speak(text).samples.len();
        if spoken.samples.len() < least {
            spoken.samples.resize(least, 0);
        }
        spoken
    }
}

/// Its name: `tones`, `espeak-ng`, or `recorded lines, else tones`.
impl fmt::Display for VoiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tones => f.write_str("tones"),
            Self::Espeak(_) => f.write_str("espeak-ng"),
            Self::Demo(others) => write!(f, "recorded lines, else {others}"),
        }
    }
}

/// Speaks `text` at two and a half to three words a second.
pub fn speak(text: &str) -> Utterance {
    let mut spoken = Utterance::default();
    for piece in words(text) {
        let word = piece.trim();
        spoken.words.push(Word { text: piece.into(), start: at(spoken.samples.len()) });
        for syllable in 0..syllables(word) {
            tone(pitch(word, syllable), &mut spoken.samples);
        }
        let pause = match word.chars().last() {
            Some('.' | '!' | '?') => WORD_GAP + 90,
            Some(',' | ';' | ':') => WORD_GAP + 50,
            _ => WORD_GAP,
        };
        spoken.samples.resize(spoken.samples.len() + millis(pause), 0);
    }
    spoken
}

/// Spreads the words of `transcript` evenly over `length` of sound that someone else made.
pub(crate) fn spread(transcript: &str, length: MediaTime) -> Vec<Word> {
    let pieces: Vec<_> = words(transcript).collect();
    let count = pieces.len().max(1) as u64;
    let starts = (0..count).map(|index| MediaTime::from_micros(length.as_micros() / count * index));
    pieces.iter().zip(starts).map(|(piece, start)| Word { text: (*piece).into(), start }).collect()
}

/// Resamples by `step` samples for one, with linear interpolation.
fn resample(samples: &[i16], step: f64) -> Vec<i16> {
    let count = (samples.len() as f64 / step) as usize;
    let at = |index: usize| samples.get(index).copied().map_or(0.0, f64::from);
    let one = |index: usize| {
        let place = index as f64 * step;
        let (before, part) = (place as usize, place.fract());
        (at(before) * (1.0 - part) + at(before + 1) * part) as i16
    };
    (0..count).map(one).collect()
}

/// Cuts `text` into words, each with the white space before it, so that the pieces together are the text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(|c: char| !c.is_whitespace())?;
        let end = rest[start..].find(char::is_whitespace).map_or(rest.len(), |length| start + length);
        // White space at the end of the text belongs to the last word.
        let end = if rest[end..].trim().is_empty() { rest.len() } else { end };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Groups of vowels; a digit is a syllable of its own.
fn syllables(word: &str) -> usize {
    let mut count = 0;
    let mut in_vowel = false;
    for c in word.chars() {
        let vowel = matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y') || !c.is_ascii();
        count += usize::from((vowel && !in_vowel) || c.is_ascii_digit());
        in_vowel = vowel;
    }
    count.clamp(1, MOST_SYLLABLES)
}

/// The pitch of a syllable (Hz): one of eight semitones, by the word's letters.
fn pitch(word: &str, syllable: usize) -> f32 {
    let hash = word.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    });
    let semitone = (hash >> 7).wrapping_add(3 * syllable as u32) % 8;
    BASE_PITCH * 2_f32.powf(semitone as f32 / 12.0)
}

/// Appends one syllable: a fundamental and two overtones under a soft envelope.
fn tone(pitch: f32, samples: &mut Vec<i16>) {
    let count = millis(SYLLABLE);
    let (attack, release) = (millis(20), millis(50));
    let step = pitch * core::f32::consts::TAU / SAMPLE_RATE as f32;
    for index in 0..count {
        let phase = step * index as f32;
        let wave = (phase.sin() + 0.5 * (2.0 * phase).sin() + 0.25 * (3.0 * phase).sin()) / 1.5;
        let rise = (index as f32 / attack as f32).min(1.0);
        let fall = ((count - index) as f32 / release as f32).min(1.0);
        samples.push((PEAK * wave * smooth(rise * fall)) as i16);
    }
}

/// A soft step from 0 to 1.
fn smooth(x: f32) -> f32 {
    x * x * (3.0 - 2.0 * x)
}

const fn millis(millis: u64) -> usize {
    (millis * SAMPLE_RATE as u64 / 1000) as usize
}

const fn at(samples: usize) -> MediaTime {
    MediaTime::from_micros(samples as u64 * 1_000_000 / SAMPLE_RATE as u64)
}

/// -9 dBFS.
const PEAK: f32 = 0.355 * 32_767.0;
/// Hz.
const BASE_PITCH: f32 = 150.0;
/// ms.
const SYLLABLE: u64 = 190;
/// ms.
const WORD_GAP: u64 = 70;
/// A "word" can be any text without blanks, which must not become minutes of sound.
const MOST_SYLLABLES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_together_are_the_text() {
        for text in ["", " ", "Hello", "  Hello  there,\nyou! ", "Grüße aus Köln"] {
            let whole: String = words(text).collect();
            assert_eq!(whole, if text.trim().is_empty() { "" } else { text });
        }
    }

    #[test]
    fn speech_has_the_speed_and_level_of_speech() {
        let text =
            "The weather in Paris is sunny today, with a light wind from the west. Tomorrow it will rain.";
        let spoken = speak(text);
        let rate = spoken.words.len() as f64 / spoken.duration().as_duration().as_secs_f64();
        assert!((2.5..3.0).contains(&rate), "{rate} words a second");
        let peak = spoken.samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((9_000..=11_700).contains(&peak), "{peak}");
        assert_eq!(spoken, speak(text));
    }

    #[test]
    fn a_higher_speed_is_shorter_and_has_the_same_words() {
        let (slow, fast) = (speak("One two three."), speak("One two three.").at_speed(1.5));
        assert_eq!(fast.samples.len(), slow.samples.len() * 2 / 3);
        assert_eq!(fast.words.len(), slow.words.len());
        assert!(fast.words[2].start < slow.words[2].start);
    }

    #[test]
    fn no_pause_is_long_enough_to_end_a_turn() {
        let spoken = speak("One. Two! Three, four? Five.");
        let mut quiet = 0;
        for sample in &spoken.samples {
            quiet = if sample.unsigned_abs() > 400 { 0 } else { quiet + 1 };
            assert!(quiet < millis(200));
        }
    }

    #[test]
    fn a_line_without_a_recording_is_spoken_by_the_other_voice() {
        let voice = VoiceKind::demo(VoiceKind::Tones);
        assert_eq!(voice.speak("Who are you?"), speak("Who are you?"));
        assert_ne!(
            voice.speak("You are welcome. Have a nice day!"),
            speak("You are welcome. Have a nice day!")
        );
        assert_eq!(voice.to_string(), "recorded lines, else tones");
        assert!(!voice.waits_for_a_program());
        assert!(VoiceKind::demo(VoiceKind::Espeak(Espeak::perhaps())).waits_for_a_program());
    }
}
