//! The way from the chain to the sink: what leaves the chain waits here until the sink takes it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::chain::{Fault, Frame, FrameKind, SinkReport};
use crate::edges::{EdgeError, Sink};

/// The most frames that wait for a sink that takes none. The playout stands still meanwhile, so only a stage
/// that pushes frames without end gets there.
const MOST_WAITING: usize = 4096;

/// A sink, and what waits for it.
pub(super) struct Outlet {
    sink: Option<Box<dyn Sink>>,
    waiting: VecDeque<Frame>,
    /// Whether the playout was told to wait.
    is_full: bool,
    /// What went wrong, until it is told.
    failed: Option<Arc<Fault>>,
}

impl Outlet {
    pub(super) fn new(sink: Option<Box<dyn Sink>>) -> Self {
        Self { sink, waiting: VecDeque::new(), is_full: false, failed: None }
    }

    /// A frame leaves the chain. The user's own audio is no output, and ends here.
    pub(super) fn push(&mut self, frame: Frame) {
        let Some(sink) = &mut self.sink else { return };
        if matches!(frame.kind(), FrameKind::InputAudio(_)) {
            return;
        }
        if let FrameKind::ClearSink(id) = frame.kind() {
            // It overtakes, and what waits is not sent.
            sink.clear(*id);
            self.drop_audio();
        } else if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(frame);
        } else if self.failed.is_none() {
            let message = format!("it takes nothing, and {MOST_WAITING} frames wait for it");
            self.failed = Some(Arc::new(EdgeError::new(sink.name(), message).to_fault()));
        }
    }

    /// Why it does nothing with the phone call. `None`: it does.
    pub(super) fn refuses_phone_requests(&self) -> Option<String> {
        match &self.sink {
            None => Some("nobody is there: the run has no sink".to_owned()),
            Some(sink) if !sink.takes_phone_requests() => {
                Some(format!("expected a phone call to do it with, and {} holds none", sink.name()))
            }
            Some(_) => None,
        }
    }

    /// Gives the sink what it takes. Returns what the chain must know: a report, or that the sink has failed
    /// and is gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Result<SinkReport, Arc<Fault>>> {
        let sink = self.sink.as_mut()?;
        if let Some(fault) = self.failed.take() {
            self.sink = None;
            return Some(Err(fault));
        }
        if let Poll::Ready(report) = sink.poll_report(cx) {
            if matches!(report, SinkReport::Away) {
                // The playout hands it out again.
                self.drop_audio();
            }
            return Some(Ok(report));
        }
        while !self.waiting.is_empty() {
            match sink.poll_ready(cx) {
                Poll::Pending if self.is_full => return None,
                Poll::Pending => {
                    self.is_full = true;
                    return Some(Ok(SinkReport::Full));
                }
                Poll::Ready(ready) => {
                    let sent = ready.and_then(|()| {
                        self.waiting.pop_front().map_or(Ok(()), |frame| sink.send(frame.kind()))
                    });
                    if let Err(error) = sent {
                        self.sink = None;
                        return Some(Err(Arc::new(error.to_fault())));
                    }
                }
            }
        }
        std::mem::take(&mut self.is_full).then_some(Ok(SinkReport::Ready))
    }

    fn drop_audio(&mut self) {
        self.waiting.retain(|waiting| !matches!(waiting.kind(), FrameKind::PlayedAudio(_)));
    }

    /// Gives the sink the rest, and closes it.
    pub(super) async fn close(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        let waiting = &mut self.waiting;
        let closed: Result<(), EdgeError> = poll_fn(|cx| {
            while let Some(frame) = waiting.front() {
                std::task::ready!(sink.poll_ready(cx))?;
                sink.send(frame.kind())?;
                waiting.pop_front();
            }
            sink.poll_close(cx)
        })
        .await;
        if let Err(error) = closed {
            tracing::warn!(sink = sink.name(), "{error}");
        }
    }
}
