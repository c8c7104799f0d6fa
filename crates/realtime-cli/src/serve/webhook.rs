//! Webhooks of carriers: what to do with a call, and what has become of one.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use realtime_telephony::CarrierKind;
use realtime_telephony::answer::{AnswerError, Document, StreamAnswer, decline};
use realtime_telephony::webhook::Webhook;

use crate::serve::address::Address;
use crate::serve::answers;
use crate::serve::asking::{Asking, body};
use crate::serve::phone;
use crate::serve::server::Shared;
use crate::serve::trust::Trust;
use crate::time::wall;

/// A carrier asks what to do with a call: it is told to stream it to this server.
pub(super) async fn answer(server: Shared, kind: CarrierKind, request: Request) -> Response {
    let webhook = match verified(&server.address, &server.trust, kind, request).await {
        Ok(webhook) => webhook,
        Err(refused) => return refused,
    };
    if (server.host.places.is_draining() || server.host.places.taken() >= server.host.places.most())
        && let Some(declined) = declined(kind)
    {
        return declined;
    }
    document(&server.address, &server.trust, kind, &webhook)
}

/// A carrier is told that there is no place for its call. `None`: it can't be told by a document.
pub(super) fn declined(kind: CarrierKind) -> Option<Response> {
    tracing::warn!(carrier = kind.name(), "a call was declined: there is no place");
    decline(kind).map(written)
}

/// A carrier is told to stream a call to this server.
pub(super) fn document(address: &Address, trust: &Trust, kind: CarrierKind, webhook: &Webhook) -> Response {
    match stream_answer(address, trust, kind, webhook).document(kind) {
        Ok(document) => written(document),
        Err(AnswerError::NoDocument(_)) => answers::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            format_args!("expected a WebSocket: {kind} has this address in its settings"),
        ),
        Err(error) => answers::broken("a carrier cannot be told where to stream", &error),
    }
}

/// A carrier tells what has become of a call.
pub(super) async fn status(server: Shared, kind: CarrierKind, request: Request) -> Response {
    match told(&server.address, &server.trust, kind, request).await {
        Ok(webhook) => {
            // Nobody may listen.
            let _ = server.progress.send((kind, webhook));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => refused,
    }
}

/// What a carrier tells of a call's progress, once it is verified.
///
/// # Errors
/// The answer to a request that is not from the carrier.
pub(super) async fn told(
    address: &Address,
    trust: &Trust,
    kind: CarrierKind,
    request: Request,
) -> Result<Webhook, Response> {
    let webhook = verified(address, trust, kind, request).await?;
    if let Some(progress) = webhook.progress {
        tracing::info!(carrier = kind.name(), call = webhook.call_id, "a call: {progress}");
    }
    Ok(webhook)
}

/// Where a call is to be streamed, and how.
pub(super) fn stream_answer(
    address: &Address,
    trust: &Trust,
    kind: CarrierKind,
    webhook: &Webhook,
) -> StreamAnswer {
    let url = trust.address(kind, &address.ws(&format!("/{kind}")));
    let answer = StreamAnswer::new(url).proof(trust.told(kind));
    // The others say it by themselves, or have no place for it.
    let told: &[(&str, &Option<String>)] = match kind {
        CarrierKind::Twilio | CarrierKind::SignalWire => &[("from", &webhook.from), ("to", &webhook.to)],
        CarrierKind::Vonage => {
            &[("from", &webhook.from), ("to", &webhook.to), (phone::CALL_ID, &webhook.call_id)]
        }
        _ => &[],
    };
    let known = told.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    known
        .filter(|(_, value)| value.len() <= 64)
        .fold(answer, |answer, (name, value)| answer.parameter(name, value))
}

/// A webhook, if it is from the carrier.
///
/// # Errors
/// The answer to a request that is not.
pub(super) async fn verified(
    address: &Address,
    trust: &Trust,
    kind: CarrierKind,
    request: Request,
) -> Result<Webhook, Response> {
    let (head, content) = request.into_parts();
    let content = body(content).await?;
    let asking = Asking::of(&head, address);
    let asked = asking.with(&content);
    trust.webhook(kind, &asked, wall()).map_err(|refused| answers::refused(kind.name(), refused))?;
    Ok(Webhook::read(kind, &asked.at(asked.http)))
}

fn written(document: Document) -> Response {
    ([(CONTENT_TYPE, document.content_type)], document.body).into_response()
}
