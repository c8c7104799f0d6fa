//! The stream of call events, and the bounded queue behind it.
//!
//! The driver never waits for the application. Where the application reads too slowly, the oldest audio is
//! dropped first; nothing else ever is: when that passes its bounds too, the session closes.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::Stream;
use realtime_protocol::call::{AudioChunk, Event};

use crate::counters::Tally;

/// How much may wait: of what the application gives, and of what it reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Commands that wait to be taken by the session; they wait for the client's task alone, never for the
    /// network. Default: 1,024.
    pub commands: usize,
    /// Bytes of what they hold besides audio: items, outputs of calls, configurations. Default: 32 MiB.
    pub command_bytes: usize,
    /// Bytes of input audio among them, and as many again for a connection that is behind; beyond that the oldest is
    /// dropped, as [`Warning::InputAudioDropped`] tells. Default: 4 MiB, 87 s of PCM at 24 kHz.
    ///
    /// [`Warning::InputAudioDropped`]: realtime_protocol::call::Warning::InputAudioDropped
    pub input_audio_bytes: usize,
    /// The oldest input audio that is sent over a connection that is behind; what grew older is dropped and told. A
    /// model that hears the past answers it. `None`, for audio from a file, which is not late: all is sent. Default:
    /// 2 s.
    pub input_audio_age: Option<Duration>,
    /// Bytes of the model's audio that wait to be read; beyond it the oldest is dropped, as
    /// [`Warning::AudioDropped`] tells. Default: 16 MiB, 5.8 min of PCM at 24 kHz. The server sends audio faster than
    /// it plays.
    ///
    /// [`Warning::AudioDropped`]: realtime_protocol::call::Warning::AudioDropped
    pub audio_bytes: usize,
    /// Other events that wait to be read; beyond it the session closes. Default: 16,384.
    pub events: usize,
    /// Bytes of wire text that those events came from; beyond it the session closes. Default: 64 MiB.
    pub event_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            commands: 1024,
            command_bytes: 32 << 20,
            input_audio_bytes: 4 << 20,
            input_audio_age: Some(Duration::from_secs(2)),
            audio_bytes: 16 << 20,
            events: 16_384,
            event_bytes: 64 << 20,
        }
    }
}

/// What a session tells, in order. The answers to commands go to whoever gave them and do not appear here.
///
/// [`Event::Closed`] is the last event. `None` comes after it, when the connection is closed and the
/// session log is written: reading to `None` is how to wait for a clean end.
///
/// Dropping it leaves the session running, and its events unread.
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// The next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.queue.poll_pop(cx)).await
    }

    /// The next event, if one is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        let mut waiting = self.queue.lock();
        self.queue.pop(&mut waiting)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.abandoned = true;
        waiting.audio = VecDeque::new();
        waiting.others = VecDeque::new();
        (waiting.audio_bytes, waiting.other_bytes) = (0, 0);
        self.queue.count(&waiting);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.lock();
        f.debug_struct("Events")
            .field("audio", &waiting.audio.len())
            .field("audio_bytes", &waiting.audio_bytes)
            .field("others", &waiting.others.len())
            .finish()
    }
}

/// The driver's end. Dropping it ends the stream once the rest is read.
pub(crate) struct EventSender {
    queue: Arc<Queue>,
}

/// What became of an event that was pushed.
#[derive(Debug, PartialEq)]
pub(crate) enum Pushed {
    /// It waits to be read, or joined one that does, or nobody reads any more.
    Taken,
    /// Older audio gave way to it.
    Dropped(Vec<AudioChunk>),
    /// From now on more waits than the bounds allow: this event and all that follow are lost, besides `Closed`.
    Overflow,
}

impl EventSender {
    /// Adds an event that came from `cost` bytes of wire text.
    pub(crate) fn push(&self, event: Event, cost: usize) -> Pushed {
        let mut waiting = self.queue.lock();
        let pushed = waiting.push(event, cost, &self.queue.bounds);
        self.queue.count(&waiting);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
        pushed
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.finished = true;
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pub(crate) fn channel(bounds: Bounds, tally: Arc<Tally>) -> (EventSender, Events) {
    let queue = Arc::new(Queue { bounds, tally, waiting: Mutex::default() });
    (EventSender { queue: Arc::clone(&queue) }, Events { queue })
}

struct Queue {
    bounds: Bounds,
    tally: Arc<Tally>,
    waiting: Mutex<Waiting>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves the queue whole: no step of it calls foreign code.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self, waiting: &mut Waiting) -> Option<Event> {
        let event = waiting.pop();
        if event.is_some() {
            self.count(waiting);
        }
        event
    }

    fn count(&self, waiting: &Waiting) {
        self.tally.events_waiting.set(waiting.audio.len() + waiting.others.len());
        self.tally.audio_waiting_bytes.set(waiting.audio_bytes);
    }

    fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.lock();
        match self.pop(&mut waiting) {
            Some(event) => Poll::Ready(Some(event)),
            None if waiting.finished => Poll::Ready(None),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Two queues with one order, so that the oldest audio is at hand.
#[derive(Default)]
struct Waiting {
    pushed: u64,
    audio: VecDeque<(u64, AudioChunk)>,
    audio_bytes: usize,
    others: VecDeque<(u64, Event, usize)>,
    other_bytes: usize,
    waker: Option<Waker>,
    overflowed: bool,
    finished: bool,
    abandoned: bool,
}

impl Waiting {
    fn push(&mut self, event: Event, cost: usize, bounds: &Bounds) -> Pushed {
        let last = matches!(event, Event::Closed { .. });
        if self.abandoned || self.overflowed && !last {
            return Pushed::Taken;
        }
        if let Event::Warning(warning) = &event
            && let Some((_, Event::Warning(before), _)) = self.others.back_mut()
            && before.absorb(warning)
        {
            return Pushed::Taken;
        }
        self.pushed += 1;
        match event {
            Event::Audio(chunk) => {
                self.audio_bytes += chunk.audio.len();
                self.audio.push_back((self.pushed, chunk));
                self.shed(bounds.audio_bytes)
            }
            event => {
                let full = self.others.len() >= bounds.events || self.other_bytes > bounds.event_bytes;
                if full && !last {
                    self.overflowed = true;
                    return Pushed::Overflow;
                }
                self.other_bytes += cost;
                self.others.push_back((self.pushed, event, cost));
                Pushed::Taken
            }
        }
    }

    /// Drops the oldest audio beyond the bound; the newest chunk stays whatever its size.
    fn shed(&mut self, bound: usize) -> Pushed {
        let mut dropped = Vec::new();
        while self.audio_bytes > bound && self.audio.len() > 1 {
            if let Some((_, chunk)) = self.audio.pop_front() {
                self.audio_bytes -= chunk.audio.len();
                dropped.push(chunk);
            }
        }
        if dropped.is_empty() { Pushed::Taken } else { Pushed::Dropped(dropped) }
    }

    fn pop(&mut self) -> Option<Event> {
        let audio = self.audio.front().map(|(at, _)| *at);
        let other = self.others.front().map(|(at, _, _)| *at);
        if audio.is_some_and(|audio| other.is_none_or(|other| audio < other)) {
            let (_, chunk) = self.audio.pop_front()?;
            self.audio_bytes -= chunk.audio.len();
            return Some(Event::Audio(chunk));
        }
        let (_, event, cost) = self.others.pop_front()?;
        self.other_bytes -= cost;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::audio::AudioFormat;
    use realtime_protocol::call::{CloseReason, StopId, Warning};
    use realtime_protocol::time::MediaTime;

    use super::*;

    const SMALL: Bounds = Bounds {
        commands: 1,
        command_bytes: 1,
        input_audio_bytes: 1,
        input_audio_age: None,
        audio_bytes: 10,
        events: 3,
        event_bytes: 1000,
    };

    #[test]
    fn order_is_kept_between_audio_and_the_rest() {
        let (sender, mut events) = channel(SMALL, Arc::default());
        for event in [audio(1), other(), audio(2), audio(3), other()] {
            assert_eq!(sender.push(event, 0), Pushed::Taken);
        }
        assert_eq!(drain(&mut events), "1.23.");
    }

    #[test]
    fn the_oldest_audio_gives_way_and_nothing_else_does() {
        let (sender, mut events) = channel(SMALL, Arc::default());
        sender.push(other(), 0);
        sender.push(audio(4), 0);
        sender.push(audio(5), 0);
        sender.push(other(), 0);
        assert_eq!(dropped(sender.push(audio(6), 0)), [4, 5]);
        assert_eq!(dropped(sender.push(audio(11), 0)), [6]);
        assert_eq!(drain(&mut events), "..b");
    }

    #[test]
    fn beyond_the_bounds_only_the_end_is_told() {
        for (costs, taken) in [([0, 0, 0, 0], "...E"), ([1001, 0, 0, 0], ".E")] {
            let (sender, mut events) = channel(SMALL, Arc::default());
            let pushed = costs.map(|cost| sender.push(other(), cost));
            assert_eq!(
                pushed.iter().filter(|pushed| **pushed == Pushed::Overflow).count(),
                1,
                "it is told once"
            );
            assert_eq!(sender.push(audio(1), 0), Pushed::Taken);
            let closed = Event::Closed { reason: CloseReason::Requested };
            assert_eq!(sender.push(closed, 0), Pushed::Taken);
            assert_eq!(drain(&mut events), taken);
        }
    }

    #[test]
    fn nobody_reading_is_no_overflow() {
        let (sender, events) = channel(SMALL, Arc::default());
        drop(events);
        for _ in 0..100 {
            assert_eq!(sender.push(other(), 1000), Pushed::Taken);
        }
    }

    #[tokio::test]
    async fn the_stream_ends_with_its_sender() {
        let (sender, mut events) = channel(SMALL, Arc::default());
        sender.push(other(), 0);
        let reader = tokio::spawn(async move { (events.next().await.is_some(), events.next().await) });
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(reader.await.unwrap(), (true, None));
    }

    #[test]
    fn losses_that_follow_each_other_are_one_event() {
        let (sender, mut events) = channel(SMALL, Arc::default());
        for _ in 0..100 {
            let lost = MediaTime::from_millis(20);
            sender.push(Event::Warning(Warning::InputAudioDropped { lost }), 0);
        }
        sender.push(other(), 0);
        let Some(Event::Warning(Warning::InputAudioDropped { lost })) = events.try_next() else {
            panic!("the loss was not told")
        };
        assert_eq!(lost, MediaTime::from_millis(2000));
        assert_eq!(drain(&mut events), ".");
    }

    fn dropped(pushed: Pushed) -> Vec<usize> {
        let Pushed::Dropped(chunks) = pushed else { panic!("expected a loss, got {pushed:?}") };
        chunks.iter().map(|chunk| chunk.audio.len()).collect()
    }

    fn drain(events: &mut Events) -> String {
        std::iter::from_fn(|| events.try_next())
            .map(|event| match event {
                Event::Audio(chunk) => format!("{:x}", chunk.audio.len()),
                Event::Closed { .. } => "E".to_owned(),
                _ => ".".to_owned(),
            })
            .collect()
    }

    fn other() -> Event {
        Event::StopPlayback { id: StopId(1) }
    }

    fn audio(bytes: usize) -> Event {
        Event::Audio(AudioChunk {
            mark: 0,
            response_id: "r".into(),
            item_id: "i".into(),
            content_index: 0,
            out_of_band: false,
            start: 0,
            format: AudioFormat::PCM16_24K,
            audio: vec![0; bytes].into(),
        })
    }
}
