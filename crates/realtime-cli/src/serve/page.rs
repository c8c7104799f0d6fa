//! The page, its program, its socket and its tokens.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts as Head;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Sink, SinkExt as _};
use realtime_pipeline::media::{Page, PageOptions, page};
use realtime_pipeline::sockets::{MediaSocket, draw_token, first_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::agent::Reach;
use crate::serve::access::{Admitted, Denied};
use crate::serve::answers;
use crate::serve::asking::{caller, is_upgrade};
use crate::serve::hold::hold;
use crate::serve::places::Place;
use crate::serve::recordings::Recordings;
use crate::serve::server::{Parts, Shared};
use crate::serve::upgrade::upgrade;
use crate::time::wall;

/// The page. Its own text says what it does; `{{about}}` is what it is told.
const HTML: &str = include_str!("page.html");

/// The longest message of a page (bytes): its protocol has no longer ones.
const LONGEST: usize = 64 * 1024;

/// How long a page may take for its first word.
const HELLO: Duration = Duration::from_secs(10);

/// The page.
pub(super) async fn html(State(server): State<Shared>) -> Response {
    let about = json!({
        "agent": server.host.agent.name(),
        "model": if server.host.model.is_emulator() { "emulator" } else { server.host.model.name() },
        "tools": server.host.agent.tools(),
        "needs_token": server.access.needs_token(),
        "takes_pages": server.access.takes_pages(),
        "records": server.host.recordings.as_ref().is_some_and(Recordings::has_words),
    });
    // It stands in a script.
    let about = about.to_string().replace('<', "\\u003c");
    let html = HTML.replacen("{{about}}", &about, 1);
    let mut response = ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy(&server.address.ws(""))) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The program of a page, also for pages of other origins.
pub(super) async fn client(State(server): State<Shared>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let response = ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], page::CLIENT_JS).into_response();
    shared_with(&server, &head, response)
}

/// What the page may load and reach: itself.
fn policy(ws: &str) -> String {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    let digest = SCRIPT.get_or_init(|| {
        let script =
            HTML.split_once("<script type=\"module\">").and_then(|(_, rest)| rest.split_once("</script>"));
        STANDARD.encode(Sha256::digest(script.map_or("", |(script, _)| script)))
    });
    // Older browsers do not take `'self'` for sockets.
    let host: Vec<&str> = ws.splitn(4, '/').take(3).collect();
    let host = host.join("/");
    format!(
        "default-src 'none'; script-src 'self' blob: 'sha256-{digest}'; style-src 'unsafe-inline'; \
         img-src data:; media-src blob:; worker-src blob:; connect-src 'self' {host}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page's socket. Asked without an upgrade, it says whether a call could begin.
pub(super) async fn socket(State(server): State<Shared>, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let admitted = match server.access.page(caller(&head), wall()) {
        Ok(admitted) => admitted,
        Err(denied) => return answers::denied(denied),
    };
    let place = match admitted {
        Admitted::Begin => Some(server.host.places.take()),
        Admitted::Return => None,
    };
    if !is_upgrade(&head.headers) {
        return match place {
            Some(Ok(_)) => Json(json!({ "takes_calls": true })).into_response(),
            Some(Err(why)) => answers::no_place(why.code(), why),
            None => answers::denied(Denied::WrongToken),
        };
    }
    let place = match place {
        Some(Ok(place)) => Some(place),
        // Somebody may come back to a call, which has its place.
        Some(Err(_)) | None if !server.lines.is_empty() => None,
        Some(Err(why)) => {
            server.host.refused("page", why);
            return answers::no_place(why.code(), why);
        }
        None => return answers::denied(Denied::WrongToken),
    };
    match upgrade(&mut head, LONGEST).await {
        Ok(upgrade) => upgrade.on_upgrade(move |socket| async move { talk(&server, socket, place).await }),
        Err(refused) => refused,
    }
}

/// Holds a call with a page, or gives the socket to the call that it comes back to.
async fn talk(server: &Parts, socket: WebSocket, place: Option<Place>) {
    let (hello, socket) = match first_text(socket, HELLO).await {
        Ok(read) => read,
        Err(error) => return tracing::debug!("a page said nothing: {error}"),
    };
    let socket = match page::token_in(&hello).and_then(|token| server.lines.find(&token)) {
        None => socket,
        Some(line) => match line.attach(socket) {
            Ok(()) => return tracing::info!("a page is back"),
            // Its call has just ended.
            Err(socket) => socket,
        },
    };
    let Some(place) = place else { return turn_away(socket).await };

    let (call, budget) = server.host.begin("page", place);
    let token = draw_token();
    let options = PageOptions::new(token.as_str()).arguments(server.shows_arguments);
    let mut socket = MediaSocket::new(socket, Page::new(options));
    // Without it the page can't come back, and that is all.
    let _line = server.lines.hold(token, socket.line());
    match socket.ready().await {
        Ok(()) => hold(server, call, budget, Reach::Other, socket).await,
        Err(error) => call.failed(crate::one_line(&error)),
    }
}

/// There is no call to come back to, and no other one may begin.
async fn turn_away(mut socket: impl Sink<Message> + Unpin) {
    let text = json!({ "type": "ended", "code": "busy", "text": "All lines are busy. Try again later." });
    // It may have gone by now.
    let _ = socket.send(Message::Text(text.to_string().into())).await;
    let _ = socket.close().await;
}

/// A short-lived token, for a page of the one who asks.
pub(super) async fn token(State(server): State<Shared>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let response = match server.access.short_lived(caller(&head), wall()) {
        Ok(Some((token, seconds))) => Json(json!({ "token": token, "expires_in": seconds })).into_response(),
        Ok(None) => Json(json!({ "token": null, "expires_in": null })).into_response(),
        Err(denied) => answers::denied(denied),
    };
    shared_with(&server, &head, response)
}

/// The question of a browser whether a page of another origin may ask.
pub(super) async fn preflight(State(server): State<Shared>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    shared_with(&server, &head, StatusCode::NO_CONTENT.into_response())
}

/// Lets the page that asks read the answer, if its origin is allowed.
pub(super) fn shared_with(server: &Parts, head: &Head, mut response: Response) -> Response {
    let asks = caller(head);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("origin"));
    if let Some(Ok(origin)) = asks.origin.map(HeaderValue::try_from)
        && server.access.origin(asks).is_ok()
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    }
    response
}
