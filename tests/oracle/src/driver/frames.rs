//! Which frames of the reference's stand for which of ours.

use std::sync::{Arc, Mutex};

use realtime_pipeline::chain::{Direction, Hop, Observer};
use serde_json::{Value, json};

use super::run::lock;

/// Notes what the service's stage pushes.
pub(super) struct Watch(pub(super) Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Observer for Watch {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if &**hop.from != "realtime" {
            return;
        }
        let channel = if hop.direction == Direction::Downstream { "down" } else { "up" };
        lock(&self.0).push((channel, json!({ "frame": hop.frame.kind().name() })));
    }
}
