//! What the page of the port shows: the sessions that run or ended lately, their latest events, and what was
//! said in them.
//!
//! Everything here is bounded, and holds what was said: who asks for it needs the key. Keys are in none of
//! it. Times are arguments.

mod events;
mod shorten;
mod transcript;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_protocol::event::Dialect;
use realtime_protocol::session_config::SessionKind;
use realtime_protocol::time::{Timestamp, UnixTime};
use realtime_protocol::tool::Secret;
use serde_json::{Value, json};

use crate::watch::events::{Events, Side};
use crate::watch::transcript::Transcript;

/// The sessions of a server.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    sessions: Arc<Mutex<Sessions>>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_number: BTreeMap<u64, Arc<Mutex<Seen>>>,
    /// Those that have ended, in that order.
    ended: VecDeque<u64>,
}

/// What is known of a session at its beginning.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) model: String,
    pub(crate) kind: SessionKind,
    pub(crate) dialect: Dialect,
    pub(crate) since: UnixTime,
    /// The call that it is a channel of.
    pub(crate) call: Option<String>,
    /// What the client came with. It is shown nowhere.
    pub(crate) key: Secret,
}

/// One session, until its end.
#[derive(Debug)]
pub(crate) struct Watched {
    number: u64,
    seen: Arc<Mutex<Seen>>,
    sessions: Arc<Mutex<Sessions>>,
}

/// What was seen of one session.
#[derive(Debug)]
struct Seen {
    opening: Opening,
    /// The session's own id, as the server told it.
    id: Option<String>,
    /// When it ended, and why.
    end: Option<(Timestamp, String)>,
    /// The time of the newest event.
    newest: Timestamp,
    came: u64,
    sent: u64,
    events: Events,
    transcript: Transcript,
}

impl Watch {
    /// Watches a session from here on.
    pub(crate) fn enter(&self, number: u64, opening: Opening) -> Watched {
        let seen = Arc::new(Mutex::new(Seen {
            opening,
            id: None,
            end: None,
            newest: Timestamp::ZERO,
            came: 0,
            sent: 0,
            events: Events::default(),
            transcript: Transcript::default(),
        }));
        lock(&self.sessions).by_number.insert(number, seen.clone());
        Watched { number, seen, sessions: self.sessions.clone() }
    }

    /// The newest sessions as JSON, the newest first, and how many more there are.
    pub(crate) fn list(&self) -> Value {
        let (newest, more): (Vec<_>, usize) = {
            let sessions = lock(&self.sessions);
            let newest = sessions.by_number.iter().rev().take(MOST_LISTED);
            let newest = newest.map(|(number, seen)| (*number, seen.clone())).collect();
            (newest, sessions.by_number.len().saturating_sub(MOST_LISTED))
        };
        let sessions: Vec<_> = newest.iter().map(|(number, seen)| lock(seen).summary(*number)).collect();
        json!({ "sessions": sessions, "more": more })
    }

    /// One session as JSON text, with the events that are new or have changed since `after`, and all lines of
    /// its transcript. `None`: it is not known, or is known no longer.
    pub(crate) fn session(&self, number: u64, after: u64) -> Option<String> {
        let seen = lock(&self.sessions).by_number.get(&number)?.clone();
        let seen = lock(&seen);
        let (session, lines) = (seen.summary(number), seen.transcript.json());
        Some(format!(r#"{{"session":{session},"lines":{lines},"events":{}}}"#, seen.events.json(after)))
    }
}

impl Watched {
    /// The client sent a text.
    pub(crate) fn came(&self, at: Timestamp, text: &str) {
        let mut seen = lock(&self.seen);
        seen.came += 1;
        seen.note(at, Side::Client, text);
    }

    /// The server sent a text.
    pub(crate) fn sent(&self, at: Timestamp, text: &str) {
        let mut seen = lock(&self.seen);
        seen.sent += 1;
        seen.note(at, Side::Server, text);
    }

    /// It has ended, for this reason.
    pub(crate) fn ended(&self, at: Timestamp, reason: &str) {
        lock(&self.seen).end.get_or_insert_with(|| (at, reason.into()));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        {
            let mut seen = lock(&self.seen);
            let newest = seen.newest;
            seen.end.get_or_insert_with(|| (newest, "stopped".into()));
        }
        let mut sessions = lock(&self.sessions);
        sessions.ended.push_back(self.number);
        if sessions.ended.len() > MOST_ENDED
            && let Some(oldest) = sessions.ended.pop_front()
        {
            sessions.by_number.remove(&oldest);
        }
    }
}

impl Seen {
    fn note(&mut self, at: Timestamp, side: Side, text: &str) {
        self.newest = at;
        let kind = shorten::kind(text);
        if events::is_audio(&kind) {
            return self.events.add(at, side, &kind, "", text.len());
        }
        let shown = without_key(text, &self.opening.key);
        if side == Side::Server {
            self.transcript.hear(&kind, &shown);
            if self.id.is_none() && kind == "session.created" {
                self.id = shorten::session_id(&shown);
            }
        }
        self.events.add(at, side, &kind, &shown, text.len());
    }

    fn summary(&self, number: u64) -> Value {
        let Opening { model, kind, dialect, since, call, .. } = &self.opening;
        json!({
            "number": number,
            "id": self.id,
            "model": shorten::head(model, MOST_NAME),
            "kind": shorten::head(kind.as_str(), MOST_NAME),
            "dialect": match dialect { Dialect::Beta => "beta", _ => "ga" },
            "call": call.as_deref().map(|call| shorten::head(call, MOST_NAME)),
            "since_ms": since.as_micros() / 1000,
            "ended_ms": self.end.as_ref().map(|(at, _)| at.as_micros() / 1000),
            "end": self.end.as_ref().map(|(_, reason)| reason),
            "came": self.came,
            "sent": self.sent,
        })
    }
}

/// Takes the client's key out, which some servers say back. A key of fewer than four characters is none.
fn without_key<'a>(text: &'a str, key: &Secret) -> std::borrow::Cow<'a, str> {
    let key = key.0.as_str();
    if key.len() < 4 || !text.contains(key) { text.into() } else { text.replace(key, "[redacted]").into() }
}

/// A panic leaves valid data: what is half noted is only shown.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sessions that are kept after their end.
const MOST_ENDED: usize = 20;
/// Sessions in one list.
const MOST_LISTED: usize = 200;
/// Bytes of a name that a client made up.
const MOST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening {
            model: "gpt-realtime".into(),
            kind: SessionKind::Realtime,
            dialect: Dialect::Ga,
            since: UnixTime::from_secs(1_790_000_000),
            call: None,
            key: "sk-secret".into(),
        }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(1000 * ms)
    }

    fn session(watch: &Watch, number: u64, after: u64) -> Value {
        serde_json::from_str(&watch.session(number, after).unwrap()).unwrap()
    }

    #[test]
    fn a_session_is_listed_with_what_it_is_and_its_events() {
        let watch = Watch::default();
        let watched = watch.enter(7, opening());
        watched.sent(at(0), r#"{"type":"session.created","session":{"id":"sess_1","type":"realtime"}}"#);
        watched.came(at(5), r#"{"type":"response.create"}"#);
        let listed = watch.list()["sessions"][0].clone();
        assert_eq!((&listed["number"], &listed["id"]), (&json!(7), &json!("sess_1")));
        assert_eq!((&listed["model"], &listed["kind"]), (&json!("gpt-realtime"), &json!("realtime")));
        assert_eq!((&listed["dialect"], &listed["since_ms"]), (&json!("ga"), &json!(1_790_000_000_000_u64)));
        assert_eq!((&listed["came"], &listed["sent"], &listed["end"]), (&json!(1), &json!(1), &json!(null)));

        let shown = session(&watch, 7, 0);
        let events: Vec<_> = shown["events"].as_array().unwrap().iter().collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["line"]["event"]["type"], "response.create");
        assert_eq!(
            (&events[1]["line"]["from"], &events[1]["line"]["at_us"]),
            (&json!("client"), &json!(5000))
        );
        let after = events[1]["changed"].as_u64().unwrap();
        assert_eq!(session(&watch, 7, after)["events"], json!([]));
        assert!(watch.session(8, 0).is_none());

        watched.ended(at(9), "closed");
        drop(watched);
        let listed = watch.list()["sessions"][0].clone();
        assert_eq!((&listed["ended_ms"], &listed["end"]), (&json!(9), &json!("closed")));
    }

    #[test]
    fn only_the_newest_are_kept_after_their_end() {
        let watch = Watch::default();
        let running = watch.enter(0, opening());
        for number in 1..=100 {
            drop(watch.enter(number, opening()));
        }
        let list = watch.list();
        let numbers: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|s| &s["number"]).collect();
        assert_eq!(
            (numbers.len(), numbers[0], numbers[19], numbers[20]),
            (21, &json!(100), &json!(81), &json!(0))
        );
        assert_eq!(list["sessions"][0]["end"], "stopped");
        drop(running);
        let many: Vec<_> = (1000..1300).map(|number| watch.enter(number, opening())).collect();
        let list = watch.list();
        assert_eq!((list["sessions"].as_array().unwrap().len(), &list["more"]), (200, &json!(120)));
        drop(many);
    }

    #[test]
    fn keys_are_in_none_of_it() {
        let watch = Watch::default();
        let watched = watch.enter(0, opening());
        watched.sent(at(0), r#"{"type":"error","error":{"message":"Incorrect API key: sk-secret."}}"#);
        let tools =
            r#"[{"type":"mcp","server_label":"l","authorization":"sk-tool","headers":{"a":"sk-tool"}}]"#;
        watched.came(at(1), &format!(r#"{{"type":"session.update","session":{{"tools":{tools}}}}}"#));
        watched.came(at(2), &format!(r#"{{"type":"session.update","session":{{"tools":{tools}}}"#));
        let shown = watch.session(0, 0).unwrap();
        assert!(!shown.contains("sk-secret") && !shown.contains("sk-tool"), "{shown}");
        assert_eq!(shown.matches("[redacted]").count(), 3, "{shown}");
        assert!(!format!("{watched:?}").contains("sk-secret"));
    }
}
