//! A page that talks with the demo's agent: open it in a browser, and speak.
//!
//! ```sh
//! cargo run -p realtime-pipeline --features axum --example page_server -- 127.0.0.1:8080
//! ```
//!
//! With `OPENAI_API_KEY` in the environment the model is OpenAI, or the server that `OPENAI_BASE_URL` names.
//! Without, it is the emulator within this program, which knows the demo's lines. A connection that is lost
//! is made again by the page, and the call goes on.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "it holds calls in real time")]
mod support;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use realtime_emulator::Options;
use realtime_emulator::brain::Script;
use realtime_emulator::voice::VoiceKind;
use realtime_pipeline::Agent;
use realtime_pipeline::agent::demo;
use realtime_pipeline::media::page::{CLIENT_JS, token_in};
use realtime_pipeline::media::{Page, PageOptions};
use realtime_pipeline::sockets::{Lines, MediaSocket, draw_token, first_text};
use tokio::net::TcpListener;

/// The most calls at once.
const MOST_CALLS: usize = 100;
/// No message of a page is longer (bytes).
const LONGEST: usize = 64 * 1024;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What all calls share.
#[derive(Clone)]
struct Server {
    lines: Lines<Page>,
    /// The model, if no key is given.
    emulator: Options,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let emulator = Options::default().script(Script::demo()).voice(VoiceKind::demo(VoiceKind::best()));
    let server = Server { lines: Lines::new(MOST_CALLS), emulator };

    let javascript = [(header::CONTENT_TYPE, "text/javascript")];
    let app = Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/client.js", get(move || async move { (javascript, CLIENT_JS) }))
        .route("/ws", get(open))
        .with_state(server);
    let listener = TcpListener::bind(&address).await?;
    eprintln!("the page is at http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// A page opens its socket.
async fn open(State(server): State<Server>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if !is_of_this_server(&headers) {
        return (StatusCode::FORBIDDEN, "expected a page of this server").into_response();
    }
    upgrade.max_message_size(LONGEST).on_upgrade(move |socket| hold(server, socket))
}

/// Returns whether the request is of a page that came from here: any page may open a socket anywhere.
fn is_of_this_server(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return true };
    origin.split_once("://").is_some_and(|(_, host)| Some(host) == text(header::HOST))
}

/// Holds a call with a page, or gives the socket to the call that the page comes back to.
async fn hold(server: Server, socket: WebSocket) {
    let Ok((hello, socket)) = first_text(socket, Duration::from_secs(10)).await else { return };
    let socket = match token_in(&hello).and_then(|token| server.lines.find(&token)) {
        None => socket,
        Some(line) => match line.attach(socket) {
            Ok(()) => return,
            // That call has just ended: this is another one.
            Err(socket) => socket,
        },
    };
    let token = draw_token();
    let mut socket = MediaSocket::new(socket, Page::new(PageOptions::new(&*token)));
    let line = socket.line();
    let ended = match (server.lines.hold(token, line.clone()), socket.ready().await) {
        (Ok(_held), Ok(())) => call(server.emulator, socket).await,
        (Err(full), _) => Err(full.into()),
        (_, Err(gone)) => Err(gone.into()),
    };
    if let Err(error) = ended {
        eprintln!("error: {error}");
        line.tell(|page, _| page.unavailable());
        line.finish().await;
    }
}

/// Holds a call, to its end.
async fn call(emulator: Options, socket: MediaSocket<Page>) -> Result<()> {
    let agent = Agent::from_spec(demo::spec()).library(demo::tools());
    let (agent, endpoint) = support::model_or(agent, emulator)?;
    let call = agent.run(endpoint, socket).await?;
    eprintln!("{}", call.transcript());
    Ok(())
}
