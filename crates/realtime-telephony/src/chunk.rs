//! Cutting audio into the pieces that a carrier takes.

use std::{fmt, mem};

use bytes::{Bytes, BytesMut};

use realtime_protocol::audio::AudioFormat;

use crate::format::silent_byte;

/// How long the pieces must be in which a carrier takes audio, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChunkRules {
    /// Each piece is a multiple of this.
    pub multiple_of: usize,
    /// No piece is shorter, but for the last one where [`pads`](Self::pads) is false.
    pub least: usize,
    /// No piece is longer.
    pub most: usize,
    /// Whether the last piece is filled with silence until it is long enough.
    pub pads: bool,
}

impl ChunkRules {
    /// Pieces of whole samples, of any length up to a second.
    pub fn any(format: AudioFormat) -> Self {
        let sample = format.sample_bytes() as usize;
        let most = usize::try_from(format.bytes_per_second()).unwrap_or(usize::MAX).max(sample);
        Self { multiple_of: sample, least: sample, most, pads: false }
    }

    /// Pieces of exactly so many milliseconds.
    pub fn exactly_ms(format: AudioFormat, ms: u32) -> Self {
        let bytes = bytes_of_ms(format, ms);
        Self { multiple_of: bytes, least: bytes, most: bytes, pads: true }
    }

    /// Pieces of at least so many milliseconds; the last one is filled.
    pub fn at_least_ms(format: AudioFormat, ms: u32) -> Self {
        Self { least: bytes_of_ms(format, ms), pads: true, ..Self::any(format) }
    }

    /// Pieces of at least so many milliseconds; the last one may be shorter.
    pub fn batches_of_ms(format: AudioFormat, ms: u32) -> Self {
        Self { pads: false, ..Self::at_least_ms(format, ms) }
    }

    /// Multiples of `multiple_of` bytes, from `least` to `most`; the last one is filled.
    pub fn multiples(multiple_of: usize, least: usize, most: usize) -> Self {
        Self { multiple_of, least, most, pads: true }
    }

    /// The rules with no zero, and no end below the start.
    fn sane(self) -> Self {
        let multiple_of = self.multiple_of.max(1);
        let least = self.least.max(1).next_multiple_of(multiple_of);
        let most = (self.most / multiple_of * multiple_of).max(least);
        Self { multiple_of, least, most, pads: self.pads }
    }
}

fn bytes_of_ms(format: AudioFormat, ms: u32) -> usize {
    let samples = u64::from(format.sample_rate()) * u64::from(ms) / 1_000;
    usize::try_from(samples.max(1) * u64::from(format.sample_bytes())).unwrap_or(usize::MAX)
}

/// Keeps what is too short for a piece until there is more of it.
pub(crate) struct Chunker {
    rules: ChunkRules,
    silent: u8,
    /// Always shorter than the least piece.
    rest: BytesMut,
}

/// A piece for the wire.
pub(crate) struct Chunk {
    pub(crate) audio: Bytes,
    /// Bytes at its end that are silence of ours.
    pub(crate) padding: usize,
}

impl Chunker {
    pub(crate) fn new(rules: ChunkRules, format: AudioFormat) -> Self {
        Self { rules: rules.sane(), silent: silent_byte(format), rest: BytesMut::new() }
    }

    /// Takes whole samples and gives the pieces that are long enough. One piece that fits is not copied.
    pub(crate) fn push(&mut self, audio: Bytes, chunks: &mut Vec<Chunk>) {
        let ChunkRules { multiple_of, least, most, .. } = self.rules;
        let mut audio = if self.rest.is_empty() {
            audio
        } else {
            self.rest.extend_from_slice(&audio);
            mem::take(&mut self.rest).freeze()
        };
        while audio.len() >= least {
            let mut length = audio.len().min(most) / multiple_of * multiple_of;
            // No piece may leave a rest that waits although it could have gone along.
            if audio.len() > most && audio.len() - length < least {
                length = length.min((audio.len() / 2 / multiple_of * multiple_of).max(least));
            }
            chunks.push(Chunk { audio: audio.split_to(length), padding: 0 });
        }
        if !audio.is_empty() {
            self.rest.extend_from_slice(&audio);
        }
    }

    /// Gives what is left, filled with silence where the carrier wants it.
    pub(crate) fn finish(&mut self) -> Option<Chunk> {
        if self.rest.is_empty() {
            return None;
        }
        let mut rest = mem::take(&mut self.rest);
        let audio = rest.len();
        if self.rules.pads {
            let whole = audio.next_multiple_of(self.rules.multiple_of).max(self.rules.least);
            rest.resize(whole, self.silent);
        }
        let padding = rest.len() - audio;
        Some(Chunk { audio: rest.freeze(), padding })
    }

    /// Forgets what is left.
    pub(crate) fn clear(&mut self) {
        self.rest.clear();
    }
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunker").field("rules", &self.rules).field("waiting", &self.rest.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PCM_8K: AudioFormat = AudioFormat::Pcm16 { rate: 8_000 };

    fn pieces(rules: ChunkRules, parts: &[usize]) -> (Vec<usize>, usize) {
        let mut chunker = Chunker::new(rules, PCM_8K);
        let mut chunks = Vec::new();
        for part in parts {
            chunker.push(Bytes::from(vec![7; *part]), &mut chunks);
        }
        chunks.extend(chunker.finish());
        (chunks.iter().map(|chunk| chunk.audio.len()).collect(), chunks.last().map_or(0, |last| last.padding))
    }

    #[test]
    fn pieces_of_20_ms_are_cut_and_the_last_is_filled() {
        let rules = ChunkRules::exactly_ms(PCM_8K, 20);
        assert_eq!(pieces(rules, &[100, 500, 60]), (vec![320, 320, 320], 300));
        assert_eq!(pieces(rules, &[640]), (vec![320, 320], 0));
    }

    #[test]
    fn short_parts_wait_for_the_least_piece() {
        let rules = ChunkRules::multiples(320, 3_200, 100_000);
        assert_eq!(pieces(rules, &[320; 12]), (vec![3_200, 3_200], 2_560));
        assert_eq!(pieces(rules, &[3_600]), (vec![3_520, 3_200], 3_120));
        assert_eq!(pieces(ChunkRules::batches_of_ms(PCM_8K, 200), &[3_000, 300, 10]), (vec![3_300, 10], 0));
    }

    #[test]
    fn a_part_that_fits_is_not_copied() {
        let mut chunker = Chunker::new(ChunkRules::any(PCM_8K), PCM_8K);
        let audio = Bytes::from(vec![1; 320]);
        let mut chunks = Vec::new();
        chunker.push(audio.clone(), &mut chunks);
        assert_eq!(chunks[0].audio.as_ptr(), audio.as_ptr());
    }

    proptest! {
        #[test]
        fn every_piece_keeps_the_rules_and_no_byte_is_lost(
            multiple in 0..700_usize, least in 0..4_000_usize, most in 0..9_000_usize, pads: bool,
            parts in prop::collection::vec(0..5_000_usize, 0..20),
        ) {
            let rules = ChunkRules { multiple_of: multiple, least, most, pads };
            let sane = rules.sane();
            let mut chunker = Chunker::new(rules, PCM_8K);
            let (mut chunks, mut sent, mut next) = (Vec::new(), Vec::new(), 0_u8);
            for part in parts {
                let audio: Vec<u8> = (0..part).map(|_| { next = next.wrapping_add(1); next }).collect();
                sent.extend_from_slice(&audio);
                chunker.push(audio.into(), &mut chunks);
                prop_assert!(chunker.rest.len() < sane.least.max(sane.multiple_of));
            }
            for chunk in &chunks {
                prop_assert!((sane.least..=sane.most).contains(&chunk.audio.len()));
                prop_assert_eq!(chunk.audio.len() % sane.multiple_of, 0);
            }
            chunks.extend(chunker.finish());
            let mut came: Vec<u8> = Vec::new();
            for chunk in &chunks {
                came.extend_from_slice(&chunk.audio[..chunk.audio.len() - chunk.padding]);
                prop_assert!(!pads || chunk.audio.len() % sane.multiple_of == 0);
            }
            prop_assert_eq!(came, sent);
        }
    }
}
