//! What a client has counted so far.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A snapshot of what a client has counted since it began, and of what waits now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Wire texts from the server.
    pub texts_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Wire texts to the server.
    pub texts_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Binary messages from the server that are not UTF-8 text, and so were not read.
    pub binary_ignored: u64,
    /// Commands that were refused while nothing waited for their answer.
    pub commands_refused: u64,
    /// Connections that were made, including the first.
    pub connections: u64,
    /// Bytes of input audio that were dropped because a connection was too slow.
    pub input_audio_dropped_bytes: u64,
    /// Chunks of the model's audio that were dropped because the application read too slowly.
    pub audio_dropped: u64,
    /// Their bytes.
    pub audio_dropped_bytes: u64,
    /// Events that wait to be read now, including those for audio.
    pub events_waiting: u64,
    /// Bytes of the model's audio that wait to be read now.
    pub audio_waiting_bytes: u64,
    /// Bytes of input audio that wait now for a slow connection.
    pub input_audio_waiting_bytes: u64,
    /// Lines of the session log.
    pub log_lines: u64,
    /// Whether the session log could not be written any further.
    pub log_failed: bool,
}

/// The counters themselves. Each is set in one place, so relaxed ordering is enough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) texts_received: Count,
    pub(crate) bytes_received: Count,
    pub(crate) texts_sent: Count,
    pub(crate) bytes_sent: Count,
    pub(crate) binary_ignored: Count,
    pub(crate) commands_refused: Count,
    pub(crate) connections: Count,
    pub(crate) input_audio_dropped_bytes: Count,
    pub(crate) audio_dropped: Count,
    pub(crate) audio_dropped_bytes: Count,
    pub(crate) events_waiting: Count,
    pub(crate) audio_waiting_bytes: Count,
    pub(crate) input_audio_waiting_bytes: Count,
    pub(crate) log_lines: Count,
    pub(crate) log_failed: AtomicBool,
}

impl Tally {
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            texts_received: self.texts_received.value(),
            bytes_received: self.bytes_received.value(),
            texts_sent: self.texts_sent.value(),
            bytes_sent: self.bytes_sent.value(),
            binary_ignored: self.binary_ignored.value(),
            commands_refused: self.commands_refused.value(),
            connections: self.connections.value(),
            input_audio_dropped_bytes: self.input_audio_dropped_bytes.value(),
            audio_dropped: self.audio_dropped.value(),
            audio_dropped_bytes: self.audio_dropped_bytes.value(),
            events_waiting: self.events_waiting.value(),
            audio_waiting_bytes: self.audio_waiting_bytes.value(),
            input_audio_waiting_bytes: self.input_audio_waiting_bytes.value(),
            log_lines: self.log_lines.value(),
            log_failed: self.log_failed.load(Ordering::Relaxed),
        }
    }
}

/// One number: of something that only grows, or of what waits now.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// What waits now.
    pub(crate) fn set(&self, now: usize) {
        self.0.store(now as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
