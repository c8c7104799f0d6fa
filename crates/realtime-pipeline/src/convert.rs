//! Audio of any kind as audio of one format, in a stream: [`Converter`].
//!
//! ```
//! use realtime_pipeline::chain::Audio;
//! use realtime_pipeline::convert::Converter;
//! use realtime_protocol::audio::AudioFormat;
//!
//! // A microphone at 48,000 Hz, for a session that takes mu-law.
//! let mut converter = Converter::new(AudioFormat::Pcmu);
//! let mut bytes = converter.convert(&Audio::mono(48_000, vec![0; 960]))?.to_vec();
//! bytes.extend(converter.flush());
//! assert_eq!(bytes, [0xff; 160]);
//! # Ok::<(), realtime_pipeline::convert::ConvertError>(())
//! ```

use bytes::Bytes;
use realtime_protocol::audio::{AudioFormat, g711};

use crate::chain::Audio;
use crate::pcm;
use crate::resample::{RateError, Resampler};

/// Converts audio to one format: any rate, any number of channels (they are mixed to their mean), samples or
/// coded bytes.
///
/// Audio that is in the format already passes untouched. Between rates it holds back what the filter has not
/// given yet: see [`Resampler`]. The input may change its rate on the way; what the filter holds comes first.
#[derive(Debug)]
pub struct Converter {
    to: AudioFormat,
    mono: Mono,
}

/// Why audio can't be converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The rate of the input or of the format is out of range.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// This version can't decode the input, or can't encode the format.
    #[error("cannot convert {0:?}: this version does not know the format")]
    Format(AudioFormat),
}

impl Converter {
    /// Converts to this format.
    pub const fn new(to: AudioFormat) -> Self {
        Self { to, mono: Mono::new(to.sample_rate()) }
    }

    /// The format that it gives.
    pub const fn format(&self) -> AudioFormat {
        self.to
    }

    /// Converts a stretch of audio: mono, whole samples. It may give less or more than the stretch's share:
    /// the rest comes later.
    ///
    /// # Errors
    /// [`ConvertError`] if the audio can't be converted. It is left out.
    pub fn convert(&mut self, audio: &Audio) -> Result<Bytes, ConvertError> {
        if let Audio::Coded(coded) = audio
            && coded.format == self.to
            && self.mono.holds_nothing_of_another_rate(audio.rate())
        {
            return Ok(coded.bytes.clone());
        }
        let samples = self.mono.convert(audio)?;
        encode(self.to, &samples)
    }

    /// Gives what it still holds, so that the output is as long as the input, and begins anew.
    pub fn flush(&mut self) -> Bytes {
        let rest = self.mono.flush();
        // A format that it can't encode has been refused before anything was held.
        encode(self.to, &rest).unwrap_or_default()
    }

    /// Drops what it still holds, and begins anew: nothing of the audio before is heard in the audio after.
    pub fn reset(&mut self) {
        self.mono.reset();
    }
}

/// Converts any audio to mono samples of one rate.
#[derive(Debug)]
pub(crate) struct Mono {
    rate: u32,
    resampler: Option<Resampler>,
}

impl Mono {
    /// Converts to this rate (Hz).
    pub(crate) const fn new(rate: u32) -> Self {
        Self { rate, resampler: None }
    }

    /// The samples of a stretch, as far as the filter gives them.
    pub(crate) fn convert(&mut self, audio: &Audio) -> Result<Vec<i16>, ConvertError> {
        let samples = match audio {
            Audio::Coded(coded) => audio.pcm().ok_or(ConvertError::Format(coded.format))?,
            Audio::Pcm(samples) => samples.clone(),
        };
        let mut out = self.expect(samples.rate())?;
        let Some(resampler) = &mut self.resampler else { return Ok(out) };
        let converted = match usize::from(samples.channels()) {
            1 => resampler.process(samples.as_slice()),
            channels => resampler.process(&mix(samples.as_slice(), channels)),
        };
        if out.is_empty() {
            return Ok(converted);
        }
        out.extend(converted);
        Ok(out)
    }

    /// The samples that it still holds; then it begins anew.
    pub(crate) fn flush(&mut self) -> Vec<i16> {
        self.resampler.as_mut().map(Resampler::flush).unwrap_or_default()
    }

    /// Drops what it still holds.
    pub(crate) fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Prepares for audio of this rate, and gives what is held of another one.
    fn expect(&mut self, rate: u32) -> Result<Vec<i16>, RateError> {
        if self.resampler.as_ref().is_some_and(|resampler| resampler.from_rate() == rate) {
            return Ok(Vec::new());
        }
        let resampler = Resampler::new(rate, self.rate)?;
        let rest = self.flush();
        self.resampler = Some(resampler);
        Ok(rest)
    }

    fn holds_nothing_of_another_rate(&self, rate: u32) -> bool {
        self.resampler.as_ref().is_none_or(|resampler| resampler.from_rate() == rate)
    }
}

/// The mean of the channels.
fn mix(interleaved: &[i16], channels: usize) -> Vec<i16> {
    let mean = |frame: &[i16]| {
        let sum: i64 = frame.iter().copied().map(i64::from).sum();
        i16::try_from(sum / channels as i64).unwrap_or_default()
    };
    interleaved.chunks_exact(channels).map(mean).collect()
}

fn encode(to: AudioFormat, samples: &[i16]) -> Result<Bytes, ConvertError> {
    let each = |code: fn(i16) -> u8| samples.iter().copied().map(code).collect::<Vec<_>>().into();
    Ok(match to {
        AudioFormat::Pcm16 { .. } => pcm::to_bytes(samples),
        AudioFormat::Pcmu => each(g711::to_mu_law),
        AudioFormat::Pcma => each(g711::to_a_law),
        other => return Err(ConvertError::Format(other)),
    })
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;
    use crate::chain::Samples;

    const PCM_8K: AudioFormat = AudioFormat::Pcm16 { rate: 8_000 };

    fn sine(rate: u32, hertz: f64, samples: u32) -> Vec<i16> {
        let at = |n| (8_000.0 * (TAU * hertz * f64::from(n) / f64::from(rate)).sin()) as i16;
        (0..samples).map(at).collect()
    }

    /// How loud one frequency is in samples: the amplitude of the sine that fits best.
    fn amplitude(rate: u32, hertz: f64, samples: &[i16]) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = TAU * hertz * n as f64 / f64::from(rate);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        re.hypot(im) * 2.0 / samples.len() as f64
    }

    /// Everything in pieces of 20 ms, and the rest.
    fn whole(to: AudioFormat, rate: u32, samples: &[i16]) -> Vec<i16> {
        let mut converter = Converter::new(to);
        let mut bytes = Vec::new();
        for piece in samples.chunks(rate as usize / 50) {
            bytes.extend(converter.convert(&Audio::mono(rate, piece)).unwrap());
        }
        bytes.extend(converter.flush());
        Audio::coded(to, bytes.into()).pcm().unwrap().as_slice().to_vec()
    }

    #[test]
    fn a_telephone_hears_speech_as_loud_as_it_was_spoken() {
        for hertz in [100.0, 200.0, 300.0, 500.0, 800.0, 1_300.0, 2_000.0, 2_700.0, 3_200.0, 3_400.0] {
            let there = whole(PCM_8K, 24_000, &sine(24_000, hertz, 24_000));
            let back = whole(AudioFormat::PCM16_24K, 8_000, &there);
            assert_eq!((there.len(), back.len()), (8_000, 24_000));
            // A tenth of a second in the middle: whole periods, and no ends.
            for (rate, samples) in [(8_000, &there), (24_000, &back)] {
                let tenth = samples.len() / 10;
                let heard = amplitude(rate, hertz, &samples[4 * tenth..5 * tenth]);
                let decibels = 20.0 * (heard / 8_000.0).log10();
                assert!(decibels.abs() < 1.0, "{hertz} Hz at {rate} Hz: {decibels:.2} dB");
            }
        }
    }

    #[test]
    fn what_a_telephone_cannot_carry_is_silenced_and_not_folded() {
        for hertz in [4_600.0, 6_000.0, 9_000.0] {
            let there = whole(PCM_8K, 24_000, &sine(24_000, hertz, 24_000));
            let loudest = there[100..7_900].iter().map(|sample| sample.unsigned_abs()).max();
            assert!(loudest < Some(80), "{hertz} Hz: {loudest:?}");
        }
    }

    #[test]
    fn the_format_that_is_wanted_passes_untouched() {
        for to in [AudioFormat::PCM16_24K, AudioFormat::Pcmu, AudioFormat::Pcma] {
            let bytes = Bytes::from(vec![1, 2, 3, 4]);
            let mut converter = Converter::new(to);
            let out = converter.convert(&Audio::coded(to, bytes.clone())).unwrap();
            assert!(out.as_ptr() == bytes.as_ptr() && out.len() == 4, "{to:?}");
            assert_eq!(converter.flush(), Bytes::new());
        }
    }

    #[test]
    fn after_a_reset_nothing_of_the_turn_before_is_heard() {
        let mut converter = Converter::new(AudioFormat::PCM16_24K);
        converter.convert(&Audio::mono(8_000, vec![9_000; 850])).unwrap();
        converter.reset();
        assert_eq!(converter.flush(), Bytes::new());
        converter.convert(&Audio::mono(8_000, vec![9_000; 850])).unwrap();
        converter.reset();
        let mut out = converter.convert(&Audio::mono(8_000, vec![0; 800])).unwrap().to_vec();
        out.extend(converter.flush());
        assert_eq!(out, vec![0; 4_800]);
    }

    #[test]
    fn both_laws_survive_the_way_through_samples() {
        for to in [AudioFormat::Pcmu, AudioFormat::Pcma] {
            // Mu-law has two codes for silence.
            let codes: Vec<u8> = (0..=255).filter(|code| to != AudioFormat::Pcmu || *code != 0x7f).collect();
            let samples = Audio::coded(to, codes.clone().into()).pcm().unwrap();
            assert_eq!(Converter::new(to).convert(&Audio::Pcm(samples)).unwrap(), codes);
        }
    }

    #[test]
    fn channels_are_mixed_to_their_mean() {
        let mut converter = Converter::new(PCM_8K);
        let loudest = vec![i16::MIN, i16::MIN, 100, 50, i16::MAX, i16::MAX];
        let out = converter.convert(&Audio::Pcm(Samples::new(8_000, 2, loudest))).unwrap();
        assert_eq!(pcm::samples(&out).collect::<Vec<_>>(), [i16::MIN, 75, i16::MAX]);
    }

    #[test]
    fn a_change_of_rate_loses_nothing() {
        let mut converter = Converter::new(AudioFormat::PCM16_24K);
        let mut bytes = 0;
        for rate in [8_000, 24_000, 16_000, 24_000] {
            bytes += converter.convert(&Audio::mono(rate, vec![1; rate as usize / 10])).unwrap().len();
        }
        let ready = Audio::coded(AudioFormat::PCM16_24K, vec![1; 4_800].into());
        bytes += converter.convert(&ready).unwrap().len();
        assert_eq!(bytes, 5 * 4_800, "and the last rate needs no filter");
    }

    #[test]
    fn a_rate_out_of_range_is_refused_and_the_next_audio_is_not() {
        let mut converter = Converter::new(AudioFormat::PCM16_24K);
        let error = converter.convert(&Audio::mono(1, vec![0; 8])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot convert from 1 Hz to 24000 Hz: expected rates of 1,000 to 768,000 Hz"
        );
        assert_eq!(converter.convert(&Audio::mono(24_000, vec![7; 2])).unwrap().len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_output_is_as_long_as_the_input_however_it_is_cut(
            rate in prop::sample::select(vec![8_000_u32, 11_025, 16_000, 24_000, 44_100, 48_000]),
            pieces in prop::collection::vec((0_usize..2_000, 1_u16..4), 0..12),
        ) {
            let mut converter = Converter::new(AudioFormat::Pcma);
            let (mut taken, mut given) = (0, 0);
            for (frames, channels) in pieces {
                let samples = vec![5; frames * usize::from(channels)];
                given += converter.convert(&Audio::Pcm(Samples::new(rate, channels, samples))).unwrap().len();
                taken += frames;
            }
            given += converter.flush().len();
            prop_assert_eq!(given, (taken * 8_000).div_ceil(rate as usize));
            prop_assert!(converter.flush().is_empty());
        }
    }
}
