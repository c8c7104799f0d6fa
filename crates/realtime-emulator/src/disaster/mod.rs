//! Disasters: what can go wrong between a server and its client, on demand and repeatably.
//!
//! A [`Disaster`] says what goes wrong and when. A [`Line`] between a [`Connection`](crate::Connection) and
//! its client carries it out. It is as pure as the connection: no I/O, no clock, and random choices come from
//! a seed.
//!
//! Disasters come from Rust, from a script's `disasters` (those of a turn begin with its response), and, if
//! the server allows it, from the client itself, by a control event:
//!
//! ```json
//! {"type": "emulator.disaster", "disaster": {"at": "response.created", "do": "drop"}}
//! ```
//!
//! In JSON a disaster is an object: `do` names what happens, the other members say when and how.
//!
//! | when | |
//! |---|---|
//! | `"at": "response.output_audio.delta"` | at events of that type (as GA names it); `*` at the end stands for anything |
//! | `"nth": 3` | at the third of them; without `nth`, `every` and `chance`: at the first |
//! | `"every": 5` | at each fifth of them |
//! | `"chance": 0.1` | at each of them with that probability |
//! | `"from": "session.update"` | at events of that type that the client sends, in place of `at` |
//! | `"member": "/session/tools/*/meta"` | with `from`: only events with this member |
//! | `"value": "semantic_vad"` | with `member`: only if it has this value |
//! | `"over_bytes": 65536` | with `from`: only texts that are larger |
//! | `"after_ms": 2000` | not before; without `at` and `from`, right then, whatever is sent |
//!
//! | `do` | what happens | members (default) |
//! |---|---|---|
//! | `delay` | this event and all after it come later | `ms` (0), `jitter_ms` (0): up to this much more, by chance |
//! | `stall` | nothing is ever sent again; the connection stays open | |
//! | `cut` | the connection is closed in place of the event | `code` (none: close frame without a code), `reason`: cut to 123 bytes |
//! | `break` | the connection breaks without a close frame | |
//! | `drop` | the event is not sent; with `from`, not taken | |
//! | `refuse` | with `from`: the client's event is answered by an error that names the member, and not taken | `code`, `message` |
//! | `edit` | the event's JSON is changed, in this order | `remove`: an array of places, `convert`, `replace`, `set`, `raw`: objects from places to new values |
//! | `binary` | it is sent as a binary message | |
//! | `repeat` | copies of it are sent after it | `ms` (1): from one to the next, `times` (without end), `fresh`: places with a new id each time |
//! | `same_id` | later ids at this place are replaced by the first one | `of`: the place |
//! | `duplicate` | the event is sent more often | `times` (1): copies |
//! | `reorder` | later events overtake it, as far as the protocol's order allows | `by` (1): how many |
//! | `hold` | it is kept back | `until`: an event type that must have been sent, `ms` (60,000): at most |
//! | `unknown_event` | an event of an unknown type is sent before it | `type` (`emulator.unknown`) |
//! | `unknown_members` | it and every object in it get an unknown member | |
//! | `malformed` | it is cut off in the middle | `text`: what is sent in its place |
//! | `bad_base64` | its audio is not base64 | |
//! | `odd_audio` | its audio ends within a sample; the rest comes with the next delta | |
//! | `format` | its audio has another format than was agreed | `format`: `audio/pcm`, `audio/pcmu`, `audio/pcma` |
//! | `error` | an `error` event is sent before it | `code`, `message`, `param`: see [`error_codes`]; `names`: a type of client event, the newest of which it names |
//! | `usage_null` | a response's usage is `null` | |
//! | `late_deltas` | after a cancelled response is done, more of its deltas arrive | `count` (3) |
//! | `fail_transcription` | the transcription fails, in place of its completion | `code` (`transcription_failed`) |
//! | `expire` | `session_expired` is sent, and the connection closed | |
//! | `dtmf` | someone in the call presses a key; nothing happens in a session that is not a call | `event`: 0 to 9, `*`, `#`, A to D |
//! | `slow_reader` | from now on the server reads only this fast, so that a client's sending blocks | `bytes_per_second` (8,000) |
//!
//! Disasters for one kind of event need no `at`: `bad_base64`, `odd_audio` and `format` mean audio deltas,
//! `usage_null` and `late_deltas` mean `response.done`, `fail_transcription` means the completed
//! transcription.
//!
//! A place is a JSON pointer with `*` for each member or element and `**` for any depth, as in
//! `/response/output/*/arguments` or `/**`. A place that does not exist is left alone, but `set` adds it, and
//! `raw` puts text there that need not be JSON. `convert` changes the kind of the value: `json` of text,
//! `string` of a number or a boolean, `float` of an integer (`7.0`), `number` of text, `object` (it becomes
//! its `type`), `blank`, `null`, or `half_emoji`, which ends text in half a pair of UTF-16 units. `{key}` in
//! the `message` of an error and in the `reason` of a `cut` stands for the client's key.
//!
//! Faults that clients met in the field are [`Rehearsal`]s: disasters with one name.
//!
//! Some common ones:
//!
//! ```json
//! [ {"at": "response.created", "do": "drop"},
//!   {"at": "response.output_audio.delta", "nth": 5, "do": "stall"},
//!   {"at": "*", "every": 1, "do": "delay", "jitter_ms": 80},
//!   {"at": "conversation.item.input_audio_transcription.*", "every": 1, "do": "hold", "until": "response.done"},
//!   {"after_ms": 30000, "do": "cut", "code": 1011} ]
//! ```

mod armed;
mod client;
mod edit;
mod effects;
mod errors;
mod forward;
mod line;
mod mangle;
mod order;
mod parse;
mod pointer;
mod queue;
mod rehearsal;
mod repeat;
mod reported;
mod source;

use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

pub use client::FromClient;
pub use edit::Edit;
pub use errors::error_codes;
pub use line::{Line, LineOptions, LineOutput};
pub(crate) use mangle::close_reason;
pub use parse::DisasterError;
pub use rehearsal::Rehearsal;
pub use repeat::{IdPlace, Repeat};

/// One thing that goes wrong: when, and what. The module's docs describe the JSON format.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Disaster {
    /// The event type it happens at, GA's name, `*` at the end for anything; `None`: at a time.
    pub at: Option<String>,
    /// The client events at which it happens, instead of server events.
    pub from: Option<FromClient>,
    /// At which of those events.
    pub which: Which,
    /// Not before that much time has passed since the connection's start, or since it was asked for.
    pub after: Duration,
    /// What happens.
    pub action: Action,
}

/// At which of the events that fit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Which {
    /// The n-th, counted from 1.
    Nth(u64),
    /// Each n-th.
    Every(u64),
    /// Each with that probability, 0 to 1.
    Chance(f64),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// The event and all after it come later.
    Delay {
        /// By that much.
        time: Duration,
        /// And up to that much more, by chance.
        jitter: Duration,
    },
    /// Nothing is ever sent again; the connection stays open.
    Stall,
    /// The connection is closed in place of the event.
    Cut {
        /// With that code; `None`: a close frame without a code.
        code: Option<u16>,
        /// With that reason.
        reason: String,
    },
    /// The connection breaks without a close frame.
    Break,
    /// The event is not sent.
    Drop,
    /// The event is sent that many times more.
    Duplicate(u32),
    /// Up to that many later events overtake it, as far as the protocol's order allows.
    Reorder(u32),
    /// It is kept back.
    Hold {
        /// Until an event of that type has been sent.
        until: Option<String>,
        /// At most that long.
        time: Duration,
    },
    /// An event of this unknown type is sent before it.
    UnknownEvent(String),
    /// It and every object in it have a member nobody knows.
    UnknownMembers,
    /// This text is sent in its place; `None`: its own, cut off in the middle.
    Malformed(Option<String>),
    /// Its audio is not base64.
    BadBase64,
    /// Its audio ends within a sample; the rest comes with the next delta.
    OddAudio,
    /// Its audio is in this format, whatever was agreed.
    Format(AudioFormat),
    /// An `error` event is sent before it.
    Error {
        /// The code: any, those of [`error_codes`] with their type and text.
        code: String,
        /// The text; `None`: the code's.
        message: Option<String>,
        /// The member at fault.
        param: Option<String>,
        /// The type of a client event: the error names the newest of them by its id.
        names: Option<String>,
    },
    /// The client's event is refused by an error with this code, and not taken.
    Refuse {
        /// The code: any, those of [`error_codes`] with their type and text.
        code: String,
        /// The text; `None`: the code's, with the member.
        message: Option<String>,
    },
    /// Its JSON is changed.
    Edit(Edit),
    /// It is sent as a binary message.
    Binary,
    /// It is sent again and again after it.
    Repeat(Repeat),
    /// All that comes at this place gets the id of the first that came there, in this event and all later
    /// ones.
    SameId(IdPlace),
    /// A response's usage is `null`.
    UsageNull,
    /// After a cancelled response is done, that many more of its deltas arrive.
    LateDeltas(u32),
    /// The transcription fails with that code, in place of its completion.
    FailTranscription(String),
    /// The session has expired.
    Expire,
    /// Someone in the call presses a key: 0 to 9, `*`, `#`, A to D.
    Key(char),
    /// From now on the server reads that many bytes a second.
    SlowReader(u64),
}

impl Disaster {
    /// Happens at the first event of that type.
    pub fn at(kind: impl Into<String>, action: Action) -> Self {
        Self { at: Some(kind.into()), from: None, which: Which::Nth(1), after: Duration::ZERO, action }
    }

    /// Happens once that much time has passed.
    pub const fn after(time: Duration, action: Action) -> Self {
        Self { at: None, from: None, which: Which::Nth(1), after: time, action }
    }

    /// At which of the events that fit.
    #[must_use]
    pub const fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }
}

/// Returns whether an event's type fits a pattern.
fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}
