//! What a processor sees of its pipeline: its neighbours, the clock, and the generation of frames.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::old::error::Fault;
use crate::old::frame::{Direction, Frame, FrameKind, Generation, Lane};
use crate::old::lanes::Inbox;
use crate::old::observer::{Observed, Observers};

/// A processor's place in its pipeline, handed to each of its methods.
#[derive(Debug)]
pub struct Cx {
    pub(crate) name: Arc<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Inbox,
    pub(crate) upstream: Option<Neighbour>,
    pub(crate) downstream: Option<Neighbour>,
}

/// The next processor in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    pub(crate) name: Arc<str>,
    pub(crate) inbox: Inbox,
}

impl Cx {
    /// The processor's name.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Makes a frame and hands it to the neighbour. Waits while the neighbour's ordered lane is full. If an
    /// interruption comes meanwhile, the frame is dropped.
    pub async fn push(&self, kind: FrameKind, direction: Direction) {
        self.forward(self.shared.frame(kind, None), direction).await;
    }

    /// As [`push`](Self::push), for audio that was captured or is due at `pts`, since the pipeline's start.
    pub async fn push_at(&self, kind: FrameKind, pts: Duration, direction: Direction) {
        self.forward(self.shared.frame(kind, Some(pts)), direction).await;
    }

    /// Hands a frame to both neighbours.
    pub async fn broadcast(&self, kind: FrameKind) {
        let frame = self.shared.frame(kind, None);
        self.forward(frame.clone(), Direction::Upstream).await;
        self.forward(frame, Direction::Downstream).await;
    }

    /// Passes a frame on.
    pub async fn forward(&self, frame: Frame, direction: Direction) {
        let neighbour = match direction {
            Direction::Downstream => &self.downstream,
            Direction::Upstream => &self.upstream,
        };
        match (&frame.kind, direction) {
            (FrameKind::Cancel, _) => {
                self.shared.tell(&self.name, direction.end(), &frame, direction);
                self.shared.cancel();
            }
            (FrameKind::End, Direction::Upstream) => {
                self.shared.tell(&self.name, direction.end(), &frame, direction);
                self.shared.request(Request::End);
            }
            _ => match neighbour {
                Some(neighbour) => self.shared.hand_over(&self.name, neighbour, frame, direction).await,
                None => self.shared.leave(&self.name, &frame, direction),
            },
        }
    }

    /// Begins a new generation. Earlier frames that do not survive an interruption are dropped wherever they
    /// are. Returns the new generation.
    pub fn interrupt(&self) -> Generation {
        self.shared.interrupt()
    }

    /// The current generation.
    pub fn generation(&self) -> Generation {
        *self.shared.generation.borrow()
    }

    /// Time since the pipeline's start.
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// An instant as time since the pipeline's start; zero for one before it.
    pub fn at(&self, instant: Instant) -> Duration {
        self.shared.at(instant)
    }

    /// Frames of input audio that the media lane dropped because this processor was too slow.
    pub fn media_dropped(&self) -> u64 {
        self.inbox.media_dropped()
    }
}

impl Direction {
    const fn end(self) -> &'static str {
        match self {
            Self::Downstream => SINK,
            Self::Upstream => SOURCE,
        }
    }
}

/// The name of the chain's beginning.
pub(crate) const SOURCE: &str = "source";
/// The name of the chain's end.
const SINK: &str = "sink";

/// What all processors of a pipeline share.
#[derive(Debug)]
pub(crate) struct Shared {
    epoch: OnceLock<Instant>,
    next_id: AtomicU64,
    pub(crate) generation: watch::Sender<Generation>,
    pub(crate) phase: watch::Sender<Phase>,
    /// When an End must have been passed on.
    pub(crate) drain_deadline: OnceLock<Instant>,
    /// Processors that have passed End on.
    pub(crate) passed_end: AtomicUsize,
    requests: mpsc::UnboundedSender<Request>,
    pub(crate) observers: Observers,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Running,
    /// End has reached the sink: processors stop.
    Finishing,
    /// Processors stop at once.
    Cancelled,
}

/// What the pipeline's task is asked or told.
#[derive(Debug)]
pub(crate) enum Request {
    /// End the run.
    End,
    /// End has reached the sink.
    Drained,
    /// A fault has reached the source.
    Fault(Fault),
}

impl Shared {
    pub(crate) fn new(requests: mpsc::UnboundedSender<Request>) -> Self {
        Self {
            epoch: OnceLock::new(),
            next_id: AtomicU64::new(0),
            generation: watch::Sender::new(Generation::default()),
            phase: watch::Sender::new(Phase::Running),
            drain_deadline: OnceLock::new(),
            passed_end: AtomicUsize::new(0),
            requests,
            observers: Observers::default(),
        }
    }

    /// Starts the clock.
    pub(crate) fn start(&self) {
        self.epoch.get_or_init(Instant::now);
    }

    pub(crate) fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> Duration {
        self.epoch.get().map_or(Duration::ZERO, |epoch| instant.saturating_duration_since(*epoch))
    }

    pub(crate) fn frame(&self, kind: FrameKind, pts: Option<Duration>) -> Frame {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Frame::new(id, *self.generation.borrow(), pts, kind)
    }

    pub(crate) fn interrupt(&self) -> Generation {
        self.generation.send_modify(|generation| *generation = generation.next());
        *self.generation.borrow()
    }

    pub(crate) fn cancel(&self) {
        self.phase.send_replace(Phase::Cancelled);
    }

    pub(crate) fn request(&self, request: Request) {
        // If the task has ended, the request does not matter.
        drop(self.requests.send(request));
    }

    pub(crate) fn tell(&self, source: &Arc<str>, destination: &str, frame: &Frame, direction: Direction) {
        self.observers.tell(|| Observed {
            source: Arc::clone(source),
            destination: destination.into(),
            frame: frame.clone(),
            direction,
            at: self.now(),
        });
    }

    /// Hands a frame over. Drops it if an interruption comes, or the run is cancelled, while there is no
    /// room.
    pub(crate) async fn hand_over(
        &self,
        source: &Arc<str>,
        to: &Neighbour,
        frame: Frame,
        direction: Direction,
    ) {
        if frame.is_stale(*self.generation.borrow()) {
            return;
        }
        self.tell(source, &to.name, &frame, direction);
        let Some(frame) = to.inbox.try_push(frame, direction) else { return };
        debug_assert_eq!(frame.kind.lane(), Lane::Ordered, "no other lane gives frames back");
        let (mut generation, mut phase) = (self.generation.subscribe(), self.phase.subscribe());
        let stale = frame.clone();
        tokio::select! {
            biased;
            _ = generation.wait_for(|now| stale.is_stale(*now)) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Cancelled) => {}
            () = to.inbox.push_ordered(frame) => {}
        }
    }

    /// A frame leaves the chain at one of its ends.
    fn leave(&self, source: &Arc<str>, frame: &Frame, direction: Direction) {
        self.tell(source, direction.end(), frame, direction);
        match (&frame.kind, direction) {
            (FrameKind::End, Direction::Downstream) => self.request(Request::Drained),
            (FrameKind::Error(fault), _) => self.request(Request::Fault(fault.clone())),
            _ => {}
        }
    }
}
