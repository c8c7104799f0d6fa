//! The carriers' messages and streams, from outside.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "fixtures and helpers of tests")]

mod fixture;
mod line;
mod messages;
mod odd;
mod streams;
