//! The carriers, and what is known of each before a call.

use std::fmt;

use crate::carrier::Carrier;
use crate::carriers::{Exotel, Genesys, Jambonz, Plivo, SignalWire, Telnyx, Twilio, Vonage};
use crate::options::StreamOptions;

/// A carrier: a phone company, or a platform for calls, that streams a call's audio over a WebSocket.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum CarrierKind {
    /// Twilio Media Streams, `<Connect><Stream>`.
    Twilio,
    /// Telnyx media streaming, with `stream_bidirectional_mode` set to `rtp`.
    Telnyx,
    /// Plivo audio streaming, with `bidirectional` set to `true`.
    Plivo,
    /// Exotel AgentStream, by its Voicebot applet.
    Exotel,
    /// Vonage Voice API, with an endpoint of type `websocket`.
    Vonage,
    /// Genesys Cloud AudioHook, by its Audio Connector.
    Genesys,
    /// jambonz, by its verb `listen`.
    Jambonz,
    /// SignalWire cXML, `<Connect><Stream>`.
    SignalWire,
}

impl CarrierKind {
    /// All carriers.
    pub const ALL: [Self; 8] = [
        Self::Twilio,
        Self::Telnyx,
        Self::Plivo,
        Self::Exotel,
        Self::Vonage,
        Self::Genesys,
        Self::Jambonz,
        Self::SignalWire,
    ];

    /// The name in lower case, as it stands in paths and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Plivo => "plivo",
            Self::Exotel => "exotel",
            Self::Vonage => "vonage",
            Self::Genesys => "genesys",
            Self::Jambonz => "jambonz",
            Self::SignalWire => "signalwire",
        }
    }

    /// The carrier of a name in lower case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The WebSocket subprotocol that the answer to the upgrade must name.
    pub const fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Jambonz => Some("audio.jambonz.org"),
            _ => None,
        }
    }

    /// Returns whether the call ends when the socket is closed, if nothing else was arranged for the call.
    /// Otherwise a request must hang up: see [`rest`](crate::rest).
    pub const fn closing_hangs_up(self) -> bool {
        !matches!(self, Self::Telnyx)
    }

    /// Returns whether the carrier says when a mark was played. Otherwise marks are due by the clock, and
    /// the position is certain only where all is played.
    pub const fn has_marks(self) -> bool {
        !matches!(self, Self::Genesys)
    }

    /// Returns whether digits can be sent on the socket. Otherwise a request sends them, if any can: see
    /// [`rest`](crate::rest).
    pub const fn takes_digits(self) -> bool {
        matches!(self, Self::Plivo | Self::SignalWire)
    }

    /// The carrier's messages, for one call.
    pub fn carrier(self, options: &StreamOptions) -> Box<dyn Carrier> {
        match self {
            Self::Twilio => Box::new(Twilio::new()),
            Self::Telnyx => Box::new(Telnyx::new(options)),
            Self::Plivo => Box::new(Plivo::new()),
            Self::Exotel => Box::new(Exotel::new()),
            Self::Vonage => Box::new(Vonage::new()),
            Self::Genesys => Box::new(Genesys::new()),
            Self::Jambonz => Box::new(Jambonz::new(options)),
            Self::SignalWire => Box::new(SignalWire::new(options)),
        }
    }
}

impl fmt::Display for CarrierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
