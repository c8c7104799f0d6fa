//! The two spellings of the protocol, translated at the edge. The types are GA's, and only this module knows
//! what beta spells differently.
//!
//! An event is read in any spelling, whatever the dialect. Its spelling may differ from what the dialect
//! would write: another dialect's name, a session half flat and half nested, `modalities` in another order.
//! Then the event keeps its spelling, and is written as it came as long as it is not changed.

mod beta;
mod foreign;
mod unsaid;

use alloc::boxed::Box;
use alloc::string::String;

use crate::event::{ClientEvent, ServerEvent};
use crate::field::Extra;
use crate::response::{Response, ResponseParams};
use crate::session_config::{SessionConfig, SessionKind};

pub use foreign::Foreign;

pub(crate) use beta::{
    bare_session_in as session_in, bare_session_to_ga as session_to_ga, body_to_ga, ga_path,
};
use beta::{body_to_beta, strip_beta_only};

/// A spelling of the protocol on the wire.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// The dialect of general availability: OpenAI, Azure v1, and most others.
    #[default]
    Ga,
    /// The dialect before it, which OpenAI no longer serves: Azure preview, speaches, DashScope, and others.
    Beta,
}

/// How an event was spelled, if its dialect spells it differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Spelling {
    /// Its `type` was the name in this dialect.
    Name(Dialect),
    /// It was read in this dialect, from this text.
    Text(Dialect, Box<str>),
}

/// The member of an event, besides its `type`, that the dialects spell differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// None.
    Plain,
    /// Its `session`.
    Session,
    /// Its `response`, as a client asks for it.
    Params,
    /// Its `response`, as a server reports it.
    Response,
    /// Its `item`.
    Item,
}

/// The member named by [`Shape`], after reading.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// Nothing that beta spells differently.
    Other,
    /// A session.
    Session(&'a SessionConfig),
    /// What a client asks for.
    Params(&'a ResponseParams),
    /// What a server reports.
    Response(&'a Response),
}

impl Body<'_> {
    /// Returns whether it has members with beta's names.
    pub(crate) fn is_beta_spelled(self) -> bool {
        let any = |extra: &Extra, names: &[&str]| extra.iter().any(|(name, _)| names.contains(&name));
        match self {
            Self::Other => false,
            Self::Session(session) => any(&session.extra, beta::SESSION_ONLY),
            Self::Params(params) => any(&params.extra, beta::RESPONSE_ONLY),
            Self::Response(response) => any(&response.extra, beta::RESPONSE_ONLY),
        }
    }

    /// Returns whether a field is set that GA does not have.
    pub(crate) const fn has_beta_only_fields(self) -> bool {
        match self {
            Self::Other => false,
            Self::Session(session) => !session.temperature.is_absent() || !session.client_secret.is_absent(),
            Self::Params(params) => !params.temperature.is_absent(),
            Self::Response(response) => !response.temperature.is_absent(),
        }
    }

    fn is_transcription(self) -> bool {
        matches!(self, Self::Session(session) if session.kind.value() == Some(&SessionKind::Transcription))
    }
}

/// An event, as the two dialects need to see it.
pub(crate) trait Spelled {
    /// The member that the dialects spell differently, after reading.
    fn body(&self) -> Body<'_>;

    /// GA's `type` for any dialect's.
    fn ga_kind(kind: &str) -> &str;

    /// The member that the dialects spell differently in an event of this side. `kind` is GA's name. Events
    /// of the other side are unknown to this one, and unknown events are not translated.
    fn shape(kind: &str) -> Shape;

    /// The event's `type` in `dialect`. `kind` is GA's name.
    fn kind_in(&self, dialect: Dialect, kind: &'static str) -> &'static str;
}

impl Spelled for ServerEvent {
    fn body(&self) -> Body<'_> {
        match self {
            Self::SessionCreated(event) => event.session.value().map_or(Body::Other, |s| Body::Session(s)),
            Self::SessionUpdated(event) => event.session.value().map_or(Body::Other, |s| Body::Session(s)),
            Self::ResponseCreated(event) => Body::Response(&event.response),
            Self::ResponseDone(event) => Body::Response(&event.response),
            _ => Body::Other,
        }
    }

    fn ga_kind(kind: &str) -> &str {
        beta::SERVER_KINDS.iter().find(|(beta, _)| *beta == kind).map_or(kind, |(_, ga)| ga)
    }

    fn shape(kind: &str) -> Shape {
        match kind {
            "session.created" | "session.updated" => Shape::Session,
            "response.created" | "response.done" => Shape::Response,
            "conversation.item.created"
            | "conversation.item.added"
            | "conversation.item.done"
            | "conversation.item.retrieved"
            | "response.output_item.added"
            | "response.output_item.done" => Shape::Item,
            _ => Shape::Plain,
        }
    }

    fn kind_in(&self, dialect: Dialect, kind: &'static str) -> &'static str {
        match (dialect, self) {
            (Dialect::Ga, _) => kind,
            (Dialect::Beta, Self::SessionCreated(_)) if self.body().is_transcription() => {
                "transcription_session.created"
            }
            (Dialect::Beta, Self::SessionUpdated(_)) if self.body().is_transcription() => {
                "transcription_session.updated"
            }
            // Only *added* is a creation. *done* has no name in beta, and is sent with its GA name.
            (Dialect::Beta, Self::ConversationItemAdded(_)) => "conversation.item.created",
            (Dialect::Beta, Self::SessionCreated(_) | Self::SessionUpdated(_)) => kind,
            (Dialect::Beta, _) => {
                beta::SERVER_KINDS.iter().find(|(_, ga)| *ga == kind).map_or(kind, |(beta, _)| beta)
            }
        }
    }
}

impl Spelled for ClientEvent {
    fn body(&self) -> Body<'_> {
        match self {
            Self::SessionUpdate(event) => Body::Session(&event.session),
            Self::ResponseCreate(event) => event.response.value().map_or(Body::Other, |p| Body::Params(p)),
            _ => Body::Other,
        }
    }

    fn ga_kind(kind: &str) -> &str {
        if kind == beta::TRANSCRIPTION_UPDATE { "session.update" } else { kind }
    }

    fn shape(kind: &str) -> Shape {
        match kind {
            "session.update" => Shape::Session,
            "response.create" => Shape::Params,
            "conversation.item.create" => Shape::Item,
            _ => Shape::Plain,
        }
    }

    fn kind_in(&self, dialect: Dialect, kind: &'static str) -> &'static str {
        match (dialect, self) {
            (Dialect::Beta, Self::SessionUpdate(_)) if self.body().is_transcription() => {
                beta::TRANSCRIPTION_UPDATE
            }
            _ => kind,
        }
    }
}

impl ServerEvent {
    /// Returns whether servers of `dialect` send this event. A server that speaks beta leaves out the other
    /// events, above all `conversation.item.done`: beta announces an item once, by
    /// `conversation.item.created`.
    pub const fn is_sent_in(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Ga => !matches!(self, Self::ConversationItemCreated(_)),
            Dialect::Beta => !matches!(
                self,
                Self::ConversationItemDone(_)
                    | Self::InputAudioBufferDtmfEventReceived(_)
                    | Self::InputAudioBufferTimeoutTriggered(_)
                    | Self::InputAudioTranscriptionSegment(_)
                    | Self::McpListToolsInProgress(_)
                    | Self::McpListToolsCompleted(_)
                    | Self::McpListToolsFailed(_)
                    | Self::ResponseMcpCallArgumentsDelta(_)
                    | Self::ResponseMcpCallArgumentsDone(_)
                    | Self::ResponseMcpCallInProgress(_)
                    | Self::ResponseMcpCallCompleted(_)
                    | Self::ResponseMcpCallFailed(_)
            ),
        }
    }
}

/// Translates an event's text from GA's spelling into that of `dialect`, in which its `type` is `kind`.
pub(crate) fn respell(dialect: Dialect, kind: &str, shape: Shape, ga: &str) -> Option<String> {
    match dialect {
        Dialect::Ga => strip_beta_only(shape, ga),
        Dialect::Beta => body_to_beta(kind, shape, ga),
    }
}

#[cfg(test)]
mod tests;
