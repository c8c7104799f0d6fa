//! What waits for the application to read it: [`Inbox`].
//!
//! The driver never waits for the application. If the application reads too slowly, the oldest audio is
//! dropped. Nothing else is: if other events pass their bounds, the call ends.
//!
//! A bound tells a slow reader from a quick one, so only events that the reader had a chance to read count
//! against it. One turn of the driver may give any number of events.

use core::fmt;

use crate::call::{AudioChunk, Event, Notice};
use crate::flow::Shortfall;
use crate::flow::lanes::{Lanes, Next};

/// How much may wait for the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboxBounds {
    /// Bytes of the model's audio; beyond it the oldest is dropped. Default: 16 MiB, 5.8 min of PCM at 24
    /// kHz: the server sends audio faster than it plays.
    pub audio_bytes: usize,
    /// Other events; beyond it the call ends. Default: 16,384.
    pub events: usize,
    /// Bytes of wire text that those events came from; beyond it the call ends. Default: 64 MiB.
    pub event_bytes: usize,
}

impl InboxBounds {
    /// Replaces the bytes of audio.
    #[must_use]
    pub const fn audio_bytes(mut self, bytes: usize) -> Self {
        self.audio_bytes = bytes;
        self
    }

    /// Replaces the number of other events.
    #[must_use]
    pub const fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Replaces the bytes of wire text.
    #[must_use]
    pub const fn event_bytes(mut self, bytes: usize) -> Self {
        self.event_bytes = bytes;
        self
    }
}

impl Default for InboxBounds {
    fn default() -> Self {
        Self { audio_bytes: 16 << 20, events: 16_384, event_bytes: 64 << 20 }
    }
}

/// The way from a machine to the application.
///
/// [`push`](Self::push) each event, then call [`shed`](Self::shed) until `None` and hand what it returns to
/// the machine. The application takes events by [`pop`](Self::pop), from wherever it runs.
///
/// If [`wants_turn`](Self::wants_turn) returns true, let the application run before the next input: yield to
/// the runtime, or return to the event loop. Then call [`handle_turn`](Self::handle_turn): events that still
/// wait were not read in time, and count against the bounds.
///
/// What the application gets:
///
/// - Events in their order. Nothing but audio is dropped before the call is ended for a slow reader.
/// - Losses of audio that follow each other are one warning, see
///   [`Warning::absorb`](crate::call::Warning::absorb).
/// - [`Event::Closed`] last and always, right after [`Notice::EventsDropped`] if events were dropped at the
///   end.
///
/// ```
/// use realtime_protocol::call::{CloseReason, Event, StopId};
/// use realtime_protocol::flow::{Inbox, InboxBounds, Shortfall};
///
/// let mut inbox = Inbox::new(InboxBounds::default().events(3));
/// let event = |id| Event::StopPlayback { id: StopId(id) };
///
/// // Four events of one turn are no fault of the reader's.
/// for id in 0..4 {
///     inbox.push(event(id), 40);
/// }
/// assert!(inbox.wants_turn());
/// assert_eq!(inbox.pop(), Some(event(0)));
/// assert_eq!(inbox.handle_turn(), None);
///
/// // Four that were left unread in a turn are.
/// inbox.push(event(4), 40);
/// assert_eq!(inbox.handle_turn(), Some(Shortfall::TooSlow));
///
/// // The machine closes.
/// let closed = Event::Closed { reason: CloseReason::ConsumerTooSlow };
/// inbox.push(closed.clone(), 0);
/// let left: Vec<Event> = std::iter::from_fn(|| inbox.pop()).collect();
/// assert_eq!(left, [event(1), event(2), event(3), event(4), closed]);
/// ```
pub struct Inbox {
    bounds: InboxBounds,
    /// Audio, and other events, each with the bytes of wire text that are charged for it.
    waiting: Lanes<AudioChunk, (Event, usize)>,
    /// Bytes of audio that wait.
    audio_bytes: usize,
    /// Bytes of wire text that the other events came from.
    event_bytes: usize,
    /// Events that came since the reader had its turn.
    fresh: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    /// The call ends because the reader is too slow. Counts the events dropped since.
    Ending {
        dropped: u64,
    },
    /// `Closed` is pushed.
    Closed,
    /// The reader is gone.
    Abandoned,
}

impl Inbox {
    /// An empty one.
    pub const fn new(bounds: InboxBounds) -> Self {
        let waiting = Lanes::new();
        Self { bounds, waiting, audio_bytes: 0, event_bytes: 0, fresh: 0, state: State::Open }
    }

    /// Adds an event. `cost`: the bytes of wire text that it came from. If several events come from one text,
    /// charge only one of them.
    pub fn push(&mut self, event: Event, cost: usize) {
        if matches!(self.state, State::Closed | State::Abandoned) || self.absorbs(&event) {
            return;
        }
        self.fresh = self.fresh.saturating_add(1);
        match event {
            Event::Audio(chunk) => {
                self.audio_bytes = self.audio_bytes.saturating_add(chunk.audio.len());
                self.waiting.push_audio(chunk);
            }
            Event::Closed { .. } => {
                if let State::Ending { dropped: events @ 1.. } = self.state {
                    self.waiting.push_other((Event::Notice(Notice::EventsDropped { events }), 0));
                }
                self.waiting.push_other((event, cost));
                self.state = State::Closed;
            }
            event => self.push_other(event, cost),
        }
    }

    /// Drops the oldest audio beyond the bound, one chunk at a time, and returns each as
    /// [`Shortfall::Unread`]. The newest chunk stays, whatever its size.
    pub fn shed(&mut self) -> Option<Shortfall> {
        if self.audio_bytes <= self.bounds.audio_bytes || self.waiting.audio_len() < 2 {
            return None;
        }
        let chunk = self.waiting.pop_audio()?;
        self.audio_bytes = self.audio_bytes.saturating_sub(chunk.audio.len());
        let lost = chunk.samples();
        let AudioChunk { item_id, content_index, start, .. } = chunk;
        Some(Shortfall::Unread { item_id, content_index, start, lost })
    }

    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<Event> {
        match self.waiting.pop()? {
            Next::Audio(chunk) => {
                self.audio_bytes = self.audio_bytes.saturating_sub(chunk.audio.len());
                Some(Event::Audio(chunk))
            }
            Next::Other((event, cost)) => {
                self.event_bytes = self.event_bytes.saturating_sub(cost);
                Some(event)
            }
        }
    }

    /// The application had a chance to run. Returns [`Shortfall::TooSlow`], once, if it left more unread than
    /// the bounds allow.
    ///
    /// From then on, events are kept up to twice the bounds, because the end of a call has events of its own.
    /// Events beyond that are dropped and counted.
    pub fn handle_turn(&mut self) -> Option<Shortfall> {
        self.fresh = 0;
        let InboxBounds { events, event_bytes, .. } = self.bounds;
        if !matches!(self.state, State::Open) || !self.is_beyond(events, event_bytes) {
            return None;
        }
        self.state = State::Ending { dropped: 0 };
        Some(Shortfall::TooSlow)
    }

    /// The reader is gone: drops what waits, and everything that comes.
    pub fn abandon(&mut self) {
        *self = Self { state: State::Abandoned, ..Self::new(self.bounds) };
    }

    /// Returns whether the application should run before more is pushed: after 64 events, and after each
    /// event while what waits is more than half of a bound.
    pub fn wants_turn(&self) -> bool {
        let InboxBounds { audio_bytes, events, event_bytes } = self.bounds;
        let much = || self.audio_bytes > audio_bytes / 2 || self.is_beyond(events / 2, event_bytes / 2);
        self.fresh >= TURN || self.fresh > 0 && much()
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Events that wait, those for audio among them.
    pub fn len(&self) -> usize {
        self.waiting.audio_len() + self.waiting.others_len()
    }

    /// Bytes of audio that wait.
    pub const fn audio_bytes(&self) -> usize {
        self.audio_bytes
    }

    fn push_other(&mut self, event: Event, cost: usize) {
        let InboxBounds { events, event_bytes, .. } = self.bounds;
        let full = self.is_beyond(events.saturating_mul(2), event_bytes.saturating_mul(2));
        if full && let State::Ending { dropped } = &mut self.state {
            *dropped = dropped.saturating_add(1);
            return;
        }
        self.event_bytes = self.event_bytes.saturating_add(cost);
        self.waiting.push_other((event, cost));
    }

    /// Returns whether a waiting warning covers the loss that follows it.
    fn absorbs(&mut self, event: &Event) -> bool {
        let Event::Warning(later) = event else { return false };
        let Some((Event::Warning(warning), _)) = self.waiting.newest_other() else { return false };
        warning.absorb(later)
    }

    /// Returns whether more than this waits, besides audio.
    fn is_beyond(&self, events: usize, event_bytes: usize) -> bool {
        self.waiting.others_len() > events || self.event_bytes > event_bytes
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("bounds", &self.bounds)
            .field("audio", &self.waiting.audio_len())
            .field("audio_bytes", &self.audio_bytes)
            .field("others", &self.waiting.others_len())
            .field("event_bytes", &self.event_bytes)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Events after which the application should have a chance to run.
const TURN: usize = 64;
