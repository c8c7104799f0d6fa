//! How a page stops, and what is known when it does not answer.

use std::time::Duration;

use realtime_protocol::time::Timestamp;
use serde_json::json;

use super::machine::Page;
use crate::chain::{ClearId, SinkPosition, SinkReport};

/// The page is to drop what it holds.
#[derive(Debug)]
pub(super) struct Clearing {
    id: ClearId,
    /// Its name for the page.
    number: u64,
    /// When the answer is estimated.
    pub(super) until: Timestamp,
}

/// How long a page has for its answer to `clear`: the playout waits for 180 ms.
const CLEAR_LIMIT: Duration = Duration::from_millis(160);
impl Page {
    /// Asks the page to drop what it holds.
    pub(super) fn stop(&mut self, now: Timestamp, id: ClearId) {
        self.answer_clear(now);
        if !self.link.is_open() {
            let at = self.sent.estimate(now);
            return self.cleared(id, at);
        }
        self.last_clear += 1;
        let number = self.last_clear;
        self.clearing = Some(Clearing { id, number, until: now + CLEAR_LIMIT });
        self.say(&json!({ "type": "clear", "id": number }));
    }

    /// The page has dropped what it held.
    pub(super) fn stopped(&mut self, number: u64, at: Option<SinkPosition>) {
        match self.clearing.take_if(|clearing| clearing.number == number) {
            Some(clearing) => self.cleared(clearing.id, at),
            None => self.counts.stale += 1,
        }
    }

    /// Answers what the page does not answer.
    pub(super) fn answer_clear(&mut self, now: Timestamp) {
        if let Some(clearing) = self.clearing.take() {
            let at = self.sent.estimate(now);
            self.cleared(clearing.id, at);
        }
    }

    fn cleared(&mut self, id: ClearId, at: Option<SinkPosition>) {
        self.forget_sent();
        self.report(SinkReport::Cleared { id, at });
    }

    pub(super) fn forget_sent(&mut self) {
        self.sent.drop_all();
        self.converter.reset();
    }
}
