//! A server that speaks the OpenAI Realtime protocol, for offline work and tests.
//!
//! It hears speech in the audio it is sent, ends turns, transcribes, answers by voice or in text, calls functions,
//! and can be interrupted, with the events, order and errors of the real service (its GA dialect). What it says comes
//! from a [`Brain`](brain::Brain): a [`Parrot`](brain::Parrot), a [`Script`](brain::Script), or yours. It needs no
//! network and no key, and with the same seed it does the same again.
//!
//! There are three ways to use it, each a thin layer over the next:
//!
//! - [`Emulator`] listens on a port, for any client in any language.
//! - [`serve_stream`] serves one connection over any byte stream: tests run it over [`tokio::io::duplex`], in tokio's
//!   paused time, without a socket.
//! - [`Connection`] is the core: text in, events out, no I/O and no clock.
//!
//! ```
//! use realtime_emulator::{Connection, ConnectionOptions, Output, brain::Parrot};
//! use realtime_protocol::event::ServerEvent;
//! use realtime_protocol::time::{Timestamp, UnixTime};
//!
//! let wall = UnixTime::from_secs(1_800_000_000);
//! let mut emulator =
//!     Connection::new(ConnectionOptions::default(), Box::new(Parrot::new()), Timestamp::ZERO, wall);
//! emulator.handle_text(Timestamp::ZERO, r#"{"type":"response.create"}"#);
//!
//! // Virtual time: it jumps to whatever is due next.
//! let mut now = Timestamp::ZERO;
//! let mut heard = 0;
//! let response = 'done: loop {
//!     while let Some(output) = emulator.poll_output() {
//!         let Output::Send(event) = output else { continue };
//!         match *event {
//!             ServerEvent::ResponseOutputAudioDelta(delta) => heard += delta.delta.bytes().map_or(0, |b| b.len()),
//!             ServerEvent::ResponseDone(done) => break 'done done.response,
//!             _ => {}
//!         }
//!     }
//!     now = emulator.poll_timeout().expect("the response is not done");
//!     emulator.handle_timeout(now);
//! };
//! assert_eq!(response.output.value().map_or(0, Vec::len), 1);
//! assert!(heard > 2 * 48_000, "at least two seconds of audio");
//! ```
//!
//! # What it does not do
//!
//! It understands nothing: what it transcribes is what its script says. It does not speak the beta dialect, WebRTC or
//! SIP, has no HTTP interface besides the WebSocket, and runs no MCP tools.
//!
//! # Modules
//!
//! - [`brain`]: what is said; the brains that come with it.
//! - [`voice`]: tones that stand in for speech, for the server's answers and for a test's user.
//! - `connection`: the core. `turns` goes from speech to response, `plan` from a reply to a timed schedule, `response`
//!   from the schedule to events; `session`, `conversation` and `input_audio` keep state; `client_event`,
//!   `session_check`, `item_check` and `fault` refuse what the service refuses.
//! - `server`, `handshake`, `options`: the socket.

mod access;
pub mod brain;
mod codec;
mod connection;
pub mod disaster;
mod drive;
mod handshake;
mod http;
mod options;
mod record;
mod registry;
mod server;
pub mod voice;

pub use connection::{Connection, ConnectionOptions, Limits, Output};
pub use options::{BrainFactory, Options, WallClock};
pub use server::{Emulator, ServeError, serve_stream};
