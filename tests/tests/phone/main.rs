//! Phone calls from one end to the other: a stand-in for the carrier, its socket, the pipeline, and the
//! emulator. What the caller heard by the carrier's own count is what the server is told.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod control;
mod line;
mod server;
mod sockets;
mod stories;
