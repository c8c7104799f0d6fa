//! The server: it sends prepared frames at the pace of speech. It reads what comes without looking at it, so
//! that its own cost stays small.

use std::error::Error;
use std::time::Duration;

use realtime_protocol::audio::Audio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::gauge::now_us;
use crate::until_input_ends;

/// 100 ms of PCM at 24 kHz.
const DELTA: usize = 4800;
/// Bytes of audio that hold the time: a whole number of base64's groups.
const STAMP: usize = 12;
/// Of a burst: how many deltas, and how much each (bytes of PCM).
const BURST: (usize, usize) = (50, 19_200);

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    std::thread::spawn(|| {
        until_input_ends();
        std::process::exit(0);
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A client that ends is no error.
            tokio::spawn(async move { serve(stream).await.unwrap_or_default() });
        }
    })
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    if let Some(key) = key {
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(&frame(r#"{"type":"session.created","session":{"id":"sess_1"}}"#)).await?;
        // Whatever comes is the configuration.
        stream.read_u8().await?;
        stream.write_all(&frame(r#"{"type":"session.updated","session":{}}"#)).await?;
    }
    let (reader, mut writer) = stream.into_split();
    let mut reading = tokio::spawn(discard(reader));
    if head.contains("quiet") {
        return reading.await?;
    }
    for text in [
        r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress"}}"#,
        r#"{"type":"response.output_item.added","response_id":"resp_1","output_index":0,"item":{"id":"item_1","type":"message","role":"assistant","status":"in_progress","content":[]}}"#,
    ] {
        writer.write_all(&frame(text)).await?;
    }
    if head.contains("burst") {
        let (deltas, bytes) = BURST;
        for _ in 0..deltas {
            writer.write_all(&Delta::new(bytes).frame()).await?;
        }
        return reading.await?;
    }
    let delta = Delta::new(DELTA);
    let small = frame(
        r#"{"type":"response.output_audio_transcript.delta","event_id":"event_123","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0,"delta":" word"}"#,
    );
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut odd = false;
    while !reading.is_finished() {
        ticks.tick().await;
        writer.write_all(&delta.frame()).await?;
        odd = !odd;
        for _ in 0..if odd { 1 } else { 2 } {
            writer.write_all(&small).await?;
        }
    }
    (&mut reading).await?
}

async fn discard(mut reader: OwnedReadHalf) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// An audio delta whose first bytes say when it was written.
struct Delta {
    before: String,
    after: String,
}

impl Delta {
    fn new(bytes: usize) -> Self {
        let mut after = String::new();
        Audio::from(vec![7; bytes - STAMP]).encode_into(&mut after);
        after.push_str("\"}");
        let before = concat!(
            r#"{"type":"response.output_audio.delta","event_id":"event_123","response_id":"resp_1","item_id":"item_1","#,
            r#""output_index":0,"content_index":0,"delta":""#
        );
        Self { before: before.to_owned(), after }
    }

    fn frame(&self) -> Vec<u8> {
        let mut stamp = vec![0; STAMP];
        stamp[..8].copy_from_slice(&now_us().to_le_bytes());
        let mut text = self.before.clone();
        Audio::from(stamp).encode_into(&mut text);
        text.push_str(&self.after);
        frame(&text)
    }
}

/// One text as a server frames it.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(length @ ..126) => frame.push(length as u8),
        Ok(length) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}
