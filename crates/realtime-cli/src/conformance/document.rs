//! One text: an event of one side, or the body of an HTTP call.

use std::collections::BTreeMap;

use realtime_protocol::compare::first_difference;
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};
use realtime_protocol::http::{
    CallCreateRequest, CallReferRequest, CallRejectRequest, ClientSecretRequest, ClientSecretResponse,
    Webhook,
};
use realtime_protocol::session_config::SessionConfig;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::conformance::schema::{Fault, Schemas};
use crate::conformance::{Known, Side};

/// What is wrong with a text, or with how this workspace reads it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Finding {
    /// A `type` that is not known.
    Unknown(String),
    /// Not JSON, or not a usable event.
    Malformed(String),
    /// A member of the wrong shape.
    Mismatch(String),
    /// A member that is not written as it came.
    Changed(String),
    /// An event of that type violates the schema.
    Invalid(String, Fault),
}

impl Finding {
    /// What kind of fault it is, in a word or two, and what it is about.
    pub(crate) fn told(&self) -> (&'static str, String) {
        match self {
            Self::Unknown(kind) => ("unknown", kind.clone()),
            Self::Malformed(why) => ("malformed", why.clone()),
            Self::Mismatch(what) => ("wrong shape", what.clone()),
            Self::Changed(what) => ("changed", what.clone()),
            Self::Invalid(kind, fault) => ("invalid", format!("{kind}: {fault}")),
        }
    }
}

/// A text that has been read and written again.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) findings: Vec<Finding>,
}

impl Document {
    /// Reads a text that stands alone.
    pub(crate) fn read(text: &str, known: Known, schemas: &Schemas) -> Self {
        let dialect = known.dialect.unwrap_or_default();
        let members: Members<'_> = serde_json::from_str(text).unwrap_or_default();
        let kind = members.kind.as_deref().unwrap_or_default();
        let mut document = Self::default();
        let side = side(kind, known);
        if let Some(side) = side {
            let faults = schemas.check(text, side).into_iter();
            document.findings.extend(faults.map(|fault| Finding::Invalid(kind.to_owned(), fault)));
        }
        match side {
            None => document.body(text, &members, dialect),
            Some(Side::Client) => {
                let event = ClientEvent::decode(text, dialect);
                match &event {
                    ClientEvent::Unknown(unknown) => document.unknown(&unknown.kind),
                    ClientEvent::Malformed(malformed) => document.malformed(malformed),
                    _ => {}
                }
                document.mismatches(event.mismatches());
                document.compare(text, &event.encode(dialect));
            }
            Some(Side::Server) => {
                let event = ServerEvent::decode(text, dialect);
                match &event {
                    ServerEvent::Unknown(unknown) => document.unknown(&unknown.kind),
                    ServerEvent::Malformed(malformed) => document.malformed(malformed),
                    _ => {}
                }
                document.mismatches(event.mismatches());
                document.compare(text, &event.encode(dialect));
            }
        }
        document
    }

    /// Reads a line of a session log, or of bare events. `spelling`: what the lines before it say of the
    /// dialects.
    pub(crate) fn read_line(
        line: &str,
        known: Known,
        spelling: &mut Spelling,
        schemas: &Schemas,
    ) -> Vec<Self> {
        let Ok(entry) = serde_json::from_str::<Line<'_>>(line) else {
            return vec![Self::read(line, spelling.of(known, 0), schemas)];
        };
        if entry.format.is_some() {
            spelling.header(&entry);
            return Vec::new();
        }
        if entry.connect == Some(true) {
            spelling.connect(entry.conn, entry.endpoint);
        }
        let known = spelling.of(known, entry.conn);
        let from = match entry.from.as_deref() {
            Some("server") => Side::Server,
            Some("client") => Side::Client,
            // Commands and call events are not on the wire.
            Some(_) => return Vec::new(),
            None => return vec![Self::read(line, known, schemas)],
        };
        let known = Known { from: Some(from), is_body: false, ..known };
        match (entry.event, entry.text) {
            (Some(event), _) => vec![Self::read(event.get(), known, schemas)],
            (None, Some(text)) => vec![Self::read(&text, known, schemas)],
            (None, None) => Vec::new(),
        }
    }

    /// Returns whether all of it has a type.
    pub(crate) fn is_typed(&self) -> bool {
        !self.findings.iter().any(|found| matches!(found, Finding::Unknown(_) | Finding::Malformed(_)))
    }

    /// Returns whether it is written as it came.
    pub(crate) fn is_lossless(&self) -> bool {
        !self.findings.iter().any(|found| matches!(found, Finding::Changed(_)))
    }

    /// Reads the body of an HTTP call. Its members tell which.
    fn body(&mut self, text: &str, members: &Members<'_>, dialect: Dialect) {
        macro_rules! read {
            ($body:ident) => {
                match $body::decode(text) {
                    Ok(body) => {
                        self.mismatches(body.mismatches());
                        self.compare(text, &body.encode());
                    }
                    Err(mismatch) => self.malformed(mismatch),
                }
            };
        }
        let kind = members.kind.as_deref().unwrap_or_default();
        match members {
            _ if kind.ends_with(".call.incoming") => read!(Webhook),
            Members { sdp: Some(_), .. } => read!(CallCreateRequest),
            Members { target_uri: Some(_), .. } => read!(CallReferRequest),
            Members { status_code: Some(_), .. } => read!(CallRejectRequest),
            Members { value: Some(_), .. } => read!(ClientSecretResponse),
            Members { expires_after: Some(_), .. } | Members { session: Some(_), .. } => {
                read!(ClientSecretRequest)
            }
            _ => match SessionConfig::decode(text, dialect) {
                Ok(config) => {
                    self.mismatches(config.mismatches());
                    self.compare(text, &config.encode(dialect));
                }
                Err(mismatch) => self.malformed(mismatch),
            },
        }
    }

    fn unknown(&mut self, kind: &str) {
        self.findings.push(Finding::Unknown(kind.to_owned()));
    }

    fn malformed(&mut self, why: impl ToString) {
        self.findings.push(Finding::Malformed(why.to_string()));
    }

    fn mismatches(&mut self, found: Vec<realtime_protocol::Mismatch>) {
        self.findings.extend(found.into_iter().map(|found| Finding::Mismatch(found.to_string())));
    }

    fn compare(&mut self, before: &str, after: &str) {
        if let Some(difference) = first_difference(before, after) {
            self.findings.push(Finding::Changed(difference.to_string()));
        }
    }
}

/// Who sent an event of that type; `None` for a body.
fn side(kind: &str, known: Known) -> Option<Side> {
    let is_of_client = ClientEvent::KINDS.contains(&kind) || kind == "transcription_session.update";
    match known.from {
        _ if known.is_body => None,
        Some(side) => Some(side),
        None if is_of_client => Some(Side::Client),
        None if kind.is_empty() || kind.ends_with(".call.incoming") => None,
        None if kind == "realtime" || kind == "transcription" || kind == "translation" => None,
        None => Some(Side::Server),
    }
}

/// The members that tell what a text is.
#[derive(Debug, Default, Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    sdp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    target_uri: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    expires_after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
}

/// A line of a session log, or anything else.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    options: Option<Options>,
    #[serde(default)]
    reconnect: Option<Reconnect>,
    #[serde(default)]
    conn: u32,
    #[serde(default)]
    connect: Option<bool>,
    #[serde(default)]
    endpoint: usize,
    #[serde(default)]
    from: Option<String>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(default)]
    text: Option<String>,
}

/// What a log's header says of how its events are spelled.
#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    dialect: Option<Dialect>,
}

/// The part of a log's header about its endpoints.
#[derive(Debug, Deserialize)]
struct Reconnect {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Endpoints {
    Each(Vec<Dialect>),
    /// Logs of the first version count them: all speak the session's dialect.
    Counted(serde::de::IgnoredAny),
}

impl Default for Endpoints {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

/// What a log says of the dialects of its connections: each speaks that of the endpoint that it goes to.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    session: Option<Dialect>,
    endpoints: Vec<Dialect>,
    connections: BTreeMap<u32, Dialect>,
}

impl Spelling {
    fn header(&mut self, header: &Line<'_>) {
        self.session = header.options.as_ref().and_then(|options| options.dialect);
        if let Some(Reconnect { endpoints: Endpoints::Each(endpoints) }) = &header.reconnect {
            self.endpoints.clone_from(endpoints);
        }
    }

    fn connect(&mut self, connection: u32, endpoint: usize) {
        self.connections.extend(self.endpoints.get(endpoint).map(|dialect| (connection, *dialect)));
    }

    /// What is known of a line of that connection. Who runs the command knows better.
    fn of(&self, known: Known, connection: u32) -> Known {
        let said = self.connections.get(&connection).copied().or(self.session);
        Known { dialect: known.dialect.or(said), ..known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str, dialect: Dialect) -> Vec<Finding> {
        let known = Known { dialect: Some(dialect), from: None, is_body: false };
        Document::read(text, known, &Schemas::default()).findings
    }

    #[test]
    fn bodies_are_told_apart_by_their_members() {
        for text in [
            r#"{"sdp": "v=0"}"#,
            r#"{"target_uri": "tel:+1"}"#,
            r#"{"status_code": 486}"#,
            r#"{"value": "ek_1", "expires_at": 1, "session": {"type": "realtime"}}"#,
            r#"{"expires_after": {"anchor": "created_at", "seconds": 600}}"#,
            r#"{"type": "realtime", "instructions": "x"}"#,
            r#"{"type": "realtime.call.incoming", "data": {"call_id": "rtc_1"}}"#,
        ] {
            assert_eq!(findings(text, Dialect::Ga), [], "{text}");
        }
        let refused = findings(r#"{"status_code": "busy"}"#, Dialect::Ga);
        assert_eq!(refused, [Finding::Mismatch("status_code: expected u16, got a string".into())]);
    }

    #[test]
    fn each_connection_of_a_log_is_read_in_the_dialect_of_its_endpoint() {
        let log = [
            r#"{"format":"realtime-session-log","options":{"dialect":"beta"},"reconnect":{"endpoints":["ga","beta"]}}"#,
            r#"{"at_us":0,"conn":0,"from":"client","connect":true}"#,
            r#"{"at_us":1,"conn":1,"from":"client","connect":true,"endpoint":1}"#,
            r#"{"at_us":2,"conn":2,"from":"client","connect":true,"endpoint":7}"#,
        ];
        let nothing = Known { dialect: None, from: None, is_body: false };
        let dialects = |log: &str, known: Known| {
            let mut spelling = Spelling::default();
            for line in log.lines() {
                let documents = Document::read_line(line, known, &mut spelling, &Schemas::default());
                assert!(documents.is_empty(), "{line}");
            }
            [0, 1, 2].map(|connection| spelling.of(known, connection).dialect)
        };
        let (ga, beta) = (Some(Dialect::Ga), Some(Dialect::Beta));
        let log = log.join("\n");
        assert_eq!(dialects(&log, nothing), [ga, beta, beta]);
        // Logs of the first version count their endpoints: all speak the session's dialect.
        assert_eq!(dialects(&log.replace(r#"["ga","beta"]"#, "2"), nothing), [beta, beta, beta]);
        assert_eq!(dialects(&log, Known { dialect: ga, ..nothing }), [ga, ga, ga]);
    }

    #[test]
    fn a_session_of_either_dialect_is_lossless() {
        let text =
            r#"{"type": "session.update", "session": {"modalities": ["audio", "text"], "voice": "sage"}}"#;
        for dialect in [Dialect::Ga, Dialect::Beta] {
            assert_eq!(findings(text, dialect), []);
        }
    }
}
