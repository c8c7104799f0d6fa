//! What waits between a machine and its far sides, and what is dropped there.

mod shortfall;

pub use shortfall::Shortfall;
