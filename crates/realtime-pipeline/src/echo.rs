//! Takes the loudspeaker's sound and noise out of what a microphone hears (feature `echo-cancellation`):
//! [`EchoCanceller`].
//!
//! It is WebRTC's audio processing, as Rust: the crate `sonora`. It knows the echo by what was played, finds
//! its delay by itself, up to some 500 ms, and needs a second or two of sound to learn a room.
//!
//! `sonora` needs Rust 1.91 or newer, and so does this feature; everything else builds with the oldest
//! compiler of the crate.
//!
//! ```
//! use realtime_pipeline::echo::{EchoCanceller, EchoOptions};
//!
//! let mut canceller = EchoCanceller::new(EchoOptions::default(), 48_000, 44_100)?;
//! // As the device takes it, and before what the microphone heard meanwhile:
//! canceller.reference(&[0; 441]);
//! assert_eq!(canceller.process(&[0; 480]).len(), 480);
//! # Ok::<(), realtime_pipeline::resample::RateError>(())
//! ```

use std::fmt;

use sonora::config::{EchoCanceller as EchoCancelling, NoiseSuppression};
use sonora::{AudioProcessing, Config, StreamConfig};

use crate::pcm;
use crate::resample::{RateError, Resampler};

/// What is taken out besides the echo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EchoOptions {
    /// Whether steady noise is made quieter, by some 12 dB. Default: yes.
    pub noise_suppression: bool,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self { noise_suppression: true }
    }
}

impl EchoOptions {
    /// Whether steady noise is made quieter.
    #[must_use]
    pub const fn noise_suppression(mut self, noise_suppression: bool) -> Self {
        self.noise_suppression = noise_suppression;
        self
    }
}

/// Takes an echo out of a microphone's sound. Pure: it knows samples and no time.
pub struct EchoCanceller {
    processing: AudioProcessing,
    rate: u32,
    voice: Lane,
    reference: Lane,
    /// One frame of output.
    out: Vec<f32>,
}

/// The way of one side's samples into frames of 10 ms at the rate of the processing.
struct Lane {
    resampler: Resampler,
    waiting: Vec<f32>,
}

/// The rates (Hz) that need no conversion.
const OWN: [u32; 3] = [16_000, 32_000, 48_000];
/// The rate (Hz) that others are converted to.
const USUAL: u32 = 48_000;

impl EchoCanceller {
    /// For a microphone and a loudspeaker with these rates (Hz).
    ///
    /// # Errors
    /// [`RateError`]: a rate is outside of 1,000 to 768,000 Hz.
    pub fn new(options: EchoOptions, voice_rate: u32, reference_rate: u32) -> Result<Self, RateError> {
        let rate = if OWN.contains(&voice_rate) { voice_rate } else { USUAL };
        let lane = |from| Ok(Lane { resampler: Resampler::new(from, rate)?, waiting: Vec::new() });
        let config = Config {
            echo_canceller: Some(EchoCancelling::default()),
            noise_suppression: options.noise_suppression.then(NoiseSuppression::default),
            ..Config::default()
        };
        let stream = StreamConfig::new(rate, 1);
        let processing =
            AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build();
        let (voice, reference) = (lane(voice_rate)?, lane(reference_rate)?);
        Ok(Self { processing, rate, voice, reference, out: vec![0.0; rate as usize / 100] })
    }

    /// Samples per second of what it gives (Hz): the microphone's rate if that is 16,000, 32,000 or 48,000,
    /// and 48,000 otherwise.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The device takes these samples to play them: all that it takes, silence too.
    pub fn reference(&mut self, samples: &[i16]) {
        let (processing, out) = (&mut self.processing, &mut self.out);
        self.reference.frames(samples, out.len(), |frame| {
            // It fails only for lengths and rates that are not these.
            let _ = processing.process_render_f32(&[frame], &mut [&mut *out]);
        });
    }

    /// The microphone has heard these samples. Gives them without the echo, in whole frames of 10 ms; the
    /// rest comes later.
    pub fn process(&mut self, samples: &[i16]) -> Vec<i16> {
        let (processing, out) = (&mut self.processing, &mut self.out);
        let mut cleaned = Vec::with_capacity(samples.len());
        self.voice.frames(samples, out.len(), |frame| {
            let sound: &[f32] = match processing.process_capture_f32(&[frame], &mut [&mut *out]) {
                Ok(()) => out,
                Err(_) => frame,
            };
            cleaned.extend(sound.iter().copied().map(pcm::from_float));
        });
        cleaned
    }
}

impl Lane {
    fn frames(&mut self, samples: &[i16], length: usize, mut each: impl FnMut(&[f32])) {
        let samples: Vec<f32> = samples.iter().copied().map(pcm::to_float).collect();
        self.waiting.extend(self.resampler.process_f32(&samples));
        let whole = self.waiting.len() - self.waiting.len() % length;
        self.waiting[..whole].chunks_exact(length).for_each(&mut each);
        self.waiting.drain(..whole);
    }
}

impl fmt::Debug for EchoCanceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoCanceller").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use realtime_emulator::voice::VoiceKind;

    use super::*;

    const RATE: u32 = 48_000;

    /// The demo's recorded lines, at 24,000 Hz.
    fn lines(lines: &[&str]) -> Vec<i16> {
        let voice = VoiceKind::demo(VoiceKind::Tones);
        lines.iter().flat_map(|line| voice.speak(line).samples).collect()
    }

    fn at_rate(samples: &[i16], rate: u32) -> Vec<i16> {
        let mut resampler = Resampler::new(24_000, rate).unwrap();
        let mut out = resampler.process(samples);
        out.extend(resampler.flush());
        out
    }

    const AGENT: [&str; 2] = [
        "Tomorrow will be cloudy in the morning, with some sun later on.",
        "Yes, I am still here. Ask me anything.",
    ];
    const USER: [&str; 1] = ["You are welcome. Have a nice day!"];

    /// What a microphone hears of the loudspeaker: a room answers late, softer, and more than once.
    fn echo(played: &[i16], rate: u32) -> Vec<i16> {
        let taps = [(70, 0.35_f32), (83, -0.15), (110, 0.08)];
        let mut heard = vec![0.0_f32; played.len()];
        for (ms, gain) in taps {
            for (heard, sample) in heard.iter_mut().skip(rate as usize * ms / 1_000).zip(played) {
                *heard += gain * f32::from(*sample);
            }
        }
        heard.into_iter().map(|sample| sample as i16).collect()
    }

    /// Loudness in dB, of no matter what scale.
    fn decibels(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (power / samples.len().max(1) as f64).max(1e-9).log10()
    }

    /// Both sides run in steps of 20 ms, as devices give them.
    fn run(
        canceller: &mut EchoCanceller,
        played: &[i16],
        played_rate: u32,
        heard: &[i16],
        rate: u32,
    ) -> Vec<i16> {
        let mut played = played.chunks(played_rate as usize / 50);
        let mut out = Vec::new();
        for heard in heard.chunks(rate as usize / 50) {
            canceller.reference(played.next().unwrap_or_default());
            out.extend(canceller.process(heard));
        }
        out
    }

    #[test]
    fn an_echo_is_quieter_by_fifteen_decibels_and_more() {
        for (played_rate, rate) in [(44_100, RATE), (RATE, 16_000)] {
            let said = lines(&AGENT.repeat(2));
            let heard = echo(&at_rate(&said, rate), rate);
            let mut canceller = EchoCanceller::new(EchoOptions::default(), rate, played_rate).unwrap();
            let out = run(&mut canceller, &at_rate(&said, played_rate), played_rate, &heard, rate);
            assert_eq!(canceller.rate(), rate);
            // The second half: it has learnt the room.
            let less = decibels(&heard[heard.len() / 2..]) - decibels(&out[out.len() / 2..]);
            assert!(less > 15.0, "{played_rate} Hz to {rate} Hz: {less:.1} dB less");
        }
    }

    #[test]
    fn who_speaks_beside_an_echo_is_heard_on() {
        let said = at_rate(&lines(&AGENT.repeat(3)), RATE);
        let user = at_rate(&lines(&USER), RATE);
        let begins = said.len() * 2 / 3 / 480 * 480;
        let mut heard = echo(&said, RATE);
        for (heard, user) in heard[begins..].iter_mut().zip(&user) {
            *heard = heard.saturating_add(*user);
        }
        let mut canceller = EchoCanceller::new(EchoOptions::default(), RATE, RATE).unwrap();
        let out = run(&mut canceller, &said, RATE, &heard, RATE);
        let end = (begins + user.len()).min(out.len());
        let change = decibels(&out[begins..end]) - decibels(&user[..end - begins]);
        assert!((-6.0..3.0).contains(&change), "{change:.1} dB while both speak");
    }

    #[test]
    fn without_an_echo_speech_passes_and_steady_noise_is_quieter() {
        let mut state = 1_u32;
        let mut noise = |loud: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 % (2 * loud) - loud) as i16
        };
        let user = at_rate(&lines(&[USER[0], USER[0]]), RATE);
        let mut heard: Vec<i16> = (0..3 * RATE).map(|_| noise(300)).collect();
        let quiet = heard.len();
        heard.extend(user.iter().map(|sample| sample.saturating_add(noise(300))));
        for (suppresses, most) in [(true, -6.0), (false, 1.0)] {
            let options = EchoOptions::default().noise_suppression(suppresses);
            let mut canceller = EchoCanceller::new(options, RATE, RATE).unwrap();
            let out = run(&mut canceller, &vec![0; heard.len()], RATE, &heard, RATE);
            let change = decibels(&out[quiet / 2..quiet]) - decibels(&heard[quiet / 2..quiet]);
            assert!(change < most, "noise: {change:.1} dB");
            let change = decibels(&out[quiet..]) - decibels(&user);
            assert!(change.abs() < 3.0, "speech: {change:.1} dB");
        }
    }

    #[test]
    fn odd_rates_are_converted_and_odd_pieces_wait_for_their_frame() {
        let mut canceller = EchoCanceller::new(EchoOptions::default(), 44_100, 8_000).unwrap();
        assert_eq!(canceller.rate(), 48_000);
        let mut given = 0;
        for piece in [1, 7, 440, 0, 882, 44_100] {
            canceller.reference(&vec![5; piece / 5]);
            given += canceller.process(&vec![5; piece]).len();
        }
        assert!(given.is_multiple_of(480) && (47_000..50_000).contains(&given), "{given} samples");
        assert!(EchoCanceller::new(EchoOptions::default(), 0, 8_000).is_err());
        assert_eq!(format!("{canceller:?}"), "EchoCanceller { rate: 48000, .. }");
    }
}
