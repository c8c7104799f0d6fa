//! Events become frames.

use std::sync::Arc;

use realtime_protocol::call::{
    Advice, AudioChunk, CloseReason, ConnectionEvent, DisconnectClass, ErrorClass, Event, Notice, ResponseEnd,
};

use realtime_protocol::event::ServerEvent;

use crate::chain::{Audio, AudioSource, Category, Cx, FrameKind, Keys, OutputAudio, UserSpeech};
use crate::service::Core;

impl Core {
    pub(super) fn tell(&mut self, event: &Arc<Event>, cx: &mut Cx<'_>) {
        self.stopwatch.learn(event, cx);
        match &**event {
            Event::Audio(chunk) if !chunk.out_of_band => cx.push(FrameKind::OutputAudio(output_audio(chunk))),
            Event::Text { .. } | Event::Audio(_) | Event::Raw { .. } => {
                cx.push(FrameKind::Event(Arc::clone(event)));
            }
            Event::UserTranscriptDelta { .. } | Event::UserTranscript { .. } if !self.transcripts => {}
            Event::UserTranscriptDelta { .. } => cx.push(FrameKind::Event(Arc::clone(event))),
            Event::AudioDone { item_id, content_index, total, .. } => {
                cx.push(FrameKind::Event(Arc::clone(event)));
                let source = AudioSource::Part { item_id: item_id.clone(), content_index: *content_index };
                cx.push(FrameKind::OutputFinished { source, total: *total });
            }
            Event::StopPlayback { id } => {
                self.stopping += 1;
                cx.broadcast(FrameKind::Interruption { response_id: None, stop: Some(*id) });
            }
            Event::Settled { id, outcome } => self.settled(*id, outcome, cx),
            _ => self.tell_fact(event, cx),
        }
        self.asking.look(cx);
    }

    /// What all stages hear of.
    fn tell_fact(&mut self, event: &Arc<Event>, cx: &mut Cx<'_>) {
        if let Event::Interrupted(interruption) = &**event {
            match self.stopping.checked_sub(1) {
                Some(stopping) => self.stopping = stopping,
                None => {
                    // The session did not ask for a stop, but waiting audio must not be heard either.
                    let response_id = interruption.response_id.clone();
                    cx.broadcast(FrameKind::Interruption { response_id, stop: None });
                }
            }
        }
        cx.broadcast(FrameKind::Event(Arc::clone(event)));
        match &**event {
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => self.hearing.learn(config),
            Event::SpeechStarted { item_id, .. } => {
                cx.broadcast(FrameKind::User(UserSpeech::Started { item_id: item_id.clone() }));
            }
            Event::SpeechStopped { item_id, .. } => {
                cx.broadcast(FrameKind::User(UserSpeech::Stopped { item_id: item_id.clone() }));
            }
            Event::ItemPlaced { item, .. } => {
                if let Some(hook) = &mut self.on_item.created {
                    hook(item);
                }
            }
            Event::ItemDone { item } => {
                if let Some(hook) = &mut self.on_item.updated {
                    hook(item);
                }
            }
            Event::ResponseStarted { .. } => self.running_responses += 1,
            Event::ResponseFinished(report) => {
                self.running_responses = self.running_responses.saturating_sub(1);
                if let ResponseEnd::Failed { error, advice } = &report.end {
                    let category = match advice {
                        Advice::RetryLater => Category::RateLimited,
                        Advice::Retry => Category::Unreachable,
                        _ => Category::Application,
                    };
                    cx.fault(category, format!("the response {} failed: {error}", report.response_id));
                }
            }
            Event::ServerError { error, class, answered: false } if *class != ErrorClass::Benign => {
                let category = match class {
                    ErrorClass::Account => Category::Authentication,
                    _ => Category::Application,
                };
                cx.fault(category, format!("the server reports {error}"));
            }
            Event::Server(event) => {
                if let Some(keys) = pressed(event) {
                    cx.broadcast(FrameKind::InputDtmf(keys));
                }
            }
            Event::Notice(Notice::FunctionFiller { clip, .. }) => self.play_clip(clip, cx),
            Event::Notice(notice @ Notice::NotSynced { .. }) => self.asking.not_synced(notice),
            Event::Closed { reason } => self.closed(reason, cx),
            // Another process has the call: nobody is told anything more here.
            Event::Connection(ConnectionEvent::Suspended { .. }) => cx.end("the call goes on elsewhere"),
            _ => {}
        }
    }

    fn closed(&mut self, reason: &CloseReason, cx: &mut Cx<'_>) {
        self.running_responses = 0;
        if *reason != CloseReason::Requested {
            let category = match DisconnectClass::of(reason) {
                DisconnectClass::Account => Category::Authentication,
                DisconnectClass::Transient | DisconnectClass::Expired => Category::Unreachable,
                _ => Category::Application,
            };
            cx.fault(category, format!("the session ended: {reason}"));
        }
        cx.end(format!("the session ended: {reason}"));
    }

    fn play_clip(&self, name: &str, cx: &mut Cx<'_>) {
        let Some((name, samples)) = self.clips.get_key_value(name) else {
            return cx
                .fault(Category::Application, format!("there is no clip {name:?}: give it to the service"));
        };
        let source = AudioSource::Clip(Arc::clone(name));
        let total = samples.frames();
        let audio = Audio::Pcm(samples.clone());
        cx.push(FrameKind::OutputAudio(OutputAudio {
            response_id: None,
            source: source.clone(),
            start: 0,
            mark: None,
            audio,
        }));
        cx.push(FrameKind::OutputFinished { source, total });
    }
}

fn output_audio(chunk: &AudioChunk) -> OutputAudio {
    OutputAudio {
        response_id: Some(chunk.response_id.clone()),
        source: AudioSource::Part { item_id: chunk.item_id.clone(), content_index: chunk.content_index },
        start: chunk.start,
        mark: Some(chunk.mark),
        audio: Audio::coded(chunk.format, chunk.audio.clone()),
    }
}

/// The key that a caller pressed whose audio goes past this side (`input_audio_buffer.dtmf_event_received`).
fn pressed(event: &ServerEvent) -> Option<Keys> {
    match event {
        ServerEvent::InputAudioBufferDtmfEventReceived(event) => Keys::new(event.event.value()?),
        _ => None,
    }
}
