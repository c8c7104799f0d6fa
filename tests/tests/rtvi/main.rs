//! An RTVI client, written without a line of the server's, against an agent and the emulator, in virtual
//! time.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod client;
mod frames;
mod scene;
mod stories;
