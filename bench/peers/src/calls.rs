//! Whole calls with other crates, against the server of `bench/calls`: `peers calls CRATE
//! ADDRESS CALLS SECONDS`. Each does what its users have it do, on one thread.

#[path = "../../calls/src/gauge.rs"]
#[allow(dead_code, reason = "only memory is not measured here")]
mod gauge;
#[path = "../../calls/src/hold.rs"]
#[allow(dead_code, reason = "every call here holds its latencies")]
mod hold;

use std::error::Error;

use adk_realtime::audio::AudioChunk;
use adk_realtime::openai::{OpenAIProtocolHandler, OpenAIRealtimeSession};
use adk_realtime::{RealtimeConfig, RealtimeSession, ServerEvent};
use async_openai::types::realtime::{
    RealtimeClientEvent, RealtimeClientEventInputAudioBufferAppend, RealtimeServerEvent,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Interval;
use tokio_tungstenite::tungstenite::Message;

use gauge::Measured;
use hold::{APPEND, Ended, Latencies, heard, hold};

pub(crate) fn run(peer: &str, address: &str, calls: usize, seconds: u64) -> Result<Measured, Box<dyn Error>> {
    let is_adk = peer == "adk-realtime";
    hold(calls, seconds, |ticks, latencies| {
        let url = format!("ws://{address}/v1/realtime?model=stream");
        async move {
            match is_adk {
                true => adk(&url, ticks, &latencies).await,
                false => async_openai(&url, ticks, latencies).await,
            }
        }
    })
}

/// Its own session.
async fn adk(url: &str, mut ticks: Interval, latencies: &Latencies) -> Ended {
    let link = OpenAIRealtimeSession::connect(url, "none", RealtimeConfig::default()).await?;
    let session = OpenAIProtocolHandler::new(link);
    loop {
        tokio::select! {
            _ = ticks.tick() => session.send_audio(&AudioChunk::pcm16_24khz(vec![7; APPEND])).await?,
            event = session.next_event() => match event {
                Some(Ok(ServerEvent::AudioDelta { delta, .. })) => heard(latencies, &delta),
                // What it can't read is no reason to end.
                Some(_) => {}
                None => return Err("the events ended".into()),
            },
        }
    }
}

/// Its types, over a socket that is split, with a channel between the reader and the player.
async fn async_openai(url: &str, mut ticks: Interval, latencies: Latencies) -> Ended {
    let (socket, _) = tokio_tungstenite::connect_async(url).await?;
    let (mut sink, mut stream) = socket.split();
    sink.send(Message::text(r#"{"type":"session.update","session":{"type":"realtime"}}"#)).await?;
    let (heard_by, mut events) = mpsc::channel::<RealtimeServerEvent>(1024);
    tokio::task::spawn_local(async move {
        while let Some(Ok(Message::Text(text))) = stream.next().await {
            let Ok(event) = serde_json::from_str(&text) else { continue };
            if heard_by.send(event).await.is_err() {
                return;
            }
        }
    });
    tokio::task::spawn_local(async move {
        while let Some(event) = events.recv().await {
            if let RealtimeServerEvent::ResponseOutputAudioDelta(delta) = event {
                heard(&latencies, &STANDARD.decode(&delta.delta).expect("base64"));
            }
        }
    });
    loop {
        ticks.tick().await;
        let audio = STANDARD.encode([7; APPEND]);
        let append = RealtimeClientEventInputAudioBufferAppend { event_id: None, audio };
        let event = RealtimeClientEvent::InputAudioBufferAppend(append);
        sink.send(Message::text(serde_json::to_string(&event)?)).await?;
    }
}
