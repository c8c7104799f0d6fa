//! What waits, step by step and in any order.

mod inbox;
mod outbox;

use crate::time::Timestamp;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}
