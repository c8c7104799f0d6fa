//! What the next owner of a call goes on with: [`Snapshot`].
//!
//! The rule kept here: a snapshot has a version. One of a later version is refused, and the call waits for a
//! worker that reads it.

use std::collections::BTreeSet;

use realtime_protocol::call::Suspended;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::ledger::Claim;
use crate::line::Body;
use crate::record::CallRecord;

/// The version that is written, and the newest that is read.
pub const SNAPSHOT_VERSION: u32 = 1;
/// Bytes of JSON that a snapshot may have.
pub const LARGEST_SNAPSHOT: usize = 512 * 1024;

/// What moves with a call: the client's machine, the conversation, and what the application remembers.
///
/// It holds what people said: keep it like a key. Its `Debug` shows none of that.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The suspended call of the client, where its owner could suspend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspended>,
    /// The conversation, as its `save` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// What the application remembers of the call.
    #[serde(default, skip_serializing_if = "Content::is_null")]
    pub app: Content,
    /// Whether the assistant was being heard, in a call whose audio comes through its worker: of its last
    /// answer something may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub speaking: bool,
}

impl Snapshot {
    /// A snapshot of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the client's suspended call.
    #[must_use]
    pub fn suspended(mut self, suspended: Suspended) -> Self {
        self.suspended = Some(suspended);
        self
    }

    /// With the conversation, as its `save` writes it.
    #[must_use]
    pub fn conversation(mut self, saved: impl Into<String>) -> Self {
        self.conversation = Some(saved.into());
        self
    }

    /// With what the application remembers.
    #[must_use]
    pub fn app(mut self, app: impl Into<Content>) -> Self {
        self.app = app.into();
        self
    }

    /// With whether the assistant is being heard.
    #[must_use]
    pub const fn speaking(mut self, speaking: bool) -> Self {
        self.speaking = speaking;
        self
    }

    pub(crate) fn body(&self) -> Result<Body, SnapshotError> {
        let body = Body::of(self)?;
        let bytes = body.as_str().len();
        match bytes > LARGEST_SNAPSHOT {
            true => Err(SnapshotError::TooLarge { bytes }),
            false => Ok(body),
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("suspended", &self.suspended)
            .field("conversation", &self.conversation.as_ref().map(String::len))
            .field("app", &self.app)
            .field("speaking", &self.speaking)
            .finish()
    }
}

/// What a taken-over call goes on with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resume {
    /// The last snapshot, if there was one.
    pub snapshot: Option<Snapshot>,
    /// The functions whose end the model may not know, oldest first.
    pub functions: Vec<Claim>,
    /// The keys of those whose end it knows, as far as the journal remembers.
    pub delivered: BTreeSet<String>,
}

impl Resume {
    /// Of a call's journal.
    ///
    /// # Errors
    /// [`SnapshotError`] if the snapshot is of a later version or unreadable: another worker may read it.
    pub(crate) fn of(record: &CallRecord) -> Result<Self, SnapshotError> {
        let snapshot = match record.snapped() {
            Some(snapped) if snapped.v > SNAPSHOT_VERSION => {
                return Err(SnapshotError::Version { got: snapped.v });
            }
            Some(snapped) => Some(serde_json::from_str(snapped.body.as_str())?),
            None => None,
        };
        let delivered = record.delivered().map(|claim| claim.key.clone()).collect();
        Ok(Self { snapshot, functions: record.unsettled().cloned().collect(), delivered })
    }
}

/// A snapshot that can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is of a later release.
    #[error(
        "expected a snapshot of version {SNAPSHOT_VERSION} at most, got {got}: written by a later release"
    )]
    Version {
        /// Its version.
        got: u32,
    },
    /// It is too large: let the conversation's limit be smaller, and keep large things elsewhere.
    #[error("expected a snapshot of {LARGEST_SNAPSHOT} bytes at most, got {bytes}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is no snapshot.
    #[error("the snapshot is unreadable")]
    Unreadable(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::{Sequence, WorkerId};
    use crate::line::{Entry, Line};
    use crate::samples::placed;

    #[test]
    fn what_is_written_is_read_and_shows_nothing() {
        let snapshot = Snapshot::new().conversation("{\"said\":\"secret\"}").app(json!({ "pin": 1234 }));
        let resume = Resume::of(&record(SNAPSHOT_VERSION, snapshot.body().unwrap())).unwrap();
        assert_eq!(resume.snapshot, Some(snapshot));
        let shown = format!("{resume:?}");
        assert!(!shown.contains("secret") && !shown.contains("1234"), "{shown}");
    }

    #[test]
    fn a_later_version_is_refused_whatever_it_holds() {
        let error = Resume::of(&record(SNAPSHOT_VERSION + 1, Body::of(&json!([7])).unwrap())).unwrap_err();
        assert!(matches!(error, SnapshotError::Version { got: 2 }), "{error}");
    }

    #[test]
    fn its_size_is_bounded() {
        let large = Snapshot::new().conversation("x".repeat(LARGEST_SNAPSHOT));
        assert!(matches!(large.body(), Err(SnapshotError::TooLarge { .. })));
    }

    fn record(v: u32, body: Body) -> CallRecord {
        let by = WorkerId::new("a").unwrap();
        let lines = [placed("a"), Line::Snap { v, body, claims: Vec::new() }];
        let entries = lines.into_iter().enumerate();
        let entries: Vec<_> = entries
            .map(|(n, line)| (Sequence(n as u64 + 1), Entry { by: by.clone(), n: n as u64, line }))
            .collect();
        CallRecord::fold(&entries)
    }
}
