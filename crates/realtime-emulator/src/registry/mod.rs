//! What connections share: how many there were, short-lived keys, calls, and what is seen of each session.
//!
//! Sessions are kept as text, so that they take no more memory than was sent.

mod store;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::session_config::{SessionConfig, SessionKind};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::call::SharedCall;
use crate::connection::{Connection, Ids};
use crate::registry::store::Store;
use crate::watch::Watch;

/// Shared by all connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    connections: AtomicU64,
    open: Arc<AtomicUsize>,
    made: AtomicU64,
    secrets: Mutex<Store<Secret>>,
    calls: Mutex<Store<Call>>,
    /// The calls that have a conversation, oldest first. Locked after the calls.
    joined: Mutex<VecDeque<String>>,
    /// What the page shows.
    pub(crate) watch: Watch,
}

#[derive(Debug)]
struct Secret {
    /// Seconds since 1970.
    ends: u64,
    session: Written,
}

#[derive(Debug)]
struct Call {
    session: Written,
    made: Instant,
    /// Whether it has ended.
    ended: watch::Sender<bool>,
    /// Its conversation, once somebody has joined.
    shared: Option<Arc<SharedCall>>,
}

/// What is known of a call.
#[derive(Debug)]
pub(crate) enum CallState {
    /// It runs; the receiver tells of its end. The first channel that joined chose the dialect.
    Running(Box<SessionConfig>, Option<Dialect>, watch::Receiver<bool>),
    /// It was rejected, referred or ended.
    Ended,
}

impl Registry {
    /// The number of a new connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a session for as long as the guard lives.
    pub(crate) fn enter(&self) -> Entered {
        self.open.fetch_add(1, Ordering::Relaxed);
        Entered(self.open.clone())
    }

    /// Sessions that are open.
    pub(crate) fn sessions(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Makes a short-lived key. Returns it with its expiry, in seconds since 1970. Only with a seed is it
    /// predictable.
    pub(crate) fn add_secret(
        &self,
        session: &SessionConfig,
        dialect: Dialect,
        seconds: u64,
        now: u64,
        seed: Option<u64>,
    ) -> (String, u64) {
        let (value, ends) = (self.id("ek_", seed), now + seconds);
        let session = Written::new(session, dialect);
        let bytes = session.text.len();
        lock(&self.secrets).insert(&value, Secret { ends, session }, bytes);
        (value, ends)
    }

    /// The session of a short-lived key, with the key's expiry.
    pub(crate) fn secret(&self, value: &str) -> Option<(u64, SessionConfig)> {
        lock(&self.secrets).get(value).map(|secret| (secret.ends, secret.session.read()))
    }

    /// Adds a call with a new id.
    pub(crate) fn add_call(&self, session: &SessionConfig, seed: Option<u64>) -> String {
        let id = self.id("rtc_", seed);
        self.accept_call(&id, session);
        id
    }

    pub(crate) fn accept_call(&self, id: &str, session: &SessionConfig) {
        let session = Written::new(session, Dialect::Ga);
        let bytes = session.text.len();
        lock(&self.calls).insert(id, Call::new(session), bytes);
    }

    /// Ends a call: the channels that joined it are told. An unknown call counts as ended, too.
    pub(crate) fn end_call(&self, id: &str) {
        let mut calls = lock(&self.calls);
        match calls.get_mut(id) {
            Some(call) => call.end(),
            None => {
                let session = Written::new(&SessionConfig::default(), Dialect::Ga);
                let call = Call::new(session);
                call.ended.send_replace(true);
                calls.insert(id, call, 0);
            }
        }
    }

    /// Ends all calls: the server stops.
    #[cfg(feature = "webrtc")]
    pub(crate) fn end_calls(&self) {
        lock(&self.calls).values_mut().for_each(Call::end);
    }

    /// What is known of a call.
    pub(crate) fn call(&self, id: &str) -> Option<CallState> {
        let mut calls = lock(&self.calls);
        let call = calls.get_mut(id)?;
        if call.shared.as_ref().is_some_and(|shared| shared.is_over()) {
            call.end();
        }
        Some(if *call.ended.borrow() {
            CallState::Ended
        } else {
            let dialect = call.shared.as_ref().map(|shared| shared.dialect());
            CallState::Running(Box::new(call.session.read()), dialect, call.ended.subscribe())
        })
    }

    /// Returns whether a call exists and was made within this time.
    pub(crate) fn is_fresh(&self, id: &str, within: Duration) -> bool {
        lock(&self.calls).get(id).is_some_and(|call| call.made.elapsed() < within)
    }

    /// The conversation of a call. `make` makes it for the first channel that joins. `None`: the call has
    /// ended.
    pub(crate) fn join(&self, id: &str, make: impl FnOnce() -> Connection) -> Option<Arc<SharedCall>> {
        let mut calls = lock(&self.calls);
        let call = calls.get_mut(id).filter(|call| !*call.ended.borrow())?;
        if let Some(shared) = &call.shared {
            return Some(shared.clone());
        }
        let shared = Arc::new(SharedCall::new(make(), self.enter()));
        call.shared = Some(shared.clone());
        let mut joined = lock(&self.joined);
        joined.retain(|id| calls.get(id).is_some_and(|call| call.shared.is_some()));
        joined.push_back(id.into());
        if joined.len() > MOST_JOINED {
            let nobody_is_in = |id: &String| {
                calls.get(id).and_then(|call| call.shared.as_ref()).is_some_and(|s| Arc::strong_count(s) == 1)
            };
            let oldest = joined.iter().position(nobody_is_in).and_then(|index| joined.remove(index));
            if let Some(call) = oldest.and_then(|id| calls.get_mut(&id)) {
                call.end();
            }
        }
        Some(shared)
    }

    fn id(&self, prefix: &str, seed: Option<u64>) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // The standard library's hashers are seeded with random bits of the operating system.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Ids::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)).other(prefix)
    }
}

impl Call {
    fn new(session: Written) -> Self {
        Self { session, made: Instant::now(), ended: watch::Sender::new(false), shared: None }
    }

    /// Tells the channels that joined it, and drops the conversation.
    fn end(&mut self) {
        self.ended.send_replace(true);
        self.shared = None;
    }
}

/// A session that is counted.
#[derive(Debug)]
pub(crate) struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A panic leaves valid data: every change here is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many calls with a conversation are kept without channels. Beyond that the oldest end.
const MOST_JOINED: usize = 64;

/// A session as it is kept.
#[derive(Debug)]
struct Written {
    dialect: Dialect,
    /// Beta has no member for it.
    kind: Field<SessionKind>,
    text: Box<str>,
}

impl Written {
    fn new(session: &SessionConfig, dialect: Dialect) -> Self {
        Self { dialect, kind: session.kind.clone(), text: session.encode(dialect).into() }
    }

    fn read(&self) -> SessionConfig {
        // It was written here, so it can be read.
        let session = SessionConfig::decode(&self.text, self.dialect).unwrap_or_default();
        SessionConfig { kind: self.kind.clone(), ..session }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_calls_are_bounded_by_their_bytes() {
        let registry = Registry::default();
        let large = SessionConfig::realtime().instructions("x".repeat(1 << 20));
        let keys: Vec<_> =
            (0..20).map(|_| registry.add_secret(&large, Dialect::Ga, 600, 0, None).0).collect();
        let calls: Vec<_> = (0..20).map(|_| registry.add_call(&large, None)).collect();
        assert_eq!(keys.iter().filter(|key| registry.secret(key).is_some()).count(), 15);
        assert_eq!(calls.iter().filter(|id| registry.call(id).is_some()).count(), 15);
        assert!(registry.secret(&keys[19]).is_some_and(|(_, session)| session == large));
        // Ids that a client made up count, too.
        (0..1000).for_each(|number| registry.end_call(&format!("{number}{}", "x".repeat(30_000))));
        assert!(registry.call(&calls[19]).is_none());
    }

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let beta = r#"{"voice":"sage","temperature":0.7,"modalities":["text"],"turn_detection":null,
            "input_audio_format":"g711_ulaw","max_response_output_tokens":"inf"}"#;
        let beta = SessionConfig::decode(beta, Dialect::Beta).unwrap().kind(SessionKind::Realtime);
        let again = Written::new(&beta, Dialect::Beta).read();
        assert_eq!(again.encode(Dialect::Beta), beta.encode(Dialect::Beta));
        assert_eq!(
            (again.temperature.value(), again.kind.value()),
            (Some(&0.7), Some(&SessionKind::Realtime))
        );
    }
}
