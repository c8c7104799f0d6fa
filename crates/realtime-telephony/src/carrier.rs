//! What one carrier's messages must be able to do: read each, and write what we send.
//!
//! A [`Carrier`] knows the words of the wire and nothing else. What all carriers have in common is written
//! once, in [`MediaStream`](crate::MediaStream): order, gaps, chunks, marks, limits and the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::MediaTime;

use crate::chunk::ChunkRules;
use crate::format::WireAudio;
use crate::kind::CarrierKind;

/// The messages of one carrier, for one call: no socket, no clock.
///
/// `Debug` must show no audio, no digits and no secrets.
pub trait Carrier: fmt::Debug + Send {
    /// Which carrier it is.
    fn kind(&self) -> CarrierKind;

    /// Reads one message and appends what it says to `reads`, in order.
    ///
    /// # Errors
    /// [`Odd`] says what is wrong with the message. It is counted, and the call goes on.
    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd>;

    /// How long the pieces must be in which this carrier takes audio.
    fn chunks(&self, output: AudioFormat) -> ChunkRules;

    /// One piece of audio, as it stands on the wire.
    fn audio(&mut self, audio: Bytes) -> Outgoing;

    /// Returns whether the carrier says when marks were played.
    fn has_marks(&self) -> bool {
        self.kind().has_marks()
    }

    /// Asks the carrier to say when the audio before this was played. `None`: it cannot.
    fn mark(&mut self, name: &str) -> Option<Outgoing>;

    /// Asks the carrier to drop the audio that was not yet played. `None`: it cannot.
    fn flush(&mut self) -> Option<Outgoing>;

    /// Sends digits to the other party. `None`: not on the socket.
    fn digits(&mut self, _digits: &str) -> Option<Outgoing> {
        None
    }

    /// Asks the carrier to send no audio of the caller. `None`: it cannot.
    fn pause(&mut self) -> Option<Outgoing> {
        None
    }

    /// Asks the carrier to send audio again. `None`: it cannot.
    fn resume(&mut self) -> Option<Outgoing> {
        None
    }

    /// Asks the carrier to end the call. `None`: closing the socket is all there is.
    fn hang_up(&mut self, _why: &HangUp) -> Option<Outgoing> {
        None
    }
}

/// A message of a carrier.
#[derive(Clone)]
#[non_exhaustive]
pub enum Incoming<'a> {
    /// A WebSocket text.
    Text(&'a str),
    /// A binary WebSocket message.
    Binary(Bytes),
}

impl<'a> Incoming<'a> {
    /// Its text. Binary is audio without a place of its own, and is read.
    pub(crate) fn into_text(self, reads: &mut Vec<Read>) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(audio) => {
                reads.push(Read::Audio(Packet::unplaced(audio)));
                None
            }
        }
    }
}

/// A message to a carrier.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outgoing {
    /// A WebSocket text.
    Text(String),
    /// A binary WebSocket message.
    Binary(Bytes),
    /// Close the socket, with status 1000. Nothing comes after it.
    Close,
}

/// What a message says.
#[derive(Clone)]
#[non_exhaustive]
pub enum Read {
    /// The stream starts.
    Started(Box<Start>),
    /// The carrier tries the connection: there is no call, and no model must be paid for.
    Probe,
    /// Audio of the caller.
    Audio(Packet),
    /// The carrier did not send this much of the caller's audio.
    Lost(MediaTime),
    /// The caller pressed a key.
    Digit(Digit, Option<Duration>),
    /// A mark came back.
    Mark {
        /// Its name.
        name: String,
        /// Whether the audio before it was played, as far as the carrier says. Many carriers also send marks
        /// back whose audio was dropped.
        was_played: bool,
    },
    /// All audio that the carrier had was played.
    Drained,
    /// The carrier dropped its audio, as it was asked to.
    Flushed,
    /// The caller's audio pauses.
    Paused,
    /// The caller's audio goes on.
    Resumed,
    /// The language of the call changed.
    Language(String),
    /// The carrier reports an error; the stream goes on.
    Fault(CarrierFault),
    /// The carrier waits for this answer.
    Reply(Outgoing),
    /// The carrier ends the stream.
    Stopped(Stop),
}

/// How the carrier ends a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stop {
    /// The carrier's word for the reason.
    pub reason: Option<String>,
    /// Whether the carrier closes the socket itself, once it has our answer.
    pub carrier_closes: bool,
}

/// A stream's start, as a carrier's messages tell it.
#[derive(Clone, Debug)]
pub struct Start {
    /// Who calls, and what else is known.
    pub call: CallStart,
    /// The caller's audio on the wire; or the carrier's word for a codec that cannot be read here.
    pub input: Result<WireAudio, String>,
    /// The audio that the carrier takes, where it differs.
    pub output: Option<WireAudio>,
    /// Whether the order of bytes is the carrier's secret, and is found by listening.
    pub detects_order: bool,
}

/// What a carrier says of a call when its stream starts. What it does not say is empty.
///
/// `Debug` shows the ids, and neither phone numbers nor parameters' values.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallStart {
    /// The id of the stream, which messages to the carrier name.
    pub stream_id: Option<String>,
    /// The id of the call, which requests to the carrier name.
    pub call_id: Option<String>,
    /// The id of what several legs of the call have in common: Telnyx's session, Genesys' conversation.
    pub conversation_id: Option<String>,
    /// The id of our account with the carrier.
    pub account_id: Option<String>,
    /// The caller's number.
    pub from: Option<String>,
    /// The number that was called.
    pub to: Option<String>,
    /// The language of the call, such as `en-US`.
    pub language: Option<String>,
    /// The parameters that the answer to the call, or the flow, gave to the stream. A value that is not a
    /// string stands here as its JSON.
    pub parameters: BTreeMap<String, String>,
}

/// A piece of the caller's audio.
#[derive(Clone)]
pub struct Packet {
    /// The bytes, as they came.
    pub audio: Bytes,
    /// When it was heard, in milliseconds on the stream's own clock, if that clock can be trusted.
    pub at_ms: Option<u64>,
    /// Its number: one more for each.
    pub number: Option<u64>,
}

impl Packet {
    /// A piece without a place: it stands where it came.
    pub fn unplaced(audio: Bytes) -> Self {
        Self { audio, at_ms: None, number: None }
    }
}

/// A key of a phone: `0` to `9`, `*`, `#`, or `A` to `D`. `Debug` does not show which.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digit(char);

impl Digit {
    /// The key that this character names, in either case.
    pub const fn of(name: char) -> Option<Self> {
        match name.to_ascii_uppercase() {
            name @ ('0'..='9' | '*' | '#' | 'A'..='D') => Some(Self(name)),
            _ => None,
        }
    }

    /// The character on the key.
    pub const fn as_char(self) -> char {
        self.0
    }
}

/// An error that the carrier reports. `Debug` and `Display` show its code and not its text.
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
#[error("the carrier reports an error{}", code.map(|code| format!(" {code}")).unwrap_or_default())]
#[non_exhaustive]
pub struct CarrierFault {
    /// The carrier's number for it.
    pub code: Option<u64>,
    /// What the carrier writes about it.
    pub text: String,
}

/// Why we end a call.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HangUp {
    /// Whether something went wrong, rather than the conversation being over.
    pub is_error: bool,
    /// A note for the carrier's log (Genesys).
    pub note: Option<String>,
    /// What the carrier's flow gets of the conversation (Genesys' output variables).
    pub variables: BTreeMap<String, String>,
}

/// What is wrong with a message. None of these ends a call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum Odd {
    /// A text that is no JSON object.
    #[error("expected a JSON object, got something else")]
    NotAnObject,
    /// A text that names neither its event nor its type, or an event that is not known here.
    #[error("expected a known event, got another one")]
    UnknownEvent,
    /// A member that is needed is missing, or is not what it should be.
    #[error("expected a readable `{0}`, got none")]
    Missing(&'static str),
    /// Audio that is not base64.
    #[error("expected base64 audio, got other text")]
    NotBase64,
    /// A binary message of a carrier that sends audio as text.
    #[error("expected text, got a binary message")]
    Binary,
    /// A message of another stream.
    #[error("expected a message of this stream, got one of another")]
    OtherStream,
    /// Our own voice.
    #[error("expected the caller's audio, got our own")]
    OwnAudio,
    /// A second start.
    #[error("expected one start, got another")]
    StartedTwice,
    /// A message out of the carrier's numbering. It was read nevertheless.
    #[error("expected the next number, got another")]
    Sequence,
}

impl Outgoing {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) | Self::Close => None,
        }
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Close => f.write_str("Close"),
        }
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(start) => f.debug_tuple("Started").field(start).finish(),
            Self::Probe => f.write_str("Probe"),
            Self::Audio(packet) => f.debug_tuple("Audio").field(packet).finish(),
            Self::Lost(time) => write!(f, "Lost({time})"),
            Self::Digit(digit, _) => f.debug_tuple("Digit").field(digit).finish(),
            Self::Mark { name, was_played } => {
                f.debug_struct("Mark").field("name", name).field("was_played", was_played).finish()
            }
            Self::Drained => f.write_str("Drained"),
            Self::Flushed => f.write_str("Flushed"),
            Self::Paused => f.write_str("Paused"),
            Self::Resumed => f.write_str("Resumed"),
            Self::Language(language) => f.debug_tuple("Language").field(language).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
            Self::Stopped(stop) => f.debug_tuple("Stopped").field(stop).finish(),
        }
    }
}

impl fmt::Debug for CallStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallStart")
            .field("stream_id", &self.stream_id)
            .field("call_id", &self.call_id)
            .field("conversation_id", &self.conversation_id)
            .field("account_id", &self.account_id)
            .field("language", &self.language)
            .field("parameters", &self.parameters.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { audio, at_ms, number } = self;
        let mut packet = f.debug_struct("Packet");
        packet.field("bytes", &audio.len()).field("at_ms", at_ms).field("number", number).finish()
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit")
    }
}

impl fmt::Debug for CarrierFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarrierFault").field("code", &self.code).finish_non_exhaustive()
    }
}

impl fmt::Debug for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HangUp").field("is_error", &self.is_error).finish_non_exhaustive()
    }
}
