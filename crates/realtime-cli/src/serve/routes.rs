//! Which path is what.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{any, delete, get, post};
use realtime_telephony::CarrierKind;
use serde_json::json;

use crate::serve::answers;
use crate::serve::asking::{caller, is_upgrade};
use crate::serve::server::Shared;
use crate::serve::{metrics, page, phone, rtvi, sip, webhook};

/// All paths of a server.
pub(super) fn router(server: &Shared) -> Router {
    let mut router = Router::new()
        .route("/", get(page::html))
        .route("/client.js", get(page::client))
        .route("/ws", get(page::socket))
        .route("/tokens", post(page::token).options(page::preflight))
        .route("/rtvi", get(rtvi::socket).post(rtvi::start).options(page::preflight))
        .route("/openai", post(sip::webhook))
        .route("/healthz", get(health))
        .route("/calls", get(calls))
        .route("/calls/{id}", get(call).delete(hang_up))
        .route("/calls/{id}/log", delete(delete_log))
        .route("/metrics", get(metrics));
    for kind in CarrierKind::ALL {
        let stream = move |State(server): State<Shared>, request: Request| carrier(server, kind, request);
        let status =
            move |State(server): State<Shared>, request: Request| webhook::status(server, kind, request);
        router =
            router.route(&format!("/{kind}"), any(stream)).route(&format!("/{kind}/status"), any(status));
    }
    router.fallback(nothing).method_not_allowed_fallback(no_method).with_state(server.clone())
}

/// A carrier opens a stream, or asks what to do with a call.
async fn carrier(server: Shared, kind: CarrierKind, request: Request) -> Response {
    if is_upgrade(request.headers()) {
        return phone::stream(server, kind, request).await;
    }
    match *request.method() {
        Method::GET | Method::POST => webhook::answer(server, kind, request).await,
        _ => no_method().await,
    }
}

/// Whether the server takes calls.
async fn health(State(server): State<Shared>) -> Response {
    let places = &server.host.places;
    let (status, word) = match places.is_draining() {
        false => (StatusCode::OK, "ok"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let body = json!({
        "status": word,
        "calls": places.taken(),
        "most_calls": places.most(),
        "uptime_seconds": server.began.elapsed().as_secs(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    (status, no_store(Json(body).into_response())).into_response()
}

async fn calls(State(server): State<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match server.access.admin(caller(&parts)) {
        Ok(()) => no_store(Json(server.host.calls.told()).into_response()),
        Err(denied) => answers::denied(denied),
    }
}

async fn call(State(server): State<Shared>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match server.access.admin(caller(&parts)) {
        Ok(()) => match server.host.calls.told_of(&id) {
            Some(told) => no_store(Json(told).into_response()),
            None => no_call(),
        },
        Err(denied) => answers::denied(denied),
    }
}

async fn hang_up(State(server): State<Shared>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match server.access.admin(caller(&parts)) {
        Ok(()) if server.host.calls.hang_up(&id) => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => no_call(),
        Err(denied) => answers::denied(denied),
    }
}

async fn delete_log(State(server): State<Shared>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(denied) = server.access.admin(caller(&parts)) {
        return answers::denied(denied);
    }
    match server.host.recordings.as_ref().map(|recordings| recordings.delete(&id)) {
        Some(Ok(true)) => StatusCode::NO_CONTENT.into_response(),
        Some(Ok(false)) | None => {
            answers::error(StatusCode::NOT_FOUND, "log", "there is no log of such a call")
        }
        Some(Err(error)) => answers::broken("a session log cannot be deleted", &error),
    }
}

async fn metrics(State(server): State<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match server.access.admin(caller(&parts)) {
        Ok(()) => {
            no_store(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], server.host.metrics.text()).into_response())
        }
        Err(denied) => answers::denied(denied),
    }
}

fn no_call() -> Response {
    answers::error(StatusCode::NOT_FOUND, "call", "there is no such call")
}

pub(super) async fn nothing() -> Response {
    answers::error(
        StatusCode::NOT_FOUND,
        "path",
        "there is nothing at this path: see `--help` of the command that serves here",
    )
}

pub(super) async fn no_method() -> Response {
    answers::error(StatusCode::METHOD_NOT_ALLOWED, "method", "this path is not asked by this method")
}

/// What is told now is not kept anywhere.
pub(super) fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
