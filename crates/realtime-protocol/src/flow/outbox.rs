//! What waits for one connection to take it: [`Outbox`]. It stays empty while the connection takes everything
//! at once.
//!
//! Events keep their order and are never dropped; if they grow beyond a bound, the connection counts as lost.
//! Input audio that waits is sent in fewer, larger appends. Audio that grows too old is dropped, the oldest
//! first, because a model that hears the past answers it.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::call::DisconnectReason;
use crate::event::{ClientEvent, Dialect, InputAudioBufferAppend};
use crate::field::Field;
use crate::flow::Shortfall;
use crate::flow::lanes::{Lanes, Next};
use crate::time::Timestamp;

/// How much may wait for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboxBounds {
    /// Bytes of input audio; beyond it the oldest is dropped. Default: 4 MiB, 87 s of PCM at 24 kHz.
    pub audio_bytes: usize,
    /// The greatest age of input audio that is still sent; older audio is dropped. `None`: all is sent, for
    /// example audio from a file, which is never late. Default: 2 s.
    pub audio_age: Option<Duration>,
    /// Bytes of all other wire texts; beyond it the connection counts as lost. Default: 32 MiB.
    pub text_bytes: usize,
}

impl OutboxBounds {
    /// Replaces the bytes of audio.
    #[must_use]
    pub const fn audio_bytes(mut self, bytes: usize) -> Self {
        self.audio_bytes = bytes;
        self
    }

    /// Replaces the age of audio.
    #[must_use]
    pub const fn audio_age(mut self, age: Option<Duration>) -> Self {
        self.audio_age = age;
        self
    }

    /// Replaces the bytes of all other wire texts.
    #[must_use]
    pub const fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }
}

impl Default for OutboxBounds {
    fn default() -> Self {
        Self { audio_bytes: 4 << 20, audio_age: Some(Duration::from_secs(2)), text_bytes: 32 << 20 }
    }
}

/// The way out to one connection.
///
/// While the connection takes everything, send what [`encode`](Self::encode) writes: nothing is queued,
/// copied or compared. When it does not, [`push`](Self::push) each event. Once it takes more, send what
/// [`pop`](Self::pop) gives until `None`.
///
/// After `push` and `pop`, and at [`poll_timeout`](Self::poll_timeout), call [`shed`](Self::shed) and hand
/// what it returns to the machine. If [`overflow`](Self::overflow) returns a reason, end the connection with
/// it. An older `now` counts as the latest one.
///
/// ```
/// use realtime_protocol::event::{ClientEvent, InputAudioBufferAppend, InputAudioBufferCommit};
/// use realtime_protocol::flow::{Outbox, OutboxBounds, Shortfall};
/// use realtime_protocol::time::Timestamp;
///
/// let at = Timestamp::from_millis;
/// let append = |bytes: usize| -> ClientEvent {
///     InputAudioBufferAppend { audio: vec![0; bytes].into(), ..Default::default() }.into()
/// };
/// let mut outbox = Outbox::new(OutboxBounds::default());
///
/// // The connection is blocked from 0 ms on.
/// outbox.push(at(0), &append(960));
/// outbox.push(at(1_990), &append(960));
/// outbox.push(at(2_010), &append(960));
/// outbox.push(at(2_020), &InputAudioBufferCommit::default().into());
///
/// // At 2,500 ms it takes more. What stands together leaves in one append; the first 20 ms are too old.
/// assert_eq!(outbox.pop(at(2_500)).as_ref(), Some(&outbox.encode(&append(1_920))));
/// assert_eq!(outbox.pop(at(2_500)).as_deref(), Some(r#"{"type":"input_audio_buffer.commit"}"#));
/// assert_eq!(outbox.shed(at(2_500)), Some(Shortfall::Unsent { bytes: 960 }));
/// assert!(outbox.is_empty());
/// ```
pub struct Outbox {
    bounds: OutboxBounds,
    /// The server's dialect. It never changes after the first event.
    dialect: Dialect,
    /// Audio, with the time since when it waits, and wire texts.
    waiting: Lanes<(Timestamp, Bytes), String>,
    /// Bytes of audio that wait.
    audio: usize,
    /// Bytes of wire text that wait.
    texts: usize,
    /// Bytes of audio that were dropped and are not told yet.
    unsent: u64,
    /// The latest time that was given.
    now: Timestamp,
}

impl Outbox {
    /// An empty outbox for a server that speaks GA.
    pub const fn new(bounds: OutboxBounds) -> Self {
        Self {
            bounds,
            dialect: Dialect::Ga,
            waiting: Lanes::new(),
            audio: 0,
            texts: 0,
            unsent: 0,
            now: Timestamp::ZERO,
        }
    }

    /// Sets the server's dialect. Call it before the first event.
    pub const fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Writes the wire text of an event that does not wait.
    pub fn encode(&self, event: &ClientEvent) -> String {
        event.encode(self.dialect)
    }

    /// Adds an event.
    pub fn push(&mut self, now: Timestamp, event: &ClientEvent) {
        self.now = self.now.max(now);
        let Some(audio) = plain_audio(event) else {
            let text = self.encode(event);
            self.texts = self.texts.saturating_add(text.len());
            return self.waiting.push_other(text);
        };
        // An append without audio adds nothing.
        if !audio.is_empty() {
            self.audio = self.audio.saturating_add(audio.len());
            self.waiting.push_audio((self.now, audio.clone()));
            self.drop_audio();
        }
    }

    /// Takes the next wire text, in the order of the events. Adjacent audio becomes one append of at most
    /// 240,000 bytes, 5 s of PCM at 24 kHz.
    pub fn pop(&mut self, now: Timestamp) -> Option<String> {
        self.now = self.now.max(now);
        self.drop_audio();
        match self.waiting.pop()? {
            Next::Other(text) => {
                self.texts = self.texts.saturating_sub(text.len());
                Some(text)
            }
            Next::Audio((_, audio)) => {
                let append = self.merge(audio).into();
                Some(self.encode(&append))
            }
        }
    }

    /// Returns how much audio was dropped since the last call, as [`Shortfall::Unsent`].
    pub fn shed(&mut self, now: Timestamp) -> Option<Shortfall> {
        self.now = self.now.max(now);
        self.drop_audio();
        let bytes = core::mem::take(&mut self.unsent);
        (bytes > 0).then_some(Shortfall::Unsent { bytes })
    }

    /// When to call [`shed`](Self::shed); `None`: no audio grows too old.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.unsent > 0 {
            return Some(self.now);
        }
        let (since, _) = self.waiting.oldest_audio()?;
        Some(*since + self.bounds.audio_age? + Duration::from_micros(1))
    }

    /// Returns a reason to end the connection if more texts wait than the bounds allow.
    pub fn overflow(&self) -> Option<DisconnectReason> {
        let most = self.bounds.text_bytes;
        let reason = || format!("more than {most} bytes wait to be sent");
        (self.texts > most).then(|| DisconnectReason::Lost { reason: reason() })
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of audio that wait.
    pub const fn audio_bytes(&self) -> usize {
        self.audio
    }

    /// Drops audio that is too old or too much.
    fn drop_audio(&mut self) {
        let limit = self.bounds.audio_age.map_or(Timestamp::ZERO, |age| self.now - age);
        while let Some((since, _)) = self.waiting.oldest_audio()
            && (*since < limit || self.audio > self.bounds.audio_bytes)
            && let Some((_, audio)) = self.waiting.pop_audio()
        {
            self.audio = self.audio.saturating_sub(audio.len());
            self.unsent = self.unsent.saturating_add(audio.len() as u64);
        }
    }

    /// Makes one append of the audio that was taken and all audio adjacent to it.
    fn merge(&mut self, first: Bytes) -> InputAudioBufferAppend {
        self.audio = self.audio.saturating_sub(first.len());
        let mut merged = BytesMut::new();
        while let Some((_, next)) = self.waiting.next_audio()
            && first.len().max(merged.len()) + next.len() <= LARGEST_APPEND
            && let Some((_, next)) = self.waiting.pop_audio()
        {
            if merged.is_empty() {
                merged.extend_from_slice(&first);
            }
            merged.extend_from_slice(&next);
            self.audio = self.audio.saturating_sub(next.len());
        }
        let audio = if merged.is_empty() { first } else { merged.freeze() };
        InputAudioBufferAppend { audio: audio.into(), ..InputAudioBufferAppend::default() }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("bounds", &self.bounds)
            .field("appends", &self.waiting.audio_len())
            .field("audio_bytes", &self.audio)
            .field("texts", &self.waiting.others_len())
            .field("text_bytes", &self.texts)
            .finish_non_exhaustive()
    }
}

/// The audio of an append that has no other members.
fn plain_audio(event: &ClientEvent) -> Option<&Bytes> {
    let ClientEvent::InputAudioBufferAppend(append) = event else { return None };
    let InputAudioBufferAppend { event_id: Field::Absent, audio, extra } = append else { return None };
    if extra.is_empty() { audio.bytes().ok() } else { None }
}

/// The most audio in one append (bytes).
const LARGEST_APPEND: usize = 240_000;
