//! What the carrier says while nobody serves its call: [`Kept`], which forgets the oldest first, and counts.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::carrier::Read;
use crate::leg::LegMessage;

/// The most messages that are kept: 20 ms of audio are one of 100 in two seconds.
const MOST: usize = 512;
/// The most bytes of all that are kept.
const MOST_BYTES: usize = 512 * 1024;

/// The carrier's newest messages, in their order.
#[derive(Debug)]
pub(super) struct Kept {
    longest: Duration,
    messages: VecDeque<Message>,
    bytes: usize,
    dropped_audio: u64,
    dropped_others: u64,
}

#[derive(Debug)]
struct Message {
    at: Timestamp,
    is_audio: bool,
    content: LegMessage,
}

impl Kept {
    /// For so much audio.
    pub(super) const fn new(longest: Duration) -> Self {
        Self { longest, messages: VecDeque::new(), bytes: 0, dropped_audio: 0, dropped_others: 0 }
    }

    /// Keeps a message that says this, unless it is about audio of the owner before.
    pub(super) fn keep(&mut self, now: Timestamp, content: LegMessage, reads: &[Read]) {
        let is_audio = reads.iter().any(|read| matches!(read, Read::Audio(_)));
        let is_of_before =
            |read: &Read| matches!(read, Read::Mark { .. } | Read::Drained | Read::Flushed | Read::Fault(_));
        if !reads.is_empty() && reads.iter().all(is_of_before) {
            self.dropped_others += 1;
            return;
        }
        self.bytes += content.len();
        self.messages.push_back(Message { at: now, is_audio, content });
        self.forget(now);
    }

    /// All that is new enough, oldest first.
    pub(super) fn take(&mut self, now: Timestamp) -> impl Iterator<Item = LegMessage> + use<> {
        self.forget(now);
        self.bytes = 0;
        std::mem::take(&mut self.messages).into_iter().map(|message| message.content)
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Messages with audio, and others, that are gone for good.
    pub(super) const fn dropped(&self) -> (u64, u64) {
        (self.dropped_audio, self.dropped_others)
    }

    /// Audio goes when it is too old. Beyond the bounds the oldest audio goes, and then the oldest of all.
    fn forget(&mut self, now: Timestamp) {
        let (longest, before) = (self.longest, self.messages.len());
        let is_old = |message: &Message| message.is_audio && now.saturating_since(message.at) > longest;
        if self.messages.iter().any(is_old) {
            self.messages.retain(|message| !is_old(message));
            self.dropped_audio += (before - self.messages.len()) as u64;
            self.bytes = self.messages.iter().map(|message| message.content.len()).sum();
        }
        while self.messages.len() > MOST || self.bytes > MOST_BYTES {
            let oldest = self.messages.iter().position(|message| message.is_audio).unwrap_or_default();
            let Some(message) = self.messages.remove(oldest) else { return };
            self.bytes -= message.content.len();
            if message.is_audio {
                self.dropped_audio += 1;
            } else {
                self.dropped_others += 1;
            }
        }
    }
}
