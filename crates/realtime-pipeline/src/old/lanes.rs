//! A processor's inbox: three lanes, and a fourth for ordered frames that flow upstream.
//!
//! Only the ordered lane downstream can make a processor wait, so two neighbours never wait for each other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::old::frame::{Direction, Frame, FrameKind, Lane};

/// A frame and which way it flows.
pub(crate) type Flowing = (Frame, Direction);

/// An unbounded lane longer than this is reported: its frames are rare, so its reader must be stuck.
const HIGH_WATER: usize = 1024;

/// How much each bounded lane of a processor holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LaneCapacity {
    /// Frames of the ordered lane. Default: 256.
    pub ordered: usize,
    /// Frames of the media lane. Default: 100, which is two seconds in frames of 20 ms.
    pub media: usize,
}

impl Default for LaneCapacity {
    fn default() -> Self {
        Self { ordered: 256, media: 100 }
    }
}

/// Makes an inbox's two ends.
pub(crate) fn inbox(capacity: LaneCapacity) -> (Inbox, Mailbox) {
    let (urgent, urgent_out) = mpsc::unbounded_channel();
    let (ordered, ordered_out) = mpsc::channel(capacity.ordered.max(1));
    let (upstream, upstream_out) = mpsc::unbounded_channel();
    let media = Arc::new(Ring::new(capacity.media.max(1)));
    let inbox = Inbox { urgent, ordered, upstream, media: Arc::clone(&media) };
    let rest = Rest { ordered: ordered_out, upstream: upstream_out, media };
    (inbox, Mailbox { urgent: Urgent(urgent_out), rest })
}

/// The end to push into.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    urgent: mpsc::UnboundedSender<Flowing>,
    ordered: mpsc::Sender<Flowing>,
    upstream: mpsc::UnboundedSender<Flowing>,
    media: Arc<Ring>,
}

impl Inbox {
    /// Pushes without waiting. Returns the frame if the ordered lane is full. If the processor has ended, the
    /// frame is dropped.
    #[must_use = "a full ordered lane gives the frame back"]
    pub(crate) fn try_push(&self, frame: Frame, direction: Direction) -> Option<Frame> {
        let flowing = (frame, direction);
        match (flowing.0.kind.lane(), direction) {
            (Lane::Urgent, _) => drop(self.urgent.send(flowing)),
            (Lane::Media, _) => self.media.push(flowing),
            (Lane::Ordered, Direction::Upstream) => drop(self.upstream.send(flowing)),
            (Lane::Ordered, Direction::Downstream) => {
                if let Err(mpsc::error::TrySendError::Full((frame, _))) = self.ordered.try_send(flowing) {
                    return Some(frame);
                }
            }
        }
        None
    }

    /// Pushes a frame downstream in order, when there is room.
    pub(crate) async fn push_ordered(&self, frame: Frame) {
        // If the processor has ended, the frame does not matter.
        drop(self.ordered.send((frame, Direction::Downstream)).await);
    }

    /// Audio frames that the media lane has dropped so far.
    pub(crate) fn media_dropped(&self) -> u64 {
        self.media.dropped.load(Ordering::Relaxed)
    }
}

/// The processor's end, in two halves that can be waited for at once.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) urgent: Urgent,
    pub(crate) rest: Rest,
}

/// The urgent lane.
#[derive(Debug)]
pub(crate) struct Urgent(mpsc::UnboundedReceiver<Flowing>);

impl Urgent {
    /// The next frame. Cancel-safe. Waits for ever when no sender is left.
    pub(crate) async fn next(&mut self) -> Flowing {
        let frame = recv(&mut self.0).await;
        alarm("urgent", self.0.len());
        frame
    }
}

/// The other lanes: upstream, ordered, media.
#[derive(Debug)]
pub(crate) struct Rest {
    ordered: mpsc::Receiver<Flowing>,
    upstream: mpsc::UnboundedReceiver<Flowing>,
    media: Arc<Ring>,
}

impl Rest {
    /// The next frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Flowing {
        tokio::select! {
            biased;
            frame = recv(&mut self.upstream) => {
                alarm("upstream", self.upstream.len());
                frame
            }
            Some(frame) = self.ordered.recv() => frame,
            frame = self.media.pop() => frame,
        }
    }

    /// The next frame, if one is there.
    pub(crate) fn try_next(&mut self) -> Option<Flowing> {
        let ordered = self.upstream.try_recv().or_else(|_| self.ordered.try_recv());
        ordered.ok().or_else(|| self.media.try_pop())
    }

    /// Returns whether no input audio waits.
    pub(crate) fn media_is_empty(&self) -> bool {
        self.media.lock().is_empty()
    }
}

async fn recv(lane: &mut mpsc::UnboundedReceiver<Flowing>) -> Flowing {
    match lane.recv().await {
        Some(frame) => frame,
        None => std::future::pending().await,
    }
}

fn alarm(lane: &'static str, waiting: usize) {
    if waiting >= HIGH_WATER && waiting.is_power_of_two() {
        tracing::warn!(lane, waiting, "a lane of rare frames grows: its processor is too slow");
    }
}

/// The media lane: bounded, and the oldest audio makes room for the newest.
#[derive(Debug)]
struct Ring {
    frames: Mutex<VecDeque<Flowing>>,
    capacity: usize,
    arrived: Notify,
    dropped: AtomicU64,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self { frames: Mutex::default(), capacity, arrived: Notify::new(), dropped: AtomicU64::new(0) }
    }

    fn push(&self, flowing: Flowing) {
        let mut frames = self.lock();
        if frames.len() >= self.capacity {
            // Only audio may be lost: a signal among it stays.
            let oldest = frames.iter().position(|(frame, _)| matches!(frame.kind, FrameKind::InputAudio(_)));
            if let Some(oldest) = oldest {
                frames.remove(oldest);
                let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                if dropped.is_power_of_two() {
                    tracing::warn!(dropped, "input audio is dropped: its processor is too slow");
                }
            }
        }
        frames.push_back(flowing);
        drop(frames);
        self.arrived.notify_one();
    }

    fn try_pop(&self) -> Option<Flowing> {
        self.lock().pop_front()
    }

    /// One reader only: `notify_one` keeps a permit for it, so nothing is missed between look and wait.
    async fn pop(&self) -> Flowing {
        loop {
            if let Some(flowing) = self.try_pop() {
                return flowing;
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Flowing>> {
        // Nothing in here can panic halfway through a change.
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::old::frame::Generation;
    use crate::old::payload::AudioFrame;

    const CAPACITY: LaneCapacity = LaneCapacity { ordered: 2, media: 3 };

    /// A kind that queues in order.
    const ORDERED: FrameKind = FrameKind::End;

    fn frame(id: u64, kind: FrameKind) -> Frame {
        Frame::new(id, Generation::default(), None, kind)
    }

    fn audio(id: u64) -> Frame {
        frame(id, FrameKind::InputAudio(AudioFrame::from_samples(16_000, &[0])))
    }

    fn push(inbox: &Inbox, frame: Frame) {
        assert!(inbox.try_push(frame, Direction::Downstream).is_none());
    }

    #[test]
    fn a_full_media_lane_drops_its_oldest_audio_and_counts_it() {
        let (inbox, mut mailbox) = inbox(CAPACITY);
        push(&inbox, frame(0, FrameKind::InputFinished));
        for id in 1..6 {
            push(&inbox, audio(id));
        }
        let left: Vec<u64> =
            std::iter::from_fn(|| mailbox.rest.try_next()).map(|(frame, _)| frame.id()).collect();
        assert_eq!(left, [0, 4, 5]);
        assert_eq!(inbox.media_dropped(), 3);
    }

    #[test]
    fn a_full_ordered_lane_gives_the_frame_back_and_the_way_upstream_never_does() {
        let (inbox, _mailbox) = inbox(CAPACITY);
        for id in 0..2 {
            push(&inbox, frame(id, ORDERED));
        }
        let back = inbox.try_push(frame(2, ORDERED), Direction::Downstream).unwrap();
        assert_eq!(back.id(), 2);
        for id in 0..100 {
            assert!(inbox.try_push(frame(id, ORDERED), Direction::Upstream).is_none());
        }
    }

    #[tokio::test]
    async fn lanes_do_not_disturb_the_order_of_one_another() {
        let (inbox, mut mailbox) = inbox(CAPACITY);
        push(&inbox, audio(1));
        push(&inbox, frame(2, ORDERED));
        push(&inbox, frame(3, FrameKind::StopPlayback { id: None }));
        push(&inbox, frame(4, ORDERED));
        assert_eq!(mailbox.urgent.next().await.0.id(), 3);
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(mailbox.rest.next().await.0.id());
        }
        assert_eq!(ids, [2, 4, 1]);
    }
}
