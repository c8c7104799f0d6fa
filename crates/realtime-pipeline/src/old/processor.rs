//! A pipeline's stage, and the task that runs one.
//!
//! Only the task touches its processor. An interruption never cancels it: stale frames are dropped as they
//! come up, and a cancelled run still calls [`Processor::stop`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use crate::old::cx::{Cx, Phase};
use crate::old::error::Error;
use crate::old::frame::{Direction, Frame, FrameKind, Lane};
use crate::old::lanes::{Flowing, Mailbox};

/// A pipeline stage: frames in, frames out. One task owns it, so its methods take `&mut self` and need no
/// lock.
///
/// Methods are written as `async fn`. An error that one returns, or a panic, ends the whole run.
///
/// ```
/// use realtime_pipeline::{Cx, Direction, Error, Frame, FrameKind, Processor};
///
/// /// Keeps the assistant's words from whatever stands downstream.
/// struct Mute;
///
/// impl Processor for Mute {
///     fn name(&self) -> &str {
///         "mute"
///     }
///
///     async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
///         if !matches!(frame.kind, FrameKind::Text(_)) {
///             cx.forward(frame, direction).await;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Processor: Send + 'static {
    /// The processor's name in logs, errors and for observers.
    fn name(&self) -> &str;

    /// Handles a frame. Pass it on with [`Cx::forward`] if it is to go on. Default: passes every frame on.
    ///
    /// Start and End do not come here: see [`start`](Self::start) and [`end`](Self::end).
    ///
    /// # Errors
    /// Only if the processor cannot go on: the error ends the run. Report anything less with an error frame.
    fn process(
        &mut self,
        frame: Frame,
        direction: Direction,
        cx: &mut Cx,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            cx.forward(frame, direction).await;
            Ok(())
        }
    }

    /// The run begins. Start has been passed on already, so every processor gets it before the frames pushed
    /// here.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn start(&mut self, cx: &mut Cx) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Waits for the processor's own work: a timer, a socket. Served after urgent frames and before all
    /// others.
    ///
    /// **Cancel-safe**: it is dropped and called again whenever a frame comes first, so it must keep what it
    /// received in `self`. Default: there is none.
    fn ready(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Does the work that [`ready`](Self::ready) waited for.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn work(&mut self, cx: &mut Cx) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// End has come: nothing else comes from upstream. End is passed on as soon as [`is_idle`](Self::is_idle)
    /// returns true or the drain limit is reached. Frames from downstream and own work go on until
    /// [`stop`](Self::stop).
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn end(&mut self, cx: &mut Cx) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Returns whether End may be passed on, because all work that it waits for is done. Default: always.
    fn is_idle(&self) -> bool {
        true
    }

    /// The run is over, however it ended: release resources. Called exactly once, except after a panic of
    /// this processor. It must return within the pipeline's stop limit.
    ///
    /// # Errors
    /// If something could not be finished, such as a file. It becomes the run's error if there is no other.
    fn stop(&mut self, cx: &mut Cx) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cx;
        async { Ok(()) }
    }
}

/// Runs a processor to the end of its pipeline's run.
pub(crate) async fn run<P: Processor>(
    mut processor: P,
    mut mailbox: Mailbox,
    mut cx: Cx,
    stop_limit: Duration,
) -> Result<(), Error> {
    let mut phase = cx.shared.phase.subscribe();
    let served = tokio::select! {
        biased;
        () = reached(&mut phase, |phase| phase == Phase::Cancelled) => Ok(()),
        served = Actor { processor: &mut processor, mailbox: &mut mailbox, cx: &mut cx, end: End::Open }.serve() => served,
    };
    let stopped = match timeout(stop_limit, processor.stop(&mut cx)).await {
        Ok(stopped) => stopped,
        Err(_) => Err(Error::new(format!("expected to stop within {stop_limit:?}"))),
    };
    served.and(stopped)
}

struct Actor<'a, P> {
    processor: &'a mut P,
    mailbox: &'a mut Mailbox,
    cx: &'a mut Cx,
    end: End,
}

/// How far the end of the run has come at a processor.
enum End {
    Open,
    /// End came and waits for the processor to be idle.
    Draining(Frame),
    /// End was passed on.
    Passed,
}

enum Step {
    Frame(Flowing),
    Work,
    DrainLimit,
}

impl<P: Processor> Actor<'_, P> {
    async fn serve(mut self) -> Result<(), Error> {
        let mut phase = self.cx.shared.phase.subscribe();
        loop {
            self.pass_end_if_idle().await;
            let deadline = match self.end {
                End::Draining(_) => self.cx.shared.drain_deadline.get().copied(),
                End::Open | End::Passed => None,
            };
            // Urgent frames first. Own work before the queues, because a due time must not wait for them.
            let step = tokio::select! {
                biased;
                () = reached(&mut phase, |phase| phase != Phase::Running) => return Ok(()),
                frame = self.mailbox.urgent.next() => Step::Frame(frame),
                () = self.processor.ready() => Step::Work,
                frame = self.mailbox.rest.next() => Step::Frame(frame),
                () = until(deadline) => Step::DrainLimit,
            };
            match step {
                Step::Frame(flowing) => self.handle(flowing).await?,
                Step::Work => {
                    self.processor.work(self.cx).await?;
                    // Endless work must not starve the queues.
                    if let Some(flowing) = self.mailbox.rest.try_next() {
                        self.handle(flowing).await?;
                    }
                }
                Step::DrainLimit => {
                    tracing::warn!(processor = %self.cx.name, "not idle within the drain limit: End is passed on");
                    self.pass_end().await;
                }
            }
        }
    }

    async fn handle(&mut self, (frame, direction): Flowing) -> Result<(), Error> {
        if frame.is_stale(self.cx.generation()) {
            tracing::trace!(processor = %self.cx.name, frame = frame.kind.name(), "stale: dropped");
            return Ok(());
        }
        match (&frame.kind, direction) {
            (FrameKind::Start, Direction::Downstream) => {
                self.cx.forward(frame, direction).await;
                self.processor.start(self.cx).await
            }
            (FrameKind::End, Direction::Downstream) => {
                self.end = End::Draining(frame);
                self.processor.end(self.cx).await
            }
            // Nothing follows End, whatever a neighbour still pushes. Urgent frames are not part of that
            // order.
            (kind, Direction::Downstream)
                if matches!(self.end, End::Passed) && kind.lane() != Lane::Urgent =>
            {
                Ok(())
            }
            _ => self.processor.process(frame, direction, self.cx).await,
        }
    }

    async fn pass_end_if_idle(&mut self) {
        if matches!(self.end, End::Draining(_))
            && self.processor.is_idle()
            && self.mailbox.rest.media_is_empty()
        {
            self.pass_end().await;
        }
    }

    async fn pass_end(&mut self) {
        if let End::Draining(frame) = std::mem::replace(&mut self.end, End::Passed) {
            self.cx.forward(frame, Direction::Downstream).await;
            self.cx.shared.passed_end.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Waits for a phase. Returns nothing, so that no lock of the channel is held over an await.
async fn reached(phase: &mut watch::Receiver<Phase>, is: impl Fn(Phase) -> bool) {
    let gone = phase.wait_for(|phase| is(*phase)).await.is_err();
    if gone {
        // Without a pipeline there is nothing to wait for; the task is about to be aborted.
        std::future::pending::<()>().await;
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A processor before its task starts: its name, and the function that runs it.
pub(crate) struct Stage {
    pub(crate) name: Arc<str>,
    pub(crate) run: Box<dyn FnOnce(Mailbox, Cx, Duration) -> Running + Send>,
}

/// A running processor. One box for its whole life: no frame costs an allocation for being awaited.
pub(crate) type Running = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Stage {
    pub(crate) fn new<P: Processor>(processor: P) -> Self {
        let name = processor.name().into();
        Self { name, run: Box::new(move |mailbox, cx, limit| Box::pin(run(processor, mailbox, cx, limit))) }
    }
}
