//! Reading a session log, a line at a time.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::{Command, CommandId, ConnectionId, DisconnectReason, Media, Seed};
use crate::flow::Shortfall;
use crate::log::old::modernise_header;
use crate::log::{FORMAT, Header, VERSION};
use crate::time::{Timestamp, UnixTime};

/// A line that does not belong in a session log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LogError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected and what came.
    pub reason: String,
}

/// One line after the header.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what went in, and what came out")]
pub enum Entry {
    /// Something that went into the machines.
    Input {
        /// When.
        at: Timestamp,
        /// What.
        input: Input,
    },
    /// Something that came out: the line itself is what a replay compares.
    Output,
}

/// Something that went into the machines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A connection is open.
    Connected(ConnectionId, UnixTime),
    /// The server sent a wire text.
    Text(ConnectionId, String),
    /// A connection has ended.
    Disconnected(ConnectionId, DisconnectReason),
    /// The application asks for something.
    Command(CommandId, Box<Command>),
    /// The application gives audio, or tells what was played.
    Media(Media),
    /// What was said before, for the session of a connection.
    Seed(ConnectionId, Box<Seed>),
    /// The driver could not pass something on.
    Shortfall(Shortfall),
    /// The call is suspended.
    Suspend,
    /// Time has passed.
    Timer,
}

#[derive(Deserialize)]
struct Line<'a> {
    at_us: u64,
    conn: Option<ConnectionId>,
    from: &'a str,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    text: Option<String>,
    connected: Option<Connected>,
    disconnected: Option<DisconnectReason>,
    id: Option<CommandId>,
    command: Option<Box<Command>>,
    media: Option<Media>,
    #[serde(borrow)]
    seed: Option<&'a RawValue>,
    shortfall: Option<Shortfall>,
    suspend: Option<bool>,
}

#[derive(Deserialize)]
struct Connected {
    wall_us: UnixTime,
}

/// Reads the first line.
///
/// # Errors
/// [`LogError`] if the line is not a header, or of a version that this crate does not read.
pub fn read_header(line: &str) -> Result<Header, LogError> {
    let wrong = |reason: String| LogError { line: 1, reason };
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        version: u32,
    }
    let kind: Kind = serde_json::from_str(line)
        .map_err(|error| wrong(format!("expected the header of a session log: {error}")))?;
    if kind.format != FORMAT {
        return Err(wrong(format!("expected a log of format {FORMAT}, got {}", kind.format)));
    }
    if !(1..=VERSION).contains(&kind.version) {
        return Err(wrong(format!(
            "expected version 1 to {VERSION}, got {}: written by a later release",
            kind.version
        )));
    }
    let mut header: Value = serde_json::from_str(line)
        .map_err(|error| wrong(format!("expected the header of a session log: {error}")))?;
    modernise_header(kind.version, &mut header);
    serde_json::from_value(header)
        .map_err(|error| wrong(format!("expected the header of a session log: {error}")))
}

impl Entry {
    /// Reads a line after the header; `number` counts from 1.
    ///
    /// # Errors
    /// [`LogError`] when the line is damaged.
    pub fn read(number: usize, text: &str) -> Result<Self, LogError> {
        let wrong = |reason: String| LogError { line: number, reason };
        let line: Line<'_> =
            serde_json::from_str(text).map_err(|error| wrong(format!("expected an entry: {error}")))?;
        let connection = line.conn.unwrap_or_default();
        let input = match line.from {
            "client" | "session" => return Ok(Self::Output),
            "timer" => Input::Timer,
            "app" | "listener" => match (line.id, line.command, line.media, line.seed) {
                (Some(id), Some(command), ..) => Input::Command(id, command),
                (_, _, Some(media), _) => Input::Media(media),
                (_, _, _, Some(seed)) => {
                    let seed = serde_json::from_str(seed.get())
                        .map_err(|error| wrong(format!("expected a seed: {error}")))?;
                    Input::Seed(connection, seed)
                }
                _ => {
                    let expected = "`id` and `command`, `media`, or `seed`";
                    return Err(wrong(format!("expected {expected} in an entry from the app")));
                }
            },
            "server" => {
                if let Some(event) = line.event {
                    Input::Text(connection, event.get().to_string())
                } else if let Some(text) = line.text {
                    Input::Text(connection, text)
                } else if let Some(connected) = line.connected {
                    Input::Connected(connection, connected.wall_us)
                } else if let Some(reason) = line.disconnected {
                    Input::Disconnected(connection, reason)
                } else {
                    let expected = "`event`, `text`, `connected` or `disconnected`";
                    return Err(wrong(format!("expected {expected} in an entry from the server")));
                }
            }
            "driver" => match (line.shortfall, line.suspend) {
                (Some(shortfall), _) => Input::Shortfall(shortfall),
                (None, Some(true)) => Input::Suspend,
                (None, Some(false) | None) => {
                    let expected = "`shortfall` or `suspend`";
                    return Err(wrong(format!("expected {expected} in an entry from the driver")));
                }
            },
            other => {
                let expected = "`server`, `app`, `listener`, `timer`, `driver`, `client` or `session`";
                return Err(wrong(format!("expected `from` to be {expected}, got `{other}`")));
            }
        };
        Ok(Self::Input { at: Timestamp::from_micros(line.at_us), input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallOptions, Reconnect};
    use crate::event::Dialect;
    use crate::session::SessionOptions;

    #[test]
    fn a_log_of_an_older_version_is_read_and_one_of_a_later_is_not() {
        let header = Header::new(SessionOptions::default(), "m", UnixTime::from_secs(1));
        let line = serde_json::to_string(&header).unwrap();
        let of_version = |version: u32| line.replace(r#""version":3"#, &format!(r#""version":{version}"#));
        for version in [1, 2, VERSION] {
            assert_eq!(read_header(&of_version(version)).unwrap().version, version);
        }
        let reconnecting = CallOptions { reconnect: Reconnect::default(), ..header.machines() };
        let mut header = Header::new(reconnecting, "m", UnixTime::from_secs(1));
        let line = serde_json::to_string(&header).unwrap().replace(r#""endpoints":[]"#, r#""endpoints":2"#);
        let read = read_header(&line.replace(r#""version":3"#, r#""version":1"#)).unwrap();
        header.version = 1;
        header.reconnect.endpoints = alloc::vec![Dialect::Ga; 2];
        assert_eq!(read, header);
        assert!(read_header(&line).is_err());
        for version in [0, VERSION + 1] {
            let error = read_header(&of_version(version)).unwrap_err();
            assert_eq!(error.line, 1);
            assert!(error.reason.starts_with("expected version 1 to 3, got"), "{error}");
        }
    }
}
