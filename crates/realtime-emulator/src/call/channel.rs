//! A call that several tasks share, each with its own channel.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_protocol::event::Dialect;
use realtime_protocol::id::EventId;
use realtime_protocol::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::call::{Call, ChannelId};
use crate::connection::Sound;
use crate::connection::{Connection, Fault, Output};
use crate::registry::Entered;

/// A call, its clock, and the bell that tells of changes.
#[derive(Debug)]
pub(crate) struct SharedCall {
    call: Mutex<Call>,
    changed: watch::Sender<()>,
    /// When the call's time began.
    pub(crate) origin: Instant,
    _entered: Entered,
}

/// One channel of a shared call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Channel {
    shared: Arc<SharedCall>,
    id: ChannelId,
    dialect: Dialect,
    /// When something is due, as far as this channel knows. If another channel changes that, the bell rings.
    due: Option<Timestamp>,
}

impl SharedCall {
    /// A call whose time begins now.
    pub(crate) fn new(connection: Connection, entered: Entered) -> Self {
        let call = Mutex::new(Call::new(connection));
        Self { call, changed: watch::Sender::new(()), origin: Instant::now(), _entered: entered }
    }

    /// Attaches a channel.
    pub(crate) fn attach(self: Arc<Self>, now: Timestamp) -> Channel {
        let (id, dialect, due) = {
            let mut call = self.lock();
            (call.attach(now), call.dialect(), call.poll_timeout())
        };
        self.changed.send_replace(());
        Channel { shared: self, id, dialect, due }
    }

    /// Keeps what is to be heard, for who carries the call's audio.
    pub(crate) fn carry_sound(&self) {
        self.lock().carry_sound();
    }

    /// Audio of the user came: samples at 24 kHz.
    pub(crate) fn handle_sound(&self, now: Timestamp, samples: &[i16]) {
        let mut call = self.lock();
        let before = (call.poll_timeout(), call.given());
        call.handle_sound(now, samples);
        let rings = before != (call.poll_timeout(), call.given());
        drop(call);
        if rings {
            self.changed.send_replace(());
        }
    }

    /// What is to be heard next; `None` until there is more.
    pub(crate) fn poll_sound(&self) -> Option<Sound> {
        self.lock().poll_sound()
    }

    /// Returns whether the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// The spelling that all channels speak.
    pub(crate) fn dialect(&self) -> Dialect {
        self.lock().dialect()
    }

    /// After a panic the other channels keep the call as it was left.
    fn lock(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Rings when something happened in the call that this channel may not have seen.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    pub(crate) fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.act(|call, id| call.handle_text(now, id, text));
    }

    pub(crate) fn handle_binary(&mut self, now: Timestamp) {
        self.act(|call, id| call.handle_binary(now, id));
    }

    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        self.act(|call, _| call.handle_timeout(now));
    }

    pub(crate) fn press_key(&mut self, now: Timestamp, key: char) {
        self.act(|call, _| call.press_key(now, key));
    }

    pub(crate) fn refuse(&mut self, fault: Fault, event_id: Option<EventId>) {
        self.act(|call, id| call.refuse(id, fault, event_id));
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.shared.lock().poll_output(self.id)
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.due
    }

    /// Acts on the call. The bell rings if there is something new to take, or the next due time changes: a
    /// channel that finds nothing new wakes no other.
    fn act(&mut self, act: impl FnOnce(&mut Call, ChannelId)) {
        let mut call = self.shared.lock();
        let before = (call.poll_timeout(), call.given());
        act(&mut call, self.id);
        self.due = call.poll_timeout();
        let rings = before != (self.due, call.given());
        drop(call);
        if rings {
            self.shared.changed.send_replace(());
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared.lock().detach(self.id);
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::time::UnixTime;

    use crate::brain::Parrot;
    use crate::connection::ConnectionOptions;
    use crate::registry::Registry;

    use super::*;

    #[test]
    fn who_finds_nothing_new_wakes_nobody_though_another_takes_nothing() {
        let options = ConnectionOptions { sideband: true, ..ConnectionOptions::default() };
        let connection =
            Connection::new(options, Box::new(Parrot::new()), Timestamp::ZERO, UnixTime::from_secs(1));
        let shared = Arc::new(SharedCall::new(connection, Registry::default().enter()));
        let (slow, mut quick) = (shared.clone().attach(Timestamp::ZERO), shared.attach(Timestamp::ZERO));
        let mut bell = slow.changes();
        quick.handle_timeout(Timestamp::from_millis(1));
        assert!(!bell.has_changed().unwrap());
        quick.handle_text(Timestamp::from_millis(2), r#"{"type":"response.create"}"#);
        assert!(bell.has_changed().unwrap());
        bell.mark_unchanged();
        quick.handle_timeout(Timestamp::from_millis(2));
        assert!(!bell.has_changed().unwrap());
    }
}
