//! Pages and the agent: a scripted page speaks, listens, interrupts, types, loses its connection and comes
//! back, over a stream in memory in virtual time, and over a real socket.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod client;
mod server;
mod speaker;
mod stories;
