//! The carrier's side of a media stream, for tests of a server: a [`Caller`] talks to a [`MediaStream`].
//!
//! A caller speaks and listens in real time, sends marks back when they were played, presses keys, and tells
//! what it heard. What a server does against a carrier's rules is a [`CallerEvent::Violation`].
//!
//! The messages are written from the carriers' documents, and share nothing with the code that reads and
//! writes them for a server, so that a mistake in one of the two shows.
//!
//! ```
//! use realtime_protocol::time::Timestamp;
//! use realtime_telephony::caller::{Caller, CallerEvent, CallerOptions, CallerOutput};
//! use realtime_telephony::{CarrierKind, MediaStream, Output, StreamOptions};
//!
//! let now = Timestamp::ZERO;
//! let mut caller = Caller::new(now, CarrierKind::Twilio, CallerOptions::default());
//! let mut stream = MediaStream::new(now, CarrierKind::Twilio, StreamOptions::default());
//! // Half a second of a tone, at the caller's rate. The first 20 ms go out at once.
//! let tone: Vec<i16> = (0..caller.rate() / 2).map(|n| if n % 20 < 10 { 8_000 } else { -8_000 }).collect();
//! caller.say(&tone);
//! caller.handle_timeout(now);
//! let mut said = 0;
//! while let Some(output) = caller.poll_output() {
//!     match output {
//!         CallerOutput::Send(message) => stream.handle_text(now, message.text().unwrap_or_default()),
//!         CallerOutput::Event(CallerEvent::Ticked(tick)) => said += tick.said.len(),
//!         _ => {}
//!     }
//! }
//! assert_eq!(said, 160);
//! assert!(matches!(stream.poll_output(), Some(Output::Event(_))), "the stream has started");
//! ```
//!
//! [`MediaStream`]: crate::MediaStream

mod buffer;
mod event;
mod exotel;
mod genesys;
mod ids;
mod jambonz;
mod line;
mod machine;
mod options;
mod plivo;
mod telnyx;
mod twilio;
mod vonage;

#[cfg(test)]
mod tests;

pub use self::event::{CallerEnd, CallerEvent, CallerOutput, Tick};
pub use self::machine::Caller;
pub use self::options::CallerOptions;
