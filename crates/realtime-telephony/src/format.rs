//! What the bytes on a carrier's wire are, and the way to the protocol's formats and back.
//!
//! G.711 passes untouched. So does 16-bit audio in little-endian mono. Nothing here changes a rate.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

/// In which order the two bytes of a 16-bit sample stand on the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SampleOrder {
    /// The low byte first: what most carriers send.
    Little,
    /// The high byte first: network order, as in RTP.
    Big,
    /// The carrier's usual order at first, then the order in which the first sound is smoother.
    #[default]
    Detect,
}

/// Audio as it stands on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WireAudio {
    /// The format of one channel, in little-endian order.
    pub format: AudioFormat,
    /// Whether the high byte of a 16-bit sample comes first.
    pub is_big_endian: bool,
    /// Channels, interleaved. The first one is the caller.
    pub channels: u8,
}

impl WireAudio {
    /// One channel, in little-endian order.
    pub const fn mono(format: AudioFormat) -> Self {
        Self { format, is_big_endian: false, channels: 1 }
    }

    /// Reads what a carrier writes about its audio. `None`: a codec or a rate that cannot be read here.
    ///
    /// Knows the names of mu-law, A-law and 16-bit PCM that carriers use, in any case, and a rate behind them
    /// (`audio/l16;rate=16000`), which wins over `rate`.
    pub fn of(encoding: &str, rate: Option<u64>, channels: Option<u64>) -> Option<Self> {
        let mut words = encoding.split(';').map(str::trim);
        let name = words.next().unwrap_or_default().to_ascii_lowercase();
        let named_rate = words.find_map(|word| word.strip_prefix("rate=")?.trim().parse().ok());
        let rate = named_rate.or(rate).filter(|rate| *rate != 0);
        let name = name.strip_prefix("audio/").unwrap_or(&name);
        let name = name.strip_prefix("x-").unwrap_or(name);
        let format = match name {
            "mulaw" | "ulaw" | "pcmu" | "mu-law" | "g711u" | "g711_ulaw" => AudioFormat::Pcmu,
            "alaw" | "pcma" | "a-law" | "g711a" | "g711_alaw" => AudioFormat::Pcma,
            // `base64` is how Exotel's older applets name raw audio.
            "l16" | "raw" | "linear16" | "pcm" | "pcm16" | "slin" | "base64" => {
                AudioFormat::Pcm16 { rate: u32::try_from(rate.unwrap_or(8_000)).ok()? }
            }
            _ => return None,
        };
        if rate.is_some_and(|rate| rate != u64::from(format.sample_rate())) {
            return None;
        }
        if !(8_000..=64_000).contains(&format.sample_rate()) {
            return None;
        }
        let channels =
            u8::try_from(channels.unwrap_or(1)).ok().filter(|channels| (1..=2).contains(channels))?;
        Some(Self { format, is_big_endian: false, channels })
    }

    /// The caller's audio, and how many bytes at the end were no whole sample of all channels.
    pub(crate) fn decode(self, audio: Bytes) -> (Bytes, usize) {
        let sample = self.format.sample_bytes() as usize;
        let group = sample * usize::from(self.channels.max(1));
        let odd = audio.len() % group;
        let audio = audio.slice(..audio.len() - odd);
        if self.channels <= 1 && !(self.is_big_endian && sample == 2) {
            return (audio, odd);
        }
        let mut mono = Vec::with_capacity(audio.len() / usize::from(self.channels.max(1)));
        for group in audio.chunks_exact(group) {
            match group {
                [high, low, ..] if sample == 2 && self.is_big_endian => mono.extend([*low, *high]),
                _ => mono.extend_from_slice(&group[..sample]),
            }
        }
        (mono.into(), odd)
    }

    /// Audio of one channel in little-endian order, as the carrier wants it.
    pub(crate) fn encode(self, audio: Bytes) -> Bytes {
        if !(self.is_big_endian && self.format.sample_bytes() == 2) {
            return audio;
        }
        audio.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]]).collect::<Vec<u8>>().into()
    }
}

/// The bytes of silence.
pub(crate) fn silence(format: AudioFormat, samples: u64) -> Bytes {
    let bytes = samples.saturating_mul(u64::from(format.sample_bytes()));
    vec![silent_byte(format); usize::try_from(bytes).unwrap_or(usize::MAX)].into()
}

/// The byte that silence repeats.
pub(crate) const fn silent_byte(format: AudioFormat) -> u8 {
    match format {
        AudioFormat::Pcmu => 0xff,
        AudioFormat::Pcma => 0xd5,
        _ => 0,
    }
}

/// Finds the order of the bytes in 16-bit samples: speech is smooth, and with its bytes swapped it is noise.
#[derive(Debug, Default)]
pub(crate) struct OrderDetector {
    samples: u32,
    roughness: [u64; 2],
    is_done: bool,
}

impl OrderDetector {
    /// Takes audio as it came. Returns whether the high byte comes first, once 200 ms of sound decided it.
    pub(crate) fn hear(&mut self, audio: &[u8], rate: u32) -> Option<bool> {
        if self.is_done || audio.iter().all(|byte| *byte == 0) {
            return None;
        }
        let mut before: Option<[i16; 2]> = None;
        for sample in audio.chunks_exact(2) {
            let bytes = [sample[0], sample[1]];
            let now = [i16::from_le_bytes(bytes), i16::from_be_bytes(bytes)];
            if let Some(before) = before {
                for ((sum, now), before) in self.roughness.iter_mut().zip(now).zip(before) {
                    *sum += u64::from(now.abs_diff(before));
                }
            }
            before = Some(now);
            self.samples += 1;
        }
        if self.samples < rate / 5 {
            return None;
        }
        self.is_done = true;
        let [little, big] = self.roughness;
        // Too close to call is too close to change anything.
        if little / 2 > big {
            Some(true)
        } else if big / 2 > little {
            Some(false)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_a_carrier_uses_is_read() {
        let pcm = |rate| Some(WireAudio::mono(AudioFormat::Pcm16 { rate }));
        let mu_law = Some(WireAudio::mono(AudioFormat::Pcmu));
        for (encoding, rate, expected) in [
            ("audio/x-mulaw", Some(8_000), mu_law),
            ("PCMU", Some(8_000), mu_law),
            ("PCMU", None, mu_law),
            ("PCMA", Some(8_000), Some(WireAudio::mono(AudioFormat::Pcma))),
            ("L16", Some(16_000), pcm(16_000)),
            ("audio/x-l16", Some(8_000), pcm(8_000)),
            ("audio/x-L16", Some(24_000), pcm(24_000)),
            ("audio/l16;rate=16000", None, pcm(16_000)),
            ("audio/l16; rate=24000", Some(8_000), pcm(24_000)),
            ("audio/x-raw", Some(8_000), pcm(8_000)),
            ("base64", None, pcm(8_000)),
            ("PCMU", Some(16_000), None),
            ("L16", Some(1), None),
            ("L16", Some(u64::MAX), None),
            ("OPUS", Some(48_000), None),
            ("G722", Some(8_000), None),
            ("", None, None),
        ] {
            assert_eq!(WireAudio::of(encoding, rate, None), expected, "{encoding} {rate:?}");
        }
        assert_eq!(WireAudio::of("PCMU", None, Some(3)), None);
    }

    #[test]
    fn the_caller_is_the_first_of_two_channels() {
        let stereo = WireAudio { channels: 2, ..WireAudio::mono(AudioFormat::Pcmu) };
        assert_eq!(stereo.decode(Bytes::from_static(&[1, 2, 3, 4, 5])), (Bytes::from_static(&[1, 3]), 1));
        let stereo =
            WireAudio { format: AudioFormat::Pcm16 { rate: 8_000 }, is_big_endian: true, channels: 2 };
        let (mono, odd) = stereo.decode(Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!((&mono[..], odd), (&[2, 1, 6, 5][..], 0));
    }

    #[test]
    fn what_needs_no_change_is_not_copied() {
        let audio = Bytes::from(vec![1, 2, 3, 4]);
        let (same, _) = WireAudio::mono(AudioFormat::PCM16_24K).decode(audio.clone());
        assert_eq!(same.as_ptr(), audio.as_ptr());
        assert_eq!(WireAudio::mono(AudioFormat::Pcma).encode(audio.clone()).as_ptr(), audio.as_ptr());
    }

    #[test]
    fn the_order_of_bytes_is_that_of_the_smoother_sound() {
        let wave = |n: u32| ((f64::from(n) * 0.15).sin() * 9_000.0) as i16;
        let little: Vec<u8> = (0..1_600).flat_map(|n| wave(n).to_le_bytes()).collect();
        let big: Vec<u8> = (0..1_600).flat_map(|n| wave(n).to_be_bytes()).collect();
        assert_eq!(OrderDetector::default().hear(&little, 8_000), Some(false));
        assert_eq!(OrderDetector::default().hear(&big, 8_000), Some(true));
        let mut detector = OrderDetector::default();
        assert_eq!(detector.hear(&[0; 3_200], 8_000), None);
        assert_eq!(detector.hear(&big, 8_000), Some(true));
        assert_eq!(detector.hear(&little, 8_000), None, "it decides once");
    }
}
