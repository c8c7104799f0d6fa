//! What a gateway does with a call: [`Desk`].

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use realtime_fleet::Leg;
use realtime_fleet::gateway::{NewCall, PlaceError};
use realtime_protocol::http::IncomingCall;
use serde_json::json;

use crate::agent::LoadedAgent;
use crate::model::Model;
use crate::one_line;
use crate::serve::access::Access;
use crate::serve::address::Address;
use crate::serve::fleet::placer::Placer;
use crate::serve::sip::{self, Seen};
use crate::serve::trust::Trust;

/// The SIP status of a call that nobody can serve: the service is unavailable.
const UNAVAILABLE: u16 = 503;

/// What a gateway accepts calls with, and where it places them.
pub(super) struct Desk {
    pub(super) placer: Placer,
    pub(super) agent: LoadedAgent,
    pub(super) model: Model,
    pub(super) voice: Option<String>,
    pub(super) address: Address,
    pub(super) access: Access,
    pub(super) trust: Trust,
    pub(super) seen: Seen,
}

impl Desk {
    /// The model's server tells of an incoming call.
    pub(super) async fn webhook(self: Arc<Self>, request: Request) -> Response {
        let incoming = match sip::incoming(&self.address, &self.trust, &self.seen, request).await {
            Ok(incoming) => incoming,
            Err(response) => return response,
        };
        // It wants an answer at once; the call follows.
        let desk = Arc::clone(&self);
        tokio::spawn(async move { desk.receive(&incoming).await });
        StatusCode::NO_CONTENT.into_response()
    }

    /// Rejects a call, or accepts it and finds a worker for it.
    async fn receive(&self, incoming: &IncomingCall) {
        let call_id = &incoming.call_id;
        let new = self.new_call(incoming);
        // It can be rejected now, and not once it is accepted.
        let pending = match self.placer.check(&new).await {
            Ok(pending) => pending,
            Err(error) => return sip::decline(&self.model, call_id, status(error)).await,
        };
        let rest = match self.model.rest() {
            Ok(rest) => rest,
            Err(error) => return tracing::error!("a call can't be accepted: {}", one_line(&*error)),
        };
        let accepted = sip::accept(&self.agent, &self.model, self.voice.as_deref(), &rest, call_id).await;
        if let Err(error) = accepted {
            // The caller has gone, or another gateway was told of the call, too.
            self.placer.figures.refused("not_accepted");
            return tracing::warn!("a call was not accepted: {}", one_line(&*error));
        }
        let placed = self.placer.place(new).await;
        drop(pending);
        // The caller is told by the end of the call, and hears no silence.
        if placed.is_err()
            && let Err(error) = rest.hang_up_call(call_id).await
        {
            tracing::warn!("a call without a worker can't be hung up: {}", one_line(&error));
        }
    }

    fn new_call(&self, incoming: &IncomingCall) -> NewCall {
        let leg = Leg::Sideband { call_id: incoming.call_id.clone() };
        let (from, to) = (sip::number(incoming, "From"), sip::number(incoming, "To"));
        self.placer.new_call(leg, json!({ "from": from, "to": to }))
    }
}

/// What the carrier is told of a call that is rejected, as a SIP status.
const fn status(error: PlaceError) -> u16 {
    match error {
        PlaceError::Full | PlaceError::TenantFull => sip::BUSY,
        _ => UNAVAILABLE,
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("agent", &self.agent).field("model", &self.model).finish_non_exhaustive()
    }
}
