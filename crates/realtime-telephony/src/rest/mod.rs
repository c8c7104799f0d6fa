//! Requests to a carrier's REST interface, as data: hang up, transfer, send digits, dial out.
//!
//! ```
//! use realtime_telephony::rest::{Account, Login};
//!
//! let login = Login::Twilio { account_sid: "AC1".to_owned(), key: None, secret: "token".into() };
//! let [request] = &Account::new(login).hang_up("CA1")?[..] else { panic!("one request") };
//! assert_eq!(request.method, "POST");
//! assert_eq!(request.url, "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1.json");
//! assert_eq!(request.body.text(), "Status=completed");
//! # Ok::<(), realtime_telephony::rest::RestError>(())
//! ```
//!
//! Whoever sends them has a client for HTTP. The requests carry secrets, so their `Debug` shows neither
//! headers nor bodies.

mod bodies;
mod dial;
mod requests;

use std::fmt;
use std::time::Duration;

use crate::answer::{AnswerError, StreamAnswer};
use crate::kind::CarrierKind;
use crate::secret::Secret;

pub use self::bodies::Body;

/// An account with a carrier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Account {
    /// Who we are.
    pub login: Login,
    /// Where the interface is, without a slash at the end. Default: the carrier's own address. Twilio's
    /// regions have others (`https://api.{edge}.{region}.twilio.com`), and so have Exotel's.
    pub base_url: Option<String>,
}

/// Who we are to a carrier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Login {
    /// Twilio.
    Twilio {
        /// The account (`AC…`).
        account_sid: String,
        /// An API key (`SK…`). `None`: the account itself.
        key: Option<String>,
        /// The key's secret, or the account's auth token.
        secret: Secret,
    },
    /// Telnyx.
    Telnyx {
        /// The API key.
        api_key: Secret,
        /// The connection (Call Control application) that dials out.
        connection_id: Option<String>,
    },
    /// Plivo.
    Plivo {
        /// The auth id (`MA…`).
        auth_id: String,
        /// The auth token.
        auth_token: Secret,
    },
    /// Exotel.
    Exotel {
        /// The account.
        account_sid: String,
        /// The API key.
        api_key: String,
        /// The API token.
        api_token: Secret,
    },
    /// Vonage.
    Vonage {
        /// The application's token (JWT, RS256). It expires: make a new one in time.
        token: Secret,
    },
    /// jambonz.
    Jambonz {
        /// The account.
        account_sid: String,
        /// The API key.
        api_key: Secret,
        /// The application that dials out.
        application_sid: Option<String>,
    },
    /// SignalWire.
    SignalWire {
        /// The space: `example` for `example.signalwire.com`.
        space: String,
        /// The project.
        project_id: String,
        /// The API token.
        api_token: Secret,
    },
}

/// Where a call goes.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transfer {
    /// To a number, such as `+15550100001`.
    Number(String),
    /// To what the document at this address says, in the carrier's words.
    Document(String),
}

/// A call to make.
#[derive(Clone)]
#[non_exhaustive]
pub struct Dial {
    /// The number to call, such as `+15550100001`.
    pub to: String,
    /// Our number.
    pub from: String,
    /// Where to stream the call when it is answered.
    pub stream: StreamAnswer,
    /// The address of a webhook that answers with the stream. Plivo, SignalWire, jambonz and Exotel need it;
    /// for Exotel it is the address of a flow.
    pub answer_url: Option<String>,
    /// Where the carrier posts what becomes of the call: ringing, answered, busy, no answer.
    pub status_url: Option<String>,
    /// How long it may ring. Default: the carrier's.
    pub ring_for: Option<Duration>,
    /// Whether the carrier listens for an answering machine first, and reports it to `status_url`.
    pub detects_machines: bool,
}

/// A request to send.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// Names and values. `Authorization` is among them; `Content-Type` goes by the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// Why there is no request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// The carrier has no request for it.
    #[error("expected a carrier that can {what} by a request, got {kind}")]
    NotSupported {
        /// The carrier.
        kind: CarrierKind,
        /// What it cannot do.
        what: &'static str,
    },
    /// The carrier wants the address of a document.
    #[error("expected the address of a document for {0}, got none")]
    NeedsUrl(CarrierKind),
    /// Something that the account must say is missing.
    #[error("expected `{0}` in the account, got none")]
    Account(&'static str),
    /// To send digits ends the stream: say how the next one is started.
    #[error("expected a stream to go on with, since {0} ends this one, got none")]
    NeedsStream(CarrierKind),
    /// Something else than keys of a phone.
    #[error("expected keys of a phone, got something else")]
    NotDigits,
    /// The carrier cannot be told so.
    #[error("cannot tell the carrier where to stream")]
    Answer(#[from] AnswerError),
}

impl Account {
    /// An account at the carrier's own address.
    pub fn new(login: Login) -> Self {
        Self { login, base_url: None }
    }

    /// Sets [`base_url`](Self::base_url).
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Which carrier it is.
    pub fn kind(&self) -> CarrierKind {
        match self.login {
            Login::Twilio { .. } => CarrierKind::Twilio,
            Login::Telnyx { .. } => CarrierKind::Telnyx,
            Login::Plivo { .. } => CarrierKind::Plivo,
            Login::Exotel { .. } => CarrierKind::Exotel,
            Login::Vonage { .. } => CarrierKind::Vonage,
            Login::Jambonz { .. } => CarrierKind::Jambonz,
            Login::SignalWire { .. } => CarrierKind::SignalWire,
        }
    }

    fn not_supported(&self, what: &'static str) -> RestError {
        RestError::NotSupported { kind: self.kind(), what }
    }
}

impl Dial {
    /// A call from one number to another, to be streamed when it is answered.
    pub fn new(to: impl Into<String>, from: impl Into<String>, stream: StreamAnswer) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            stream,
            answer_url: None,
            status_url: None,
            ring_for: None,
            detects_machines: false,
        }
    }

    /// Sets [`answer_url`](Self::answer_url).
    pub fn answer_url(mut self, url: impl Into<String>) -> Self {
        self.answer_url = Some(url.into());
        self
    }

    /// Sets [`status_url`](Self::status_url).
    pub fn status_url(mut self, url: impl Into<String>) -> Self {
        self.status_url = Some(url.into());
        self
    }

    /// Sets [`ring_for`](Self::ring_for).
    pub fn ring_for(mut self, limit: Duration) -> Self {
        self.ring_for = Some(limit);
        self
    }

    /// Sets [`detects_machines`](Self::detects_machines).
    pub fn detects_machines(mut self, detects: bool) -> Self {
        self.detects_machines = detects;
        self
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number",
            Self::Document(_) => "Document",
        })
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, ring_for, detects_machines, .. } = self;
        let mut dial = f.debug_struct("Dial");
        dial.field("stream", stream).field("ring_for", ring_for).field("detects_machines", detects_machines);
        dial.finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, body, .. } = self;
        f.debug_struct("HttpRequest")
            .field("method", method)
            .field("url", url)
            .field("body", body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
