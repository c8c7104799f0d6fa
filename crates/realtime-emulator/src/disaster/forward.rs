//! From the server's events to wire text, with all that happens to each on the way.

use std::time::Duration;

use realtime_protocol::error::ApiError;
use realtime_protocol::event::{ErrorEvent, ServerEvent};
use realtime_protocol::field::Field;

use crate::connection::Output;
use crate::disaster::edit::{Edit, edited};
use crate::disaster::line::{Line, LineOutput, State};
use crate::disaster::mangle;
use crate::disaster::queue::Hold;

/// What becomes of one event.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) copies: u32,
    pub(super) text: Option<String>,
    pub(super) changes: Vec<Edit>,
    pub(super) edits: Vec<fn(&str) -> String>,
    pub(super) hold: Option<(Hold, Duration)>,
    pub(super) late: u32,
    pub(super) is_binary: bool,
}

impl Line {
    /// Takes out what the connection wants sent.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            match output {
                Output::Send(event) => self.forward(*event),
                Output::Close { code, reason } => self.end(LineOutput::Close { code: Some(code), reason }),
                Output::Disaster(disaster) => self.arm(*disaster),
            }
        }
    }

    fn forward(&mut self, mut event: ServerEvent) {
        if self.state != State::Open {
            return;
        }
        if self.armed.is_empty() {
            let text = event.encode(self.dialect);
            self.queue.send(self.now, &event, vec![LineOutput::Text(text)]);
        } else {
            self.pay_back(&mut event);
            self.observe(&event);
            let mut fate = Fate {
                copies: 1,
                text: None,
                changes: Vec::new(),
                edits: Vec::new(),
                hold: None,
                late: 0,
                is_binary: false,
            };
            for index in 0..self.armed.len() {
                let now = self.now;
                let Some(armed) = self.armed.get_mut(index) else { break };
                if armed.fires(&event, now, &mut self.dice) {
                    let action = armed.disaster.action.clone();
                    self.happen(action, Some((&mut event, &mut fate)));
                }
            }
            if self.state == State::Open {
                self.send(&event, fate);
            }
        }
        if self.queue.is_full() {
            self.end(LineOutput::Break);
        }
    }

    /// Sends an event as its fate has it.
    fn send(&mut self, event: &ServerEvent, fate: Fate) {
        let mut text = fate.text.unwrap_or_else(|| event.encode(self.dialect));
        if !fate.changes.is_empty() {
            text = edited(&text, &fate.changes);
        }
        for edit in fate.edits {
            text = edit(&text);
        }
        text = self.aliases.applied(text);
        let output = if fate.is_binary { LineOutput::Binary(text) } else { LineOutput::Text(text) };
        let outputs = vec![output; fate.copies as usize];
        match fate.hold {
            _ if outputs.is_empty() => {}
            Some((hold, time)) => self.queue.hold(self.now, event, outputs, hold, time),
            None => self.queue.send(self.now, event, outputs),
        }
        for round in 0..fate.late as usize {
            let newest = self.newest[round % 2].clone().or_else(|| self.newest[(round + 1) % 2].clone());
            let Some(mut delta) = newest else { break };
            let id = Field::Value(self.ids.event());
            match &mut delta {
                ServerEvent::ResponseOutputAudioDelta(delta) => delta.event_id = id,
                ServerEvent::ResponseOutputAudioTranscriptDelta(delta) => delta.event_id = id,
                _ => {}
            }
            self.queue.push(self.now, LineOutput::Text(delta.encode(self.dialect)));
        }
    }

    /// Gives an item's audio the byte that its last delta kept.
    fn pay_back(&mut self, event: &mut ServerEvent) {
        let ServerEvent::ResponseOutputAudioDelta(delta) = &*event else { return };
        let Some((_, byte)) = self.carry.take_if(|(item, _)| *item == delta.item_id) else { return };
        mangle::edit_audio(event, |mut bytes| {
            bytes.insert(0, byte);
            bytes
        });
    }

    /// Keeps what later actions need to know.
    fn observe(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::ResponseCreated(created) => {
                let audio = created.response.audio.value().and_then(|audio| audio.output.value());
                self.format = audio.and_then(|output| output.format.value()?.format()).unwrap_or_default();
                self.newest = [None, None];
            }
            ServerEvent::ResponseOutputAudioDelta(_) => self.newest[0] = Some(event.clone()),
            ServerEvent::ResponseOutputAudioTranscriptDelta(_) => self.newest[1] = Some(event.clone()),
            _ => {}
        }
    }

    pub(super) fn error(&mut self, error: ApiError) {
        let event: ServerEvent =
            ErrorEvent { event_id: self.ids.event().into(), error: error.into(), ..ErrorEvent::default() }
                .into();
        let text = event.encode(self.dialect);
        self.queue.send(self.now, &event, vec![LineOutput::Text(text)]);
    }

    pub(super) fn end(&mut self, mut output: LineOutput) {
        if let LineOutput::Close { reason, .. } = &mut output {
            *reason = mangle::close_reason(std::mem::take(reason));
        }
        if self.state == State::Open {
            self.queue.end(self.now);
            self.queue.push(self.now, output);
        }
        // A stalled line does not even close.
        if self.state != State::Stalled {
            self.state = State::Ended;
        }
    }
}
