//! How soon the output of a function is on the wire, in many calls on one thread: each calls a function every
//! second, which returns at once the time at which it ended. The server, on a thread of its own, reads that
//! time when the output comes. Audio flows meanwhile, as in any call.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_client::{Client, ClientOptions, Endpoint};
use realtime_context::{ToolError, Toolbox};
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::select;
use tokio::time::{Instant, Interval, interval_at};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as ServerMessage;
use tokio_websockets::Message;

use crate::bare;
use crate::clients::{Kind, talk};
use crate::gauge::{Measured, now_us};
use crate::hold::{APPEND, Ended, hold};

/// The time between two function calls of a call.
const EVERY: Duration = Duration::from_secs(1);
/// What an output holds: when its function ended (microseconds since 1970).
const ENDED: &str = "ended_us";

/// How late outputs were on the wire (microseconds).
type Late = Arc<Mutex<Vec<u32>>>;

/// Holds this many calls for this long. The latencies are those of the outputs.
pub(crate) fn run(kind: Kind, calls: usize, seconds: u64) -> Result<Measured, Box<dyn Error>> {
    let late = Late::default();
    let address = serve(Arc::clone(&late))?;
    let cost = hold(calls, seconds, |ticks, _| {
        let address = address.clone();
        async move {
            if kind == Kind::Bare { bare_loop(&address, ticks).await } else { ours(&address, ticks).await }
        }
    })?;
    let late = std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner));
    if late.is_empty() {
        return Err("no output came".into());
    }
    Ok(Measured::new((cost.cpu_us_per_call_second * calls as f64) as u64 * seconds, calls, seconds, late))
}

async fn ours(address: &str, ticks: Interval) -> Ended {
    let toolbox = Toolbox::new()
        .tool("clock", "Tells the time", |_: Value| async { Ok::<_, ToolError>(json!({ ENDED: now_us() })) });
    let session = SessionOptions::default().playback(PlaybackSource::Estimated);
    let options = ClientOptions::new(session).toolbox(toolbox);
    let endpoint = Endpoint::new(&format!("ws://{address}"), "functions")?;
    talk(Client::connect(endpoint, options).await?, ticks, |_| {}).await
}

/// What any client must do at least: find the call, end the function, and send its output.
async fn bare_loop(address: &str, mut ticks: Interval) -> Ended {
    let mut socket = bare::connect(address).await?;
    socket
        .send(Message::text(json!({"type": "session.update", "session": {"type": "realtime"}}).to_string()))
        .await?;
    let audio = vec![7; APPEND];
    loop {
        select! {
            biased;
            _ = ticks.tick() => socket.send(Message::text(bare::append(&audio))).await?,
            message = socket.next() => {
                let message = message.ok_or("the server closed the connection")??;
                let event: Value = serde_json::from_str(message.as_text().unwrap_or_default())?;
                if let Some(call_id) = event.pointer("/response/output/0/call_id") {
                    let output = json!({ ENDED: now_us() }).to_string();
                    let item = json!({"type": "function_call_output", "call_id": call_id, "output": output});
                    socket.feed(Message::text(json!({"type": "conversation.item.create", "item": item}).to_string())).await?;
                    socket.send(Message::text(json!({"type": "response.create"}).to_string())).await?;
                }
            }
        }
    }
}

/// Starts the server. Returns its address.
fn serve(late: Late) -> Result<String, Box<dyn Error>> {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let serving = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = told.send(listener.local_addr()?);
            for number in 0_u32.. {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let late = Arc::clone(&late);
                // A client that ends is not an error.
                tokio::spawn(async move { serve_one(stream, number, &late).await.unwrap_or_default() });
            }
            Ok::<_, Box<dyn Error>>(())
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        if let Err(error) = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(serving)) {
            eprintln!("the server ended: {error}");
        }
    });
    Ok(address.recv()?.to_string())
}

/// One call: a function every second, and the times of the outputs that come.
async fn serve_one(stream: TcpStream, number: u32, late: &Late) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept_async(stream).await?;
    socket.send(ServerMessage::text(json!({"type": "session.created", "session": {}}).to_string())).await?;
    let begin = Instant::now() + EVERY + EVERY * (number % 97) / 97;
    let mut ticks = interval_at(begin, EVERY);
    let mut turn = 0_u64;
    let mut is_open = false;
    loop {
        select! {
            _ = ticks.tick(), if !is_open => {
                turn += 1;
                is_open = true;
                for event in function_call(turn) {
                    socket.send(ServerMessage::text(event.to_string())).await?;
                }
            }
            message = socket.next() => {
                let ServerMessage::Text(text) = message.ok_or("closed")?? else { continue };
                if text.contains("input_audio_buffer.append") {
                    continue;
                }
                let came = now_us();
                let event: Value = serde_json::from_str(&text)?;
                match event["type"].as_str() {
                    Some("session.update") => {
                        let updated = json!({"type": "session.updated", "session": event["session"]});
                        socket.send(ServerMessage::text(updated.to_string())).await?;
                    }
                    Some("conversation.item.create") => {
                        let output: Value = serde_json::from_str(event["item"]["output"].as_str().unwrap_or("null"))?;
                        let ended = output[ENDED].as_u64().ok_or("an output without its time")?;
                        let us = u32::try_from(came.saturating_sub(ended)).unwrap_or(u32::MAX);
                        late.lock().unwrap_or_else(PoisonError::into_inner).push(us);
                        let added = json!({"type": "conversation.item.added", "item": event["item"]});
                        socket.send(ServerMessage::text(added.to_string())).await?;
                    }
                    Some("response.create") => {
                        is_open = false;
                        for event in answer(turn) {
                            socket.send(ServerMessage::text(event.to_string())).await?;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

fn function_call(turn: u64) -> [Value; 3] {
    let id = format!("resp_f{turn}");
    let item = json!({
        "id": format!("item_f{turn}"), "object": "realtime.item", "type": "function_call", "status": "completed",
        "name": "clock", "call_id": format!("call_{turn}"), "arguments": "{}",
    });
    [
        json!({"type": "response.created", "response": {"id": id, "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.done", "response_id": id, "output_index": 0, "item": item}),
        json!({"type": "response.done", "response": {"id": id, "status": "completed", "output": [item]}}),
    ]
}

fn answer(turn: u64) -> [Value; 2] {
    let id = format!("resp_a{turn}");
    [
        json!({"type": "response.created", "response": {"id": id, "status": "in_progress", "output": []}}),
        json!({"type": "response.done", "response": {"id": id, "status": "completed", "output": []}}),
    ]
}
