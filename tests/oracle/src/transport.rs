//! The two transports that a scenario can have: one that passes everything on at once, and one that plays
//! audio at the speed of sound, moved by the scenario.

use std::collections::VecDeque;

use realtime_pipeline::{AudioFrame, FrameKind, OutputAudio};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{PlaybackPosition, PlaybackReport};
use realtime_protocol::time::MediaTime;
use serde_json::Value;

use super::scenario::audio_bytes;

/// Where output audio goes.
#[derive(Debug, Default)]
pub(super) struct Transport {
    plays: bool,
    queue: VecDeque<OutputAudio>,
    /// What of the first chunk has been played.
    into_first: MediaTime,
    /// The position of playback, or the last one when everything has been played.
    position: Option<PlaybackPosition>,
}

impl Transport {
    pub(super) fn new(plays: bool) -> Self {
        Self { plays, ..Self::default() }
    }

    /// Returns whether it plays, and so reports the position of playback.
    pub(super) const fn plays(&self) -> bool {
        self.plays
    }

    /// A frame comes from the service; gives back what is pushed upstream because of it.
    pub(super) fn take(&mut self, kind: &FrameKind) -> Option<PlaybackReport> {
        match kind {
            FrameKind::OutputAudio(audio) if self.plays => self.queue.push_back(audio.clone()),
            FrameKind::OutputAudio(audio) => self.position = Some(end_of(audio)),
            FrameKind::StopPlayback { id } if self.plays => {
                self.queue.clear();
                self.into_first = MediaTime::ZERO;
                return Some(PlaybackReport::Stopped { id: (*id)?, at: self.position.take() });
            }
            _ => {}
        }
        None
    }

    /// Plays `millis` of audio. Returns the position of playback then.
    pub(super) fn play(&mut self, millis: u64) -> Option<PlaybackReport> {
        let mut left = MediaTime::from_millis(millis);
        while left > MediaTime::ZERO {
            let Some(first) = self.queue.front() else { break };
            let rest = first.audio.duration() - self.into_first;
            let played = rest.min(left);
            left = left - played;
            self.into_first += played;
            let end = end_of(first);
            self.position = Some(PlaybackPosition {
                played: first.start + first.audio.format.samples_in(self.into_first),
                ..end
            });
            if played == rest {
                self.queue.pop_front();
                self.into_first = MediaTime::ZERO;
            }
        }
        self.position.clone().map(PlaybackReport::Played)
    }

    /// The scenario says that the assistant fell silent: all that came has been played.
    pub(super) fn fell_silent(&mut self) -> Option<PlaybackReport> {
        if self.plays { None } else { self.position.take().map(PlaybackReport::Played) }
    }
}

fn end_of(audio: &OutputAudio) -> PlaybackPosition {
    PlaybackPosition {
        item_id: audio.item_id.clone(),
        content_index: audio.content_index,
        played: audio.start + audio.audio.format.samples(audio.audio.data.len() as u64),
    }
}

/// The audio of an input frame. The pipeline's audio has one channel: others are mixed into it.
pub(super) fn input_audio(frame: &Value) -> Option<AudioFrame> {
    let bytes = audio_bytes(&frame["audio"])?;
    let rate = u32::try_from(frame["sample_rate"].as_u64().unwrap_or(24_000)).ok()?;
    let channels = usize::try_from(frame["num_channels"].as_u64().unwrap_or(1)).ok()?.max(1);
    if channels == 1 {
        return Some(AudioFrame { format: AudioFormat::Pcm16 { rate }, data: bytes.into() });
    }
    let samples: Vec<i32> =
        bytes.chunks_exact(2).map(|sample| i32::from(i16::from_le_bytes([sample[0], sample[1]]))).collect();
    let count = i32::try_from(channels).ok()?;
    let mix = |frame: &[i32]| i16::try_from(frame.iter().sum::<i32>() / count).unwrap_or_default();
    Some(AudioFrame::from_samples(rate, &samples.chunks_exact(channels).map(mix).collect::<Vec<_>>()))
}
