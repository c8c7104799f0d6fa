//! What connections share: how many there were, short-lived keys, and calls.
//!
//! Sessions are kept as text, so that what is kept is as large as what was sent.

mod store;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::session_config::{SessionConfig, SessionKind};
use tokio::sync::watch;

use crate::connection::Ids;
use crate::registry::store::Store;

/// Shared by all connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    connections: AtomicU64,
    open: AtomicUsize,
    made: AtomicU64,
    secrets: Mutex<Store<Secret>>,
    calls: Mutex<Store<Call>>,
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
    /// Whether it has ended.
    ended: watch::Sender<bool>,
}

/// What is known of a call.
#[derive(Debug)]
pub(crate) enum CallState {
    /// It runs; the receiver tells of its end.
    Running(Box<SessionConfig>, watch::Receiver<bool>),
    /// It was rejected, referred or ended.
    Ended,
}

impl Registry {
    /// The number of a new connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a session for as long as the guard lives.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Entered(&self.open)
    }

    /// Sessions that are open.
    pub(crate) fn sessions(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Makes a short-lived key; returns when it ends, in seconds since 1970, with it. Only with a seed can it be told
    /// before.
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

    /// What a short-lived key stands for, with its end.
    pub(crate) fn secret(&self, value: &str) -> Option<(u64, SessionConfig)> {
        lock(&self.secrets).get(value).map(|secret| (secret.ends, secret.session.read()))
    }

    /// Adds a call under an id of its own.
    pub(crate) fn add_call(&self, session: &SessionConfig, seed: Option<u64>) -> String {
        let id = self.id("rtc_", seed);
        self.accept_call(&id, session);
        id
    }

    pub(crate) fn accept_call(&self, id: &str, session: &SessionConfig) {
        let session = Written::new(session, Dialect::Ga);
        let bytes = session.text.len();
        lock(&self.calls).insert(id, Call { session, ended: watch::Sender::new(false) }, bytes);
    }

    /// Ends a call: those who joined it are told. A call that never was counts as ended, too.
    pub(crate) fn end_call(&self, id: &str) {
        let mut calls = lock(&self.calls);
        match calls.get(id) {
            Some(call) => {
                call.ended.send_replace(true);
            }
            None => {
                let session = Written::new(&SessionConfig::default(), Dialect::Ga);
                calls.insert(id, Call { session, ended: watch::Sender::new(true) }, 0);
            }
        }
    }

    pub(crate) fn call(&self, id: &str) -> Option<CallState> {
        let calls = lock(&self.calls);
        let call = calls.get(id)?;
        Some(if *call.ended.borrow() {
            CallState::Ended
        } else {
            CallState::Running(Box::new(call.session.read()), call.ended.subscribe())
        })
    }

    fn id(&self, prefix: &str, seed: Option<u64>) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // The standard library's hashers begin with what the operating system drew by chance.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Ids::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)).other(prefix)
    }
}

/// A session that is counted.
#[derive(Debug)]
pub(crate) struct Entered<'a>(&'a AtomicUsize);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a panic left is as good as before: every change here is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        // What was written here can be read.
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
