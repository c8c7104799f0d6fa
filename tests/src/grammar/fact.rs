//! What the rules see of an event: its name, a word, and ids.

use std::borrow::Cow;

use realtime_protocol::call::{ConnectionEvent, Event, FunctionEnd, Origin, Outcome};
use realtime_protocol::item::Item;

/// The events that a rule may name, with the words that may follow in brackets.
pub(super) const EVENTS: &[(&str, &[&str])] = &[
    ("Created", &[]),
    ("Ready", &[]),
    ("ConfigUpdated", &[]),
    ("Settled", &["responded", "superseded"]),
    ("SpeechStarted", &[]),
    ("SpeechStopped", &[]),
    ("ItemSent", &[]),
    ("ItemPlaced", &["client", "server"]),
    ("ItemDone", &[]),
    ("ItemRemoved", &[]),
    ("ResponseStarted", &["out_of_band"]),
    ("Text", &[]),
    ("Audio", &[]),
    ("AudioDone", &[]),
    ("FunctionCalls", &["out_of_band"]),
    ("FunctionEnded", &["detached"]),
    ("ResponseFinished", &[]),
    ("HoldPlayback", &[]),
    ("ResumePlayback", &[]),
    ("StopPlayback", &[]),
    ("Interrupted", &[]),
    ("Closed", &[]),
    ("Lost", &[]),
    ("Retrying", &[]),
    ("Resumed", &[]),
    ("Rotated", &[]),
    ("Suspended", &[]),
];

/// Any event that has no place there.
pub(super) const OTHER: usize = EVENTS.len();

/// The ids that a rule may be about.
pub(super) const IDS: &[&str] = &["response_id", "item_id", "call_id", "id"];

/// What the rules see of an event.
#[derive(Debug)]
pub(super) struct Fact<'a> {
    /// Its place in [`EVENTS`].
    pub(super) event: usize,
    pub(super) word: Option<&'static str>,
    pub(super) ids: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Fact<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        let fact = |name, word, ids| Fact { event: index(name).unwrap_or(OTHER), word, ids };
        let plain = |name| fact(name, None, Vec::new());
        let id = |kind, id: &'a str| vec![(kind, id.into())];
        let beside = |out_of_band: bool| out_of_band.then_some("out_of_band");
        match event {
            Event::Created { .. } => plain("Created"),
            Event::Ready { .. } => plain("Ready"),
            Event::ConfigUpdated { .. } => plain("ConfigUpdated"),
            Event::Settled { id, outcome } => {
                let mut ids = vec![("id", id.0.to_string().into())];
                let word = match outcome {
                    Outcome::Responded { response_id, .. } => Some(("responded", response_id)),
                    Outcome::Superseded { response_id, .. } => Some(("superseded", response_id)),
                    _ => None,
                };
                ids.extend(word.map(|(_, response_id)| ("response_id", response_id.as_str().into())));
                fact("Settled", word.map(|(word, _)| word), ids)
            }
            Event::SpeechStarted { .. } => plain("SpeechStarted"),
            Event::SpeechStopped { .. } => plain("SpeechStopped"),
            Event::ItemSent { item, .. } => fact("ItemSent", None, item_id(item)),
            Event::ItemPlaced { item, origin, .. } => {
                let word = if *origin == Origin::Client { "client" } else { "server" };
                fact("ItemPlaced", Some(word), item_id(item))
            }
            Event::ItemDone { item } => fact("ItemDone", None, item_id(item)),
            Event::ItemRemoved { item_id } => fact("ItemRemoved", None, id("item_id", item_id.as_str())),
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                fact("ResponseStarted", beside(*out_of_band), id("response_id", response_id.as_str()))
            }
            Event::Text { response_id, .. } => fact("Text", None, id("response_id", response_id.as_str())),
            Event::Audio(chunk) => fact("Audio", None, id("response_id", chunk.response_id.as_str())),
            Event::AudioDone { response_id, .. } => {
                fact("AudioDone", None, id("response_id", response_id.as_str()))
            }
            Event::FunctionCalls { response_id, out_of_band, calls } => {
                let mut ids = id("response_id", response_id.as_str());
                ids.extend(calls.iter().map(|call| ("call_id", call.call_id.as_str().into())));
                fact("FunctionCalls", beside(*out_of_band), ids)
            }
            Event::FunctionEnded { call, end } => {
                let word = (*end == FunctionEnd::Detached).then_some("detached");
                fact("FunctionEnded", word, id("call_id", call.call_id.as_str()))
            }
            Event::ResponseFinished(report) => {
                fact("ResponseFinished", None, id("response_id", report.response_id.as_str()))
            }
            Event::HoldPlayback { .. } => plain("HoldPlayback"),
            Event::ResumePlayback { .. } => plain("ResumePlayback"),
            Event::StopPlayback { .. } => plain("StopPlayback"),
            Event::Interrupted(_) => plain("Interrupted"),
            Event::Connection(ConnectionEvent::Lost { .. }) => plain("Lost"),
            Event::Connection(ConnectionEvent::Retrying { .. }) => plain("Retrying"),
            Event::Connection(ConnectionEvent::Resumed { .. }) => plain("Resumed"),
            Event::Connection(ConnectionEvent::Rotated { .. }) => plain("Rotated"),
            Event::Connection(ConnectionEvent::Suspended {}) => plain("Suspended"),
            Event::Closed { .. } => plain("Closed"),
            _ => plain("…"),
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        EVENTS.get(self.event).is_some_and(|(event, _)| *event == name)
    }

    /// Returns whether such events have an id of that kind, though this one may have none.
    pub(super) fn may_have(&self, kind: &str) -> bool {
        let of = EVENTS.get(self.event).map_or("", |(event, _)| *event);
        match kind {
            "item_id" => of.starts_with("Item"),
            "call_id" => of.starts_with("Function"),
            "response_id" => of == "Settled",
            _ => false,
        }
    }
}

/// An event's place in [`EVENTS`].
pub(super) fn index(name: &str) -> Option<usize> {
    EVENTS.iter().position(|(event, _)| *event == name)
}

fn item_id(item: &Item) -> Vec<(&'static str, Cow<'_, str>)> {
    item.id().map(|id| ("item_id", id.as_str().to_owned().into())).into_iter().collect()
}
