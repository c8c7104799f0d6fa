//! Push to talk: [`Key`], and [`PushToTalk`] to press it from anywhere.

use std::fmt;
use std::sync::Arc;

use crate::chain::{CustomFrame, FrameKind};

/// The key that is held while the user speaks, as a frame from outside. Queue it downstream, at the head of
/// the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a key is up or down")]
pub enum Key {
    /// It went down.
    Pressed,
    /// It went up.
    Released,
}

impl CustomFrame for Key {
    fn name(&self) -> &'static str {
        match self {
            Self::Pressed => "key_pressed",
            Self::Released => "key_released",
        }
    }

    fn survives_interruption(&self) -> bool {
        true
    }
}

impl From<Key> for FrameKind {
    fn from(key: Key) -> Self {
        Self::custom(key)
    }
}

/// Presses and releases the [`Key`] of a running chain. Cheap to clone.
#[derive(Clone)]
pub struct PushToTalk {
    queue: Arc<dyn Fn(FrameKind) + Send + Sync>,
}

impl PushToTalk {
    /// A key whose frames `queue` gives to the chain, downstream.
    pub fn new(queue: impl Fn(FrameKind) + Send + Sync + 'static) -> Self {
        Self { queue: Arc::new(queue) }
    }

    /// The user speaks from here on. Does nothing if the key is down already.
    pub fn press(&self) {
        (self.queue)(Key::Pressed.into());
    }

    /// The user has finished. Does nothing if the key is up already.
    pub fn release(&self) {
        (self.queue)(Key::Released.into());
    }
}

impl fmt::Debug for PushToTalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToTalk")
    }
}
