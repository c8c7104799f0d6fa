//! Whole calls with other crates, against the far side of `realtime-client`'s bench: `peers calls CRATE ADDRESS CALLS
//! SECONDS`. Each does what its users have it do, on one thread.

#[path = "../../../crates/realtime-client/benches/calls/gauge.rs"]
#[allow(dead_code, reason = "only memory is not measured here")]
mod gauge;

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

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
use tokio::task::LocalSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};
use tokio_tungstenite::tungstenite::Message;

use gauge::{Measured, cpu_us, now_us, written_at};

/// 20 ms of PCM at 24 kHz.
const APPEND: usize = 960;
/// How long connections settle before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);

type Latencies = Rc<RefCell<Vec<u32>>>;
type Ended = Result<(), Box<dyn Error>>;

pub(crate) fn run(peer: &str, address: &str, calls: usize, seconds: u64) -> Result<Measured, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let latencies = Latencies::default();
        for call in 0..calls {
            let (url, latencies) =
                (format!("ws://{address}/v1/realtime?model=stream"), Rc::clone(&latencies));
            let begin = Instant::now() + Duration::from_micros(20_000 * call as u64 / calls as u64);
            let mut ticks = interval_at(begin, Duration::from_millis(20));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let is_adk = peer == "adk-realtime";
            tokio::task::spawn_local(async move {
                let ended = match is_adk {
                    true => adk(&url, ticks, &latencies).await,
                    false => async_openai(&url, ticks, latencies).await,
                };
                if let Err(error) = ended {
                    eprintln!("a call ended: {error}");
                    std::process::exit(1);
                }
            });
        }
        sleep(WARM_UP).await;
        latencies.borrow_mut().clear();
        let before = cpu_us()?;
        sleep(Duration::from_secs(seconds)).await;
        let cpu = cpu_us()? - before;
        Ok(Measured::new(cpu, calls, seconds, latencies.take()))
    })
}

fn heard(latencies: &Latencies, audio: &[u8]) {
    let late = now_us().saturating_sub(written_at(audio));
    latencies.borrow_mut().push(u32::try_from(late).unwrap_or(u32::MAX));
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

/// Its types, over a socket that is split, with a channel between the reader and whoever plays.
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
