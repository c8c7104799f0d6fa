//! What waits for a connection to take it. While the connection takes everything at once, nothing does.
//!
//! Events keep their order and are never lost; where they grow beyond a bound, the connection counts as lost. Input audio that waits is sent in fewer, larger appends, and what grew
//! too old is dropped, oldest first: a model that hears the past answers it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use realtime_protocol::call::ConnectionId;
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend};
use tokio::time::Instant;
use tracing::trace;

use crate::counters::Tally;

/// The most audio in one append (bytes): 5 s of PCM at 24 kHz.
const LARGEST_APPEND: usize = 240_000;
/// The most that may wait besides audio (bytes).
const MOST_WAITING: usize = 32 * 1024 * 1024;
/// The most that is reserved for a wire text before it is written (bytes).
const MOST_RESERVED: usize = 64 * 1024;

/// How much input audio may wait for a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The oldest that is still sent.
    pub(crate) oldest: Option<Duration>,
    /// The most (bytes).
    pub(crate) most: usize,
}

/// The way out to one connection.
pub(crate) struct Outbox {
    conn: ConnectionId,
    /// What the far side speaks: the same from the first event on.
    dialect: Dialect,
    patience: Patience,
    queue: VecDeque<Waiting>,
    /// Bytes of audio in the queue.
    audio: usize,
    /// Bytes of wire text in the queue.
    texts: usize,
    /// Bytes of the latest wire text: appends are alike in size, so that it is the best guess for the next.
    latest: usize,
    tally: Arc<Tally>,
}

enum Waiting {
    Audio(Instant, Bytes),
    /// An event of that type, as it goes out.
    Text(String, String),
}

impl Outbox {
    pub(crate) const fn new(conn: ConnectionId, patience: Patience, tally: Arc<Tally>) -> Self {
        Self {
            conn,
            dialect: Dialect::Ga,
            patience,
            queue: VecDeque::new(),
            audio: 0,
            texts: 0,
            latest: 0,
            tally,
        }
    }

    /// Sets what the far side speaks.
    pub(crate) const fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets an event wait.
    pub(crate) fn push(&mut self, event: &ClientEvent) {
        let waiting = match plain_audio(event) {
            Some(audio) => {
                self.audio += audio.len();
                Waiting::Audio(Instant::now(), audio)
            }
            None => {
                let text = self.write(event);
                self.texts += text.len();
                Waiting::Text(event.kind().to_owned(), text)
            }
        };
        self.queue.push_back(waiting);
        self.count();
    }

    fn count(&self) {
        self.tally.input_audio_waiting_bytes.set(self.audio);
    }

    /// Why what waits is too much, if it is.
    pub(crate) fn overflow(&self) -> Option<String> {
        (self.texts > MOST_WAITING).then(|| format!("more than {MOST_WAITING} bytes wait to be sent"))
    }

    /// Drops audio that is too old or too much. Gives back how many bytes.
    pub(crate) fn shed(&mut self) -> usize {
        if self.audio == 0 {
            return 0;
        }
        let Patience { oldest, most } = self.patience;
        let limit = oldest.and_then(|oldest| Instant::now().checked_sub(oldest));
        let before = self.audio;
        self.queue.retain(|waiting| {
            let Waiting::Audio(since, audio) = waiting else { return true };
            let keep = self.audio <= most && limit.is_none_or(|limit| *since >= limit);
            if !keep {
                self.audio -= audio.len();
            }
            keep
        });
        self.count();
        self.tally.input_audio_dropped_bytes.add(before - self.audio);
        before - self.audio
    }

    /// The next wire text that waited.
    pub(crate) fn pop(&mut self) -> Option<String> {
        Some(match self.queue.pop_front()? {
            Waiting::Text(kind, text) => {
                self.texts -= text.len();
                self.leaves(&kind, text)
            }
            Waiting::Audio(_, audio) => {
                let append = self.merge(audio).into();
                self.encode(&append)
            }
        })
    }

    /// An event's wire text, which leaves now.
    pub(crate) fn encode(&mut self, event: &ClientEvent) -> String {
        let text = self.write(event);
        self.leaves(event.kind(), text)
    }

    fn write(&mut self, event: &ClientEvent) -> String {
        let mut text = String::with_capacity(self.latest.min(MOST_RESERVED));
        event.encode_into(self.dialect, &mut text);
        self.latest = text.len();
        text
    }

    fn leaves(&self, kind: &str, text: String) -> String {
        trace!(conn = %self.conn, kind, bytes = text.len(), "sent");
        self.tally.texts_sent.add(1);
        self.tally.bytes_sent.add(text.len());
        text
    }

    /// One append of all audio that stands together.
    fn merge(&mut self, first: Bytes) -> InputAudioBufferAppend {
        self.audio -= first.len();
        let mut merged = BytesMut::new();
        while let Some(Waiting::Audio(_, next)) = self.queue.front() {
            if first.len().max(merged.len()) + next.len() > LARGEST_APPEND {
                break;
            }
            if merged.is_empty() {
                merged.extend_from_slice(&first);
            }
            merged.extend_from_slice(next);
            self.audio -= next.len();
            self.queue.pop_front();
        }
        self.count();
        let audio = if merged.is_empty() { first } else { merged.freeze() };
        InputAudioBufferAppend { audio: audio.into(), ..InputAudioBufferAppend::default() }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.tally.input_audio_waiting_bytes.set(0);
    }
}

/// The audio of an append that says nothing else.
fn plain_audio(event: &ClientEvent) -> Option<Bytes> {
    let ClientEvent::InputAudioBufferAppend(append) = event else { return None };
    let plain = InputAudioBufferAppend { audio: append.audio.clone(), ..InputAudioBufferAppend::default() };
    if plain == *append { append.audio.bytes().ok().cloned() } else { None }
}
