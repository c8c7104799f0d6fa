//! The logs of one call: of one process, or of those that had it one after the other.

use std::path::PathBuf;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::view::model::Model;
use crate::{Error, view};

/// What one process knew of the call.
pub(super) struct Owner {
    pub(super) model: Model,
    /// When it took the call over, since the first one began; `None`: it is the first.
    pub(super) goes_on_at: Option<Timestamp>,
}

impl Owner {
    /// How much later than its log has it something happened, since the first log began.
    pub(super) fn later(&self) -> Duration {
        self.goes_on_at.map_or(Duration::ZERO, |at| at.saturating_since(Timestamp::ZERO))
    }
}

/// Reads the logs, and checks that each goes on where the one before may have ended.
pub(super) fn read(logs: &[PathBuf]) -> Result<Vec<Owner>, Error> {
    let mut owners: Vec<Owner> = Vec::new();
    for log in logs {
        let model = view::read(log)?;
        let mut goes_on_at = None;
        if let Some(first) = owners.first() {
            let name = log.display();
            if !model.goes_on {
                return Err(format!(
                    "{name}: expected the log of the next process of the call, and it begins a call of its own: \
                     give the first log first, and logs of different calls one by one"
                )
                .into());
            }
            let last = owners.last().map_or(0, |owner| owner.model.started);
            if model.started <= last {
                return Err(format!(
                    "{name}: it does not begin after the log that stands before it: give the first one first, and each once"
                )
                .into());
            }
            goes_on_at = Some(Timestamp::from_micros(model.started - first.model.started));
        }
        owners.push(Owner { model, goes_on_at });
    }
    Ok(owners)
}
