//! Why nothing goes out: [`Hold`] is a pause, and [`Clearing`] waits for a sink that held what was not heard.

use std::time::Duration;

use realtime_protocol::call::{HoldId, StopId};
use realtime_protocol::time::Timestamp;

use crate::chain::ClearId;

/// Who pauses playback.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) session: Option<HoldId>,
    /// The user's voice, at most until then.
    pub(super) voice: Option<Timestamp>,
}

/// The sink has been asked to drop what it holds, and to say what was heard.
#[derive(Debug)]
pub(super) struct Clearing {
    pub(super) id: ClearId,
    pub(super) asked: Timestamp,
    /// Who is told where playback stands: the session's hold, and its stops.
    pub(super) hold: Option<HoldId>,
    pub(super) stops: Vec<Option<StopId>>,
}

/// The sink's answer counts within this time. The session waits 200 ms for the playout's.
const CLEAR_LIMIT: Duration = Duration::from_millis(180);

impl Hold {
    pub(super) const fn is_on(&self) -> bool {
        self.session.is_some() || self.voice.is_some()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.voice
    }
}

impl Clearing {
    /// When the answer is late.
    pub(super) fn until(&self) -> Timestamp {
        self.asked + CLEAR_LIMIT
    }
}
