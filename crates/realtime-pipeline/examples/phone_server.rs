//! A server that phone carriers stream calls to: `/twilio`, `/vonage` and so on, one socket for each call.
//!
//! ```sh
//! cargo run -p realtime-pipeline --features telephony,axum --example phone_server -- 127.0.0.1:8080
//! ```
//!
//! Without an address it calls itself once, as Twilio does, and ends. With `OPENAI_API_KEY` the model is
//! OpenAI's, else the emulator. With `TWILIO_AUTH_TOKEN` and `PUBLIC_URL` (`wss://voice.example.com`) calls at
//! `/twilio` must be signed.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[expect(dead_code, reason = "it holds calls in real time, and has callers of its own")]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use realtime_pipeline::Agent;
use realtime_pipeline::media::Phone;
use realtime_pipeline::protocol::time::UnixTime;
use realtime_pipeline::sockets::MediaSocket;
use realtime_pipeline::telephony::verify::{Proof, Request};
use realtime_pipeline::telephony::{CarrierKind, StreamOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

const SCRIPT: &str = r#"{ "turns": [
    { "on": "request", "reply": [{ "say": "Hello there. What can I do for you?" }] },
    { "on": "speech", "transcript": "What is the weather?", "reply": [{ "say":
        "It is sunny, and it will be so for the whole of the day, and the day after that, and on the day that follows." }] },
    { "on": "speech", "transcript": "Thank you.", "repeat": true, "reply": [{ "say": "You are welcome." }] }
] }"#;

/// Longer messages than a carrier sends.
const LONGEST_MESSAGE: usize = 64 * 1024;

struct Server {
    /// Room for calls. More are refused before the upgrade.
    room: Arc<Semaphore>,
    /// How Twilio proves who it is, and the address under which it reaches this server.
    proof: Option<(Proof, String)>,
}

fn main() -> support::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = std::env::args().nth(1);
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
        let local = listener.local_addr()?;
        let proof = std::env::var("TWILIO_AUTH_TOKEN").ok().zip(std::env::var("PUBLIC_URL").ok());
        let proof = proof.map(|(token, url)| (Proof::Twilio { auth_token: token.into() }, url));
        let server = Arc::new(Server { room: Arc::new(Semaphore::new(100)), proof });
        let app = Router::new().route("/{carrier}", any(upgrade)).with_state(server);
        println!("calls are taken at ws://{local}/twilio and so on");
        if address.is_some() {
            return Ok(axum::serve(listener, app).await?);
        }
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        call(local).await?;
        serving.abort();
        Ok(())
    })
}

/// Whether a call is taken is decided here, before anything is paid for.
async fn upgrade(
    State(server): State<Arc<Server>>,
    Path(carrier): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(kind) = CarrierKind::of_name(&carrier) else { return StatusCode::NOT_FOUND.into_response() };
    if let (Some((proof, url)), CarrierKind::Twilio) = (&server.proof, kind) {
        let url = format!("{url}{uri}");
        let headers: Vec<(&str, &str)> =
            headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if let Err(untrusted) =
            proof.verify(&Request::upgrade(&url, &headers), UnixTime::from_secs(since.as_secs()))
        {
            println!("a call was refused: {untrusted}");
            return StatusCode::FORBIDDEN.into_response();
        }
    }
    let Ok(place) = Arc::clone(&server.room).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let held = async move |socket: WebSocket| {
        if let Err(error) = hold(kind, socket).await {
            println!("{kind}: {error}");
        }
        drop(place);
    };
    upgrade.max_message_size(LONGEST_MESSAGE).protocols(kind.subprotocol()).on_upgrade(held)
}

/// Holds a call, from the carrier's first message to the end.
async fn hold(kind: CarrierKind, socket: WebSocket) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut socket = MediaSocket::new(socket, Phone::new(kind, StreamOptions::default()));
    socket.ready().await?;
    let line = socket.line();
    // Who calls decides which agent answers.
    let id = socket.read(|phone| phone.call().and_then(|call| call.id().map(str::to_owned)));
    println!("{kind}: the call {} begins", id.as_deref().unwrap_or("without an id"));
    let agent = Agent::new("You are a friendly host on the phone.").greeting("Greet the caller.");
    let (agent, endpoint) = support::model(agent, SCRIPT).map_err(|error| error.to_string())?;
    let call = agent.run(endpoint, socket).await?;
    let (heard, said) = line.read(|phone| {
        let counts = phone.stream().counts();
        (counts.input_samples, counts.output_samples)
    });
    println!("{kind}: the call is over: {heard} samples came, {said} went out\n{}", call.transcript());
    Ok(())
}

/// Calls the server as Twilio does: hears the greeting, and hangs up.
async fn call(server: SocketAddr) -> support::Result<()> {
    let stream = TcpStream::connect(server).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{server}/twilio"), stream).await?;
    let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","streamSid":"MZ1"}}"#;
    socket.send(Message::text(start)).await?;
    let silence = "/".repeat(213) + "w==";
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let (mut at, mut came) = (0, 0);
    while came < 50 {
        tokio::select! {
            _ = ticks.tick() => {
                let media = format!(
                    r#"{{"event":"media","streamSid":"MZ1","media":{{"timestamp":"{at}","payload":"{silence}"}}}}"#
                );
                socket.send(Message::text(media)).await?;
                at += 20;
            }
            message = socket.next() => match message.ok_or("the server has gone")?? {
                Message::Text(text) if text.contains("\"media\"") => came += 1,
                _ => {}
            },
        }
    }
    socket.send(Message::text(r#"{"event":"stop","streamSid":"MZ1","stop":{"callSid":"CA1"}}"#)).await?;
    while let Some(Ok(_)) = socket.next().await {}
    println!("the caller heard a second of the greeting, and hung up");
    // The server's last words.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}
