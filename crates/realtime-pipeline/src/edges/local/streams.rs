//! Opens a device's stream, and connects its callback with a ring.
//!
//! Callbacks run on a thread of the system that must not wait: they touch rings and counters only.

use std::sync::Arc;

use cpal::traits::DeviceTrait;
use cpal::{FromSample, I24, SampleFormat, SizedSample, StreamConfig, U24};

use super::devices::{Found, LocalAudioError, Side};
use super::feed::Feed;
use super::ring::SampleWriter;
use super::state::{Clock, DeviceState};

/// How many samples a callback handles at a time.
const BLOCK: usize = 256;

/// Opens a microphone. It gives the mean of its channels.
pub(super) fn open_input(
    found: &Found,
    mut writer: SampleWriter,
    state: &Arc<DeviceState>,
) -> Result<cpal::Stream, LocalAudioError> {
    fn build<T: SizedSample>(
        device: &cpal::Device,
        config: StreamConfig,
        mut take: impl FnMut(&mut dyn Iterator<Item = i16>) + Send + 'static,
        state: Arc<DeviceState>,
    ) -> Result<cpal::Stream, cpal::Error>
    where
        i16: FromSample<T>,
    {
        let channels = usize::from(config.channels);
        let data = move |data: &[T], _: &cpal::InputCallbackInfo| {
            take(&mut data.chunks_exact(channels).map(|frame| {
                let sum: i32 = frame.iter().map(|sample| i32::from(sample.to_sample::<i16>())).sum();
                (sum / i32::from(config.channels)) as i16
            }));
        };
        device.build_input_stream(config, data, move |error| state.on_error(&error), None)
    }

    let take = move |samples: &mut dyn Iterator<Item = i16>| writer.push(samples);
    let (device, config, state) = (&found.device, found.config, Arc::clone(state));
    let stream = match found.format {
        SampleFormat::I8 => build::<i8>(device, config, take, state),
        SampleFormat::I16 => build::<i16>(device, config, take, state),
        SampleFormat::I24 => build::<I24>(device, config, take, state),
        SampleFormat::I32 => build::<i32>(device, config, take, state),
        SampleFormat::U8 => build::<u8>(device, config, take, state),
        SampleFormat::U16 => build::<u16>(device, config, take, state),
        SampleFormat::U24 => build::<U24>(device, config, take, state),
        SampleFormat::U32 => build::<u32>(device, config, take, state),
        SampleFormat::F32 => build::<f32>(device, config, take, state),
        SampleFormat::F64 => build::<f64>(device, config, take, state),
        _ => return Err(LocalAudioError::Format { side: Side::Input, id: found.id.clone() }),
    };
    stream.map_err(|error| LocalAudioError::Open { side: Side::Input, id: found.id.clone(), error })
}

/// Opens a loudspeaker. It gets the same on each channel.
pub(super) fn open_output(
    found: &Found,
    mut feed: Feed,
    clock: Clock,
    state: &Arc<DeviceState>,
) -> Result<cpal::Stream, LocalAudioError> {
    fn build<T: SizedSample + FromSample<i16>>(
        device: &cpal::Device,
        config: StreamConfig,
        mut fill: impl FnMut(u64, &mut [i16]) + Send + 'static,
        clock: Clock,
        state: Arc<DeviceState>,
    ) -> Result<cpal::Stream, cpal::Error> {
        let channels = usize::from(config.channels);
        let data = move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
            let times = info.timestamp();
            let latency = times.playback.saturating_duration_since(times.callback).as_micros();
            let begins = clock.micros() + u64::try_from(latency).unwrap_or_default();
            let mut samples = [0; BLOCK];
            for (n, part) in (0_u64..).zip(data.chunks_mut(BLOCK * channels)) {
                let frames = part.len() / channels;
                let at = begins + n * BLOCK as u64 * 1_000_000 / u64::from(config.sample_rate.max(1));
                fill(at, &mut samples[..frames]);
                for (frame, sample) in part.chunks_exact_mut(channels).zip(samples) {
                    frame.fill(T::from_sample(sample));
                }
            }
        };
        device.build_output_stream(config, data, move |error| state.on_error(&error), None)
    }

    let fill = move |at, samples: &mut [i16]| feed.fill(at, samples);
    let (device, config, state) = (&found.device, found.config, Arc::clone(state));
    let stream = match found.format {
        SampleFormat::I8 => build::<i8>(device, config, fill, clock, state),
        SampleFormat::I16 => build::<i16>(device, config, fill, clock, state),
        SampleFormat::I24 => build::<I24>(device, config, fill, clock, state),
        SampleFormat::I32 => build::<i32>(device, config, fill, clock, state),
        SampleFormat::U8 => build::<u8>(device, config, fill, clock, state),
        SampleFormat::U16 => build::<u16>(device, config, fill, clock, state),
        SampleFormat::U24 => build::<U24>(device, config, fill, clock, state),
        SampleFormat::U32 => build::<u32>(device, config, fill, clock, state),
        SampleFormat::F32 => build::<f32>(device, config, fill, clock, state),
        SampleFormat::F64 => build::<f64>(device, config, fill, clock, state),
        _ => return Err(LocalAudioError::Format { side: Side::Output, id: found.id.clone() }),
    };
    stream.map_err(|error| LocalAudioError::Open { side: Side::Output, id: found.id.clone(), error })
}
