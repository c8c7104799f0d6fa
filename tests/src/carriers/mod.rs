//! Stand-ins for phone carriers: each dials a media-stream socket as the carrier does, speaks and listens in
//! real time, and reports what its caller would have heard.
//!
//! They are written from the carriers' documents and not with `realtime-telephony`, so that a mistake in one
//! of the two shows. What a server does against a carrier's rules is a [violation](Report::violations).
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

mod buffer;
mod call;
mod exotel;
mod genesys;
mod jambonz;
mod line;
mod plivo;
mod report;
mod script;
mod telnyx;
mod twilio;
mod vonage;

use line::Line;

pub use call::{CallError, call, call_over};
pub use report::{End, Report, ReturnedMark};
pub use script::Step;

/// A carrier that is stood in for. Its name is the path at which servers listen for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Carrier {
    /// Twilio Media Streams, µ-law.
    Twilio,
    /// SignalWire cXML, µ-law.
    SignalWire,
    /// Telnyx media streaming, the caller in A-law as in Europe, the server in µ-law.
    Telnyx,
    /// Plivo audio streaming, µ-law.
    Plivo,
    /// Exotel AgentStream, 8 kHz PCM.
    Exotel,
    /// Vonage Voice API, 16 kHz PCM in binary messages.
    Vonage,
    /// Genesys AudioHook (Audio Connector), µ-law in binary messages.
    Genesys,
    /// jambonz `listen`, 8 kHz PCM in binary messages.
    Jambonz,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Twilio,
        Self::SignalWire,
        Self::Telnyx,
        Self::Plivo,
        Self::Exotel,
        Self::Vonage,
        Self::Genesys,
        Self::Jambonz,
    ];

    /// The name, as in the path `/twilio`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::SignalWire => "signalwire",
            Self::Telnyx => "telnyx",
            Self::Plivo => "plivo",
            Self::Exotel => "exotel",
            Self::Vonage => "vonage",
            Self::Genesys => "genesys",
            Self::Jambonz => "jambonz",
        }
    }

    /// Samples per second of its audio, both ways (Hz).
    pub const fn rate(self) -> u32 {
        match self {
            Self::Vonage => 16_000,
            _ => 8_000,
        }
    }

    /// The subprotocol that it asks for, if it asks for one.
    pub const fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Jambonz => Some("audio.jambonz.org"),
            _ => None,
        }
    }

    fn line(self) -> Box<dyn Line> {
        match self {
            Self::Twilio => Box::new(twilio::Twilio::new()),
            Self::SignalWire => Box::new(twilio::Twilio::signalwire()),
            Self::Telnyx => Box::new(telnyx::Telnyx::default()),
            Self::Plivo => Box::new(plivo::Plivo::default()),
            Self::Exotel => Box::new(exotel::Exotel::default()),
            Self::Vonage => Box::new(vonage::Vonage),
            Self::Genesys => Box::new(genesys::Genesys::default()),
            Self::Jambonz => Box::new(jambonz::Jambonz),
        }
    }
}
