//! What a carrier says and understands on its socket: [`Line`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use realtime_protocol::audio::g711;
use serde_json::Value;

use crate::carrier::Outgoing;

/// One call's messages, for one carrier. It knows no time and no socket.
pub(super) trait Line: Send {
    /// How the bytes of the caller's audio are coded.
    fn coding(&self) -> Coding;

    /// How the bytes of the server's audio are coded. Usually as the caller's.
    fn server_coding(&self) -> Coding {
        self.coding()
    }

    /// How long one message of the caller's audio sounds (ms).
    fn frame_ms(&self) -> u64 {
        20
    }

    /// What it says first.
    fn hello(&mut self) -> Vec<Outgoing>;

    /// Returns whether audio of the caller may be sent.
    fn is_open(&self) -> bool {
        true
    }

    /// The caller's audio, `at_ms` after the beginning of the stream.
    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Outgoing;

    /// The caller presses a key.
    fn key(&mut self, key: char) -> Outgoing;

    /// A mark has been played, or `cleared`.
    fn mark(&mut self, name: &str, cleared: bool) -> Option<Outgoing>;

    /// The audio has been dropped, as the server asked.
    fn cleared(&mut self) -> Option<Outgoing> {
        None
    }

    /// The server's audio begins to sound, or all of it has sounded.
    fn playback(&mut self, begins: bool) -> Option<Outgoing> {
        let _ = begins;
        None
    }

    /// What it says again and again, every 5 s.
    fn ping(&mut self) -> Option<Outgoing> {
        None
    }

    /// The caller hangs up.
    fn goodbye(&mut self) -> Option<Outgoing>;

    /// Understands a text of the server.
    fn text(&mut self, message: &Value) -> Vec<Order>;

    /// Understands a binary message of the server.
    fn binary(&mut self, bytes: &[u8]) -> Vec<Order> {
        vec![Order::wrong(format!("a binary message of {} bytes: it takes texts alone", bytes.len()))]
    }
}

/// What a message of the server makes a carrier do.
pub(super) enum Order {
    Play(Vec<u8>),
    Mark(String),
    Clear,
    Keys(String),
    Send(Outgoing),
    /// The server ends the call.
    End,
    /// The carrier ends the call: the server broke a rule.
    HangUp,
    /// The server breaks a rule of the carrier.
    Wrong(String),
}

impl Order {
    pub(super) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}

/// How audio is coded in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    MuLaw,
    ALaw,
    /// 16-bit little-endian.
    Pcm,
}

impl Coding {
    pub(super) fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::MuLaw => samples.iter().map(|sample| g711::to_mu_law(*sample)).collect(),
            Self::ALaw => samples.iter().map(|sample| g711::to_a_law(*sample)).collect(),
            Self::Pcm => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        }
    }

    /// The samples. `None`: there is half a sample.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Vec<i16>> {
        match self {
            Self::MuLaw => Some(bytes.iter().map(|byte| g711::from_mu_law(*byte)).collect()),
            Self::ALaw => Some(bytes.iter().map(|byte| g711::from_a_law(*byte)).collect()),
            Self::Pcm if bytes.len() % 2 == 1 => None,
            Self::Pcm => {
                Some(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
            }
        }
    }
}

pub(super) fn text(value: &Value) -> Outgoing {
    Outgoing::Text(value.to_string())
}

/// The audio of a message, base64 at this place of it.
pub(super) fn payload(message: &Value, pointer: &str) -> Order {
    let Some(text) = message.pointer(pointer).and_then(Value::as_str) else {
        return Order::wrong(format!("expected base64 at {pointer}"));
    };
    match BASE64.decode(text) {
        Ok(bytes) if bytes.starts_with(b"RIFF") => Order::wrong("the audio has a file header"),
        Ok(bytes) => Order::Play(bytes),
        Err(_) => Order::wrong(format!("expected base64 at {pointer}, got something else")),
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The name of a mark at this place of a message.
pub(super) fn mark(message: &Value, pointer: &str) -> Order {
    match message.pointer(pointer).and_then(Value::as_str) {
        Some(name) => Order::Mark(name.to_owned()),
        None => Order::wrong(format!("expected a mark's name at {pointer}")),
    }
}
