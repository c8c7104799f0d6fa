//! Stand-ins for phone carriers: each dials a media-stream socket as the carrier does, speaks and listens in
//! real time, and reports what its caller would have heard.
//!
//! What a carrier says and understands is [`Caller`]'s; here are the socket, the clock, and a script. What a
//! server does against a carrier's rules is a [violation](Report::violations).
//!
//! [`Caller`]: realtime_telephony::caller::Caller
//!
//! ```no_run
//! use realtime_tests::carriers::{Carrier, Step, call};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let script = [
//!     Step::hear(std::time::Duration::from_secs(1)),
//!     Step::say(vec![0; 8_000]),
//!     Step::hang_up(),
//! ];
//! let report = call(Carrier::Twilio, "ws://127.0.0.1:8080/twilio", &[], script).await?;
//! assert!(report.violations.is_empty(), "{report:?}");
//! # Ok(())
//! # }
//! ```

mod call;
mod report;
mod script;

pub use call::{CallError, call, call_over};
pub use realtime_telephony::CarrierKind as Carrier;
pub use report::{End, Report, ReturnedMark};
pub use script::Step;
