//! Events that are sent repeatedly, and ids that are used again.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use serde_json::Value;

use crate::connection::Ids;
use crate::disaster::line::LineOutput;
use crate::disaster::pointer::{Pointer, member_mut};
use crate::disaster::queue::Queue;

/// How an event is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// From one to the next; at least 1 ms.
    pub(super) interval: Duration,
    /// How often.
    pub(super) times: u64,
    /// What has a new id each time.
    pub(super) fresh: Vec<Pointer>,
}

/// The place of an id in an event.
#[derive(Clone, Debug, PartialEq)]
pub struct IdPlace(pub(super) Pointer);

/// All events that are being repeated.
#[derive(Debug, Default)]
pub(super) struct Repeats(Vec<Running>);

#[derive(Debug)]
struct Running {
    at: Timestamp,
    event: Value,
    repeat: Repeat,
}

impl Repeats {
    /// Repeats this event from now on. Only a few repeats are kept.
    pub(super) fn begin(&mut self, now: Timestamp, text: &str, repeat: Repeat) {
        if self.0.len() < MOST
            && let Ok(event) = serde_json::from_str(text)
        {
            self.0.push(Running { at: now + repeat.interval, event, repeat });
        }
    }

    /// When the next one is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.0.iter().map(|running| running.at).min()
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, now: Timestamp, ids: &mut Ids, queue: &mut Queue) {
        for running in self.0.iter_mut().filter(|running| running.at <= now) {
            running.at = running.at + running.repeat.interval;
            running.repeat.times = running.repeat.times.saturating_sub(1);
            for pointer in &running.repeat.fresh {
                pointer.for_each(&mut running.event, |parent, key| {
                    if let Some(Value::String(id)) = member_mut(parent, key) {
                        let prefix = id.split_inclusive('_').next().unwrap_or_default();
                        *id = ids.other(prefix);
                    }
                });
            }
            queue.push(now, LineOutput::Text(running.event.to_string()));
        }
        self.0.retain(|running| running.repeat.times > 0);
    }
}

/// Ids that replace others: the first id at a place replaces all later ones there.
#[derive(Debug, Default)]
pub(super) struct Aliases(Vec<Alias>);

#[derive(Debug)]
struct Alias {
    pointer: Pointer,
    /// As in JSON, quotes included.
    first: String,
    /// The newest ids that it replaces.
    later: VecDeque<String>,
}

impl Aliases {
    /// Notes the id of an event at that place: the first one replaces all later ones.
    pub(super) fn note(&mut self, pointer: &Pointer, text: &str) {
        let Ok(event) = serde_json::from_str::<Value>(text) else { return };
        let Some((_, Value::String(id))) = pointer.find(&event) else { return };
        let id = format!("\"{id}\"");
        let has_room = self.0.len() < MOST;
        match self.0.iter_mut().find(|alias| alias.pointer == *pointer) {
            None if has_room => {
                self.0.push(Alias { pointer: pointer.clone(), first: id, later: VecDeque::new() });
            }
            Some(alias) if alias.first != id && !alias.later.contains(&id) => {
                alias.later.push_back(id);
                if alias.later.len() > MOST {
                    alias.later.pop_front();
                }
            }
            _ => {}
        }
    }

    /// A text with its ids replaced.
    pub(super) fn applied(&self, mut text: String) -> String {
        for alias in &self.0 {
            for later in alias.later.iter().filter(|later| !later.is_empty()) {
                if text.contains(later.as_str()) {
                    text = text.replace(later.as_str(), &alias.first);
                }
            }
        }
        text
    }
}

const MOST: usize = 16;
