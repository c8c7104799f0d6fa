//! What the tests share: golden sessions, and the invariants of a session.

pub mod golden;
pub mod invariants;
