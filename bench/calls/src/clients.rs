//! The clients: the floor, bare loops, the machines in a bare loop, and ours.

use std::error::Error;

use realtime_client::{ActiveCall, Client, ClientOptions, Endpoint};
use realtime_context::{Conversation, Message, ToolError, Toolbox};
use realtime_protocol::call::Event;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::select;
use tokio::time::Interval;

use crate::gauge::{Measured, resident_kib};
use crate::hold::{APPEND, Ended, Latencies, heard, hold};
use crate::{bare, inline, pipelines};

/// The bytes of an append on the wire, WebSocket's frame included.
const APPEND_ON_WIRE: usize = 1330;

/// The clients that are measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Sockets and a timer: no WebSocket, no JSON.
    Floor,
    /// tokio-websockets and the audio alone, in one loop.
    Bare,
    /// The same with tokio-tungstenite.
    Tungstenite,
    /// The machines of `realtime-protocol` in the bare loop.
    Inline,
    /// `realtime-client`, its task polled by the application's.
    Polled,
    /// `realtime-client`, its task spawned, which is the default.
    Ours,
    /// The same, with a conversation and tools that hear every event.
    Listening,
    /// Microphone, service and sink of `realtime-pipeline` in one task, without playout.
    Pipeline,
    /// The same with playout and recording.
    Recorded,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Floor,
        Self::Bare,
        Self::Tungstenite,
        Self::Inline,
        Self::Polled,
        Self::Ours,
        Self::Listening,
        Self::Pipeline,
        Self::Recorded,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Bare => "bare",
            Self::Tungstenite => "tungstenite",
            Self::Inline => "inline",
            Self::Polled => "polled",
            Self::Ours => "ours",
            Self::Listening => "listening",
            Self::Pipeline => "pipeline",
            Self::Recorded => "recorded",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor: sockets and a timer",
            Self::Bare => "bare loop: tokio-websockets",
            Self::Tungstenite => "bare loop: tokio-tungstenite",
            Self::Inline => "machines in the bare loop",
            Self::Polled => "realtime-client, polled",
            Self::Ours => "realtime-client",
            Self::Listening => "with conversation and tools",
            Self::Pipeline => "pipeline: microphone to sink",
            Self::Recorded => "with playout and recording",
        }
    }
}

/// Holds this many calls for this long, and returns what they cost.
pub(crate) fn run(kind: Kind, address: &str, calls: usize, seconds: u64) -> Result<Measured, Box<dyn Error>> {
    hold(calls, seconds, |ticks, latencies| {
        let address = address.to_owned();
        async move {
            match kind {
                Kind::Floor => floor(&address, ticks).await,
                Kind::Bare => bare::websockets(&address, ticks, &latencies).await,
                Kind::Tungstenite => bare::tungstenite(&address, ticks, &latencies).await,
                Kind::Inline => inline::machines(&address, ticks, &latencies).await,
                Kind::Polled | Kind::Ours | Kind::Listening => ours(kind, &address, ticks, &latencies).await,
                Kind::Pipeline | Kind::Recorded => pipelines::run(kind, &address, ticks).await,
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

async fn ours(kind: Kind, address: &str, ticks: Interval, latencies: &Latencies) -> Ended {
    let call = connect(address, "stream", kind).await?;
    talk(call, ticks, |audio| heard(latencies, audio)).await
}

/// Speaks at each tick, and hands on the audio that is heard, until the call ends.
pub(crate) async fn talk(mut call: ActiveCall, mut ticks: Interval, mut hear: impl FnMut(&[u8])) -> Ended {
    let audio = bytes::Bytes::from(vec![7; APPEND]);
    loop {
        select! {
            biased;
            _ = ticks.tick() => call.handle().append_audio(audio.clone())?,
            event = call.next() => match event {
                Some(Event::Audio(chunk)) => hear(&chunk.audio),
                Some(Event::Closed { reason }) => return Err(reason.to_string().into()),
                Some(_) => {}
                None => return Err("the events ended".into()),
            },
        }
    }
}

async fn connect(address: &str, mode: &str, kind: Kind) -> Result<ActiveCall, Box<dyn Error>> {
    let endpoint = Endpoint::new(&format!("ws://{address}"), mode)?;
    // Nobody plays this audio.
    let session = SessionOptions::default().playback(PlaybackSource::Estimated);
    let options = ClientOptions::new(session);
    let options = match kind {
        Kind::Polled => options.polled(),
        Kind::Listening => {
            let clock = |_: Value| async { Ok::<_, ToolError>(Value::Null) };
            let toolbox = Toolbox::new().tool("clock", "Tells the time", clock);
            let conversation = Conversation::from_messages([Message::system("Be brief.")]);
            options.conversation(conversation).toolbox(toolbox)
        }
        _ => options,
    };
    Ok(Client::connect(endpoint, options).await?)
}

/// Resident memory of a session (KiB) while nothing happens: `quiet` from the beginning, or after a `burst`.
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

/// A session after all that the server sends unasked.
async fn settled(address: &str, mode: &str) -> Result<ActiveCall, Box<dyn Error>> {
    let mut call = connect(address, mode, Kind::Ours).await?;
    let deltas = if mode == "burst" { 50 } else { 0 };
    let mut heard = 0;
    let mut is_ready = false;
    while !is_ready || heard < deltas {
        match call.next().await.ok_or("the events ended")? {
            Event::Ready { .. } => is_ready = true,
            Event::Audio(_) => heard += 1,
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    Ok(call)
}
