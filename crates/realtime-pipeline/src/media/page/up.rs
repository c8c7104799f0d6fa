//! What a page says: [`Up`], read from its texts.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::chain::{Keys, Respond};

/// The longest message, either way (bytes).
pub(super) const LONGEST: usize = 64 * 1024;
/// The only version of the protocol so far.
pub(super) const VERSION: u32 = 1;
/// The most keys at once.
const MOST_KEYS: usize = 64;
/// The most characters of a word that is repeated to the page.
const MOST_REPEATED: usize = 40;

/// Something that a page says.
#[derive(Debug)]
pub(super) enum Up {
    Hello(Hello),
    Played(Place),
    Stopped { id: u64, at: Option<Place> },
    Text { text: String, respond: Respond },
    Stop,
    Keys(Keys),
    Message(Value),
    Mute(bool),
    Ping(Value),
    Bye,
}

/// The first text on each connection.
#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    /// The call that the page comes back to.
    #[serde(default)]
    pub(super) token: Option<String>,
    /// Samples per second of its audio (Hz).
    #[serde(default = "usual_rate")]
    pub(super) rate: u32,
    /// What it has played by now, if it comes back.
    #[serde(default)]
    pub(super) played: Option<Place>,
    #[serde(default)]
    pub(super) muted: bool,
}

/// A place in what the page was sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Place {
    /// The item's number.
    pub(super) item: u32,
    /// Samples from the item's beginning, at 24,000 Hz.
    pub(super) samples: u64,
}

/// Why a text was not understood, in words for who writes a page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Odd {
    #[error("expected a message of at most {LONGEST} bytes, got {bytes}")]
    TooLong { bytes: usize },
    #[error("expected a JSON object with a member `type`: {0}")]
    NoObject(serde_json::Error),
    #[error("there is no message of the type `{0}`")]
    Unknown(String),
    #[error("expected a whole `{kind}`: {error}")]
    Malformed { kind: &'static str, error: serde_json::Error },
    #[error("expected `{kind}` with {expected}")]
    Wrong { kind: &'static str, expected: &'static str },
    #[error("expected `hello` as the first message, and only then")]
    Hello,
    #[error("expected an even number of bytes: samples are 16 bits, little-endian")]
    HalfSample,
}

impl Odd {
    /// The word by which a program knows it.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Unknown(_) => "unknown_type",
            Self::Hello => "hello_expected",
            Self::NoObject(_) | Self::Malformed { .. } | Self::Wrong { .. } | Self::HalfSample => "malformed",
        }
    }
}

/// Reads one text.
pub(super) fn read(text: &str) -> Result<Up, Odd> {
    #[derive(Deserialize)]
    struct Head {
        r#type: String,
    }
    if text.len() > LONGEST {
        return Err(Odd::TooLong { bytes: text.len() });
    }
    let head: Head = serde_json::from_str(text).map_err(Odd::NoObject)?;
    match &*head.r#type {
        "hello" => read_hello(text),
        "played" => Ok(Up::Played(member("played", text)?)),
        "stopped" => read_stopped(text),
        "text" => read_words(text),
        "stop" => Ok(Up::Stop),
        "keys" => read_keys(text),
        "message" => {
            #[derive(Deserialize)]
            struct Message {
                body: Value,
            }
            Ok(Up::Message(member::<Message>("message", text)?.body))
        }
        "mute" => {
            #[derive(Deserialize)]
            struct Mute {
                on: bool,
            }
            Ok(Up::Mute(member::<Mute>("mute", text)?.on))
        }
        "ping" => {
            #[derive(Deserialize)]
            struct Ping {
                #[serde(default)]
                at: Value,
            }
            let Ping { at } = member("ping", text)?;
            let is_short = at.is_number() || at.is_null();
            is_short.then_some(Up::Ping(at)).ok_or(Odd::Wrong { kind: "ping", expected: "a number `at`" })
        }
        "bye" => Ok(Up::Bye),
        unknown => Err(Odd::Unknown(unknown.chars().take(MOST_REPEATED).collect())),
    }
}

/// The token in a page's first text, if that is a `hello` of a page that comes back: by it a server finds the
/// [line](crate::sockets::MediaLine) of the call.
pub fn token_in(text: &str) -> Option<String> {
    match read(text) {
        Ok(Up::Hello(hello)) => hello.token.filter(|token| !token.is_empty()),
        _ => None,
    }
}

fn member<T: DeserializeOwned>(kind: &'static str, text: &str) -> Result<T, Odd> {
    serde_json::from_str(text).map_err(|error| Odd::Malformed { kind, error })
}

fn read_hello(text: &str) -> Result<Up, Odd> {
    let hello: Hello = member("hello", text)?;
    if !(8_000..=48_000).contains(&hello.rate) {
        return Err(Odd::Wrong { kind: "hello", expected: "a `rate` of 8,000 to 48,000 Hz" });
    }
    Ok(Up::Hello(hello))
}

fn read_stopped(text: &str) -> Result<Up, Odd> {
    #[derive(Deserialize)]
    struct Stopped {
        id: u64,
        #[serde(default)]
        item: Option<u32>,
        #[serde(default)]
        samples: Option<u64>,
    }
    let Stopped { id, item, samples } = member("stopped", text)?;
    match (item, samples) {
        (Some(item), Some(samples)) => Ok(Up::Stopped { id, at: Some(Place { item, samples }) }),
        (None, None) => Ok(Up::Stopped { id, at: None }),
        _ => Err(Odd::Wrong { kind: "stopped", expected: "both `item` and `samples`, or neither" }),
    }
}

fn read_words(text: &str) -> Result<Up, Odd> {
    #[derive(Deserialize)]
    struct Words {
        text: String,
        #[serde(default)]
        respond: Value,
    }
    let Words { text, respond } = member("text", text)?;
    let respond = match respond {
        Value::Null | Value::Bool(true) => Respond::Yes,
        Value::Bool(false) => Respond::No,
        Value::String(word) if word == "written" => Respond::Written,
        _ => {
            return Err(Odd::Wrong { kind: "text", expected: "`respond` true, false or \"written\"" });
        }
    };
    if text.trim().is_empty() {
        return Err(Odd::Wrong { kind: "text", expected: "some words in `text`" });
    }
    Ok(Up::Text { text, respond })
}

fn read_keys(text: &str) -> Result<Up, Odd> {
    #[derive(Deserialize)]
    struct Pressed {
        keys: String,
    }
    let Pressed { keys } = member("keys", text)?;
    let is_short = (1..=MOST_KEYS).contains(&keys.len());
    Keys::new(&keys)
        .filter(|_| is_short)
        .map(Up::Keys)
        .ok_or(Odd::Wrong { kind: "keys", expected: "1 to 64 of 0 to 9, *, #, A to D in `keys`" })
}

const fn usual_rate() -> u32 {
    super::RATE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(text: &str) -> String {
        let odd = read(text).unwrap_err();
        format!("{}: {odd}", odd.code())
    }

    #[test]
    fn what_is_not_understood_says_what_was_expected() {
        assert!(odd("[1]").starts_with("malformed: expected a JSON object with a member `type`"));
        assert_eq!(odd(r#"{"type":"dance"}"#), "unknown_type: there is no message of the type `dance`");
        assert!(odd(r#"{"type":"played","item":-1}"#).starts_with("malformed: expected a whole `played`"));
        assert!(odd(r#"{"type":"stopped","id":1,"item":2}"#).contains("both `item` and `samples`"));
        assert!(odd(r#"{"type":"keys","keys":"x"}"#).contains("0 to 9"));
        assert!(odd(r#"{"type":"text","text":" "}"#).contains("some words"));
        assert!(odd(r#"{"type":"text","text":"x","respond":1}"#).contains("true, false or \"written\""));
        assert!(odd(r#"{"type":"hello","version":1,"rate":1}"#).contains("8,000 to 48,000 Hz"));
        assert!(odd(&" ".repeat(LONGEST + 1)).starts_with("too_long"));
        let long = odd(&format!(r#"{{"type":"{}"}}"#, "é".repeat(900)));
        assert!(long.len() < 200, "{long}");
        let deep = format!(r#"{{"type":"message","body":{}{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert!(odd(&deep).starts_with("malformed"));
    }

    #[test]
    fn members_that_are_not_known_do_no_harm() {
        let Ok(Up::Played(place)) = read(r#"{"type":"played","item":3,"samples":480,"dry":2}"#) else {
            panic!("a report")
        };
        assert_eq!(place, Place { item: 3, samples: 480 });
    }

    #[test]
    fn a_token_is_found_in_a_hello_alone() {
        assert_eq!(token_in(r#"{"type":"hello","version":1,"token":"t"}"#).as_deref(), Some("t"));
        for text in [r#"{"type":"hello","version":1}"#, r#"{"type":"text","token":"t","text":"x"}"#, "x"] {
            assert_eq!(token_in(text), None, "{text}");
        }
    }
}
