//! A server that speaks the OpenAI Realtime protocol, for offline work and tests.
//!
//! It hears speech in the audio it is sent, ends turns, transcribes, answers by voice or in text, calls
//! functions, and can be interrupted, with the events, order and errors of the real service, in both
//! dialects. What it says comes from a [`Brain`](brain::Brain): a [`Parrot`](brain::Parrot), a
//! [`Script`](brain::Script), or yours. It needs no network and no key, and does the same with the same seed.
//! It can also rehearse [disasters](disaster): it delays, drops, cuts, garbles and fails on demand.
//!
//! There are three ways to use it, each a thin layer over the next:
//!
//! - [`Emulator`] listens on a port, for any client in any language. [`Emulator::spawn`] does so beside a
//!   test, and tells what it received.
//! - [`serve_stream`] serves one connection over any byte stream: tests run it over [`tokio::io::duplex`], in
//!   tokio's paused time, without a socket.
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
//! # Ways in
//!
//! | path | what it is |
//! |---|---|
//! | `/v1/realtime?model=…` | a session; beta with the header `OpenAI-Beta: realtime=v1` or the subprotocol `openai-beta.realtime-v1` |
//! | `/v1/realtime?intent=transcription` | a session that only listens |
//! | `/v1/realtime?call_id=…` | a side channel of a call: all but its audio. All channels of a call share one conversation, which outlives them until the call ends |
//! | `/openai/v1/realtime?model=…` | Azure, GA |
//! | `/openai/realtime?api-version=…&deployment=…` | Azure's preview, beta |
//! | `POST /v1/realtime/client_secrets` | a short-lived key; beta: `POST /v1/realtime/sessions`, `…/transcription_sessions` |
//! | `POST /v1/realtime/calls`, `…/calls/{id}/accept`, `reject`, `refer`, `hangup` | calls, to be joined by their side channel |
//! | `GET /v1/models`, `GET /healthz` | the models; whether the server is up |
//! | `GET /` | a page for a person: the sessions, their events and what was said, and a microphone to talk by |
//! | `GET /emulator/sessions`, `GET /emulator/sessions/{number}?after={change}` | the same as JSON |
//!
//! Keys come as `Authorization: Bearer KEY`, as the subprotocol `openai-insecure-api-key.KEY`, and for Azure
//! as the header `api-key`. Any key is accepted if [`Options::api_key`] names none.
//!
//! A browser says which page a request comes from. Pages of this machine are answered, others with HTTP
//! status 403 unless [`Options::allow_origin`] names them.
//!
//! The page needs no network and no build. It shows all that was said, to who has the key if there is one;
//! keys themselves are shown nowhere. The latest 128 events of each session are kept, and the last 20
//! sessions that ended.
//!
//! Compatible servers do less. A [`Profile`] imitates one of them, to test whether a client works with it. A
//! [`Rehearsal`](disaster::Rehearsal) imitates a fault that was met in the field; its docs have the table.
//! Each is one word, such as `arguments_object` for a server that sends a call's arguments as a JSON object.
//!
//! # What it does not do
//!
//! It understands nothing: its transcripts come from its script. Without the feature `webrtc`, the answer to
//! a WebRTC offer looks right, but nothing listens there; [`Spawned::caller`] has audio without it. It
//! contacts no MCP server: their lists and results come from the brain. It has no translation sessions and no
//! TLS.
//!
//! # Features
//!
//! - `webrtc`: an offer to `POST /v1/realtime/calls` is answered by a WebRTC peer, which hears the caller's
//!   audio and speaks the session's answers, in real time, by UDP. The peer lives as long as the call.
//!
//! # Modules
//!
//! - [`brain`]: what is said; the built-in brains.
//! - [`voice`]: tones that stand in for speech, speech from `espeak-ng`, or recorded lines, for the server's
//!   answers and for a test's user.
//! - [`disaster`]: what can go wrong; the [`Line`](disaster::Line) between a connection and its client.
//! - `connection`: the core. `turns` goes from speech to response, `trigger` finds what a response answers,
//!   `plan` makes a timed schedule of a reply, `response` makes events of the schedule; `items` handles a
//!   client's events about items; `session`, `conversation` and `input_audio` keep state; `context` is the
//!   part that the model reads; `idle` and `mcp` are what happens between turns; `playing` is what a call has
//!   in addition; `client_event`, `spelling`, `session_check`, `item_check` and `fault` refuse what the
//!   service refuses.
//! - `call`: one conversation for all side channels of a call.
//! - `carried`: calls whose audio the server carries: of a [`Caller`], or, with that feature, by `webrtc`.
//! - `profile`: servers with fewer features, as tables.
//! - `http`, `access`, `origin`, `handshake`, `registry`: requests, keys, pages, and what sessions share.
//! - `watch`: what the page shows.
//! - `server`, `waiting`, `drive`, `record`, `options`: the socket. `spawned`: a server for a test.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
pub mod brain;
mod call;
mod caller;
mod carried;
mod codec;
mod connection;
pub mod disaster;
mod drive;
mod handshake;
mod http;
mod options;
mod origin;
mod profile;
mod record;
mod registry;
mod server;
mod spawned;
pub mod voice;
mod waiting;
mod watch;
#[cfg(feature = "webrtc")]
mod webrtc;

pub use caller::{Caller, Recording};
pub use connection::{Connection, ConnectionOptions, Limits, Output};
pub use options::{BrainFactory, Options, WallClock};
pub use profile::Profile;
pub use server::{Emulator, ServeError, serve_stream};
pub use spawned::Spawned;
