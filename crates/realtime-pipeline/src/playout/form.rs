//! What audio is made of: [`Form`]. Audio is cut without a copy, and coded again where it was changed.

use bytes::{Bytes, BytesMut};
use realtime_protocol::audio::{AudioFormat, g711};

use crate::chain::{Audio, Coded, Samples};

/// How audio is written, without the audio.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Pcm { rate: u32, channels: u16 },
    Coded(AudioFormat),
}

impl Form {
    pub(super) const fn of(audio: &Audio) -> Self {
        match audio {
            Audio::Pcm(samples) => Self::Pcm { rate: samples.rate(), channels: samples.channels() },
            Audio::Coded(coded) => Self::Coded(coded.format),
        }
    }

    /// Samples per second of one channel (Hz).
    pub(super) const fn rate(self) -> u32 {
        match self {
            Self::Pcm { rate, .. } => rate,
            Self::Coded(format) => format.sample_rate(),
        }
    }

    pub(super) const fn channels(self) -> u16 {
        match self {
            Self::Pcm { channels, .. } => channels,
            Self::Coded(_) => 1,
        }
    }

    /// Samples, of all channels in turn, as audio of this form. `None`: a format that this version can't
    /// write.
    pub(super) fn encode(self, samples: &[i16]) -> Option<Audio> {
        let format = match self {
            Self::Pcm { rate, channels } => return Some(Audio::Pcm(Samples::new(rate, channels, samples))),
            Self::Coded(format) => format,
        };
        let bytes = match format {
            AudioFormat::Pcm16 { .. } => crate::pcm::to_bytes(samples),
            AudioFormat::Pcmu => samples.iter().map(|sample| g711::to_mu_law(*sample)).collect(),
            AudioFormat::Pcma => samples.iter().map(|sample| g711::to_a_law(*sample)).collect(),
            _ => return None,
        };
        Some(Audio::coded(format, bytes))
    }

    /// Silence of so many samples of each channel.
    pub(super) fn silence(self, samples: u64) -> Option<Audio> {
        let samples = usize::try_from(samples).ok()?;
        self.encode(&vec![0; samples * usize::from(self.channels())])
    }
}

/// Audio without a last byte that is no whole sample.
pub(super) fn whole(audio: Audio) -> Audio {
    match audio {
        Audio::Coded(mut coded) => {
            let sample = coded.format.sample_bytes() as usize;
            coded.bytes.truncate(coded.bytes.len() - coded.bytes.len() % sample);
            Audio::Coded(coded)
        }
        pcm @ Audio::Pcm(_) => pcm,
    }
}

/// Takes the first `samples` samples of each channel off, without a copy.
pub(super) fn split_to(audio: &mut Audio, samples: u64) -> Audio {
    match audio {
        Audio::Pcm(rest) => {
            let first = rest.slice(0..samples);
            *rest = rest.slice(samples..u64::MAX);
            Audio::Pcm(first)
        }
        Audio::Coded(Coded { format, bytes }) => {
            let at = samples.saturating_mul(u64::from(format.sample_bytes()));
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Audio::coded(*format, bytes.split_to(at))
        }
    }
}

/// Pieces of one form, one after the other. A single one is not copied.
pub(super) fn join(mut pieces: Vec<Audio>) -> Option<Audio> {
    if pieces.len() < 2 {
        return pieces.pop();
    }
    match Form::of(pieces.first()?) {
        Form::Pcm { rate, channels } => {
            let of = |piece: &Audio| match piece {
                Audio::Pcm(samples) => samples.as_slice().to_vec(),
                Audio::Coded(_) => Vec::new(),
            };
            let samples: Vec<i16> = pieces.iter().flat_map(of).collect();
            Some(Audio::Pcm(Samples::new(rate, channels, samples)))
        }
        Form::Coded(format) => {
            let of = |piece: &Audio| match piece {
                Audio::Pcm(_) => Bytes::new(),
                Audio::Coded(coded) => coded.bytes.clone(),
            };
            let parts: Vec<Bytes> = pieces.iter().map(of).collect();
            let mut bytes = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            Some(Audio::coded(format, bytes.freeze()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 4] = [
        Form::Pcm { rate: 16_000, channels: 2 },
        Form::Coded(AudioFormat::PCM16_24K),
        Form::Coded(AudioFormat::Pcmu),
        Form::Coded(AudioFormat::Pcma),
    ];

    #[test]
    fn every_form_is_cut_and_joined_without_a_change() {
        for form in FORMS {
            let samples: Vec<i16> = (0..20).map(|sample| sample * 1000).collect();
            let audio = form.encode(&samples).unwrap();
            let frames = audio.frames();
            let mut rest = audio.clone();
            let first = split_to(&mut rest, 3);
            assert_eq!((first.frames(), rest.frames()), (3, frames - 3), "{form:?}");
            assert_eq!(Form::of(&first), form);
            assert_eq!(join(vec![first, rest.clone()]), Some(audio), "{form:?}");
            let all = split_to(&mut rest, u64::MAX);
            assert_eq!((all.frames(), rest.frames()), (frames - 3, 0));
        }
    }

    #[test]
    fn silence_is_silent_in_every_form() {
        for form in FORMS {
            let pcm = form.silence(5).unwrap().pcm().unwrap();
            assert_eq!((pcm.frames(), pcm.channels()), (5, form.channels()));
            assert!(pcm.as_slice().iter().all(|sample| sample.unsigned_abs() <= 8), "{form:?}");
        }
    }

    #[test]
    fn a_byte_that_is_no_sample_is_left_out() {
        let odd = Audio::coded(AudioFormat::PCM16_24K, Bytes::from_static(&[1, 2, 3]));
        let Audio::Coded(coded) = whole(odd) else { panic!("it was coded") };
        assert_eq!(coded.bytes.as_ref(), [1, 2]);
    }
}
