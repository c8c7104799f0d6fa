//! Webhooks of carriers: what to do with a call, and what has become of one.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use realtime_telephony::CarrierKind;
use realtime_telephony::answer::{AnswerError, Document, StreamAnswer, decline};
use realtime_telephony::webhook::Webhook;

use crate::serve::answers;
use crate::serve::asking::{Asking, body};
use crate::serve::phone;
use crate::serve::server::{Parts, Shared};
use crate::time::wall;

/// A carrier asks what to do with a call: it is told to stream it to this server.
pub(super) async fn answer(server: Shared, kind: CarrierKind, request: Request) -> Response {
    let webhook = match verified(&server, kind, request).await {
        Ok(webhook) => webhook,
        Err(refused) => return refused,
    };
    if server.host.places.is_draining() || server.host.places.taken() >= server.host.places.most() {
        tracing::warn!(carrier = kind.name(), "a call was declined: there is no place");
        if let Some(document) = decline(kind) {
            return written(document);
        }
    }
    match stream_answer(&server, kind, &webhook).document(kind) {
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
    match verified(&server, kind, request).await {
        Ok(webhook) => {
            if let Some(progress) = webhook.progress {
                tracing::info!(carrier = kind.name(), call = webhook.call_id, "a call: {progress}");
            }
            // Nobody may listen.
            let _ = server.progress.send((kind, webhook));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => refused,
    }
}

/// Where a call is to be streamed, and how.
pub(super) fn stream_answer(server: &Parts, kind: CarrierKind, webhook: &Webhook) -> StreamAnswer {
    let url = server.trust.address(kind, &server.address.ws(&format!("/{kind}")));
    let answer = StreamAnswer::new(url).proof(server.trust.told(kind));
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
async fn verified(server: &Parts, kind: CarrierKind, request: Request) -> Result<Webhook, Response> {
    let (head, content) = request.into_parts();
    let content = body(content).await?;
    let asking = Asking::of(&head, &server.address);
    let asked = asking.with(&content);
    server.trust.webhook(kind, &asked, wall()).map_err(|refused| answers::refused(kind.name(), refused))?;
    Ok(Webhook::read(kind, &asked.at(asked.http)))
}

fn written(document: Document) -> Response {
    ([(CONTENT_TYPE, document.content_type)], document.body).into_response()
}
