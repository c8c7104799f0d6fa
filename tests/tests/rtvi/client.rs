//! A client: it says that it is ready, has a microphone, and keeps what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::frames::{self, Frame};

/// Longer than any call of these tests.
const LONGEST: Duration = Duration::from_secs(120);

type Writer = SplitSink<WebSocketStream<DuplexStream>, Message>;

/// A client with an open socket.
pub(crate) struct Client {
    writer: Arc<tokio::sync::Mutex<Writer>>,
    told: Arc<Mutex<Told>>,
    mouth: Arc<Mutex<Option<Instant>>>,
}

/// What it was told.
#[derive(Default)]
struct Told {
    messages: Vec<Value>,
    /// When each audio came (ms), and how long it is (ms).
    audio: Vec<(u64, u64)>,
    closed: bool,
}

impl Client {
    /// Goes on as the published client does: it says that it is ready, and its microphone is on.
    pub(crate) async fn begin(socket: WebSocketStream<DuplexStream>) -> Self {
        let (writer, reader) = socket.split();
        let begun = Instant::now();
        let client = Self {
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            told: Arc::default(),
            mouth: Arc::default(),
        };
        tokio::spawn(read(reader, Arc::clone(&client.told), begun));
        client
            .send("client-ready", "ready", json!({ "version": "2.1.0", "about": { "library": "test" } }))
            .await;
        tokio::spawn(microphone(Arc::clone(&client.writer), Arc::clone(&client.mouth)));
        client
    }

    pub(crate) async fn send(&self, kind: &str, id: &str, data: Value) {
        let json = json!({ "label": "rtvi-ai", "type": kind, "id": id, "data": data });
        let bytes = frames::message(&json.to_string());
        self.writer.lock().await.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// The user speaks for so long.
    pub(crate) async fn speak(&self, millis: u64) {
        let millis = Duration::from_millis(millis);
        *self.mouth.lock().unwrap() = Some(Instant::now() + millis);
        sleep(millis).await;
    }

    pub(crate) async fn hang_up(&self) {
        self.writer.lock().await.close().await.unwrap();
    }

    /// Waits for the n-th message of a type, from 1.
    pub(crate) async fn until(&self, kind: &str, nth: usize) -> Value {
        self.wait(kind, |told| {
            let mut of = told.messages.iter().filter(|message| message["type"] == kind);
            of.nth(nth - 1).cloned()
        })
        .await
    }

    /// Waits until the server has closed the socket.
    pub(crate) async fn closed(&self) {
        self.wait("the end", |told| told.closed.then_some(())).await;
    }

    async fn wait<T>(&self, what: &str, found: impl Fn(&Told) -> Option<T>) -> T {
        let found = timeout(LONGEST, async {
            loop {
                if let Some(found) = found(&self.told.lock().unwrap()) {
                    return found;
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {what} came:\n{}", self.types().join("\n")))
    }

    /// The types of all messages so far, in their order.
    pub(crate) fn types(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.messages.iter().map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }

    /// The data of all messages of a type.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        let of = told.messages.iter().filter(|message| message["type"] == kind);
        of.map(|message| message["data"].clone()).collect()
    }

    /// All audio so far (ms).
    pub(crate) fn heard_ms(&self) -> u64 {
        self.told.lock().unwrap().audio.iter().map(|(_, length)| length).sum()
    }

    /// The most audio that was there before its time (ms), if playback begins with the first of it.
    pub(crate) fn most_ahead_ms(&self) -> u64 {
        let told = self.told.lock().unwrap();
        let (mut played_until, mut most) = (0, 0);
        for (at, length) in &told.audio {
            played_until = u64::max(played_until, *at) + length;
            most = most.max(played_until - at);
        }
        most
    }
}

async fn read(
    mut reader: SplitStream<WebSocketStream<DuplexStream>>,
    told: Arc<Mutex<Told>>,
    begun: Instant,
) {
    while let Some(Ok(message)) = reader.next().await {
        let Message::Binary(bytes) = message else { continue };
        let mut told = told.lock().unwrap();
        match frames::read(&bytes) {
            Frame::Message(json) => {
                let message: Value = serde_json::from_str(&json).unwrap();
                assert_eq!(message["label"], "rtvi-ai");
                told.messages.push(message);
            }
            Frame::Audio(audio) => {
                assert!(audio.len().is_multiple_of(2), "it plays whole samples");
                let at = u64::try_from(begun.elapsed().as_millis()).unwrap();
                told.audio.push((at, audio.len() as u64 / 48));
            }
        }
    }
    told.lock().unwrap().closed = true;
}

/// 16 ms of audio at a time: a tone while the user speaks, else silence.
async fn microphone(writer: Arc<tokio::sync::Mutex<Writer>>, mouth: Arc<Mutex<Option<Instant>>>) {
    let mut ticks = interval(Duration::from_millis(16));
    loop {
        ticks.tick().await;
        let is_open = mouth.lock().unwrap().is_some_and(|until| Instant::now() < until);
        let loud = if is_open { 9_000 } else { 0 };
        let samples: Vec<i16> = (0..256).map(|at| if at / 20 % 2 == 0 { loud } else { -loud }).collect();
        let audio = Message::Binary(frames::audio(&samples, 16_000).into());
        if writer.lock().await.send(audio).await.is_err() {
            return;
        }
    }
}
