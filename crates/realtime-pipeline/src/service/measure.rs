//! Durations and costs, told when they are known.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::{Event, FunctionCall, Notice, ResponseReport};
use realtime_protocol::id::{CallId, ItemId, ResponseId};
use realtime_protocol::time::Timestamp;

use crate::chain::{Cx, FrameKind, Metric};

/// The most responses and functions that are measured at once.
const MOST: usize = 64;

/// Measures a call.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// When the next response was asked for.
    asked: Option<Timestamp>,
    /// When the user stopped speaking, until the assistant is heard.
    turn_ended: Option<Timestamp>,
    /// When the speech of an item ended.
    spoken: VecDeque<(ItemId, Timestamp)>,
    responses: VecDeque<Running>,
    functions: VecDeque<(CallId, Timestamp)>,
}

#[derive(Debug)]
struct Running {
    id: ResponseId,
    since: Timestamp,
    has_first_byte: bool,
}

impl Stopwatch {
    pub(super) const fn turn_ended(&mut self, now: Timestamp) {
        self.asked = Some(now);
        self.turn_ended = Some(now);
    }

    /// A response may be asked for.
    pub(super) const fn asked_if(&mut self, asked: bool, now: Timestamp) {
        if asked {
            self.asked = Some(now);
        }
    }

    pub(super) fn bot_started(&mut self, cx: &mut Cx<'_>) {
        if let Some(since) = self.turn_ended.take() {
            let after = since_then(since, cx.now());
            cx.broadcast(FrameKind::Metric(Metric::VoiceToVoice { after }));
        }
    }

    /// Learns from an event, and tells what is known by it.
    pub(super) fn learn(&mut self, event: &Event, cx: &mut Cx<'_>) {
        let now = cx.now();
        match event {
            Event::SpeechStopped { item_id, .. } => {
                self.turn_ended(now);
                if let Some(item_id) = item_id {
                    push(&mut self.spoken, (item_id.clone(), now));
                }
            }
            Event::SpeechStarted { .. } => self.turn_ended = None,
            Event::ResponseStarted { response_id, .. } => {
                let since = self.asked.take().unwrap_or(now);
                let running = Running { id: response_id.clone(), since, has_first_byte: false };
                push(&mut self.responses, running);
            }
            Event::Text { response_id, .. } => self.first_byte(response_id, cx),
            Event::Audio(chunk) => self.first_byte(&chunk.response_id, cx),
            Event::ResponseFinished(report) => self.finished(report, cx),
            Event::Notice(Notice::FunctionStarted { call }) => {
                push(&mut self.functions, (call.call_id.clone(), now));
            }
            Event::FunctionEnded { call, .. } => self.function_ended(call, cx),
            Event::UserTranscript { item_id, usage, .. } => {
                let spoken = self.spoken.iter().position(|(id, _)| id == item_id);
                let spoken = spoken.and_then(|index| self.spoken.remove(index));
                let after = spoken.map(|(_, since)| since_then(since, now));
                let (item_id, usage) = (item_id.clone(), usage.clone());
                cx.broadcast(FrameKind::Metric(Metric::Transcription { item_id, after, usage }));
            }
            _ => {}
        }
    }

    fn first_byte(&mut self, id: &ResponseId, cx: &mut Cx<'_>) {
        let Some(running) = self.responses.iter_mut().rev().find(|running| running.id == *id) else { return };
        if !std::mem::replace(&mut running.has_first_byte, true) {
            let (response_id, after) = (id.clone(), since_then(running.since, cx.now()));
            cx.broadcast(FrameKind::Metric(Metric::FirstByte { response_id, after }));
        }
    }

    fn finished(&mut self, report: &ResponseReport, cx: &mut Cx<'_>) {
        let place = self.responses.iter().position(|running| running.id == report.response_id);
        let Some(running) = place.and_then(|index| self.responses.remove(index)) else { return };
        let took = since_then(running.since, cx.now());
        let usage = report.usage.clone().map(Box::new);
        cx.broadcast(FrameKind::Metric(Metric::Response { response_id: running.id, took, usage }));
    }

    fn function_ended(&mut self, call: &Arc<FunctionCall>, cx: &mut Cx<'_>) {
        // The answer behind functions is asked for once the last one has ended.
        self.asked = Some(cx.now());
        let place = self.functions.iter().position(|(id, _)| *id == call.call_id);
        if let Some((_, since)) = place.and_then(|index| self.functions.remove(index)) {
            let took = since_then(since, cx.now());
            cx.broadcast(FrameKind::Metric(Metric::Function { call: Arc::clone(call), took }));
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(value);
}

fn since_then(since: Timestamp, now: Timestamp) -> Duration {
    now.saturating_since(since)
}
