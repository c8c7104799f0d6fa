//! The session log: everything that went into a call and came out of it, as JSON lines.
//!
//! The first line is the [`Header`]. Each line after it is one input or output, in order:
//!
//! ```text
//! {"at_us":0,"conn":0,"from":"server","connected":{"wall_us":1790000000000000}}
//! {"at_us":40000,"conn":0,"from":"server","event":{"type":"session.created", …}}
//! {"at_us":40000,"conn":0,"from":"client","event":{"type":"session.update", …}}
//! {"at_us":90000,"from":"app","id":1,"command":{"create_response":{}}}
//! {"at_us":95000,"from":"timer"}
//! {"at_us":95000,"from":"session","event":{"stop_playback":{"id":1}}}
//! {"at_us":99000,"conn":1,"from":"session","seed":{"carried":[]}}
//! {"at_us":99000,"conn":1,"from":"app","seed":{"items":[…],"omitted":0}}
//! {"at_us":99500,"from":"driver","shortfall":{"unsent":{"bytes":960}}}
//! {"at_us":99900,"from":"driver","suspend":true}
//! ```
//!
//! `server`, `app`, `timer` and `driver` are inputs, `client` and `session` outputs. An event from the server
//! is kept byte for byte; text that is not one line of JSON is kept as `"text"`, a string. An event from the
//! application in a spelling that no dialect writes is kept with its spelling,
//! `{"spelling":"beta","event":{…}}`. Keys never enter a log: the tokens of MCP tools are replaced by
//! `[redacted]`, and such an event is written on one line. A text that may hold tokens and cannot be read is
//! redacted whole. [`Replay`] feeds the inputs to fresh machines and compares every output.

mod content;
mod old;
mod read;
mod replay;
mod write;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::call::{CallOptions, Reconnect, Suspended, none_or_policy};
use crate::session::SessionOptions;
use crate::time::UnixTime;

pub(crate) use content::strip as without_content;
pub use content::{Filter, LogContent, Redact, restore};
pub use old::{Changed, OldLog};
pub use read::{Entry, Input, LogError, read_header};
pub use replay::{Difference, Replay};
pub use write::LogWriter;
pub(crate) use write::as_logged;

/// The name by which a log is recognised.
pub const FORMAT: &str = "realtime-session-log";

/// The version that this crate writes. It also reads the earlier ones, see [`OldLog`]: version 1 had no
/// entries from the driver, and version 2 no media and no listeners.
pub const VERSION: u32 = 3;

/// A log's first line: what is needed to replay it, and where it comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: String,
    /// The format's version.
    pub version: u32,
    /// The model that was asked for.
    pub model: String,
    /// When the log begins.
    pub started_us: UnixTime,
    /// The options, including the dialect, the configuration and the entropy.
    pub options: SessionOptions,
    /// The options for further connections. Not written for a call of one connection.
    #[serde(
        default = "Reconnect::none",
        deserialize_with = "none_or_policy",
        skip_serializing_if = "Reconnect::is_none"
    )]
    pub reconnect: Reconnect,
    /// The suspended call that the log goes on with, if any. The log of the earlier owner ends with its
    /// suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Box<Suspended>>,
    /// How much it holds.
    #[serde(default)]
    pub content: LogContent,
    /// What else was taken out, in words.
    pub redacted: Vec<String>,
}

impl Header {
    /// The header of a log that begins now.
    pub fn new(options: impl Into<CallOptions>, model: impl Into<String>, started: UnixTime) -> Self {
        let CallOptions { session: options, reconnect } = options.into();
        Self {
            format: FORMAT.into(),
            version: VERSION,
            model: model.into(),
            started_us: started,
            options,
            reconnect,
            resumed: None,
            content: LogContent::default(),
            redacted: alloc::vec!["keys".into()],
        }
    }

    /// The header of a log that goes on with a suspended call.
    #[must_use]
    pub fn resuming(mut self, suspended: Suspended) -> Self {
        self.resumed = Some(Box::new(suspended));
        self
    }

    /// The options of the machines.
    pub fn machines(&self) -> CallOptions {
        CallOptions { session: self.options.clone(), reconnect: self.reconnect.clone() }
    }
}
