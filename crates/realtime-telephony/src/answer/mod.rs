//! The document that answers a carrier's webhook: stream this call to us.
//!
//! ```
//! use realtime_telephony::CarrierKind;
//! use realtime_telephony::answer::StreamAnswer;
//!
//! let answer = StreamAnswer::new("wss://voice.example.com/twilio").parameter("order", "42 & more");
//! let document = answer.document(CarrierKind::Twilio)?;
//! assert_eq!(document.content_type, "text/xml");
//! assert_eq!(
//!     document.body,
//!     "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Connect>\
//!      <Stream url=\"wss://voice.example.com/twilio\">\
//!      <Parameter name=\"order\" value=\"42 &amp; more\"/></Stream></Connect></Response>"
//! );
//! # Ok::<(), realtime_telephony::answer::AnswerError>(())
//! ```
//!
//! Genesys needs none: its Audio Connector has the address in its settings.

pub(crate) mod json;
pub(crate) mod xml;

use std::collections::BTreeMap;
use std::fmt;

use realtime_protocol::audio::AudioFormat;

use crate::kind::CarrierKind;
use crate::secret::Secret;

/// What a carrier is told: where to stream a call, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct StreamAnswer {
    /// The address of the WebSocket, `wss://…`. `ws://` is accepted for tests on the own machine.
    pub url: String,
    /// What comes back in [`CallStart::parameters`](crate::carrier::CallStart::parameters). Not for secrets.
    pub parameters: BTreeMap<String, String>,
    /// The format of the caller's audio, and of ours where there is one for both. Default: mu-law where the
    /// carrier has it, else 16-bit at 16,000 Hz (Vonage) or 8,000 Hz (Exotel, jambonz).
    pub format: Option<AudioFormat>,
    /// The format of our audio, where the carrier has two (Telnyx, jambonz). Default: as `format`.
    pub output: Option<AudioFormat>,
    /// Where the carrier posts what happens to the stream.
    pub status_url: Option<String>,
    /// What the carrier shows at the upgrade.
    pub proof: StreamProof,
}

/// How a carrier is told to prove itself at the upgrade. What it always does needs no telling: the signatures
/// of Twilio, Plivo and Genesys, and the user in the address for Exotel.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum StreamProof {
    /// Nothing beyond what it does anyway.
    #[default]
    Usual,
    /// `Authorization: Bearer` (SignalWire), or the header `x-telnyx-streaming-auth-token` (Telnyx, when
    /// dialling).
    Token(Secret),
    /// `Authorization: Basic` (jambonz).
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// The token that also signs webhooks (Vonage).
    Signed,
}

/// A document for a carrier. `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// For the header `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why a carrier cannot be told so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The carrier is not told by a document.
    #[error("expected a carrier that is answered by a document, got {0}")]
    NoDocument(CarrierKind),
    /// The address is no WebSocket's.
    #[error("expected an address that begins with wss://, got another one")]
    NotWebSocket,
    /// The carrier cuts queries off: give parameters instead.
    #[error("expected an address without a query for {0}, got one with a query")]
    Query(CarrierKind),
    /// The carrier has no such format.
    #[error("expected a format that {kind} has, got {format:?}")]
    Format {
        /// The carrier.
        kind: CarrierKind,
        /// The format.
        format: AudioFormat,
    },
    /// The carrier takes no parameter like this: it is too long, has other characters, or is one too many.
    #[error("expected parameters within the limits of {kind}, got `{name}`")]
    Parameter {
        /// The carrier.
        kind: CarrierKind,
        /// The parameter's name.
        name: String,
    },
    /// The carrier cannot be told to prove itself like this.
    #[error("expected a proof that {0} can give, got another one")]
    Proof(CarrierKind),
}

impl StreamAnswer {
    /// Streams to this address, in the carrier's usual format.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            parameters: BTreeMap::new(),
            format: None,
            output: None,
            status_url: None,
            proof: StreamProof::Usual,
        }
    }

    /// Adds one of [`parameters`](Self::parameters).
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets [`format`](Self::format).
    pub fn format(mut self, format: AudioFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets [`output`](Self::output).
    pub fn output(mut self, format: AudioFormat) -> Self {
        self.output = Some(format);
        self
    }

    /// Sets [`status_url`](Self::status_url).
    pub fn status_url(mut self, url: impl Into<String>) -> Self {
        self.status_url = Some(url.into());
        self
    }

    /// Sets [`proof`](Self::proof).
    pub fn proof(mut self, proof: StreamProof) -> Self {
        self.proof = proof;
        self
    }

    /// The document for a carrier.
    ///
    /// # Errors
    /// [`AnswerError`], if the carrier cannot be told so. All of it is the configuration's doing.
    pub fn document(&self, kind: CarrierKind) -> Result<Document, AnswerError> {
        if !(self.url.starts_with("wss://") || self.url.starts_with("ws://")) {
            return Err(AnswerError::NotWebSocket);
        }
        if matches!(kind, CarrierKind::Twilio | CarrierKind::SignalWire) && self.url.contains('?') {
            return Err(AnswerError::Query(kind));
        }
        self.check_proof(kind)?;
        match kind {
            CarrierKind::Twilio => xml::twilio(self),
            CarrierKind::SignalWire => xml::signalwire(self),
            CarrierKind::Telnyx => xml::telnyx(self),
            CarrierKind::Plivo => xml::plivo(self),
            CarrierKind::Vonage => json::vonage(self),
            CarrierKind::Exotel => json::exotel(self),
            CarrierKind::Jambonz => json::jambonz(self),
            CarrierKind::Genesys => Err(AnswerError::NoDocument(kind)),
        }
    }

    fn check_proof(&self, kind: CarrierKind) -> Result<(), AnswerError> {
        let can = match self.proof {
            StreamProof::Usual => true,
            StreamProof::Token(_) => matches!(kind, CarrierKind::SignalWire),
            StreamProof::Basic { .. } => matches!(kind, CarrierKind::Jambonz),
            StreamProof::Signed => matches!(kind, CarrierKind::Vonage),
        };
        if can { Ok(()) } else { Err(AnswerError::Proof(kind)) }
    }

    /// The format, or the usual one.
    fn format_or(&self, usual: AudioFormat) -> AudioFormat {
        self.format.unwrap_or(usual)
    }

    /// The first parameter that is not within a carrier's limits, as an error.
    fn check_parameters(
        &self,
        kind: CarrierKind,
        is_right: impl Fn(&str, &str) -> bool,
    ) -> Result<(), AnswerError> {
        match self.parameters.iter().find(|(name, value)| !is_right(name, value)) {
            Some((name, _)) => Err(AnswerError::Parameter { kind, name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// The document that declines a call, as busy. `None`: the carrier is not answered by one.
pub fn decline(kind: CarrierKind) -> Option<Document> {
    match kind {
        CarrierKind::Twilio | CarrierKind::SignalWire | CarrierKind::Telnyx => {
            Some(Document::xml("<Response><Reject reason=\"busy\"/></Response>"))
        }
        CarrierKind::Plivo => Some(Document::xml("<Response><Hangup reason=\"busy\"/></Response>")),
        CarrierKind::Vonage => Some(Document::json("[]".to_owned())),
        CarrierKind::Jambonz => Some(Document::json(r#"[{"verb":"sip:decline","status":486}]"#.to_owned())),
        CarrierKind::Exotel | CarrierKind::Genesys => None,
    }
}

impl Document {
    fn xml(root: &str) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{root}");
        Self { content_type: "text/xml", body }
    }

    fn json(body: String) -> Self {
        Self { content_type: "application/json", body }
    }
}

impl fmt::Debug for StreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamAnswer")
            .field("parameters", &self.parameters.len())
            .field("format", &self.format)
            .field("output", &self.output)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {} bytes)", self.content_type, self.body.len())
    }
}

#[cfg(test)]
mod tests;
