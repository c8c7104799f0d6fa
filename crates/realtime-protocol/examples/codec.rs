//! Runs one workload a given number of times, for a profiler that counts instructions: `codec WORKLOAD
//! TIMES`.
//!
//! `cargo xtask bench` runs it under callgrind. The cost of one round is the difference between two runs,
//! divided by the difference of their times, so that start and preparation drop out.

#[path = "../benches/workloads/mod.rs"]
mod workloads;

use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use realtime_protocol::event::{ClientEvent, Dialect, InputAudioBufferAppend, ServerEvent};
use realtime_protocol::session::Output;
use realtime_protocol::time::Timestamp;

/// What it can run.
const WORKLOADS: &[&str] = &[
    "audio_delta_9600",
    "audio_delta_19200",
    "transcript_delta",
    "response_done",
    "append_960",
    "append_960_fresh",
    "append_4800",
    "session_audio_delta_9600",
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let workload = args.next().unwrap_or_default();
    let times = args.next().and_then(|times| times.parse().ok()).unwrap_or(1);
    match workload.as_str() {
        "audio_delta_9600" => decode(&workloads::audio_delta(9_600), times),
        "audio_delta_19200" => decode(&workloads::audio_delta(19_200), times),
        "transcript_delta" => decode(workloads::TRANSCRIPT_DELTA, times),
        "response_done" => decode(workloads::RESPONSE_DONE, times),
        "append_960" => append(960, times),
        "append_960_fresh" => append_fresh(960, times),
        "append_4800" => append(4_800, times),
        "session_audio_delta_9600" => handle(&workloads::audio_delta(9_600), times),
        other => {
            eprintln!("expected one of {WORKLOADS:?} and a number of rounds, got {other:?}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Text to event; an audio delta's bytes are part of it.
fn decode(text: &str, times: u32) {
    for _ in 0..times {
        let event = ServerEvent::decode(black_box(text), Dialect::Ga);
        assert!(!matches!(event, ServerEvent::Unknown(_) | ServerEvent::Malformed(_)));
        black_box(event);
    }
}

/// PCM to text, into one buffer.
fn append(bytes: usize, times: u32) {
    let pcm = Bytes::from(workloads::pcm(bytes));
    let mut text = String::with_capacity(2 * bytes);
    for _ in 0..times {
        text.clear();
        let event: ClientEvent =
            InputAudioBufferAppend { audio: black_box(&pcm).clone().into(), ..Default::default() }.into();
        event.encode_into(Dialect::Ga, &mut text);
        black_box(&text);
    }
}

/// PCM to text, each of its own.
fn append_fresh(bytes: usize, times: u32) {
    let pcm = Bytes::from(workloads::pcm(bytes));
    for _ in 0..times {
        let event: ClientEvent =
            InputAudioBufferAppend { audio: black_box(&pcm).clone().into(), ..Default::default() }.into();
        black_box(event.encode(Dialect::Ga));
    }
}

/// Text to chunk: what a session does with a delta, its decoding among it.
fn handle(text: &str, times: u32) {
    let mut session = workloads::responding();
    for round in 0..times {
        session.handle_text(Timestamp::from_millis(u64::from(round) * 50), black_box(text));
        let mut chunks = 0;
        while let Some(output) = session.poll_output() {
            chunks += u32::from(matches!(black_box(output), Output::Event(_)));
        }
        assert_eq!(chunks, 1);
    }
}
