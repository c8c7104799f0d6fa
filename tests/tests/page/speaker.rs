//! The loudspeaker of a scripted page: plays in real time, and knows what was heard.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// Samples in a step of 20 ms.
const STEP: u64 = 480;
/// Steps that audio waits before playback starts.
const JITTER: u32 = 4;
/// Steps between two reports.
const REPORT: u32 = 5;

/// Plays what a page was sent.
#[derive(Default)]
pub(crate) struct Speaker {
    /// Item, offset and samples.
    queue: VecDeque<(u32, u64, u64)>,
    waited: u32,
    is_running: bool,
    steps: u32,
    /// What was heard, in order: item, and the samples from and up to.
    pub(crate) heard: Vec<(u32, u64, u64)>,
}

impl Speaker {
    pub(crate) fn push(&mut self, message: &[u8]) {
        let word = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
        self.queue.push_back((word(0), word(4).into(), (message.len() as u64 - 8) / 2));
    }

    /// 20 ms pass. Returns what to report.
    pub(crate) fn step(&mut self) -> Option<Value> {
        if !self.is_running {
            self.waited = if self.queue.is_empty() { 0 } else { self.waited + 1 };
            self.is_running = self.waited > JITTER;
            if !self.is_running {
                return None;
            }
        }
        let before = self.heard.last().map(|(item, ..)| *item);
        let mut left = STEP;
        while left > 0
            && let Some((item, offset, samples)) = self.queue.front_mut()
        {
            let taken = left.min(*samples);
            match self.heard.last_mut().filter(|(last, _, to)| last == item && to == offset) {
                Some((_, _, to)) => *to += taken,
                None => self.heard.push((*item, *offset, *offset + taken)),
            }
            (*offset, *samples, left) = (*offset + taken, *samples - taken, left - taken);
            if *samples == 0 {
                self.queue.pop_front();
            }
        }
        self.is_running = !self.queue.is_empty();
        self.waited = 0;
        self.steps += 1;
        let is_new = before != self.heard.last().map(|(item, ..)| *item);
        let is_due = is_new || !self.is_running || self.steps.is_multiple_of(REPORT);
        is_due.then(|| self.place("played")).flatten()
    }

    /// All that waits is dropped.
    pub(crate) fn stop(&mut self) {
        self.queue.clear();
        self.is_running = false;
    }

    /// What was heard last, in a message.
    pub(crate) fn place(&self, kind: &str) -> Option<Value> {
        let (item, _, samples) = self.heard.last()?;
        Some(json!({ "type": kind, "item": item, "samples": samples }))
    }
}
