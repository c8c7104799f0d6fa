//! What connections share: how many there were, short-lived keys, and calls.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use realtime_protocol::session_config::SessionConfig;
use tokio::sync::watch;

use crate::connection::Ids;

/// Shared by all connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    connections: AtomicU64,
    open: AtomicUsize,
    made: AtomicU64,
    secrets: Mutex<BTreeMap<String, (u64, SessionConfig)>>,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    by_id: BTreeMap<String, Call>,
    /// Oldest first.
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Call {
    session: SessionConfig,
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
        session: SessionConfig,
        seconds: u64,
        now: u64,
        seed: Option<u64>,
    ) -> (String, u64) {
        let (value, ends) = (self.id("ek_", seed), now + seconds);
        let mut secrets = lock(&self.secrets);
        if secrets.len() >= MOST {
            secrets.retain(|_, (ends, _)| *ends > now);
        }
        if secrets.len() >= MOST {
            secrets.pop_first();
        }
        secrets.insert(value.clone(), (ends, session));
        (value, ends)
    }

    /// What a short-lived key stands for, with its end.
    pub(crate) fn secret(&self, value: &str) -> Option<(u64, SessionConfig)> {
        lock(&self.secrets).get(value).cloned()
    }

    /// Adds a call under an id of its own.
    pub(crate) fn add_call(&self, session: SessionConfig, seed: Option<u64>) -> String {
        let id = self.id("rtc_", seed);
        self.accept_call(&id, session);
        id
    }

    pub(crate) fn accept_call(&self, id: &str, session: SessionConfig) {
        lock(&self.calls).insert(id, Call { session, ended: watch::Sender::new(false) });
    }

    /// Ends a call: those who joined it are told. A call that never was counts as ended, too.
    pub(crate) fn end_call(&self, id: &str) {
        let mut calls = lock(&self.calls);
        match calls.by_id.get(id) {
            Some(call) => {
                call.ended.send_replace(true);
            }
            None => {
                calls.insert(id, Call { session: SessionConfig::default(), ended: watch::Sender::new(true) })
            }
        }
    }

    pub(crate) fn call(&self, id: &str) -> Option<CallState> {
        let calls = lock(&self.calls);
        let call = calls.by_id.get(id)?;
        Some(if *call.ended.borrow() {
            CallState::Ended
        } else {
            CallState::Running(Box::new(call.session.clone()), call.ended.subscribe())
        })
    }

    fn id(&self, prefix: &str, seed: Option<u64>) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // The standard library's hashers begin with what the operating system drew by chance.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Ids::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)).other(prefix)
    }
}

impl Calls {
    fn insert(&mut self, id: &str, call: Call) {
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.by_id.insert(id.into(), call);
        self.order.push_back(id.into());
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

/// Keys, and calls.
const MOST: usize = 10_000;
