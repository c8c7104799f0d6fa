//! The other two sides: phones that dial, and models that answer, in one process.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::gauge::{Measured, now_us, written_at};
use crate::phones::small;

/// The stream of each phone.
pub(super) const STREAM: &str = "MZ0123456789abcdef0123456789abcdef";

/// 20 ms of µ-law (bytes).
const FRAME: usize = 160;
const PACE: Duration = Duration::from_millis(20);
/// Frames of one answer of a model.
const ANSWER: u64 = 250;

thread_local! {
    /// How late appends have come (microseconds).
    static LATE: Rc<RefCell<Vec<u32>>> = Rc::default();
}

/// Does what a connection asks for, if it is one of these. `head` is its request.
pub(crate) async fn serve(head: &str, mut stream: TcpStream, number: u32) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = head.split_whitespace().collect();
    match words[..] {
        ["dial", port, calls] => {
            for _ in 0..calls.parse::<u64>()? {
                // One that is hung up is not an error.
                let port = port.parse()?;
                tokio::task::spawn_local(async move { dial(port).await.unwrap_or_default() });
            }
        }
        ["late"] => {
            let late = LATE.with(|late| Measured::new(0, 1, 1, late.take()));
            stream.write_all(format!("{} {}", late.p50_us, late.p99_us).as_bytes()).await?;
        }
        // The answer to its upgrade is written.
        _ => {
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(small())).await;
            model(socket, number).await?;
        }
    }
    Ok(())
}

/// A frame of 20 ms that says when it was made, as base64.
fn frame() -> String {
    let mut frame = [0xff; FRAME];
    frame[..8].copy_from_slice(&now_us().to_le_bytes());
    STANDARD.encode(frame)
}

async fn dial(port: u16) -> Result<(), Box<dyn Error>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let url = "ws://127.0.0.1/twilio";
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(small())).await?;
    let start = format!(
        r#"{{"event":"start","sequenceNumber":"1","streamSid":"{STREAM}","start":{{"streamSid":"{STREAM}","callSid":"CA1","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}"#
    );
    socket.send(Message::text(start)).await?;
    let mut ticks = interval_at(Instant::now() + PACE, PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut chunk = 0_u64;
    loop {
        select! {
            _ = ticks.tick() => {
                chunk += 1;
                let media = format!(
                    r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{}","payload":"{}"}},"streamSid":"{STREAM}"}}"#,
                    chunk + 1, chunk * 20, frame(),
                );
                socket.send(Message::text(media)).await?;
            }
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                // A mark comes back: what was before it counts as played.
                if let Message::Text(text) = message?
                    && text.contains(r#""event":"mark""#)
                {
                    socket.send(Message::Text(text)).await?;
                }
            }
        }
    }
}

async fn model(mut socket: WebSocketStream<TcpStream>, number: u32) -> Result<(), Box<dyn Error>> {
    socket.send(Message::text(r#"{"type":"session.created","session":{"id":"sess_1"}}"#)).await?;
    // The first to come is the configuration.
    socket.next().await.ok_or("nobody is there")??;
    socket.send(Message::text(r#"{"type":"session.updated","session":{}}"#)).await?;
    let begin = Instant::now() + PACE * (number % 64) / 64;
    let mut ticks = interval_at(begin, PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = 0_u64;
    loop {
        select! {
            _ = ticks.tick() => {
                for text in speak(said) {
                    socket.send(Message::text(text)).await?;
                }
                said += 1;
            }
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                if let Message::Text(text) = message?
                    && text.contains("input_audio_buffer.append")
                {
                    heard(&text);
                }
            }
        }
    }
}

/// What a model says in its tick of this number: one delta, and what begins and ends an answer around it.
fn speak(tick: u64) -> Vec<String> {
    let (answer, place) = (tick / ANSWER, tick % ANSWER);
    let ids = format!(
        r#""response_id":"resp_{answer}","item_id":"item_{answer}","output_index":0,"content_index":0"#
    );
    let item = |status: &str| {
        format!(
            r#"{{"id":"item_{answer}","object":"realtime.item","type":"message","status":"{status}","role":"assistant","content":[]}}"#
        )
    };
    let mut texts = Vec::new();
    if place == 0 {
        texts.push(format!(
            r#"{{"type":"response.created","event_id":"e{tick}","response":{{"object":"realtime.response","id":"resp_{answer}","status":"in_progress","output":[]}}}}"#
        ));
        texts.push(format!(
            r#"{{"type":"response.output_item.added","event_id":"f{tick}","response_id":"resp_{answer}","output_index":0,"item":{}}}"#,
            item("in_progress")
        ));
        texts.push(format!(
            r#"{{"type":"response.content_part.added","event_id":"g{tick}",{ids},"part":{{"type":"output_audio","transcript":""}}}}"#
        ));
    }
    let audio = STANDARD.encode([0xff; FRAME]);
    texts.push(format!(
        r#"{{"type":"response.output_audio.delta","event_id":"d{tick}",{ids},"delta":"{audio}"}}"#
    ));
    if place == ANSWER - 1 {
        texts.push(format!(r#"{{"type":"response.output_audio.done","event_id":"h{tick}",{ids}}}"#));
        let done = item("completed");
        texts.push(format!(
            r#"{{"type":"response.output_item.done","event_id":"i{tick}","response_id":"resp_{answer}","output_index":0,"item":{done}}}"#
        ));
        texts.push(format!(
            r#"{{"type":"response.done","event_id":"j{tick}","response":{{"object":"realtime.response","id":"resp_{answer}","status":"completed","output":[{done}]}}}}"#
        ));
    }
    texts
}

/// An append has come.
fn heard(text: &str) {
    let Some(audio) = text.rsplit('"').nth(1).and_then(|audio| STANDARD.decode(audio).ok()) else { return };
    // Silence that fills a gap says no time.
    let written = written_at(&audio);
    let late = now_us().saturating_sub(written);
    if late < 60_000_000 {
        LATE.with(|all| all.borrow_mut().push(u32::try_from(late).unwrap_or(u32::MAX)));
    }
}
