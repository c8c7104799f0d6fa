//! The carriers' side against the server's, each written without the other, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;
use realtime_telephony::caller::Caller;
use realtime_telephony::carrier::{HangUp, Outgoing};
use realtime_telephony::{Event, MediaStream, Output, StreamOptions};
use realtime_tests::carriers::{Carrier, End, Report, Step, call_over};
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// What a server noted of a call.
#[derive(Default)]
struct Noted {
    /// Milliseconds of the caller's audio, and how loud it was at most.
    heard_ms: u64,
    loudest: i16,
    keys: String,
    /// Where the server believes that the caller was when the audio was dropped (ms).
    dropped_at_ms: Option<u64>,
    /// Where it was at the end of what was played to its end (ms).
    played_ms: u64,
    ended: bool,
}

/// A server: it sends 4 s of tone at once, drops it when the first key comes, sends 1 s more, and hangs up
/// when that has been played.
struct Server {
    stream: MediaStream,
    socket: WebSocketStream<DuplexStream>,
    begun: Instant,
    noted: Noted,
    formats: Option<(AudioFormat, AudioFormat)>,
}

impl Server {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.begun.elapsed()
    }

    async fn run(mut self) -> Noted {
        while !self.noted.ended {
            self.carry_out().await;
            let due = self.stream.poll_timeout().map(|at| self.begun + at.saturating_since(Timestamp::ZERO));
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = self.socket.next() => {
                    let now = self.now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.stream.handle_text(now, &text),
                        Some(Ok(Message::Binary(bytes))) => self.stream.handle_binary(now, bytes),
                        Some(Ok(_)) => {}
                        None | Some(Err(_)) => self.stream.handle_closed(now),
                    }
                }
                () = timer => {
                    let now = self.now();
                    self.stream.handle_timeout(now);
                }
            }
        }
        self.carry_out().await;
        // The stand-in may have closed before.
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = self.socket.next().await {}
        self.noted
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                Output::Send(Outgoing::Text(text)) => self.send(Message::text(text)).await,
                Output::Send(Outgoing::Binary(bytes)) => self.send(Message::Binary(bytes)).await,
                Output::Send(Outgoing::Close) => {
                    let _ = self.socket.close(None).await;
                }
                Output::Event(event) => self.on_event(event),
                _ => {}
            }
        }
    }

    /// The stand-in may have gone.
    async fn send(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    fn on_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Started(started) => {
                self.formats = Some((started.input, started.output));
                self.play(now, 4_000);
            }
            Event::Audio(audio) => {
                let (input, _) = self.formats.unwrap();
                self.noted.heard_ms +=
                    input.samples(audio.audio.len() as u64) * 1_000 / u64::from(input.sample_rate());
                let samples = realtime_pipeline::Audio::coded(input, audio.audio).pcm().unwrap();
                self.noted.loudest = samples.as_slice().iter().copied().fold(self.noted.loudest, i16::max);
            }
            Event::Digit { digit, .. } => {
                self.noted.keys.push(digit.as_char());
                if self.noted.dropped_at_ms.is_none() {
                    let position = self.stream.flush(now).unwrap();
                    self.noted.dropped_at_ms = Some(self.ms(position.samples));
                    self.play(now, 1_000);
                }
            }
            Event::Played { samples, generation: 1, .. } => {
                self.noted.played_ms = self.ms(samples);
                if self.noted.played_ms >= 1_000 {
                    self.stream.hang_up(now, &HangUp::default()).unwrap();
                }
            }
            Event::Ended(_) => self.noted.ended = true,
            Event::Fault(fault) => panic!("{fault:?}"),
            _ => {}
        }
    }

    /// A tone, with a mark every 500 ms and at the end.
    fn play(&mut self, now: Timestamp, ms: u64) {
        let (_, output) = self.formats.unwrap();
        let samples = output.samples_in(realtime_protocol::time::MediaTime::from_millis(500));
        let tone = |n: u64| if n % 20 < 10 { 8_000_i16 } else { -8_000 };
        let piece: Vec<u8> = match output {
            AudioFormat::Pcmu => {
                (0..samples).map(|n| realtime_protocol::audio::g711::to_mu_law(tone(n))).collect()
            }
            AudioFormat::Pcma => {
                (0..samples).map(|n| realtime_protocol::audio::g711::to_a_law(tone(n))).collect()
            }
            _ => (0..samples).flat_map(|n| tone(n).to_le_bytes()).collect(),
        };
        for mark in 0..ms / 500 {
            self.stream.play(now, Bytes::from(piece.clone())).unwrap();
            self.stream.mark(now, mark).unwrap();
        }
        self.stream.finish(now).unwrap();
    }

    fn ms(&self, samples: u64) -> u64 {
        let (_, output) = self.formats.unwrap();
        samples * 1_000 / u64::from(output.sample_rate())
    }
}

async fn hold(carrier: Carrier) -> (Report, Noted) {
    let (here, there) = duplex(1 << 20);
    let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    let options = StreamOptions::default();
    let begun = Instant::now();
    let server = Server {
        stream: MediaStream::new(Timestamp::ZERO, carrier, options),
        socket: WebSocketStream::from_raw_socket(there, Role::Server, None).await,
        begun,
        noted: Noted::default(),
        formats: None,
    };
    let loud: Vec<i16> =
        (0..Caller::rate_of(carrier) / 2).map(|n| if n % 16 < 8 { 12_000 } else { -12_000 }).collect();
    let script =
        [Step::say(loud), Step::hear(Duration::from_millis(1_500)), Step::Keys("5#".to_owned()), Step::Stay];
    let server = tokio::spawn(server.run());
    let report = call_over(carrier, socket, script).await.unwrap();
    (report, server.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_the_server_believes_was_heard_is_what_sounded() {
    for carrier in Carrier::ALL {
        let (report, noted) = hold(carrier).await;
        let name = carrier.name();
        assert_eq!(report.violations, [""; 0], "{name}");
        assert_eq!((report.end, report.cleared_at.len()), (End::ByServer, 1), "{name}: {report:?}");
        assert_eq!(noted.keys, "5#", "{name}");
        // The greeting of the stand-in: half a second at 12,000.
        assert!((11_000..13_000).contains(&noted.loudest), "{name}: {}", noted.loudest);
        assert!((1_400..4_000).contains(&noted.heard_ms), "{name}: {} ms", noted.heard_ms);
        let dropped_at = noted.dropped_at_ms.unwrap();
        assert!((1_400..=1_560).contains(&dropped_at), "{name}: {dropped_at} ms");
        assert_eq!(noted.played_ms, 1_000, "{name}: {report:?}");
        let sounded = u64::try_from(report.sounded.as_millis()).unwrap();
        assert!(sounded.abs_diff(dropped_at + 1_000) <= 60, "{name}: {sounded} ms, {dropped_at} ms");
        assert!(report.dropped >= Duration::from_millis(2_300), "{name}: {report:?}");
    }
}
