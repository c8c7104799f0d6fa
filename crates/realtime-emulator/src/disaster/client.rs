//! What a client sends, on its way to the server: control events, and disasters that happen at it.

use std::time::Duration;

use realtime_protocol::id::EventId;
use realtime_protocol::time::Timestamp;
use serde_json::Value;

use crate::connection::Fault;
use crate::disaster::line::{Line, State};
use crate::disaster::pointer::Pointer;
use crate::disaster::{Action, Disaster, Rehearsal, errors, fits};

/// Which of the client's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FromClient {
    /// The event's type; `*` at the end for anything.
    pub(super) kind: String,
    /// A member that must be there.
    pub(super) member: Option<Pointer>,
    /// What it must be.
    pub(super) value: Option<Value>,
    /// Larger than that many bytes of text.
    pub(super) over_bytes: usize,
}

impl FromClient {
    /// Events of that type; `*` at the end for anything.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// Returns `Some` if a text fits, with the path of the member that made it fit.
    pub(super) fn fits(&self, text: &str, event: &Value) -> Option<Option<String>> {
        let kind = event["type"].as_str().unwrap_or_default();
        if text.len() <= self.over_bytes && self.over_bytes > 0 || !fits(&self.kind, kind) {
            return None;
        }
        let Some(member) = &self.member else { return Some(None) };
        let (path, found) = member.find(event)?;
        self.value.as_ref().is_none_or(|value| value == found).then_some(Some(path))
    }
}

impl Line {
    /// Takes one wire text from the client.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.advance(now);
        match self.slow {
            Some(rate) => {
                let takes = Duration::from_secs_f64(text.len() as f64 / rate as f64);
                let from = self.inputs.back().map_or(self.now, |(at, _)| *at);
                self.inputs.push_back((from + takes, text.into()));
            }
            None => self.read(text),
        }
        self.advance(now);
    }

    pub(super) fn read(&mut self, text: &str) {
        if self.state == State::Ended {
            return;
        }
        if !(self.control && text.contains(CONTROL) && self.read_control(text)) && self.is_taken(text) {
            self.connection.handle_text(self.now, text);
        }
        self.drain();
    }

    /// Takes a control event, if the text is one.
    fn read_control(&mut self, text: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(text) else { return false };
        if event["type"] != CONTROL {
            return false;
        }
        let event_id = event["event_id"].as_str().map(EventId::from);
        if let Some(name) = event["rehearse"].as_str() {
            match Rehearsal::named(name) {
                Some(rehearsal) => rehearsal.disasters().into_iter().for_each(|disaster| self.arm(disaster)),
                None => {
                    let message = format!("there is no rehearsal called `{name}`");
                    self.connection.refuse(Fault::invalid_value("rehearse", message), event_id);
                }
            }
            return true;
        }
        match Disaster::parse(&event["disaster"], "disaster") {
            Ok(disaster) => self.arm(disaster),
            Err(error) => {
                self.connection.refuse(Fault::invalid_value(error.path, error.reason), event_id);
            }
        }
        true
    }

    /// Lets happen what happens at the client's event. Returns whether the server takes it.
    fn is_taken(&mut self, text: &str) -> bool {
        if !self.armed.iter().any(|armed| armed.disaster.watches_client()) {
            return true;
        }
        let event = serde_json::from_str::<Value>(text).unwrap_or_default();
        self.note_id(&event);
        for index in 0..self.armed.len() {
            let now = self.now;
            let Some(armed) = self.armed.get_mut(index) else { break };
            let Some(param) = armed.fires_at(text, &event, now, &mut self.dice) else { continue };
            match armed.disaster.action.clone() {
                Action::Drop => return false,
                Action::Refuse { code, message } => {
                    let mut error = errors::refusal(&code, message.as_deref(), param.as_deref());
                    if let Some(id) = event["event_id"].as_str() {
                        error.event_id = EventId::from(id).into();
                    }
                    self.error(error);
                    return false;
                }
                action => self.happen(action, None),
            }
            if self.state != State::Open {
                return self.state != State::Ended;
            }
        }
        true
    }

    /// Keeps the ids of events that errors will name.
    fn note_id(&mut self, event: &Value) {
        let Some(kind) = event["type"].as_str() else { return };
        let is_named = |armed: &super::armed::Armed| {
            matches!(&armed.disaster.action,
            Action::Error { names: Some(names), .. } if names == kind)
        };
        if self.armed.iter().any(is_named) {
            let id = event["event_id"].as_str().map(EventId::from);
            self.named.insert(kind.into(), id);
        }
    }
}

impl Disaster {
    /// Returns whether it needs to see what the client sends.
    const fn watches_client(&self) -> bool {
        self.from.is_some() || matches!(self.action, Action::Error { names: Some(_), .. })
    }
}

const CONTROL: &str = "emulator.disaster";
