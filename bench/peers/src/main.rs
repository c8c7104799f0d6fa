//! Runs one workload of one crate this many times: `peers CRATE WORKLOAD TIMES`. The workloads are those of
//! `realtime-protocol`'s own benchmarks, and each crate does what its users have it do: an audio delta ends
//! as bytes, an append begins with bytes.

#![allow(missing_docs)]

mod calls;
#[path = "../../../crates/realtime-protocol/benches/workloads/mod.rs"]
mod workloads;

use std::hint::black_box;

use base64::Engine;
use base64::engine::Simd;
use base64::engine::general_purpose::{PAD, STANDARD};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, peer, address, calls, seconds] = args.as_slice()
        && role == "calls"
    {
        let (calls, seconds) =
            (calls.parse().unwrap_or_else(|_| usage()), seconds.parse().unwrap_or_else(|_| usage()));
        println!("{}", calls::run(peer, address, calls, seconds).expect("calls are held"));
        return;
    }
    let [peer, workload, times] = args.as_slice() else { usage() };
    let times = times.parse().unwrap_or_else(|_| usage());
    let text = match workload.as_str() {
        "audio_delta_9600" => workloads::audio_delta(9_600),
        "audio_delta_19200" => workloads::audio_delta(19_200),
        "transcript_delta" => workloads::TRANSCRIPT_DELTA.to_owned(),
        "response_done" => workloads::RESPONSE_DONE.to_owned(),
        "append_960" | "append_960_fresh" => return append(peer, &workloads::pcm(960), times),
        "append_4800" => return append(peer, &workloads::pcm(4_800), times),
        _ => usage(),
    };
    decode(peer, &text, times);
}

fn decode(peer: &str, text: &str, times: u32) {
    match peer {
        "async-openai" => {
            use async_openai::types::realtime::RealtimeServerEvent as Event;
            for _ in 0..times {
                let event: Event =
                    serde_json::from_str(black_box(text)).expect("the peer reads the workload");
                // It leaves audio as text.
                if let Event::ResponseOutputAudioDelta(delta) = &event {
                    black_box(STANDARD.decode(&delta.delta).expect("base64"));
                }
                black_box(event);
            }
        }
        "adk-realtime" => {
            for _ in 0..times {
                // As its session does: once for the type, once for the event.
                let value: serde_json::Value = serde_json::from_str(black_box(text)).expect("JSON");
                black_box(value.get("type").and_then(serde_json::Value::as_str).map(str::to_owned));
                let event: adk_realtime::events::ServerEvent =
                    serde_json::from_str(black_box(text)).expect("the peer reads the workload");
                black_box(event);
            }
        }
        "base64" => {
            // The audio alone: what no codec of JSON can go below.
            let engine = Simd::standard(PAD);
            let audio = text.rsplit('"').nth(1).expect("the delta is the last member");
            for _ in 0..times {
                black_box(engine.decode(black_box(audio)).ok());
            }
        }
        _ => usage(),
    }
}

fn append(peer: &str, pcm: &[u8], times: u32) {
    match peer {
        "async-openai" => {
            use async_openai::types::realtime::{
                RealtimeClientEvent as Event, RealtimeClientEventInputAudioBufferAppend as Append,
            };
            for _ in 0..times {
                let audio = STANDARD.encode(black_box(pcm));
                let event = Event::InputAudioBufferAppend(Append { event_id: None, audio });
                black_box(serde_json::to_string(&event).expect("JSON"));
            }
        }
        "adk-realtime" => {
            for _ in 0..times {
                let event = adk_realtime::events::ClientEvent::AudioDelta {
                    event_id: None,
                    audio: black_box(pcm).to_vec(),
                    format: None,
                };
                black_box(serde_json::to_string(&event).expect("JSON"));
            }
        }
        "base64" => {
            let engine = Simd::standard(PAD);
            let mut text = String::with_capacity(2 * pcm.len());
            for _ in 0..times {
                text.clear();
                engine.encode_string(black_box(pcm), &mut text);
                black_box(&text);
            }
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: peers async-openai|adk-realtime|base64 WORKLOAD TIMES");
    std::process::exit(2);
}
