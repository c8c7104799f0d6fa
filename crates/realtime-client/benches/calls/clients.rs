//! The clients: the floor, a bare loop, and ours.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use realtime_client::{Client, Endpoint, Events, Handle};
use realtime_protocol::call::Event;
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend, ServerEvent};
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::select;
use tokio::time::Interval;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::gauge::{Measured, resident_kib};
use crate::hold::{APPEND, Ended, Latencies, heard, hold};

/// The bytes of an append on the wire, WebSocket's frame included.
const APPEND_ON_WIRE: usize = 1330;
/// Who is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Sockets and a timer: no WebSocket, no JSON.
    Floor,
    /// tokio-tungstenite, and the codec of `realtime-protocol`, in one loop.
    Bare,
    /// `realtime-client`.
    Ours,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Floor, Self::Bare, Self::Ours];

    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Ours)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Bare => "bare",
            Self::Ours => "ours",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor: sockets and a timer",
            Self::Bare => "bare tokio-tungstenite, codec",
            Self::Ours => "realtime-client",
        }
    }
}

/// Holds a number of calls for some seconds, and returns what they cost.
pub(crate) fn run(kind: Kind, address: &str, calls: usize, seconds: u64) -> Result<Measured, Box<dyn Error>> {
    hold(calls, seconds, |ticks, latencies| {
        let address = address.to_owned();
        async move {
            match kind {
                Kind::Floor => floor(&address, ticks).await,
                Kind::Bare => bare(&address, ticks, &latencies).await,
                Kind::Ours => ours(&address, ticks, &latencies).await,
            }
        }
    })
}

async fn floor(address: &str, mut ticks: Interval) -> Ended {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(b"floor\r\n\r\n").await?;
    let (mut reader, mut writer) = stream.into_split();
    let append = vec![7; APPEND_ON_WIRE];
    let mut buffer = vec![0; 16 * 1024];
    loop {
        select! {
            biased;
            _ = ticks.tick() => writer.write_all(&append).await?,
            read = reader.read(&mut buffer) => if read? == 0 { return Err("the server closed the connection".into()) },
        }
    }
}

async fn bare(address: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let url = format!("ws://{address}/v1/realtime?model=stream");
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
    socket.send(Message::text(r#"{"type":"session.update","session":{"type":"realtime"}}"#)).await?;
    let audio = vec![7; APPEND];
    loop {
        select! {
            biased;
            _ = ticks.tick() => {
                let append = InputAudioBufferAppend { audio: audio.clone().into(), ..Default::default() };
                socket.send(Message::text(ClientEvent::from(append).encode(Dialect::Ga))).await?;
            }
            message = socket.next() => {
                let Message::Text(text) = message.ok_or("the server closed the connection")?? else { continue };
                if let ServerEvent::ResponseOutputAudioDelta(delta) = ServerEvent::decode(&text, Dialect::Ga) {
                    heard(latencies, delta.delta.bytes()?);
                }
            }
        }
    }
}

async fn ours(address: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let (handle, mut events) = connect(address, "stream").await?;
    let audio = bytes::Bytes::from(vec![7; APPEND]);
    loop {
        select! {
            biased;
            _ = ticks.tick() => handle.append_audio(audio.clone())?,
            event = events.next() => match event {
                Some(Event::Audio(chunk)) => heard(latencies, &chunk.audio),
                Some(Event::Closed { reason }) => return Err(reason.to_string().into()),
                Some(_) => {}
                None => return Err("the events ended".into()),
            },
        }
    }
}

async fn connect(address: &str, mode: &str) -> Result<(Handle, Events), Box<dyn Error>> {
    let endpoint = Endpoint::new(&format!("ws://{address}"), mode)?;
    // Nobody plays this audio.
    let session = SessionOptions { playback: PlaybackSource::Estimated, ..SessionOptions::default() };
    Ok(Client::connect(endpoint, session).await?)
}

/// Resident memory of a session (KiB), while nothing happens: `quiet` from the beginning, or after a `burst`.
pub(crate) fn memory(address: &str, mode: &str, sessions: usize) -> Result<u64, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // What the process needs once is not a session's.
        let mut open = vec![settled(address, mode).await?];
        let before = resident_kib()?;
        for _ in 0..sessions {
            open.push(settled(address, mode).await?);
        }
        Ok((resident_kib()? - before) / sessions as u64)
    })
}

/// A session after everything that the server sends by itself.
async fn settled(address: &str, mode: &str) -> Result<(Handle, Events), Box<dyn Error>> {
    let (handle, mut events) = connect(address, mode).await?;
    let deltas = if mode == "burst" { 50 } else { 0 };
    let mut heard = 0;
    let mut is_ready = false;
    while !is_ready || heard < deltas {
        match events.next().await.ok_or("the events ended")? {
            Event::Ready { .. } => is_ready = true,
            Event::Audio(_) => heard += 1,
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    Ok((handle, events))
}
