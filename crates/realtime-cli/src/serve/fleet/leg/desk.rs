//! What a leg does with requests of carriers and of owners: [`LegDesk`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocket;
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use realtime_fleet::gateway::PlaceError;
use realtime_fleet::{Leg, LegToken};
use realtime_pipeline::sockets::draw_token;
use realtime_telephony::carrier::CallStart;
use realtime_telephony::leg::{Coming, LegEnd, NotLetIn, Numbered};
use realtime_telephony::{CarrierKind, Secret};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use super::line::{Ask, hold};
use crate::accounts::Accounts;
use crate::serve::access::Access;
use crate::serve::address::Address;
use crate::serve::asking::{caller, is_upgrade};
use crate::serve::fleet::metrics::reason;
use crate::serve::fleet::paths::{allowed, health, text};
use crate::serve::fleet::placer::{Pending, Placer};
use crate::serve::places::{Place, Places};
use crate::serve::routes::{no_method, nothing};
use crate::serve::trust::Trust;
use crate::serve::upgrade::upgrade;
use crate::serve::{answers, phone, webhook};

/// The longest message of an owner (bytes).
const LONGEST: usize = 256 * 1024;

/// What the calls of a leg share.
pub(super) struct LegDesk {
    pub(super) placer: Placer,
    pub(super) address: Address,
    pub(super) access: Access,
    pub(super) trust: Trust,
    /// Where owners dial: `ws://10.0.0.7:9000`.
    pub(super) inside: String,
    pub(super) places: Arc<Places>,
    /// How long a call may have no owner.
    pub(super) owner_within: Duration,
    /// Requests to carriers, as far as accounts are known.
    pub(super) requests: Accounts,
    /// Whether all calls are to end.
    pub(super) hurry: watch::Sender<bool>,
    pub(super) calls: Mutex<HashMap<String, Known>>,
}

/// A call that owners may ask for.
pub(super) struct Known {
    token: Secret,
    asks: mpsc::Sender<Ask>,
}

/// What an owner says of itself.
#[derive(Deserialize)]
struct Owner {
    epoch: u64,
    /// Whether the call moves to it.
    #[serde(default)]
    next: bool,
}

/// The paths of carriers, and those of people.
pub(super) fn carriers(desk: &Arc<LegDesk>) -> Router {
    let mut router = Router::new().route("/healthz", get(told_health)).route("/metrics", get(told_metrics));
    for kind in CarrierKind::ALL {
        let stream = move |State(desk): State<Arc<LegDesk>>, request: Request| carrier(desk, kind, request);
        let status = move |State(desk): State<Arc<LegDesk>>, request: Request| progress(desk, kind, request);
        router =
            router.route(&format!("/{kind}"), any(stream)).route(&format!("/{kind}/status"), any(status));
    }
    router.fallback(nothing).method_not_allowed_fallback(no_method).with_state(Arc::clone(desk))
}

/// The path of owners.
pub(super) fn owners(desk: &Arc<LegDesk>) -> Router {
    Router::new()
        .route("/calls/{id}", get(owner))
        .fallback(nothing)
        .method_not_allowed_fallback(no_method)
        .with_state(Arc::clone(desk))
}

/// A carrier opens a stream, or asks what to do with a call.
async fn carrier(desk: Arc<LegDesk>, kind: CarrierKind, request: Request) -> Response {
    if kind == CarrierKind::Genesys {
        let why = format!("{}: let `realtime serve` have its calls", Numbered(kind));
        return answers::error(StatusCode::NOT_IMPLEMENTED, "carrier", why);
    }
    if is_upgrade(request.headers()) {
        return stream(desk, kind, request).await;
    }
    match *request.method() {
        Method::GET | Method::POST => answer(&desk, kind, request).await,
        _ => no_method().await,
    }
}

/// A carrier asks what to do with a call: it is told to stream it here, if somebody has room for it.
async fn answer(desk: &LegDesk, kind: CarrierKind, request: Request) -> Response {
    let webhook = match webhook::verified(&desk.address, &desk.trust, kind, request).await {
        Ok(webhook) => webhook,
        Err(refused) => return refused,
    };
    if !desk.has_room(kind).await
        && let Some(declined) = webhook::declined(kind)
    {
        return declined;
    }
    webhook::document(&desk.address, &desk.trust, kind, &webhook)
}

async fn progress(desk: Arc<LegDesk>, kind: CarrierKind, request: Request) -> Response {
    match webhook::told(&desk.address, &desk.trust, kind, request).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused,
    }
}

/// A carrier opens a stream: verified, then given a place, and only then upgraded.
async fn stream(desk: Arc<LegDesk>, kind: CarrierKind, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    if let Err(refused) = phone::verify(&desk.address, &desk.trust, kind, &head) {
        return answers::refused(kind.name(), refused);
    }
    let place = match desk.places.take() {
        Ok(place) => place,
        Err(why) => return answers::no_place(why.code(), why),
    };
    let pending = match desk.has_worker().await {
        Ok(pending) => pending,
        Err(why) => return answers::no_place(reason(why), why),
    };
    match phone::open(&mut head, kind).await {
        Ok(upgrade) => {
            upgrade.on_upgrade(move |socket| async move { serve(&desk, kind, socket, place, pending).await })
        }
        Err(refused) => refused,
    }
}

/// Holds one call.
async fn serve(desk: &Arc<LegDesk>, kind: CarrierKind, socket: WebSocket, place: Place, pending: Pending) {
    let mut hurry = desk.hurry.subscribe();
    let hang_up = async {
        let _ = hurry.wait_for(|hurry| *hurry).await; // an error: the process ends
    };
    let (mut id, mut call_id) = (None, None);
    let start = |call: &CallStart, asks, refuse| {
        (id, call_id) = desk.place(kind, call, asks, refuse, pending);
    };
    let ended = hold(kind, socket, desk.owner_within, start, hang_up).await;
    if let Some(id) = &id {
        desk.calls().remove(id);
    }
    let Ok((why, leg)) = ended else { return };
    let counts = leg.counts();
    tracing::info!(carrier = kind.name(), call = call_id, ?counts, "a call has ended: {why}");
    if matches!(why, LegEnd::HungUp | LegEnd::NoOwner) {
        tracing::warn!(carrier = kind.name(), call = call_id, "a call was given up: {why}");
        desk.hang_up(kind, call_id.as_deref()).await;
    }
    drop(place);
}

/// An owner dials.
async fn owner(
    State(desk): State<Arc<LegDesk>>,
    Path(id): Path<String>,
    Query(said): Query<Owner>,
    request: Request,
) -> Response {
    let (mut head, _) = request.into_parts();
    let asks = {
        let calls = desk.calls();
        let known =
            calls.get(&id).filter(|known| caller(&head).token.is_some_and(|token| known.token.is(token)));
        known.map(|known| known.asks.clone())
    };
    let gone =
        || answers::error(StatusCode::NOT_FOUND, "call", "there is no such call, or it has another token");
    let Some(asks) = asks else { return gone() };
    let upgrade = match upgrade(&mut head, LONGEST).await {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused,
    };
    let (answer, answered) = oneshot::channel();
    let coming = if said.next { Coming::Next } else { Coming::Now };
    if asks.send(Ask { epoch: said.epoch, coming, answer }).await.is_err() {
        return gone();
    }
    match answered.await {
        Ok(Ok(seat)) => upgrade.on_upgrade(move |socket| seat.take(socket)),
        Ok(Err(why @ NotLetIn::Older { .. })) => answers::error(StatusCode::CONFLICT, "epoch", why),
        Ok(Err(_)) | Err(_) => gone(),
    }
}

async fn told_health(State(desk): State<Arc<LegDesk>>) -> Response {
    let word = match (desk.placer.is_draining(), desk.placer.gateway.hears_workers().await) {
        (true, _) => "draining",
        (false, false) => "engine_away",
        (false, true) => "ok",
    };
    let workers = desk.placer.gateway.workers().await;
    let (calls, most) = (desk.places.taken(), desk.places.most());
    let version = env!("CARGO_PKG_VERSION");
    health(word, &json!({ "workers": workers, "calls": calls, "most_calls": most, "version": version }))
}

async fn told_metrics(State(desk): State<Arc<LegDesk>>, request: Request) -> Response {
    let figures = &desk.placer.figures;
    allowed(&desk.access, request, async || text(figures.text(desk.placer.gateway.workers().await))).await
}

impl LegDesk {
    /// Returns whether there is a place here, and a worker for a call.
    async fn has_room(&self, kind: CarrierKind) -> bool {
        if self.places.is_draining() || self.places.taken() >= self.places.most() {
            tracing::warn!(carrier = kind.name(), "there is no place for a call");
            return false;
        }
        self.has_worker().await.is_ok()
    }

    /// Whether a worker has room for one more call.
    async fn has_worker(&self) -> Result<Pending, PlaceError> {
        let new = self.placer.new_call(Leg::Direct {}, serde_json::Value::Null);
        self.placer.check(&new).await
    }

    /// Places a call that has started. Returns its name in this process, and at the carrier. `refuse`: told
    /// where nobody takes it.
    fn place(
        self: &Arc<Self>,
        kind: CarrierKind,
        call: &CallStart,
        asks: mpsc::Sender<Ask>,
        refuse: oneshot::Sender<()>,
        pending: Pending,
    ) -> (Option<String>, Option<String>) {
        let (id, token) = (draw_token(), draw_token());
        let [from, to, call_id] = phone::who(call);
        let url = format!("{}/calls/{id}", self.inside);
        self.calls().insert(id.clone(), Known { token: Secret::new(token.clone()), asks });
        let (carrier, token) = (kind.name().to_owned(), LegToken::new(token));
        let leg = Leg::Phone { carrier, call_id: call_id.clone(), url, token };
        let new = self.placer.new_call(leg, json!({ "from": from, "to": to }));
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            if desk.placer.place(new).await.is_err() {
                let _ = refuse.send(()); // the call is over
            }
            drop(pending);
        });
        (Some(id), call_id)
    }

    /// Hangs up where closing the socket does not.
    async fn hang_up(&self, kind: CarrierKind, call_id: Option<&str>) {
        if kind.closing_hangs_up() {
            return;
        }
        match (self.requests.get(&kind), call_id) {
            (Some(requests), Some(call_id)) => {
                if let Err(error) = requests.hang_up(call_id).await {
                    tracing::warn!(carrier = kind.name(), "a call was not hung up: {error}");
                }
            }
            _ => {
                tracing::warn!(carrier = kind.name(), "a call may go on: its account's variables are not set")
            }
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
