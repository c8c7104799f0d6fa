//! The two transports that a scenario can have, as the stage behind the service: one that passes everything
//! on at once, and one that plays audio at the speed of sound, moved by the scenario.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use realtime_pipeline::chain::{
    Audio, AudioSource, Cx, Direction, Frame, FrameKind, OutputAudio, Processor, Samples, Shape,
};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{Event, PlaybackPosition, PlaybackReport};
use realtime_protocol::time::MediaTime;
use serde_json::Value;

use super::run::lock;
use crate::scenario::audio_bytes;

/// What plays, seen by the stage and by the scenario.
#[derive(Clone, Debug)]
pub(super) struct Loudspeaker(Arc<Mutex<Sound>>);

#[derive(Debug, Default)]
struct Sound {
    /// Whether it plays at the speed of sound, and so reports its position.
    plays: bool,
    queue: VecDeque<OutputAudio>,
    /// What of the first chunk has been played.
    into_first: MediaTime,
    /// The position of playback, or the last one when everything has been played.
    position: Option<PlaybackPosition>,
}

impl Loudspeaker {
    pub(super) fn new(plays: bool) -> Self {
        Self(Arc::new(Mutex::new(Sound { plays, ..Sound::default() })))
    }

    /// Plays `millis` of audio. Returns the position of playback then.
    pub(super) fn play(&self, millis: u64) -> Option<PlaybackReport> {
        lock(&self.0).play(millis)
    }

    /// The scenario says that the assistant fell silent: all that came has been played.
    pub(super) fn fell_silent(&self) -> Option<PlaybackReport> {
        let mut sound = lock(&self.0);
        if sound.plays { None } else { sound.position.take().map(PlaybackReport::Played) }
    }
}

impl Sound {
    /// A frame comes from the service; gives back what is reported because of it.
    fn take(&mut self, kind: &FrameKind) -> Option<PlaybackReport> {
        match kind {
            FrameKind::OutputAudio(audio) if self.plays => self.queue.push_back(audio.clone()),
            FrameKind::OutputAudio(audio) => self.position = end_of(audio),
            FrameKind::Interruption { stop, .. } if self.plays => {
                self.queue.clear();
                self.into_first = MediaTime::ZERO;
                return Some(PlaybackReport::Stopped { id: (*stop)?, at: self.position.take() });
            }
            FrameKind::Event(event) => {
                if let Event::HoldPlayback { id } = **event {
                    return Some(PlaybackReport::Held { id, at: self.position.clone() });
                }
            }
            _ => {}
        }
        None
    }

    fn play(&mut self, millis: u64) -> Option<PlaybackReport> {
        let mut left = MediaTime::from_millis(millis);
        while left > MediaTime::ZERO {
            let Some(first) = self.queue.front() else { break };
            let rest = first.audio.duration() - self.into_first;
            let played = rest.min(left);
            left = left - played;
            self.into_first += played;
            let rate = AudioFormat::Pcm16 { rate: first.audio.rate() };
            let samples = first.start + rate.samples_in(self.into_first);
            self.position = end_of(first).map(|end| PlaybackPosition { played: samples, ..end });
            if played == rest {
                self.queue.pop_front();
                self.into_first = MediaTime::ZERO;
            }
        }
        self.position.clone().map(PlaybackReport::Played)
    }
}

fn end_of(audio: &OutputAudio) -> Option<PlaybackPosition> {
    let AudioSource::Part { item_id, content_index } = &audio.source else { return None };
    Some(PlaybackPosition {
        item_id: item_id.clone(),
        content_index: *content_index,
        played: audio.start + audio.audio.frames(),
    })
}

/// The stage.
#[derive(Debug)]
pub(super) struct Transport(Loudspeaker);

impl Transport {
    pub(super) const fn new(loudspeaker: Loudspeaker) -> Self {
        Self(loudspeaker)
    }
}

impl Processor for Transport {
    fn name(&self) -> &str {
        "transport"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if cx.direction() == Direction::Downstream {
            let report = lock(&self.0.0).take(frame.kind());
            if let Some(report) = report {
                cx.push_up(FrameKind::Playback(report));
            }
        }
        cx.forward(frame);
    }

    fn shape(&self) -> Shape {
        Shape::playout()
    }
}

/// The audio of an input frame.
pub(super) fn input_audio(frame: &Value) -> Option<Audio> {
    let bytes = audio_bytes(&frame["audio"])?;
    let rate = u32::try_from(frame["sample_rate"].as_u64().unwrap_or(24_000)).ok()?;
    let channels = u16::try_from(frame["num_channels"].as_u64().unwrap_or(1)).ok()?.max(1);
    if channels == 1 {
        return Some(Audio::coded(AudioFormat::Pcm16 { rate }, bytes.into()));
    }
    let samples: Vec<i16> =
        bytes.chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect();
    Some(Audio::Pcm(Samples::new(rate, channels, samples)))
}
