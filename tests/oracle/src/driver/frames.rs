//! Which frames of the reference's stand for which of ours.

use std::sync::{Arc, Mutex};

use realtime_pipeline::chain::{Direction, FrameKind, Hop, Observer};
use realtime_protocol::call::Event;
use serde_json::{Value, json};

use super::run::lock;

/// Notes what the service's stage pushes.
pub(super) struct Watch(pub(super) Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Observer for Watch {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if &**hop.from != "realtime" {
            return;
        }
        if let FrameKind::Event(event) = hop.frame.kind()
            && let Event::FunctionCalls { calls, .. } = &**event
            && hop.direction == Direction::Downstream
        {
            let ids: Vec<&str> = calls.iter().map(|call| call.call_id.as_str()).collect();
            let record = json!({ "name": "on_function_calls_started", "call_ids": ids });
            lock(&self.0).push(("handler", record));
        }
        let channel = if hop.direction == Direction::Downstream { "down" } else { "up" };
        lock(&self.0).push((channel, json!({ "frame": hop.frame.kind().name() })));
    }
}
