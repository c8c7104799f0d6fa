//! The devices of this machine: which there are, and in which format one is opened.

use std::fmt;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{BufferSize, SampleFormat, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange};

/// A microphone, a loudspeaker, or both.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalDevice {
    /// What the system knows it by, such as `plughw:CARD=1,DEV=0`. It is unique.
    pub id: String,
    /// Its name for people. Several devices may have the same.
    pub name: String,
    /// Whether it may be a microphone. Some systems know only once it is opened.
    pub is_input: bool,
    /// Whether it may be a loudspeaker.
    pub is_output: bool,
}

impl fmt::Display for LocalDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.is_input, self.is_output) {
            (true, true) => "both",
            (true, false) => "input",
            (false, _) => "output",
        };
        write!(f, "{kind:<6}  {}  ({})", self.id, self.name)
    }
}

/// Why a device of this machine can't be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalAudioError {
    /// The system's audio can't be asked.
    #[error("the audio devices of this machine can't be listed")]
    List(#[source] cpal::Error),
    /// The machine has none.
    #[error("expected a {side} on this machine, and there is none: connect one")]
    None {
        /// What it was looked for as.
        side: Side,
    },
    /// No device has this name.
    #[error("expected a {side} with the id or name `{name}`, got {there}: list the devices to see their ids")]
    Unknown {
        /// What it was looked for as.
        side: Side,
        /// The name that was given.
        name: String,
        /// What is there.
        there: String,
    },
    /// Several devices have this in their names.
    #[error("expected one {side} for `{name}`, got {there}: give the id of one")]
    Several {
        /// What it was looked for as.
        side: Side,
        /// The name that was given.
        name: String,
        /// Their ids.
        there: String,
    },
    /// The device speaks no format that is known here.
    #[error("the {side} `{id}` has no format of 8 to 64 bits a sample at 1,000 to 768,000 Hz")]
    Format {
        /// What it was opened as.
        side: Side,
        /// The device.
        id: String,
    },
    /// The device can't be opened.
    #[error(
        "the {side} `{id}` can't be opened: check that it is connected, and that no other program has it"
    )]
    Open {
        /// What it was opened as.
        side: Side,
        /// The device.
        id: String,
        /// Why.
        #[source]
        error: cpal::Error,
    },
}

/// Which way a device's audio goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "audio comes in or goes out")]
pub enum Side {
    /// A microphone.
    Input,
    /// A loudspeaker.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "microphone",
            Self::Output => "loudspeaker",
        })
    }
}

/// All devices that this machine tells of.
///
/// # Errors
/// [`LocalAudioError::List`]: the system's audio can't be asked.
pub fn devices() -> Result<Vec<LocalDevice>, LocalAudioError> {
    Ok(all()?.into_iter().map(|(_, known)| known).collect())
}

fn all() -> Result<Vec<(cpal::Device, LocalDevice)>, LocalAudioError> {
    let devices = cpal::default_host().devices().map_err(LocalAudioError::List)?;
    let known = |device: cpal::Device| {
        let id = device.id().ok()?.id().to_owned();
        let name = device.description().map_or_else(|_| id.clone(), |about| about.name().to_owned());
        let (is_input, is_output) = (device.supports_input(), device.supports_output());
        (is_input || is_output).then_some((device, LocalDevice { id, name, is_input, is_output }))
    };
    Ok(devices.filter_map(known).collect())
}

/// A device that was found, and how to open it.
pub(super) struct Found {
    pub(super) device: cpal::Device,
    pub(super) id: String,
    pub(super) format: SampleFormat,
    pub(super) config: StreamConfig,
}

/// Finds the device with this id or name, or the system's own choice.
pub(super) fn find(side: Side, name: Option<&str>) -> Result<Found, LocalAudioError> {
    let (device, id) = match name {
        None => {
            let host = cpal::default_host();
            let device = match side {
                Side::Input => host.default_input_device(),
                Side::Output => host.default_output_device(),
            };
            let device = device.ok_or(LocalAudioError::None { side })?;
            let id = device.id().map_or_else(|_| "default".to_owned(), |id| id.id().to_owned());
            (device, id)
        }
        Some(name) => {
            let mut all = all()?;
            all.retain(|(_, known)| if side == Side::Input { known.is_input } else { known.is_output });
            let known: Vec<&LocalDevice> = all.iter().map(|(_, known)| known).collect();
            let index = matching(side, name, &known)?;
            let (device, known) = all.swap_remove(index);
            (device, known.id)
        }
    };
    let opening = |error| LocalAudioError::Open { side, id: id.clone(), error };
    let ranges: Vec<_> = match side {
        Side::Input => device.supported_input_configs().map_err(opening)?.collect(),
        Side::Output => device.supported_output_configs().map_err(opening)?.collect(),
    };
    match choose(side, ranges) {
        Some((format, config)) => Ok(Found { device, id, format, config }),
        None => Err(LocalAudioError::Format { side, id }),
    }
}

/// Which of these devices is meant: the one with this id, or with this name, or the only one that has it in
/// its id or name.
fn matching(side: Side, name: &str, known: &[&LocalDevice]) -> Result<usize, LocalAudioError> {
    let exact = known.iter().position(|device| device.id == name);
    if let Some(index) = exact.or_else(|| known.iter().position(|device| device.name == name)) {
        return Ok(index);
    }
    let part = name.to_lowercase();
    let has_it = |device: &LocalDevice| {
        [&device.id, &device.name].iter().any(|text| text.to_lowercase().contains(&part))
    };
    let found: Vec<usize> = (0..known.len()).filter(|index| has_it(known[*index])).collect();
    let listed = |indices: &mut dyn Iterator<Item = usize>| {
        let ids: Vec<String> = indices.map(|index| format!("`{}`", known[index].id)).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    };
    match found[..] {
        [index] => Ok(index),
        [] => Err(LocalAudioError::Unknown {
            side,
            name: name.to_owned(),
            there: listed(&mut (0..known.len())),
        }),
        _ => Err(LocalAudioError::Several {
            side,
            name: name.to_owned(),
            there: listed(&mut found.iter().copied()),
        }),
    }
}

/// What speech needs: a higher rate has nothing more to hear.
const WANTED_RATE: u32 = 48_000;

/// The format, rate, channels and buffer that suit speech best.
fn choose(side: Side, ranges: Vec<SupportedStreamConfigRange>) -> Option<(SampleFormat, StreamConfig)> {
    let rates = crate::resample::RATES;
    let fits = |range: &SupportedStreamConfigRange| {
        range.channels() > 0
            && range.min_sample_rate() <= *rates.end()
            && range.max_sample_rate() >= *rates.start()
            && format_rank(range.sample_format()).is_some()
    };
    let rank = |range: &SupportedStreamConfigRange| {
        let rate = WANTED_RATE.clamp(range.min_sample_rate(), range.max_sample_rate());
        let channels = match side {
            Side::Input => range.channels() - 1,
            // A single channel of a loudspeaker may be the left one alone.
            Side::Output => range.channels().abs_diff(2),
        };
        (rate.abs_diff(WANTED_RATE), channels, format_rank(range.sample_format()))
    };
    let range = ranges.into_iter().filter(fits).min_by_key(rank)?;
    let sample_rate = WANTED_RATE
        .clamp(range.min_sample_rate(), range.max_sample_rate())
        .clamp(*rates.start(), *rates.end());
    let buffer_size = match *range.buffer_size() {
        // 20 ms: short enough to stop in time, long enough for a machine that does other things, too.
        SupportedBufferSize::Range { min, max } if min <= max => {
            BufferSize::Fixed((sample_rate / 50).clamp(min, max))
        }
        _ => BufferSize::Default,
    };
    Some((range.sample_format(), StreamConfig { channels: range.channels(), sample_rate, buffer_size }))
}

/// How welcome a format is: less is better. `None`: it is not known here.
const fn format_rank(format: SampleFormat) -> Option<u8> {
    Some(match format {
        SampleFormat::I16 => 0,
        SampleFormat::F32 => 1,
        SampleFormat::I32 => 2,
        SampleFormat::I24 => 3,
        SampleFormat::U16 => 4,
        SampleFormat::U32 => 5,
        SampleFormat::F64 => 6,
        SampleFormat::U8 => 7,
        SampleFormat::I8 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, name: &str) -> LocalDevice {
        LocalDevice { id: id.into(), name: name.into(), is_input: true, is_output: false }
    }

    #[test]
    fn a_device_is_found_by_id_by_name_and_by_a_part_that_only_it_has() {
        let [a, b, c] =
            [device("hw:0", "HDA Intel"), device("plughw:0", "HDA Intel"), device("hw:1", "USB Headset")];
        let known = [&a, &b, &c];
        let find = |name| matching(Side::Input, name, &known);
        assert_eq!(
            (find("plughw:0").ok(), find("HDA Intel").ok(), find("headset").ok()),
            (Some(1), Some(0), Some(2))
        );
        assert_eq!(
            find("hda").unwrap_err().to_string(),
            "expected one microphone for `hda`, got `hw:0`, `plughw:0`: give the id of one"
        );
        let unknown = find("jack").unwrap_err().to_string();
        assert!(unknown.contains("`jack`, got `hw:0`, `plughw:0`, `hw:1`: list"), "{unknown}");
        assert!(matching(Side::Output, "x", &[]).unwrap_err().to_string().contains("got none"));
        assert_eq!(c.to_string(), "input   hw:1  (USB Headset)");
    }

    #[test]
    fn speech_is_taken_at_the_wanted_rate_in_few_channels_and_a_short_buffer() {
        let range = |channels, min, max, buffer, format| {
            SupportedStreamConfigRange::new(channels, min, max, buffer, format)
        };
        let any = SupportedBufferSize::Range { min: 1, max: 100_000 };
        let all = || {
            vec![
                range(2, 8_000, 192_000, any, SampleFormat::F32),
                range(1, 8_000, 192_000, any, SampleFormat::U8),
                range(1, 8_000, 192_000, any, SampleFormat::I16),
                range(1, 44_100, 44_100, any, SampleFormat::I16),
                range(1, 48_000, 48_000, any, SampleFormat::DsdU8),
            ]
        };
        let buffer_size = BufferSize::Fixed(960);
        let mono = StreamConfig { channels: 1, sample_rate: 48_000, buffer_size };
        assert_eq!(choose(Side::Input, all()), Some((SampleFormat::I16, mono)));
        let stereo = StreamConfig { channels: 2, ..mono };
        assert_eq!(choose(Side::Output, all()), Some((SampleFormat::F32, stereo)));

        let odd = range(6, 96_000, 96_000, SupportedBufferSize::Unknown, SampleFormat::I32);
        let config = StreamConfig { channels: 6, sample_rate: 96_000, buffer_size: BufferSize::Default };
        assert_eq!(choose(Side::Output, vec![odd]), Some((SampleFormat::I32, config)));
        let narrow = SupportedBufferSize::Range { min: 2_048, max: 4_096 };
        let (_, config) = choose(Side::Input, vec![range(2, 1, 16_000, narrow, SampleFormat::I16)]).unwrap();
        assert_eq!((config.sample_rate, config.buffer_size), (16_000, BufferSize::Fixed(2_048)));
        assert_eq!(choose(Side::Input, vec![]), None);
    }
}
