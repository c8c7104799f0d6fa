//! Phone carriers' media streams, as pure code.
//!
//! A carrier opens a WebSocket to us for each call and sends the caller's audio; we send ours back. Each
//! carrier has its own messages. A [`MediaStream`] reads and writes them for one call: what comes goes in,
//! what happened and what to send comes out.
//!
//! ```
//! use bytes::Bytes;
//! use realtime_protocol::audio::AudioFormat;
//! use realtime_protocol::time::Timestamp;
//! use realtime_telephony::{CarrierKind, Event, MediaStream, Output, StreamOptions};
//!
//! let now = Timestamp::from_millis(0);
//! let mut stream = MediaStream::new(now, CarrierKind::Twilio, StreamOptions::default());
//! stream.handle_text(
//!     now,
//!     r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","customParameters":{"order":"42"},
//!         "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#,
//! );
//! let Some(Output::Event(Event::Started(started))) = stream.poll_output() else { panic!("no start") };
//! assert_eq!(started.call.call_id.as_deref(), Some("CA1"));
//! assert_eq!(started.output, AudioFormat::Pcmu);
//!
//! // 20 ms of audio, and a mark that comes back when it was heard.
//! stream.play(now, Bytes::from(vec![0xff; 160]))?;
//! stream.mark(now, 7)?;
//! let Some(Output::Send(_media)) = stream.poll_output() else { panic!("no audio") };
//! let Some(Output::Send(mark)) = stream.poll_output() else { panic!("no mark") };
//! assert_eq!(mark.text(), Some(r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"0.0"}}"#));
//!
//! let later = Timestamp::from_millis(60);
//! stream.handle_text(later, r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"0.0"}}"#);
//! let Some(Output::Event(Event::Played { mark: 7, samples: 160, .. })) = stream.poll_output() else {
//!     panic!("not heard")
//! };
//!
//! // An interruption: what was not heard is dropped at the carrier.
//! let heard = stream.flush(later)?;
//! assert_eq!(heard.samples, 160);
//! # Ok::<(), realtime_telephony::StreamError>(())
//! ```
//!
//! There is no socket, no clock and no HTTP client here: a driver has them. Around the stream there are
//!
//! - [`verify`]: whether a request is from the carrier, decided before the upgrade,
//! - [`webhook`]: what a request says of a call: who calls whom, ringing, answered, busy,
//! - [`answer`]: the document that tells a carrier to stream a call to us,
//! - [`rest`]: requests that hang up, transfer, send digits and dial out,
//! - [`leg`]: a stream that one process holds while others serve its call,
//! - [`caller`]: the carrier's side of a stream, for tests of a server.
//!
//! Rates are not converted, and speech is not decoded: G.711 passes as it came.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod answer;
pub mod caller;
pub mod carrier;
pub mod carriers;
pub mod leg;
pub mod rest;
pub mod verify;
pub mod webhook;

mod chunk;
mod counts;
mod event;
mod format;
mod json;
mod kind;
mod marks;
mod options;
mod order;
mod secret;
mod stream;

pub use self::chunk::ChunkRules;
pub use self::counts::Counts;
pub use self::event::{EndReason, Event, InputAudio, Output, Started, StreamError};
pub use self::format::{SampleOrder, WireAudio};
pub use self::kind::CarrierKind;
pub use self::marks::Position;
pub use self::options::StreamOptions;
pub use self::secret::Secret;
pub use self::stream::MediaStream;
