//! A scripted page: [`ScriptedPage`] does what a browser would.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::speaker::Speaker;

/// Longer than anything that is waited for.
const LONGEST: Duration = Duration::from_secs(60);

/// A page that stays the same over all its connections.
#[derive(Clone, Default)]
pub(crate) struct ScriptedPage(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    speaker: Speaker,
    token: Option<Value>,
    /// All texts that came.
    texts: Vec<Value>,
    speaks_until: Option<Instant>,
}

/// One connection of a page.
pub(crate) struct Connection {
    says: mpsc::UnboundedSender<Value>,
    run: JoinHandle<()>,
}

impl Connection {
    pub(crate) fn say(&self, text: Value) {
        self.says.send(text).unwrap();
    }

    /// The connection breaks: nothing more is said, not even goodbye.
    pub(crate) async fn kill(self) {
        self.run.abort();
        // It was aborted.
        let _ = self.run.await;
    }
}

impl ScriptedPage {
    /// Says hello on a connection, and does from then on what a page does.
    pub(crate) fn connect<S>(&self, mut socket: WebSocketStream<S>) -> Connection
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (says, mut said) = mpsc::unbounded_channel::<Value>();
        let page = self.clone();
        let run = tokio::spawn(async move {
            // Before anything else.
            socket.send(Message::text(page.hello().to_string())).await.unwrap();
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                let out = tokio::select! {
                    message = socket.next() => match message {
                        Some(Ok(Message::Text(text))) => page.on_text(serde_json::from_str(&text).unwrap()),
                        Some(Ok(Message::Binary(bytes))) => {
                            page.0.lock().unwrap().speaker.push(&bytes);
                            vec![]
                        }
                        Some(Ok(_)) => vec![],
                        Some(Err(_)) | None => return,
                    },
                    Some(text) = said.recv() => vec![Message::text(text.to_string())],
                    _ = ticks.tick() => page.on_tick(),
                };
                for message in out {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
            }
        });
        Connection { says, run }
    }

    fn hello(&self) -> Value {
        let mut state = self.0.lock().unwrap();
        let mut hello = json!({ "type": "hello", "version": 1, "rate": 24_000 });
        if let Some(token) = &state.token {
            hello["token"] = token.clone();
            if let Some(place) = state.speaker.place("played") {
                hello["played"] = place;
            }
        }
        state.speaker.stop();
        hello
    }

    fn on_text(&self, text: Value) -> Vec<Message> {
        let mut state = self.0.lock().unwrap();
        let mut answer = None;
        match text["type"].as_str().unwrap() {
            "ready" => state.token = Some(text["token"].clone()),
            "clear" => {
                state.speaker.stop();
                let mut stopped =
                    state.speaker.place("stopped").unwrap_or_else(|| json!({ "type": "stopped" }));
                stopped["id"] = text["id"].clone();
                state.texts.push(stopped.clone());
                answer = Some(Message::text(stopped.to_string()));
            }
            _ => {}
        }
        state.texts.push(text);
        answer.into_iter().collect()
    }

    fn on_tick(&self) -> Vec<Message> {
        let mut state = self.0.lock().unwrap();
        let is_loud = state.speaks_until.is_some_and(|until| Instant::now() < until);
        let loud: i16 = if is_loud { 9_000 } else { 0 };
        let audio = (0..480).flat_map(|at| (if at / 30 % 2 == 0 { loud } else { -loud }).to_le_bytes());
        let mut out = vec![Message::binary(audio.collect::<Vec<u8>>())];
        out.extend(state.speaker.step().map(|report| Message::text(report.to_string())));
        out
    }

    /// The user speaks for so long.
    pub(crate) async fn speak(&self, millis: u64) {
        self.0.lock().unwrap().speaks_until = Some(Instant::now() + Duration::from_millis(millis));
        sleep(Duration::from_millis(millis)).await;
    }

    /// Waits for the n-th text, from 1, that has these members.
    pub(crate) async fn until(&self, members: Value, nth: usize) -> Value {
        let fits = |text: &&Value| members.as_object().unwrap().iter().all(|(name, is)| text[name] == *is);
        let find = || self.0.lock().unwrap().texts.iter().filter(fits).nth(nth - 1).cloned();
        let found = timeout(LONGEST, async {
            loop {
                match find() {
                    Some(text) => return text,
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| panic!("{nth} x {members} did not come:\n{:#?}", self.texts()))
    }

    pub(crate) fn texts(&self) -> Vec<Value> {
        self.0.lock().unwrap().texts.clone()
    }

    /// What was heard of an item of the conversation, under all its numbers: samples from and up to.
    pub(crate) fn heard_of(&self, id: &Value) -> Vec<(u64, u64)> {
        let state = self.0.lock().unwrap();
        let items = state.texts.iter().filter(|text| text["type"] == "item" && text["id"] == *id);
        let numbers: Vec<u64> = items.map(|text| text["number"].as_u64().unwrap()).collect();
        let of = state.speaker.heard.iter().filter(|(item, ..)| numbers.contains(&u64::from(*item)));
        of.map(|(_, from, to)| (*from, *to)).collect()
    }
}
