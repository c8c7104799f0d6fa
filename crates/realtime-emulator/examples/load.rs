//! Many clients at once against one server in this process, and what it costs in memory.
//!
//! ```console
//! $ cargo run --release -p realtime-emulator --example load -- 500 20
//! ```
//!
//! The first number is clients, the second turns of each. A turn is half a second of speech, its transcript,
//! and a spoken answer of two seconds. Every round prints the process's memory (Linux): it must not grow with
//! the turns.

#![expect(clippy::print_stdout, reason = "its report is what it is run for")]
#![expect(clippy::unwrap_used, reason = "a load test that meets an error is over")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use realtime_emulator::{Emulator, Options, voice};
use realtime_protocol::audio::Audio;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let (clients, turns) = (numbers.next().unwrap_or(500), numbers.next().unwrap_or(20));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(clients, turns));
}

async fn run(clients: usize, turns: usize) {
    // No pace: as fast as it goes. What a session keeps is bounded, here to little.
    let mut connection = realtime_emulator::ConnectionOptions { pace: 0.0, ..Default::default() };
    connection.latency = Duration::ZERO;
    connection.limits.conversation_audio_bytes = 1 << 20;
    connection.limits.items = 32;
    let options = Options::default().most_connections(clients + 1).connection(connection);
    let emulator = Emulator::bind("127.0.0.1:0", options).await.unwrap();
    let address = emulator.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(emulator.serve(async move { drop(stopped.await) }));

    let speech: Arc<[String]> = appends().into();
    let (done, rounds) = (Arc::new(AtomicU64::new(0)), Arc::new(Barrier::new(clients + 1)));
    for _ in 0..clients {
        tokio::spawn(client(address, turns, speech.clone(), done.clone(), rounds.clone()));
    }
    let start = Instant::now();
    for round in 0..turns {
        rounds.wait().await;
        let count = done.load(Ordering::Relaxed);
        println!(
            "round {:>3}: {count:>6} turns, {:>6} KiB, {:.1?}",
            round + 1,
            resident_kib(),
            start.elapsed()
        );
    }
    stop.send(()).unwrap();
    server.await.unwrap();
    println!("stopped: {} KiB", resident_kib());
}

async fn client(
    address: SocketAddr,
    turns: usize,
    speech: Arc<[String]>,
    done: Arc<AtomicU64>,
    rounds: Arc<Barrier>,
) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async("ws://emulator/v1/realtime?model=m", stream).await.unwrap();
    for _ in 0..turns {
        for append in speech.iter() {
            socket.send(Message::text(append.as_str())).await.unwrap();
        }
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if message.to_text().is_ok_and(|text| text.starts_with(r#"{"type":"response.done""#)) {
                break;
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
        rounds.wait().await;
    }
}

/// Half a second of speech and the silence that ends it, as events of 100 ms.
fn appends() -> Vec<String> {
    let mut pcm = voice::speak("Hello you.").pcm();
    pcm.resize(pcm.len() + 48 * 700, 0);
    let append = |piece: &[u8]| {
        let mut audio = String::new();
        Audio::from(piece.to_vec()).encode_into(&mut audio);
        format!(r#"{{"type":"input_audio_buffer.append","audio":"{audio}"}}"#)
    };
    pcm.chunks(4800).map(append).collect()
}

/// The process's resident memory. 0 if it is not known.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
