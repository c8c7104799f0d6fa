//! What `tracing` gets of a call: spans and events, with the field names of OpenTelemetry's conventions for
//! generative AI. They hold nothing that people or models said, unless the application asks for it.

use realtime_protocol::call::{CloseReason, ConnectionEvent, ConnectionId, DisconnectReason, Event};
use realtime_protocol::content::ContentPart;
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};
use realtime_protocol::item::Item;
use tracing::{Level, Span, debug, enabled, field, info, info_span, trace};

use crate::connect::endpoint::Endpoint;
use crate::spans::{FunctionSpans, Spans};

/// Turns what a session tells into spans and events.
pub(crate) struct Observer {
    session: Span,
    spans: Spans,
    /// Whether words and arguments are shown too.
    content: bool,
}

impl Observer {
    pub(crate) fn new(endpoint: &Endpoint, functions: FunctionSpans, content: bool) -> Self {
        let session = info_span!(
            "realtime_session",
            otel.kind = "client",
            gen_ai.operation.name = "realtime",
            gen_ai.provider.name = provider(endpoint),
            gen_ai.request.model = endpoint.model(),
            gen_ai.conversation.id = field::Empty,
            server.address = endpoint.host(),
            server.port = endpoint.port(),
            error.r#type = field::Empty,
        );
        Self { spans: Spans::new(session.clone(), functions), session, content }
    }

    /// The span of the whole call.
    pub(crate) fn span(&self) -> Span {
        self.session.clone()
    }

    /// Notes changes of state.
    pub(crate) fn observe(&mut self, event: &Event) {
        self.spans.observe(event);
        match event {
            Event::Created { session_id } => {
                self.session.record("gen_ai.conversation.id", session_id.as_ref().map(|id| id.as_str()));
                debug!("session created");
            }
            Event::Ready { .. } => debug!("session ready"),
            Event::ConfigUpdated { .. } => debug!("configuration updated"),
            Event::Interrupted(interruption) => {
                debug!(heard_ms = interruption.heard().as_millis(), "interrupted");
            }
            Event::ServerError { error, class, answered } => {
                debug!(error.r#type = error.code_str(), ?class, answered, "server error");
            }
            Event::Warning(_) => debug!("the session warns"),
            Event::Connection(ConnectionEvent::Lost { class, retry_at, .. }) => {
                info!(?class, retry = retry_at.is_some(), "disconnected");
            }
            Event::Connection(ConnectionEvent::Retrying { attempt, endpoint }) => {
                debug!(attempt, endpoint, "reconnecting")
            }
            Event::Connection(ConnectionEvent::Resumed { gap, .. }) => info!(?gap, "reconnected"),
            Event::Connection(ConnectionEvent::Rotated { endpoint, gap, .. }) => {
                info!(endpoint, ?gap, "rotated")
            }
            Event::Closed { reason } => {
                if *reason != CloseReason::Requested {
                    self.session.record("error.type", kind_of_end(reason));
                }
                info!("session closed");
            }
            _ => {}
        }
        if self.content {
            self.show(event);
        }
    }

    /// Shows what was said.
    fn show(&self, event: &Event) {
        match event {
            Event::UserTranscript { transcript, .. } => {
                info!(event.name = "gen_ai.user.message", content = transcript, "the user said");
            }
            Event::ItemDone { item } => {
                if let Item::Message(message) = &**item {
                    for text in message.parts().iter().filter_map(ContentPart::words) {
                        info!(event.name = "gen_ai.message", content = text, "a message holds");
                    }
                }
            }
            Event::FunctionCalls { response_id, calls, .. } => {
                for call in calls {
                    info!(
                        event.name = "gen_ai.tool.message",
                        gen_ai.response.id = %response_id,
                        gen_ai.tool.name = call.name,
                        gen_ai.tool.call.id = %call.call_id,
                        gen_ai.tool.call.arguments = call.arguments,
                        "the model calls"
                    );
                }
            }
            _ => {}
        }
    }
}

/// Notes that a wire text came: its type, if it is a known one, and its length. Never its content.
pub(crate) fn trace_received(text: &str) {
    if enabled!(Level::TRACE) {
        // Names are known in every dialect.
        let event = ServerEvent::decode(text, Dialect::Ga);
        let kind = ServerEvent::KINDS.iter().find(|kind| **kind == event.kind());
        trace!(kind = kind.copied().unwrap_or("other"), bytes = text.len(), "received");
    }
}

pub(crate) fn trace_sent(conn: ConnectionId, text: &str) {
    if enabled!(Level::TRACE) {
        let event = ClientEvent::decode(text, Dialect::Ga);
        trace!(%conn, kind = event.kind(), bytes = text.len(), "sent");
    }
}

/// The conventions' name for the provider of an endpoint.
fn provider(endpoint: &Endpoint) -> &'static str {
    let is_azure = [".azure.com", ".azure.us", ".azure.cn"].iter().any(|end| endpoint.host().ends_with(end));
    if is_azure { "azure.ai.openai" } else { "openai" }
}

/// The kind of an end, out of a few names.
const fn kind_of_end(reason: &CloseReason) -> &'static str {
    match reason {
        CloseReason::Requested => "requested",
        CloseReason::Disconnected(DisconnectReason::Closed { .. }) => "closed_by_server",
        CloseReason::Disconnected(DisconnectReason::Refused { .. }) => "connection_refused",
        CloseReason::Disconnected(DisconnectReason::NotConnected { may_pass: false, .. }) => {
            "endpoint_unusable"
        }
        CloseReason::Disconnected(DisconnectReason::NotConnected { .. }) => "not_connected",
        CloseReason::Disconnected(DisconnectReason::Lost { .. }) => "connection_lost",
        CloseReason::ConsumerTooSlow => "consumer_too_slow",
        CloseReason::Panicked { .. } => "panicked",
        CloseReason::NotCreated => "not_created",
        CloseReason::ConfigRefused { .. } => "config_refused",
        CloseReason::Fatal { .. } => "fatal",
        _ => "other",
    }
}
