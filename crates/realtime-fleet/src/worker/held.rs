//! One call of a worker.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::id::{CallId, Sequence, WorkerId};
use crate::ledger::{OnTakeover, Progress};
use crate::line::{Body, Line, Why};
use crate::pace::Pace;
use crate::record::{CallRecord, LineError};
use crate::snapshot::{Resume, SNAPSHOT_VERSION, SnapshotError};
use crate::worker::{Command, PlacedCall, Verdict};
use crate::writer::Writer;

/// How far the worker is with a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The journal is being read. The call was this worker's.
    Reading { of: WorkerId },
    /// The owner's line is being written.
    Owning(Why),
    /// The application serves it.
    Serving,
    /// The journal of a call that moves here is being read.
    Fetching { of: WorkerId },
    /// The application attaches to a call that moves here, until then.
    Preparing { of: WorkerId, until: Timestamp },
    /// Another worker is attached and may write itself in, until then.
    Leaving { until: Timestamp },
    /// It has not: this worker writes itself in again.
    Returning,
}

/// A call that is to move away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Move {
    /// Whom it is offered to, or who prepares.
    pub(super) to: Option<WorkerId>,
    /// Who does not take it.
    pub(super) refused: BTreeSet<WorkerId>,
    /// The journal's last line when it was offered. What comes after it would be missing there.
    pub(super) fence: Sequence,
    pub(super) until: Timestamp,
}

impl Phase {
    /// Whether the application was told of the call.
    pub(super) const fn is_begun(&self) -> bool {
        match self {
            Self::Serving | Self::Preparing { .. } | Self::Leaving { .. } | Self::Returning => true,
            Self::Owning(why) => matches!(why, Why::Moved),
            Self::Reading { .. } | Self::Fetching { .. } => false,
        }
    }

    /// Whether the call is another worker's, as far as this one knows.
    pub(super) const fn is_anothers(&self) -> bool {
        matches!(self, Self::Reading { .. } | Self::Fetching { .. } | Self::Preparing { .. })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) writer: Writer,
    pub(super) phase: Phase,
    /// Claimed functions that may run once the lease is sure.
    pub(super) grants: VecDeque<String>,
    /// What the application has said while the call was on its way.
    pub(super) parked: VecDeque<Command>,
    /// Whether it is to move away, and how far that is.
    pub(super) moving: Option<Move>,
    /// What the next owner would go on with, not written yet.
    pub(super) snap: Option<Body>,
    pace: Pace,
    /// Functions that an earlier owner claimed and this one has not looked at.
    inherited: BTreeSet<String>,
}

impl Held {
    pub(super) const fn new(by: WorkerId, record: CallRecord, phase: Phase, pace: Duration) -> Self {
        Self {
            writer: Writer::new(by, record),
            phase,
            grants: VecDeque::new(),
            parked: VecDeque::new(),
            moving: None,
            snap: None,
            pace: Pace::new(pace),
            inherited: BTreeSet::new(),
        }
    }

    /// What the application begins with.
    pub(super) fn begin(&mut self, call: &CallId, epoch: u64, why: Why) -> Result<PlacedCall, SnapshotError> {
        let record = self.writer.record();
        let placing = record.placing().cloned().expect("a call with an owner was placed: its record says so");
        let resume = match epoch {
            1 => None,
            _ => Some(Resume::of(record)?),
        };
        let claimed = record.unsettled().filter(|claim| claim.progress == Progress::Claimed);
        self.inherited = claimed.map(|claim| claim.key.clone()).collect();
        Ok(PlacedCall { id: call.clone(), epoch, why, placing, resume })
    }

    /// What to do with a function that may not be claimed.
    pub(super) fn verdict(&mut self, key: &str, error: LineError) -> Verdict {
        let Some(claim) = self.writer.record().claim(key) else { return Verdict::Refused(error) };
        match (&claim.progress, claim.on_takeover) {
            (Progress::Done { output }, _) => Verdict::Answer(output.clone()),
            (Progress::Delivered, _) => Verdict::Refused(error),
            (Progress::Claimed, _) if !self.inherited.contains(key) => Verdict::Refused(error), // it runs
            (Progress::Claimed, OnTakeover::Again) => {
                self.inherited.remove(key);
                Verdict::Run
            }
            (Progress::Claimed, OnTakeover::Unknown) => Verdict::Unknown,
            (Progress::Claimed, OnTakeover::Ask) => Verdict::Ask,
        }
    }

    /// Writes the snapshot that waits, if it is time. Returns when to look again.
    pub(super) fn advance_snap(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.snap.as_ref()?;
        let next = self.pace.next();
        if next > now {
            return Some(next);
        }
        self.pace.take(now);
        self.write_snap();
        None
    }

    /// Writes the snapshot that waits.
    pub(super) fn write_snap(&mut self) {
        if let Some(body) = self.snap.take() {
            self.writer.push(Line::Snap { v: SNAPSHOT_VERSION, body, claims: Vec::new() });
        }
    }
}
