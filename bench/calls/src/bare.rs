//! Bare loops of two WebSocket libraries: what a client costs that knows no more of the protocol than where
//! its audio stands. It reads the audio of deltas, and nothing else.

use std::error::Error;

use base64::Engine;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::Interval;
use tokio_tungstenite::tungstenite::Message as TungsteniteMessage;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use crate::hold::{APPEND, Ended, Latencies, heard};

/// What a session is told first.
const CONFIG: &str = r#"{"type":"session.update","session":{"type":"realtime"}}"#;
/// How a delta of audio begins, and how an append does.
const DELTA: &str = r#"{"type":"response.output_audio.delta","#;
const APPENDED: &str = r#"{"type":"input_audio_buffer.append","audio":""#;

pub(crate) async fn websockets(address: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let mut socket = connect(address).await?;
    socket.send(Message::text(CONFIG)).await?;
    let audio = vec![7; APPEND];
    loop {
        select! {
            biased;
            _ = ticks.tick() => socket.send(Message::text(append(&audio))).await?,
            message = socket.next() => {
                let message = message.ok_or("the server closed the connection")??;
                listen(message.as_text().unwrap_or_default(), latencies)?;
            }
        }
    }
}

pub(crate) async fn tungstenite(address: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let url = format!("ws://{address}/v1/realtime?model=stream");
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
    socket.send(TungsteniteMessage::text(CONFIG)).await?;
    let audio = vec![7; APPEND];
    loop {
        select! {
            biased;
            _ = ticks.tick() => socket.send(TungsteniteMessage::text(append(&audio))).await?,
            message = socket.next() => {
                let message = message.ok_or("the server closed the connection")??;
                listen(message.to_text()?, latencies)?;
            }
        }
    }
}

/// A WebSocket of tokio-websockets after its handshake.
pub(crate) async fn connect(address: &str) -> Result<WebSocketStream<TcpStream>, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /v1/realtime?model=stream HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(ClientBuilder::new().take_over(stream))
}

pub(crate) fn append(audio: &[u8]) -> String {
    let mut text = String::with_capacity(APPENDED.len() + audio.len().div_ceil(3) * 4 + 2);
    text.push_str(APPENDED);
    Simd::standard(PAD).encode_string(audio, &mut text);
    text.push_str("\"}");
    text
}

fn listen(text: &str, latencies: &Latencies) -> Ended {
    if text.starts_with(DELTA) {
        let audio = text.rsplit('"').nth(1).ok_or("a delta without audio")?;
        heard(latencies, &Simd::standard(PAD).decode(audio)?);
    }
    Ok(())
}
