//! The input audio buffer: audio that was appended and not yet committed, and its position in the session's
//! audio.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::id::ItemId;
use realtime_protocol::time::MediaTime;

use crate::codec;
use crate::connection::fault::Fault;
use crate::connection::vad::{Edge, FRAME_MS, ONSET_FRAMES, Vad, VadSettings};

/// The buffer, and the turn detection that listens to it.
#[derive(Debug)]
pub(crate) struct InputAudio {
    format: AudioFormat,
    bytes: Vec<u8>,
    /// The position of the first byte, counted over all audio ever appended.
    base: MediaTime,
    /// Bytes that turn detection has heard.
    heard: usize,
    vad: Vad,
    /// The turn that is being spoken: its item, and where in the buffer it starts.
    turn: Option<(ItemId, usize)>,
    most_bytes: usize,
}

/// What turn detection heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Speech began. The place includes the padding before it.
    Started { at: MediaTime },
    /// Speech ended. The audio is that of the turn, padding and closing silence included.
    Stopped { at: MediaTime, item_id: ItemId, audio: Vec<u8> },
}

impl InputAudio {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            format: AudioFormat::PCM16_24K,
            bytes: Vec::new(),
            base: MediaTime::ZERO,
            heard: 0,
            vad: Vad::default(),
            turn: None,
            most_bytes,
        }
    }

    /// Sets the format of the audio to come. Audio in another format is dropped, because it cannot be joined.
    pub(crate) fn set_format(&mut self, format: AudioFormat) {
        if self.format != format {
            self.clear();
            self.format = format;
        }
    }

    /// Adds audio. With turn detection, [`listen`](Self::listen) until it hears nothing more.
    pub(crate) fn append(&mut self, audio: &[u8], detects_turns: bool) -> Result<(), Fault> {
        if !audio.len().is_multiple_of(self.format.sample_bytes() as usize) {
            return Err(not_audio());
        }
        if !detects_turns && self.bytes.len() + audio.len() > self.most_bytes {
            let message = format!(
                "Error appending to input audio buffer: it holds at most {} of audio. Commit or clear it.",
                self.format.duration(self.most_bytes as u64)
            );
            return Err(Fault::invalid_value("audio", message));
        }
        self.bytes.extend_from_slice(audio);
        Ok(())
    }

    /// The next event of turn detection. `next_item` makes the id of a turn's item; `is_finished` says
    /// whether a turn is complete, if the detection asks for it.
    pub(crate) fn listen(
        &mut self,
        settings: &VadSettings,
        mut next_item: impl FnMut() -> ItemId,
        mut is_finished: impl FnMut(&ItemId, &[u8]) -> bool,
    ) -> Option<Heard> {
        let frame = self.length(FRAME_MS);
        while let Some(samples) = self.bytes.get(self.heard..self.heard + frame) {
            let power = codec::power(samples, self.format);
            self.heard += frame;
            match self.vad.frame(power, settings) {
                Some(Edge::Started) => {
                    let before = self.length(settings.prefix_ms + ONSET_FRAMES * FRAME_MS);
                    let start = self.heard.saturating_sub(before);
                    self.turn = Some((next_item(), start));
                    return Some(Heard::Started { at: self.at(start) });
                }
                Some(Edge::Stopped) if self.vad.could_wait(settings) && !self.is_whole(&mut is_finished) => {
                    self.vad.wait(settings);
                }
                Some(Edge::Stopped) => return self.end_turn(),
                // A user who never pauses is cut off, so that the buffer stays bounded.
                None if self.vad.is_speaking() && self.heard > self.most_bytes => return self.end_turn(),
                None => {}
            }
        }
        if self.turn.is_none() {
            let keep = self.length(settings.prefix_ms + ONSET_FRAMES * FRAME_MS).min(self.most_bytes);
            self.drop_front(self.heard.saturating_sub(keep));
        }
        None
    }

    /// The item that the turn being spoken will make.
    pub(crate) fn turn_item(&self) -> Option<&ItemId> {
        self.turn.as_ref().map(|(item, _)| item)
    }

    /// Takes all audio out, with the item of a turn that was being spoken.
    pub(crate) fn commit(&mut self) -> Result<(Option<ItemId>, Vec<u8>), Fault> {
        if self.bytes.len() < self.length(LEAST_COMMIT_MS) {
            let length = self.format.duration(self.bytes.len() as u64).as_micros() as f64 / 1000.0;
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least {LEAST_COMMIT_MS}ms of \
                 audio, but buffer only has {length:.2}ms of audio."
            );
            return Err(Fault::new("input_audio_buffer_commit_empty", message));
        }
        let item = self.turn.take().map(|(item, _)| item);
        self.vad = Vad::default();
        self.heard = 0;
        self.base += self.format.duration(self.bytes.len() as u64);
        Ok((item, std::mem::take(&mut self.bytes)))
    }

    /// How much was ever appended.
    pub(crate) fn total(&self) -> MediaTime {
        self.at(self.bytes.len())
    }

    /// Takes all audio out, even if it is very short. `None` while a turn is being spoken.
    pub(crate) fn take_silence(&mut self) -> Option<Vec<u8>> {
        if self.turn.is_some() {
            return None;
        }
        let audio = self.bytes.clone();
        self.clear();
        Some(audio)
    }

    /// Drops all audio; time goes on counting it.
    pub(crate) fn clear(&mut self) {
        self.turn = None;
        self.vad = Vad::default();
        self.drop_front(self.bytes.len());
        self.heard = 0;
    }

    fn is_whole(&self, is_finished: &mut impl FnMut(&ItemId, &[u8]) -> bool) -> bool {
        let Some((item, start)) = &self.turn else { return true };
        is_finished(item, self.bytes.get(*start..self.heard).unwrap_or_default())
    }

    fn end_turn(&mut self) -> Option<Heard> {
        self.vad = Vad::default();
        let (item_id, start) = self.turn.take()?;
        let (at, end) = (self.at(self.heard), self.heard);
        let audio = self.bytes.get(start..end).map(Vec::from).unwrap_or_default();
        self.drop_front(end);
        Some(Heard::Stopped { at, item_id, audio })
    }

    fn drop_front(&mut self, count: usize) {
        self.base += self.format.duration(count as u64);
        self.bytes.drain(..count);
        self.heard = self.heard.saturating_sub(count);
    }

    fn at(&self, offset: usize) -> MediaTime {
        self.base + self.format.duration(offset as u64)
    }

    fn length(&self, millis: u64) -> usize {
        usize::try_from(self.format.bytes(MediaTime::from_millis(millis))).unwrap_or(usize::MAX)
    }
}

/// Text that is not audio, or half a sample.
pub(crate) fn not_audio() -> Fault {
    let message = "Invalid 'audio'. Expected base64-encoded audio bytes in the session's input format but got an \
                   invalid value.";
    Fault::invalid_value("audio", message)
}

/// Documented: less than that is refused.
const LEAST_COMMIT_MS: u64 = 100;

#[cfg(test)]
mod tests {
    use realtime_protocol::session_config::ServerVad;

    use super::*;

    #[test]
    fn silence_is_bounded_whatever_padding_is_asked_for() {
        let detection = ServerVad::default().prefix_padding_ms(u32::MAX).into();
        let settings = VadSettings::of(&detection).unwrap();
        let mut input = InputAudio::new(9_600);
        for _ in 0..100 {
            input.append(&[0; 4_800], true).unwrap();
            assert!(input.listen(&settings, ItemId::default, |_, _| true).is_none());
            assert!(input.bytes.len() <= 9_600, "{} bytes", input.bytes.len());
        }
        assert_eq!(
            input.base.as_millis() + input.format.duration(input.bytes.len() as u64).as_millis(),
            10_000
        );
    }
}
