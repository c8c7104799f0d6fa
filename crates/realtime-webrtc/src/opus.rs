//! Opus in frames of 20 ms: what is said becomes packets, and packets become what is heard.

use ropus::{Application, Bitrate, Channels, DecodeMode};

/// Samples per second that Opus takes (Hz).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate(u32);

impl Rate {
    /// What the Realtime API speaks by default.
    pub const HZ_24000: Self = Self(24_000);

    /// `None`: Opus does not take it. It takes 8,000, 12,000, 16,000, 24,000 and 48,000 Hz.
    pub const fn new(hz: u32) -> Option<Self> {
        match hz {
            8_000 | 12_000 | 16_000 | 24_000 | 48_000 => Some(Self(hz)),
            _ => None,
        }
    }

    /// Samples per second (Hz).
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// The samples of one frame.
    pub(crate) const fn frame(self) -> usize {
        self.0 as usize / FRAMES_PER_SECOND as usize
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::HZ_24000
    }
}

/// Makes packets.
pub(crate) struct Encoder {
    opus: ropus::Encoder,
    rate: Rate,
    packet: Box<[u8; LARGEST_PACKET]>,
    /// Frames of silence in a row.
    silent: u32,
}

impl Encoder {
    pub(crate) fn new(rate: Rate) -> Self {
        let opus = ropus::Encoder::builder(rate.hz(), Channels::Mono, Application::Voip)
            .bitrate(Bitrate::Bits(BITRATE))
            .complexity(COMPLEXITY)
            .build()
            .expect("`Rate` is one that Opus takes");
        Self { opus, rate, packet: Box::new([0; LARGEST_PACKET]), silent: 0 }
    }

    /// Samples of another rate follow.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        if self.rate != rate {
            *self = Self::new(rate);
        }
    }

    /// The packet of one frame. An empty one is silence, a frame that is too short is filled with it,
    /// and the rest of a longer one is left out.
    pub(crate) fn encode(&mut self, frame: &[i16]) -> &[u8] {
        self.silent = if frame.iter().all(|sample| *sample == 0) { self.silent.saturating_add(1) } else { 0 };
        if self.silent > FADED {
            return &SILENCE;
        }
        let length = self.rate.frame();
        let result = if frame.len() == length {
            self.opus.encode(frame, &mut self.packet[..])
        } else {
            let mut whole = frame.get(..length.min(frame.len())).unwrap_or_default().to_vec();
            whole.resize(length, 0);
            self.opus.encode(&whole, &mut self.packet[..])
        };
        // It fails only for frames of another length.
        result.ok().and_then(|length| self.packet.get(..length)).unwrap_or(&SILENCE)
    }
}

/// Makes samples.
pub(crate) struct Decoder {
    opus: ropus::Decoder,
    rate: Rate,
}

impl Decoder {
    pub(crate) fn new(rate: Rate) -> Self {
        let opus = ropus::Decoder::new(rate.hz(), Channels::Mono).expect("`Rate` is one that Opus takes");
        Self { opus, rate }
    }

    /// The samples of a packet. One that is no Opus counts as lost.
    pub(crate) fn decode(&mut self, packet: &[u8]) -> Vec<i16> {
        // Two bytes or fewer stand for "nothing to send": the decoder goes on by itself.
        let mut samples = vec![0; self.rate.frame() * LONGEST_PACKET_FRAMES];
        match self.opus.decode(packet, &mut samples, DecodeMode::Normal) {
            Ok(decoded) if !packet.is_empty() => {
                samples.truncate(decoded);
                samples
            }
            _ => self.conceal(),
        }
    }

    /// The samples of a frame that was lost, as they may have been.
    pub(crate) fn conceal(&mut self) -> Vec<i16> {
        let mut samples = vec![0; self.rate.frame()];
        if self.opus.decode(&[], &mut samples, DecodeMode::Normal).is_err() {
            samples.fill(0);
        }
        samples
    }
}

/// How long a packet sounds, in ticks of RTP's clock for Opus (48 kHz), by its first bytes: RFC 6716, 3.1.
pub(crate) fn length(packet: &[u8]) -> u64 {
    let Some(toc) = packet.first() else { return FRAME };
    let frame = match (toc >> 3, toc >> 3 & 3) {
        (0..=11, size) => [480, 960, 1920, 2880][usize::from(size)],
        (12..=15, size) => [480, 960][usize::from(size & 1)],
        (_, size) => [120, 240, 480, 960][usize::from(size)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(1, |count| u64::from(count & 0x3f)),
    };
    (frame * frames).clamp(120, LONGEST_PACKET)
}

/// Frames in a second.
pub(crate) const FRAMES_PER_SECOND: u32 = 50;
/// One frame in ticks of RTP's clock for Opus (48 kHz).
pub(crate) const FRAME: u64 = 960;
/// The longest packet that Opus has, in the same ticks: 120 ms.
const LONGEST_PACKET: u64 = 5760;
const LONGEST_PACKET_FRAMES: usize = 6;
/// The largest packet of one frame (bytes).
const LARGEST_PACKET: usize = 1275;
/// For speech at full bandwidth (bits per second).
const BITRATE: u32 = 32_000;
/// Of 10. More costs twice the time for hardly another sound.
const COMPLEXITY: u8 = 5;
/// A frame of silence.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// After this much silence in a row nothing of what was said is left in the encoder: from then on silence
/// costs nothing.
const FADED: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frame: usize) -> Vec<i16> {
        let at = |index: usize| (frame * 480 + index) as f32 * 440.0 * std::f32::consts::TAU / 24_000.0;
        (0..480).map(|index| (at(index).sin() * 8000.0) as i16).collect()
    }

    fn loudness(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (sum / samples.len().max(1) as f64).sqrt()
    }

    #[test]
    fn a_tone_comes_out_as_loud_as_it_went_in() {
        let (mut encoder, mut decoder) = (Encoder::new(Rate::HZ_24000), Decoder::new(Rate::HZ_24000));
        let mut heard = Vec::new();
        for frame in 0..50 {
            let packet = encoder.encode(&tone(frame));
            assert_eq!(length(packet), FRAME);
            heard.extend(decoder.decode(packet));
        }
        assert_eq!(heard.len(), 24_000);
        let ratio = loudness(&heard[4800..]) / loudness(&tone(0));
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn narrow_speech_is_heard_wide() {
        let narrow = Rate::new(8000).unwrap();
        let (mut encoder, mut decoder) = (Encoder::new(narrow), Decoder::new(Rate::HZ_24000));
        let said: Vec<i16> = (0..160).map(|n| ((n as f32 * 0.2).sin() * 8000.0) as i16).collect();
        let heard: Vec<i16> = (0..20).flat_map(|_| decoder.decode(encoder.encode(&said))).collect();
        assert_eq!(heard.len(), 20 * 480);
        assert!(loudness(&heard[4800..]) > 3000.0);
    }

    #[test]
    fn silence_is_short_and_stays_silent() {
        let (mut encoder, mut decoder) = (Encoder::new(Rate::HZ_24000), Decoder::new(Rate::HZ_24000));
        (0..10).for_each(|frame| drop(decoder.decode(encoder.encode(&tone(frame)))));
        let mut heard = Vec::new();
        for _ in 0..30 {
            heard = decoder.decode(encoder.encode(&[0; 480]));
        }
        assert_eq!(encoder.encode(&[0; 480]), SILENCE);
        assert!(loudness(&heard) < 2.0, "{}", loudness(&heard));
        assert!(encoder.encode(&tone(0)).len() > 3, "speech is encoded again");
    }

    #[test]
    fn what_was_lost_or_is_no_opus_sounds_as_long_as_a_frame() {
        let (mut encoder, mut decoder) = (Encoder::new(Rate::HZ_24000), Decoder::new(Rate::HZ_24000));
        (0..10).for_each(|frame| drop(decoder.decode(encoder.encode(&tone(frame)))));
        assert_eq!(decoder.conceal().len(), 480);
        for packet in [&[][..], &[0xff], &[3, 0xff, 1, 2, 3]] {
            assert_eq!(decoder.decode(packet).len(), 480, "{packet:?}");
        }
        assert_eq!(encoder.encode(&[1; 7]).len().min(1), 1, "a short frame is filled");
    }

    #[test]
    fn a_packets_length_is_in_its_first_bytes() {
        for (packet, ticks) in [
            (&[0xf8][..], 960),              // full band, 20 ms
            (&[0x00], 480),                  // SILK, 10 ms
            (&[0x18], 2880),                 // SILK, 60 ms
            (&[0x78], 960),                  // hybrid, 20 ms
            (&[0x80], 120),                  // CELT, 2.5 ms
            (&[0xf9], 1920),                 // two frames
            (&[0xfb, 6], 5760),              // six frames
            (&[0xfb, 0x3f], LONGEST_PACKET), // more than may be
            (&[0xfb, 0], 120),
            (&[], 960),
        ] {
            assert_eq!(length(packet), ticks, "{packet:?}");
        }
    }
}
