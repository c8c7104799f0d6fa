//! The golden sessions as calls that move to another process after any of their inputs, over a new connection
//! or by attaching to the same session: what is told goes on as in a call that stays.
//!
//! A response that runs when the call moves ends as lost, so that nothing of it is compared from there on. If
//! the model still owed a response, the resumed call asks for it: the server answers that at once, unless an
//! answer to it comes later in the golden session.

use std::collections::BTreeSet;

use realtime_protocol::call::{
    CallOptions, CommandId, ConnectionEvent, ConnectionId, Event, Origin, Reconnect, ResponseEnd, Suspended,
};
use realtime_protocol::event::ServerEvent;
use realtime_protocol::log::Input;
use realtime_protocol::session::Begin;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};
use realtime_tests::golden::Golden;
use realtime_tests::grammar::Order;
use realtime_tests::owner::Owner;
use realtime_tests::world::DAWN;
use serde_json::{Value, json};

/// How a call goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Move {
    NewSession,
    SameSession,
}

#[test]
fn a_call_that_moves_tells_what_one_that_stays_tells() {
    let mut compared = 0;
    for (name, golden) in Golden::all() {
        let stays = Stays::run(&golden);
        for cut in 1..=golden.inputs.len() {
            for how in [Move::NewSession, Move::SameSession] {
                if how == Move::SameSession && stays.config_at(cut).is_none() {
                    continue; // there is no session to attach to
                }
                let what = format!("{name} after input {cut}: {how:?}");
                compared += check(&golden, &stays, cut, how, &what);
            }
        }
    }
    assert!(compared > 1000, "{compared} events were compared");
}

/// Moves the call after this many inputs, and compares. Returns how many events were compared.
fn check(golden: &Golden, stays: &Stays, cut: usize, how: Move, what: &str) -> usize {
    let mut lost = stays.running_at(cut);
    let mut before = Owner::new(options(golden, Begin::Configure), None);
    for (at, input) in &golden.inputs[..cut] {
        before.feed(*at, input, 0);
    }
    let now = golden.inputs[cut - 1].0;
    let told_before = before.told.len();
    let suspended = before.suspend(now);
    for event in &before.told[told_before..] {
        if let Event::ResponseFinished(report) = event {
            assert_eq!(report.end, ResponseEnd::Lost, "{what}");
        }
    }
    before.replay(what);

    let begin = if how == Move::NewSession { Begin::Configure } else { Begin::Attach };
    let mut after = Owner::new(options(golden, begin), Some(suspended.clone()));
    let in_flight = before.requests > started_by_client(&before.told).count();
    let asks = !suspended.is_over() && join(&mut after, now, stays, cut, how, what);
    if (asks || in_flight) && (stays.user_speaks_at(cut) || !stays.is_answered_later(cut)) {
        // What the call that stays asked for is what the other one has asked for anew.
        lost.extend(started_by_client(stays.after(cut)).next());
    }
    let lost = with_their_items(golden, lost);
    let conn = after.conn;
    for (index, (at, input)) in golden.inputs.iter().enumerate().skip(cut) {
        let opens = match input {
            Input::Connected(..) => true,
            Input::Text(_, text) => {
                let kind = kind(text);
                // The new connection has said this.
                kind == "session.created" || kind == "session.updated" && Some(index) == stays.first_updated
            }
            _ => false,
        };
        let of_the_lost = matches!(input, Input::Text(_, text) if is_of(text, &lost));
        let is_lost = how == Move::NewSession && of_the_lost;
        if !opens && !is_lost {
            after.feed(*at, input, conn);
        }
    }
    after.close();
    after.replay(what);

    let mut order = Order::default();
    for event in before.told.iter().chain(&after.told) {
        order.check(event).unwrap_or_else(|broken| panic!("{what}: {broken}: {event:?}"));
    }
    // Every command is answered once, here or there; no function runs twice; no id is made twice.
    let named: BTreeSet<CommandId> = suspended.waiters().collect();
    for (id, (taken, settled)) in &before.commands {
        assert_eq!(taken - settled, usize::from(named.contains(id)), "{what}: {id} is answered, or named");
    }
    for id in &named {
        let settled = after.commands.get(id).map_or(0, |(_, settled)| *settled);
        assert_eq!(settled, usize::from(!suspended.is_over()), "{what}: {id} was named");
    }
    for (id, (taken, settled)) in after.commands.iter().filter(|(id, _)| !named.contains(id)) {
        assert_eq!(taken, settled, "{what}: {id}");
    }
    for (call, times) in &before.functions {
        let again = after.functions.get(call).copied().unwrap_or_default();
        assert_eq!(times + again, 1, "{what}: {call} runs {times} times before, and {again} after");
    }
    let twice: Vec<&String> = before.ids.intersection(&after.ids).collect();
    assert!(twice.is_empty(), "{what}: made twice: {twice:?}");

    // What is told goes on.
    let known = known_items(&before.told);
    let mut left: Vec<String> = stays.after(cut).filter_map(|event| essence(event, &lost, &known)).collect();
    let moving = &before.told[told_before..];
    let came = moving.iter().chain(&after.told).filter_map(|event| essence(event, &lost, &known));
    let came: Vec<String> = came.collect();
    // The same call made again is the one that was told before.
    for call in functions_of(&suspended).filter(|_| how == Move::NewSession) {
        if came.iter().filter(|told| **told == call).count()
            < left.iter().filter(|told| **told == call).count()
        {
            let again = left.iter().position(|told| *told == call);
            left.remove(again.expect("it was counted"));
        }
    }
    assert_eq!(came, left, "{what}");
    left.len()
}

fn options(golden: &Golden, begin: Begin) -> CallOptions {
    let mut session = golden.header.options.clone();
    session.begin = begin;
    CallOptions::default().session(session).reconnect(Reconnect::none())
}

/// A call that stays, by the inputs of a golden session.
struct Stays {
    /// The events after each input, from the first.
    told: Vec<Vec<Event>>,
    /// What the server says first.
    created: Option<String>,
    /// The input that acknowledges the first configuration, and what it says.
    first_updated: Option<usize>,
    updated: Option<String>,
}

impl Stays {
    fn run(golden: &Golden) -> Self {
        let mut owner = Owner::new(options(golden, Begin::Configure), None);
        let mut told = Vec::new();
        for (at, input) in &golden.inputs {
            let before = owner.told.len();
            owner.feed(*at, input, 0);
            told.push(owner.told[before..].to_vec());
        }
        let before = owner.told.len();
        owner.close();
        told.push(owner.told[before..].to_vec());
        let first = |wanted: &str| {
            golden.inputs.iter().enumerate().find_map(|(index, (_, input))| match input {
                Input::Text(_, text) if kind(text) == wanted => Some((index, text.clone())),
                _ => None,
            })
        };
        let created = first("session.created").map(|(_, text)| text);
        let (first_updated, updated) = first("session.updated").unzip();
        Self { told, created, first_updated, updated }
    }

    fn before(&self, cut: usize) -> impl Iterator<Item = &Event> {
        self.told[..cut].iter().flatten()
    }

    fn after(&self, cut: usize) -> impl Iterator<Item = &Event> {
        self.told[cut..].iter().flatten()
    }

    /// The session's configuration, once it is ready.
    fn config_at(&self, cut: usize) -> Option<&SessionConfig> {
        let configs = self.before(cut).filter_map(|event| match event {
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => Some(&**config),
            _ => None,
        });
        configs.last()
    }

    /// The responses that run after this many inputs.
    fn running_at(&self, cut: usize) -> BTreeSet<String> {
        let mut running = BTreeSet::new();
        for event in self.before(cut) {
            match event {
                Event::ResponseStarted { response_id, .. } => {
                    running.insert(response_id.as_str().to_owned());
                }
                Event::ResponseFinished(report) => {
                    running.remove(report.response_id.as_str());
                }
                _ => {}
            }
        }
        running
    }

    /// Returns whether the user speaks after this many inputs, over anything that was asked for.
    fn user_speaks_at(&self, cut: usize) -> bool {
        let turns = self
            .before(cut)
            .filter(|event| matches!(event, Event::SpeechStarted { .. } | Event::SpeechStopped { .. }));
        turns.last().is_some_and(|event| matches!(event, Event::SpeechStarted { .. }))
    }

    /// Returns whether a response that this side asked for begins later, before the user speaks or interrupts
    /// once more.
    fn is_answered_later(&self, cut: usize) -> bool {
        let next = self.after(cut).find(|event| {
            matches!(
                event,
                Event::ResponseStarted { origin: Origin::Client, out_of_band: false, .. }
                    | Event::SpeechStarted { .. }
                    | Event::StopPlayback { .. }
                    | Event::Interrupted(_)
            )
        });
        matches!(next, Some(Event::ResponseStarted { .. }))
    }
}

/// Connects, and is told that nothing was said before. Returns whether the model had to be asked to speak.
fn join(owner: &mut Owner, now: Timestamp, stays: &Stays, cut: usize, how: Move, what: &str) -> bool {
    let conn = owner.conn;
    assert!(conn > 0, "{what}: a connection of its own");
    let requests = owner.requests;
    owner.feed(now, &Input::Connected(ConnectionId(conn), UnixTime::from_secs(DAWN)), conn);
    match how {
        Move::NewSession => {
            for (kind, text) in [("created", &stays.created), ("updated", &stays.updated)] {
                let plain = json!({"type": format!("session.{kind}"), "session": {}}).to_string();
                let text = text.clone().unwrap_or(plain);
                owner.feed(now, &Input::Text(ConnectionId(conn), text), conn);
            }
        }
        Move::SameSession => {
            owner.say(now, &json!({"type": "session.created", "session": stays.config_at(cut)}));
        }
    }
    let seeds = owner.seed_with_nothing(now);
    assert_eq!(seeds > 0, how == Move::NewSession, "{what}: who attaches knows what was said");
    let resumed = |event: &Event| matches!(event, Event::Connection(ConnectionEvent::Resumed { .. }));
    assert!(owner.told.iter().any(resumed), "{what}: {:?}", owner.told);
    let asked = owner.requests - requests;
    assert!(asked <= 1, "{what}: {asked} requests");
    if asked == 1 && !stays.is_answered_later(cut) {
        owner.say(now, &json!({"type": "response.created", "response": {"id": OWED}}));
        owner.say(now, &json!({"type": "response.done", "response": {"id": OWED, "status": "completed"}}));
    }
    asked == 1
}

/// The response that answers what a resumed call asks for.
const OWED: &str = "resp_owed";

fn kind(text: &str) -> String {
    ServerEvent::decode(text, Default::default()).kind().to_owned()
}

/// Returns whether a server event is about one of these, and does not only mention the item before it.
fn is_of(text: &str, ids: &BTreeSet<String>) -> bool {
    let event: Value = serde_json::from_str(text).unwrap_or_default();
    let of = [
        &event["response_id"],
        &event["response"]["id"],
        &event["item_id"],
        &event["item"]["id"],
        &event["item"]["call_id"],
    ];
    of.into_iter().filter_map(Value::as_str).any(|id| ids.contains(id))
}

/// Responses, with the items and calls that are theirs alone.
fn with_their_items(golden: &Golden, responses: BTreeSet<String>) -> BTreeSet<String> {
    let mut all = responses;
    // Twice, because the outputs of their calls are items of this side.
    for _ in 0..2 {
        for (_, input) in &golden.inputs {
            let Input::Text(_, text) = input else { continue };
            if is_of(text, &all) {
                all.extend(ids_in(text));
            }
        }
    }
    all
}

/// The responses in the conversation that this side asked for.
fn started_by_client<'a>(told: impl IntoIterator<Item = &'a Event>) -> impl Iterator<Item = String> {
    told.into_iter().filter_map(|event| match event {
        Event::ResponseStarted { response_id, origin: Origin::Client, out_of_band: false, .. } => {
            Some(response_id.as_str().to_owned())
        }
        _ => None,
    })
}

/// The functions that move, as they were told.
fn functions_of(suspended: &Suspended) -> impl Iterator<Item = String> {
    let moved = serde_json::to_value(suspended).expect("it is JSON");
    let functions = moved["functions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    functions.into_iter().map(move |function| {
        let call = &function["call"];
        format!("calls {} {}", text(&call["name"]), text(&call["arguments"]))
    })
}

/// The items and the calls that a server event is about.
fn ids_in(text: &str) -> Vec<String> {
    let event: Value = serde_json::from_str(text).unwrap_or_default();
    let items = event["response"]["output"].as_array().into_iter().flatten().chain([&event["item"]]);
    let ids = items.flat_map(|item| [&item["id"], &item["call_id"]]).chain([&event["item_id"]]);
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Items that were told, and those that were told as final.
fn known_items(told: &[Event]) -> BTreeSet<String> {
    let known = told.iter().filter_map(|event| match event {
        Event::ItemPlaced { item, .. } => Some(format!("placed {}", item.id()?)),
        Event::ItemDone { item } => Some(format!("done {}", item.id()?)),
        _ => None,
    });
    known.collect()
}

/// What an event tells of the conversation, in words: without connections, without what is lost and without
/// what an item said before. Which command waits, and which asked for what, is checked elsewhere.
fn essence(event: &Event, lost: &BTreeSet<String>, known: &BTreeSet<String>) -> Option<String> {
    let json = serde_json::to_string(event).expect("call events are JSON");
    let is_lost = match event {
        Event::ItemPlaced { item, .. } | Event::ItemDone { item } => {
            item.id().is_some_and(|id| lost.contains(id.as_str()))
        }
        _ => lost.iter().any(|id| json.contains(&format!("\"{id}\""))),
    };
    if is_lost || json.contains(OWED) {
        return None;
    }
    match event {
        Event::ItemPlaced { item, .. } => Some(format!("placed {}", item.id()?)),
        Event::ItemDone { item } => Some(format!("done {}", item.id()?)),
        Event::ResponseStarted { response_id, out_of_band, .. } => {
            Some(format!("{response_id} starts, beside: {out_of_band}"))
        }
        Event::ResponseFinished(report) => Some(format!("{} ends: {:?}", report.response_id, report.end)),
        Event::Audio(chunk) => Some(format!("{} of {} at {}", chunk.audio.len(), chunk.item_id, chunk.start)),
        Event::FunctionCalls { calls, .. } => {
            let calls = calls.iter().map(|call| format!(" {} {}", call.name, call.arguments));
            Some(format!("calls{}", calls.collect::<String>()))
        }
        // The session concludes it of a turn that it heard begin.
        Event::SpeechStopped { item_id: None, at: None } => None,
        Event::SpeechStarted { .. }
        | Event::SpeechStopped { .. }
        | Event::Committed { .. }
        | Event::ItemRemoved { .. }
        | Event::UserTranscriptDelta { .. }
        | Event::UserTranscript { .. }
        | Event::UserTranscriptFailed { .. }
        | Event::Text { .. }
        | Event::AudioDone { .. }
        | Event::RateLimits { .. }
        | Event::Server(_)
        | Event::Closed { .. } => Some(json),
        _ => None,
    }
    .filter(|told| !known.contains(told))
}
