//! Conversion between sample rates, in a stream: the output does not depend on how the input is cut into
//! pieces.

use std::fmt;
use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction};

use crate::pcm;

/// Converts mono audio from one sample rate to another.
///
/// Equal rates pass through untouched. Otherwise a windowed sinc filters what the lower rate cannot hold; the
/// output is aligned with the input, to within a sample, and [`flush`](Self::flush) brings out what the
/// filter still holds: 64 samples of the lower rate, or 4 ms at 16,000 Hz.
pub struct Resampler {
    from: u32,
    to: u32,
    /// `None` if the rates are equal.
    filter: Option<Filter>,
}

/// Why a conversion is impossible.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot convert from {from} Hz to {to} Hz: expected rates of 1,000 to 768,000 Hz")]
pub struct RateError {
    /// Samples per second (Hz) of the input.
    pub from: u32,
    /// Samples per second (Hz) of the output.
    pub to: u32,
}

struct Filter {
    inner: Async<f32>,
    /// Samples that are not a whole piece yet.
    waiting: Vec<f32>,
    /// Room for the output of one piece.
    out: Vec<f32>,
    /// Samples taken in.
    taken: u64,
    /// Samples given out.
    given: u64,
    /// The filter's delay, in output samples.
    delay: usize,
    /// How many samples of the delay must still be left out.
    skip: usize,
}

/// The allowed sample rates (Hz).
pub(crate) const RATES: RangeInclusive<u32> = 1_000..=768_000;

/// Samples at the lower of the two rates that the filter looks at for each output sample.
const TAPS: usize = 128;
/// How many points the filter's curve has for each tap; between them it is interpolated. The error is below
/// that of 16 bits, and the curve is there in a few milliseconds: a stage may make one in a step.
const POINTS: usize = 32;

impl Resampler {
    /// A resampler between two rates in Hz.
    ///
    /// # Errors
    /// [`RateError`] if a rate is outside the allowed range.
    pub fn new(from: u32, to: u32) -> Result<Self, RateError> {
        let error = RateError { from, to };
        if ![from, to].iter().all(|rate| RATES.contains(rate)) {
            return Err(error);
        }
        if from == to {
            return Ok(Self { from, to, filter: None });
        }
        // The filter works on pieces of 10 ms: the usual frames of 10 and 20 ms leave nothing behind.
        let piece = from as usize / 100;
        let taps = TAPS * (from.div_ceil(to) as usize);
        let parameters = SincInterpolationParameters::new(taps, WindowFunction::Blackman2);
        let parameters = parameters.oversampling_factor(POINTS);
        let ratio = f64::from(to) / f64::from(from);
        let inner =
            Async::new_sinc(ratio, 1.0, &parameters, piece, 1, FixedAsync::Input).map_err(|_| error)?;
        let out = vec![0.0; inner.output_frames_max()];
        // The filter looks as far ahead as back. It steps before it looks, hence one output sample less.
        let delay = (taps as f64 / 2.0 * ratio).round() as usize - 1;
        let filter = Filter { inner, waiting: Vec::new(), out, taken: 0, given: 0, delay, skip: delay };
        Ok(Self { from, to, filter: Some(filter) })
    }

    /// Samples per second (Hz) of the input.
    pub const fn from_rate(&self) -> u32 {
        self.from
    }

    /// Samples per second (Hz) of the output.
    pub const fn to_rate(&self) -> u32 {
        self.to
    }

    /// Converts 16-bit samples. The output may be shorter or longer than its share: the rest comes later.
    pub fn process(&mut self, input: &[i16]) -> Vec<i16> {
        match &mut self.filter {
            None => input.to_vec(),
            Some(filter) => {
                filter.waiting.extend(input.iter().copied().map(pcm::to_float));
                filter.taken += input.len() as u64;
                filter.whole_pieces().into_iter().map(pcm::from_float).collect()
            }
        }
    }

    /// Converts samples of -1 to 1.
    pub fn process_f32(&mut self, input: &[f32]) -> Vec<f32> {
        match &mut self.filter {
            None => input.to_vec(),
            Some(filter) => {
                filter.waiting.extend_from_slice(input);
                filter.taken += input.len() as u64;
                filter.whole_pieces()
            }
        }
    }

    /// Returns the rest, so that the output is as long as the input, and begins anew.
    pub fn flush(&mut self) -> Vec<i16> {
        self.flush_f32().into_iter().map(pcm::from_float).collect()
    }

    /// As [`flush`](Self::flush), in samples of -1 to 1.
    pub fn flush_f32(&mut self) -> Vec<f32> {
        let Some(filter) = &mut self.filter else { return Vec::new() };
        let due = (u128::from(filter.taken) * u128::from(self.to)).div_ceil(u128::from(self.from));
        filter.flush(u64::try_from(due).unwrap_or(u64::MAX))
    }

    /// Drops what the filter still holds, and begins anew.
    pub fn reset(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }
}

impl Filter {
    fn whole_pieces(&mut self) -> Vec<f32> {
        let piece = self.inner.input_frames_next();
        let mut out = Vec::new();
        let whole = self.waiting.len() - self.waiting.len() % piece;
        let waiting = std::mem::take(&mut self.waiting);
        for samples in waiting[..whole].chunks_exact(piece) {
            self.piece(samples, &mut out);
        }
        self.waiting = waiting;
        self.waiting.drain(..whole);
        out
    }

    fn flush(&mut self, due: u64) -> Vec<f32> {
        let piece = self.inner.input_frames_next();
        let mut out = Vec::new();
        while self.given + (out.len() as u64) < due {
            let mut samples = std::mem::take(&mut self.waiting);
            samples.resize(piece, 0.0);
            let given = self.given;
            self.piece(&samples, &mut out);
            // Counted once, at the end: `due` may cut this piece short.
            self.given = given;
        }
        out.truncate(usize::try_from(due.saturating_sub(self.given)).unwrap_or(usize::MAX));
        self.reset();
        out
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.skip = self.delay;
        (self.taken, self.given) = (0, 0);
        self.waiting.clear();
    }

    fn piece(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let input = InterleavedSlice::new(samples, 1, samples.len());
        let room = self.out.len();
        let output = InterleavedSlice::new_mut(&mut self.out, 1, room);
        let (Ok(input), Ok(mut output)) = (input, output) else {
            unreachable!("a slice holds as many mono frames as samples");
        };
        let (_, made) = self
            .inner
            .process_into_buffer(&input, &mut output, None)
            .expect("the input is one piece long, and the output has room for the most a piece gives");
        let skipped = self.skip.min(made);
        self.skip -= skipped;
        out.extend_from_slice(&self.out[skipped..made]);
        self.given += (made - skipped) as u64;
    }
}

/// Mixes interleaved channels to one: their mean.
///
/// # Panics
/// If `channels` is 0.
pub fn mix_to_mono(interleaved: &[f32], channels: usize) -> Vec<f32> {
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect()
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resampler({} Hz to {} Hz)", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const RATES: [(u32, u32); 8] = [
        (8_000, 24_000),
        (16_000, 24_000),
        (22_050, 24_000),
        (44_100, 24_000),
        (48_000, 24_000),
        (24_000, 16_000),
        (24_000, 8_000),
        (11_025, 16_000),
    ];

    fn sine(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (0.5 * (TAU * hertz * n as f64 / f64::from(rate)).sin()) as f32).collect()
    }

    fn whole(from: u32, to: u32, input: &[f32]) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = resampler.process_f32(input);
        out.extend(resampler.flush_f32());
        out
    }

    /// Fits a sine and gives its amplitude, its delay in samples, and the ratio of it to the rest in dB.
    fn fit(rate: u32, hertz: f64, samples: &[f32], first: usize) -> (f64, f64, f64) {
        let step = TAU * hertz / f64::from(rate);
        let (mut sin, mut cos) = (0.0, 0.0);
        for (n, sample) in (first..).zip(samples) {
            sin += f64::from(*sample) * (step * n as f64).sin();
            cos += f64::from(*sample) * (step * n as f64).cos();
        }
        let half = samples.len() as f64 / 2.0;
        let (sin, cos) = (sin / half, cos / half);
        let rest = (first..).zip(samples).map(|(n, sample)| {
            let angle = step * n as f64;
            (f64::from(*sample) - sin * angle.sin() - cos * angle.cos()).powi(2)
        });
        let noise = rest.sum::<f64>().max(1e-30);
        let power = (sin * sin + cos * cos) * half;
        (sin.hypot(cos), -cos.atan2(sin) / step, 10.0 * (power / noise).log10())
    }

    #[test]
    fn a_sine_stays_that_sine_at_every_rate() {
        for (from, to) in RATES {
            let out = whole(from, to, &sine(from, 1_000.0, from as usize));
            assert_eq!(out.len(), to as usize, "{from} Hz to {to} Hz");
            // The ends are where the filter meets silence. 1,000 Hz: whole periods are whole milliseconds.
            let (first, last) = (out.len() / 10, out.len() * 9 / 10);
            let (amplitude, delay, snr) = fit(to, 1_000.0, &out[first..last], first);
            assert!((amplitude - 0.5).abs() < 0.001, "{from} Hz to {to} Hz: amplitude {amplitude}");
            assert!(delay.abs() < 0.51, "{from} Hz to {to} Hz: {delay} samples late");
            assert!(snr > 110.0, "{from} Hz to {to} Hz: {snr:.1} dB");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_filtered_out() {
        let out = whole(48_000, 16_000, &sine(48_000, 11_000.0, 48_000));
        let loudest = out[200..out.len() - 200].iter().fold(0.0_f32, |most, s| most.max(s.abs()));
        assert!(loudest < 0.005, "an alias of {loudest}");
    }

    #[test]
    fn pieces_of_any_size_give_the_same_output() {
        let input = sine(22_050, 440.0, 22_050);
        let want = whole(22_050, 24_000, &input);
        for size in [1, 7, 160, 441, 5_000] {
            let mut resampler = Resampler::new(22_050, 24_000).unwrap();
            let mut out: Vec<f32> = Vec::new();
            for piece in input.chunks(size) {
                out.extend(resampler.process_f32(piece));
            }
            out.extend(resampler.flush_f32());
            assert!(out == want, "pieces of {size}");
        }
    }

    #[test]
    fn ten_seconds_do_not_drift_by_a_sample() {
        let mut resampler = Resampler::new(44_100, 24_000).unwrap();
        let second = vec![0; 44_100];
        let mut made = 0;
        for _ in 0..10 {
            made += resampler.process(&second).len();
        }
        made += resampler.flush().len();
        assert_eq!(made, 10 * 24_000);
    }

    #[test]
    fn equal_rates_pass_through_untouched() {
        let mut resampler = Resampler::new(16_000, 16_000).unwrap();
        assert_eq!(resampler.process(&[1, -2, i16::MIN]), [1, -2, i16::MIN]);
        assert!(resampler.flush().is_empty());
    }

    #[test]
    fn after_a_flush_it_begins_anew() {
        let input = sine(16_000, 300.0, 1_600);
        let mut resampler = Resampler::new(16_000, 24_000).unwrap();
        let mut turn = || {
            let mut out = resampler.process_f32(&input);
            out.extend(resampler.flush_f32());
            out
        };
        let first = turn();
        assert_eq!(first.len(), 2_400);
        assert!(first == turn());
    }

    #[test]
    fn stereo_is_mixed_to_its_mean() {
        assert_eq!(mix_to_mono(&[1.0, 0.0, 0.5, -0.5], 2), [0.5, 0.0]);
    }

    #[test]
    fn a_rate_of_zero_is_refused() {
        assert!(Resampler::new(0, 24_000).is_err());
        assert!(Resampler::new(24_000, u32::MAX).is_err());
    }
}
