//! Calls of the client to the emulator by WebRTC, over the loopback interface and in real time.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test, also in what tests share")]

mod conversation;
mod ends;
mod failures;
mod pipeline;

use std::net::Ipv4Addr;
use std::time::Duration;

use realtime_client::{ActiveCall, Client, ClientOptions, Endpoint, Events, Handle, WebRtc};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options, voice};
use realtime_protocol::call::Event;
use realtime_protocol::event::ServerEvent;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, Transcription};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// A server that follows a script. Returns its address.
async fn server(script: Value) -> String {
    let script = Script::parse(&script.to_string()).unwrap();
    let emulator = Emulator::bind((Ipv4Addr::LOCALHOST, 0), Options::default().script(script)).await.unwrap();
    let url = emulator.url();
    tokio::spawn(emulator.serve(std::future::pending()));
    url
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url, "gpt-realtime").unwrap().key("sk-test")
}

fn options() -> ClientOptions {
    let mut config = SessionConfig::realtime().instructions("Be brief.");
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    ClientOptions::new(SessionOptions::default().config(config))
}

async fn connect(url: &str, options: ClientOptions) -> Talk {
    let call = Client::over_webrtc(WebRtc::new(), endpoint(url), options).await.unwrap();
    Talk::of(call)
}

/// A call, and what was heard in it.
struct Talk {
    handle: Handle,
    events: Events,
}

impl Talk {
    fn of(call: ActiveCall) -> Self {
        let (handle, events) = call.split();
        Self { handle, events }
    }

    async fn next(&mut self) -> Event {
        let event = timeout(Duration::from_secs(30), self.events.next()).await;
        event.expect("an event in 30 s").expect("no end")
    }

    /// Waits for an event, and returns it with the samples that are heard until then.
    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> (Event, Vec<i16>) {
        let mut heard = Vec::new();
        loop {
            let event = self.next().await;
            if let Event::Audio(chunk) = &event {
                assert_eq!(chunk.format.sample_rate(), 24_000);
                heard.extend(chunk.audio.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)));
            }
            if is_it(&event) {
                return (event, heard);
            }
            assert!(!matches!(event, Event::Closed { .. }), "{event:?}");
        }
    }

    /// Speaks, as from a microphone: 20 ms at a time.
    fn speak(&self, words: &str) -> JoinHandle<()> {
        let (handle, pcm) = (self.handle.clone(), voice::speak(words).pcm());
        tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(20));
            for frame in pcm.chunks(960) {
                ticks.tick().await;
                handle.append_audio(frame.to_vec()).unwrap();
            }
        })
    }
}

fn is_ready(event: &Event) -> bool {
    matches!(event, Event::Ready { .. })
}

/// The server has played a response.
fn is_played(event: &Event) -> bool {
    matches!(event, Event::Server(event) if matches!(**event, ServerEvent::OutputAudioBufferStopped(_)))
}

fn loudness(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// Milliseconds of samples at 24 kHz.
const fn millis(samples: &[i16]) -> usize {
    samples.len() / 24
}
