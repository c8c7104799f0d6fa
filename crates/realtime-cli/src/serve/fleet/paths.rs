//! What is asked of gateways and workers by HTTP.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use realtime_fleet::OpenCall;
use realtime_fleet::WorkerSeen;
use realtime_fleet::drive::WorkerHandle;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Error;
use crate::environment::Environment;
use crate::serve::access::Access;
use crate::serve::address::Address;
use crate::serve::asking::caller;
use crate::serve::fleet::desk::Desk;
use crate::serve::fleet::metrics::WorkerFigures;
use crate::serve::host::Host;
use crate::serve::routes::{no_method, no_store, nothing};
use crate::serve::{answers, listen, metrics};
use crate::time::written;

/// Requests at once besides those that listen allows anyway.
const REQUESTS: usize = 512;

/// What the paths of a worker share.
pub(super) struct WorkerPaths {
    host: Arc<Host>,
    worker: Arc<WorkerHandle>,
    figures: Arc<WorkerFigures>,
    access: Access,
}

impl WorkerPaths {
    /// # Errors
    /// A token is too short.
    pub(super) fn new(
        host: Arc<Host>,
        worker: Arc<WorkerHandle>,
        figures: Arc<WorkerFigures>,
        address: Address,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let access = Access::new(environment, &address, &[], false)?; // it has no pages
        Ok(Self { host, worker, figures, access })
    }
}

/// Answers what is asked of a worker.
pub(super) async fn serve_worker(listener: TcpListener, paths: WorkerPaths) -> io::Error {
    let router = Router::new()
        .route("/healthz", get(worker_health))
        .route("/calls", get(worker_calls))
        .route("/metrics", get(worker_metrics))
        .fallback(nothing)
        .method_not_allowed_fallback(no_method)
        .with_state(Arc::new(paths));
    listen::serve(listener, None, router, REQUESTS).await
}

async fn worker_health(State(paths): State<Arc<WorkerPaths>>) -> Response {
    let Some(state) = paths.worker.state().await else { return health("stopped", &json!({})) };
    let word = match (state.draining, state.lease.is_zero()) {
        (true, _) => "draining",
        (false, true) => "no_lease",
        (false, false) => "ok",
    };
    health(word, &json!({ "worker": state.worker, "calls": state.figures.held }))
}

async fn worker_calls(State(paths): State<Arc<WorkerPaths>>, request: Request) -> Response {
    allowed(&paths.access, request, async || Json(paths.host.calls.told()).into_response()).await
}

async fn worker_metrics(State(paths): State<Arc<WorkerPaths>>, request: Request) -> Response {
    allowed(&paths.access, request, async || {
        paths.figures.set(paths.worker.state().await);
        text(paths.host.metrics.text())
    })
    .await
}

/// The paths of a gateway.
pub(super) fn gateway(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/openai", post(openai))
        .route("/healthz", get(gateway_health))
        .route("/calls", get(gateway_calls))
        .route("/workers", get(gateway_workers))
        .route("/metrics", get(gateway_metrics))
        .fallback(nothing)
        .method_not_allowed_fallback(no_method)
        .with_state(desk)
}

async fn openai(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    desk.webhook(request).await
}

async fn gateway_health(State(desk): State<Arc<Desk>>) -> Response {
    let word = match (desk.placer.is_draining(), desk.placer.gateway.hears_workers().await) {
        (true, _) => "draining",
        (false, false) => "engine_away",
        (false, true) => "ok",
    };
    health(
        word,
        &json!({ "workers": desk.placer.gateway.workers().await, "version": env!("CARGO_PKG_VERSION") }),
    )
}

async fn gateway_calls(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    allowed(&desk.access, request, async || match desk.placer.gateway.nats().open_calls().await {
        Some(calls) => Json(calls.iter().map(told_call).collect::<Vec<_>>()).into_response(),
        None => {
            answers::error(StatusCode::SERVICE_UNAVAILABLE, "engine_away", "the NATS servers do not answer")
        }
    })
    .await
}

async fn gateway_workers(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    allowed(&desk.access, request, async || {
        let workers = desk.placer.gateway.cards().await;
        Json(workers.iter().map(told_worker).collect::<Vec<_>>()).into_response()
    })
    .await
}

async fn gateway_metrics(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    allowed(&desk.access, request, async || {
        text(desk.placer.figures.text(desk.placer.gateway.workers().await))
    })
    .await
}

/// Answers whoever may be told.
pub(super) async fn allowed(
    access: &Access,
    request: Request,
    answer: impl AsyncFnOnce() -> Response,
) -> Response {
    let (head, _) = request.into_parts();
    match access.admin(caller(&head)) {
        Ok(()) => no_store(answer().await),
        Err(denied) => answers::denied(denied),
    }
}

pub(super) fn health(word: &str, more: &Value) -> Response {
    let status = if word == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = more.clone();
    body["status"] = word.into();
    (status, no_store(Json(body).into_response())).into_response()
}

pub(super) fn text(text: String) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// A worker as JSON.
pub(super) fn told_worker(seen: &WorkerSeen) -> Value {
    let card = &seen.card;
    json!({
        "worker": seen.worker,
        "calls": card.calls,
        "slots": card.slots,
        "room": card.room(),
        "draining": card.draining,
        "labels": card.labels,
        "tenants": card.tenants,
        "card_age_seconds": (seen.age.as_secs_f64() * 10.0).round() / 10.0,
    })
}

/// A call as JSON.
pub(super) fn told_call(call: &OpenCall) -> Value {
    let mut told = json!(call);
    told["since"] = call.since.map(written).into();
    told["owned_since"] = call.owned_since.map(written).into();
    told
}
