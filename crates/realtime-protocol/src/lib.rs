//! The OpenAI Realtime protocol as pure code: every event as a typed value, and a state machine that decides
//! what to send and what to tell.
//!
//! Nothing here does I/O. There is no runtime, socket, thread or clock: the driver says what came and when,
//! and is told what to do. So it runs under tokio, smol or io_uring, in wasm, behind an FFI, and in a test
//! that takes an hour of conversation in a millisecond. `realtime-client` is such a driver.
//!
//! ```
//! use realtime_protocol::call::{Command, CommandId, Event, Media, PlaybackReport};
//! use realtime_protocol::session::{Output, Session, SessionOptions};
//! use realtime_protocol::session_config::SessionConfig;
//! use realtime_protocol::time::{Timestamp, UnixTime};
//!
//! let options = SessionOptions::default().config(SessionConfig::realtime().instructions("Be brief."));
//! let mut session = Session::new(options);
//!
//! // A driver's loop in small: hand in what happened, then do all that comes out, then wait for the next thing
//! // or for `poll_timeout`. What is to be reported back is handed in like anything else.
//! let drive = |session: &mut Session| {
//!     let mut reports = Vec::new();
//!     while let Some(output) = session.poll_output() {
//!         match output {
//!             Output::Send(event) => println!("to the server: {}", event.encode(Default::default())),
//!             Output::Event(Event::Audio(chunk)) => {
//!                 // Play it after what came before; once it has sounded, say so.
//!                 reports.push(PlaybackReport::Mark(chunk.mark));
//!             }
//!             Output::Event(Event::StopPlayback { id }) => {
//!                 // The user speaks: stop, empty the queue, and report the position of playback.
//!                 reports.push(PlaybackReport::Stopped { id, at: None });
//!             }
//!             Output::Event(event) => println!("to the application: {event:?}"),
//!             Output::Close => println!("close the socket"),
//!         }
//!     }
//!     reports
//! };
//!
//! session.handle_connected(Timestamp::from_millis(0), UnixTime::from_secs(1_790_000_000));
//! session.handle_text(Timestamp::from_millis(40), r#"{"type": "session.created", "session": {}}"#);
//! let _ = drive(&mut session); // to the server: {"type":"session.update", …}
//!
//! // Asked before the configuration is acknowledged, it goes out after.
//! session.handle_command(Timestamp::from_millis(50), CommandId(1), Command::CreateResponse { params: None, protected: false })?;
//! session.handle_text(Timestamp::from_millis(80), r#"{"type": "session.updated", "session": {}}"#);
//! let reports = drive(&mut session); // to the application: Ready, to the server: {"type":"response.create", …}
//! for report in reports {
//!     session.handle_media(Timestamp::from_millis(90), Media::Report(report))?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//! It opens no connection and keeps no key, holds no conversation beyond what is in flight or audible
//! (`realtime-context` does), mixes or resamples no audio (`realtime-pipeline` does), and never reads a
//! clock: every time is an argument. See [`time`] for the three clocks.
//!
//! # Modules
//! Events: [`event`], with [`item`], [`content`], [`response`], [`session_config`], [`tool`], [`usage`],
//! [`error`], [`audio`], [`arguments`], [`id`] and [`field`]. Nothing is lost in reading and writing: unknown
//! events, members and words survive, and a member of a wrong shape costs that member alone.
//!
//! Machines: [`session`] for one connection, [`call`] for one call. [`log`] records and replays them.
//! [`flow`] holds what waits around them, for a connection or for the application.
//!
//! # Features
//! `std` (default): the fast base64 path. Without it the crate is `no_std` and needs `alloc`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod arguments;
pub mod audio;
mod base64;
pub mod call;
pub mod check;
pub mod compare;
pub mod content;
pub mod dialect;
pub mod error;
pub mod event;
pub mod field;
pub mod flow;
pub mod http;
pub mod id;
pub mod item;
pub mod log;
pub mod prompt;
pub mod response;
#[cfg(feature = "schema")]
pub mod schema;
pub mod session;
pub mod session_config;
mod setters;
pub mod time;
pub mod tool;
pub mod usage;
mod wire;

pub use wire::Mismatch;
