//! Chaining processors, and the limits of a run.

use std::fmt;
use std::time::Duration;

use crate::old::lanes::LaneCapacity;
use crate::old::processor::{Processor, Stage};
use crate::old::task::PipelineTask;

/// A chain of processors, from the source to the sink.
#[derive(Default)]
pub struct Pipeline {
    stages: Vec<Stage>,
    options: PipelineOptions,
}

/// The limits of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// How long End may take to reach the sink while processors finish their work. After that it moves on
    /// without waiting. Default: 30 s.
    pub drain_limit: Duration,
    /// How long each processor may take to stop. Default: 5 s.
    pub stop_limit: Duration,
    /// How much each processor's lanes hold.
    pub lanes: LaneCapacity,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            drain_limit: Duration::from_secs(30),
            stop_limit: Duration::from_secs(5),
            lanes: LaneCapacity::default(),
        }
    }
}

impl PipelineOptions {
    /// Sets [`drain_limit`](Self::drain_limit).
    #[must_use]
    pub const fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Sets [`stop_limit`](Self::stop_limit).
    #[must_use]
    pub const fn stop_limit(mut self, limit: Duration) -> Self {
        self.stop_limit = limit;
        self
    }

    /// Sets [`lanes`](Self::lanes).
    #[must_use]
    pub const fn lanes(mut self, lanes: LaneCapacity) -> Self {
        self.lanes = lanes;
        self
    }
}

impl Pipeline {
    /// An empty chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a processor downstream of the others.
    #[must_use]
    pub fn then<P: Processor>(mut self, processor: P) -> Self {
        self.stages.push(Stage::new(processor));
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn options(mut self, options: PipelineOptions) -> Self {
        self.options = options;
        self
    }

    /// Links the processors. Nothing runs yet.
    pub fn into_task(self) -> PipelineTask {
        PipelineTask::new(self.stages, self.options)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stages.iter().map(|stage| &stage.name)).finish()
    }
}
