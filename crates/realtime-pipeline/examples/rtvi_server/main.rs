//! A server for clients of pipecat: `@pipecat-ai/client-js` with `@pipecat-ai/websocket-transport`.
//!
//! ```sh
//! cargo run -p realtime-pipeline --features axum --example rtvi_server -- 127.0.0.1:8080
//! ```
//!
//! ```js
//! const client = new PipecatClient({ transport: new WebSocketTransport(), enableMic: true });
//! client.registerFunctionCallHandler("page_title", async () => ({ title: document.title }));
//! await client.connect({ wsUrl: "ws://127.0.0.1:8080/rtvi" });
//! ```
//!
//! The agent is the demo's, with one tool more, which runs in the page. With `OPENAI_API_KEY` in the
//! environment the model is OpenAI, or the server that `OPENAI_BASE_URL` names. Without, it is the emulator
//! within this program, which follows `script.json`.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "it holds calls in real time")]
mod support;

use std::error::Error;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use realtime_emulator::Options;
use realtime_emulator::brain::Script;
use realtime_emulator::voice::VoiceKind;
use realtime_pipeline::Agent;
use realtime_pipeline::agent::demo;
use realtime_pipeline::chain::{Cx, Frame, FrameKind, Tap};
use realtime_pipeline::media::rtvi::{ClientMessage, FunctionReport, Rtvi, RtviOptions};
use realtime_pipeline::protocol::time::UnixTime;
use realtime_pipeline::sockets::{MediaSocket, PeerTools};
use serde_json::json;
use tokio::net::TcpListener;

/// No message of a client is longer (bytes).
const LONGEST: usize = 2 * 1024 * 1024;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let app = Router::new().route("/rtvi", get(open));
    let listener = TcpListener::bind(&address).await?;
    eprintln!("clients connect to ws://{}/rtvi", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// A client opens its socket.
async fn open(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if !is_of_this_machine(&headers) {
        return (StatusCode::FORBIDDEN, "expected a page of this machine").into_response();
    }
    upgrade.max_message_size(LONGEST).on_upgrade(hold)
}

/// Returns whether the request is of a page that came from this machine: any page may open a socket anywhere.
/// A server in production names its own origins here, or checks the client's `token`.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    origin.as_ref().and_then(Uri::host).is_some_and(|host| ["127.0.0.1", "localhost"].contains(&host))
}

/// Holds a call with a client.
async fn hold(socket: WebSocket) {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or_default();
    let options = RtviOptions::new(UnixTime::from_secs(now))
        .functions(FunctionReport::Name)
        .function("page_title", FunctionReport::Arguments);
    let mut socket = MediaSocket::new(socket, Rtvi::new(options));
    let line = socket.line();
    let ended = match socket.ready().await {
        Ok(()) => call(socket).await,
        Err(gone) => Err(gone.into()),
    };
    if let Err(error) = ended {
        eprintln!("error: {error}");
        line.tell(|rtvi, _| rtvi.unavailable("the assistant can't be reached"));
        line.finish().await;
    }
}

/// Holds a call, to its end.
async fn call(socket: MediaSocket<Rtvi>) -> Result<()> {
    let page = PeerTools::new();
    let title = page.function("page_title", "The title of the user's page", json!({ "type": "object" }));
    let agent = Agent::from_spec(demo::spec())
        .library(demo::tools())
        .function(title)
        .listen(page.stage())
        .listen(Tap::new(answer));
    let script = Script::parse(include_str!("script.json"))?;
    let emulator = Options::default().script(script).voice(VoiceKind::demo(VoiceKind::best()));
    let (agent, endpoint) = support::model_or(agent, emulator)?;
    let call = agent.run(endpoint, socket).await?;
    eprintln!("{}", call.transcript());
    Ok(())
}

/// Answers messages of the page's own script: it sends `echo`s.
fn answer(frame: &Frame, cx: &mut Cx<'_>) {
    let FrameKind::InputMessage(message) = frame.kind() else { return };
    let Some(asked) = ClientMessage::read(message) else { return };
    cx.push(match &*asked.kind {
        "echo" => asked.answer(json!({ "echo": asked.data })),
        _ => asked.refuse("expected echo"),
    });
}
