//! A tiny Realtime server for one connection, without I/O: it hears speech, answers, calls functions, and
//! forgets all when the connection ends.
//!
//! Audio whose first byte is 1 is speech, and its second byte says which turn; other audio is silence. A
//! user's text that begins with `call ` makes the model call the function `work` with the rest as its
//! argument.

use serde_json::{Value, json};

use realtime_protocol::audio::Audio;
use realtime_protocol::event::ClientEvent;

/// The length of each answer (ms of audio).
const ANSWER_MS: usize = 400;

/// The server of one connection. All its ids end in `_c`, the connection's number and a count.
#[derive(Debug)]
pub struct FakeServer {
    connection: u32,
    /// The conversation.
    pub items: Vec<Value>,
    /// Bytes of audio that came.
    pub heard: u64,
    /// Whether it was asked for a response.
    pub was_asked: bool,
    running: Option<String>,
    turn: Option<u8>,
    made: u32,
    expires_at: u64,
}

impl FakeServer {
    /// The server of a connection; `expires_at` in seconds since 1970.
    pub fn new(connection: u32, expires_at: u64) -> Self {
        Self {
            connection,
            items: Vec::new(),
            heard: 0,
            was_asked: false,
            running: None,
            turn: None,
            made: 0,
            expires_at,
        }
    }

    /// What it says first.
    pub fn greet(&mut self) -> Value {
        let id = self.id("se");
        json!({"type": "session.created", "session": {"id": id, "expires_at": self.expires_at}})
    }

    /// Takes an event. Returns the answers, each with a delay (ms).
    pub fn take(&mut self, event: &ClientEvent) -> Vec<(u64, Value)> {
        if let ClientEvent::InputAudioBufferAppend(append) = event {
            return append.audio.bytes().map_or_else(|_| Vec::new(), |bytes| self.hear(bytes));
        }
        let event = serde_json::to_value(event).expect("events are JSON");
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => {
                let mut session = event["session"].clone();
                session["expires_at"] = self.expires_at.into();
                vec![(0, json!({"type": "session.updated", "session": session}))]
            }
            "conversation.item.create" => self.add(event["item"].clone()),
            "conversation.item.delete" => {
                vec![(0, json!({"type": "conversation.item.deleted", "item_id": event["item_id"]}))]
            }
            "conversation.item.retrieve" => {
                let found = self.items.iter().find(|item| item["id"] == event["item_id"]);
                let error = json!({"code": "item_retrieve_invalid_item_id", "event_id": event["event_id"]});
                vec![(
                    0,
                    found.map_or_else(
                        || json!({"type": "error", "error": error}),
                        |item| json!({"type": "conversation.item.retrieved", "item": item}),
                    ),
                )]
            }
            "response.create" if self.running.is_some() => {
                self.was_asked = true;
                let code = "conversation_already_has_active_response";
                vec![(0, json!({"type": "error", "error": {"code": code, "event_id": event["event_id"]}}))]
            }
            "response.create" => {
                self.was_asked = true;
                self.respond()
            }
            "response.cancel" => self.cancel("client_cancelled"),
            _ => Vec::new(),
        }
    }

    /// Returns whether a response runs.
    pub const fn is_responding(&self) -> bool {
        self.running.is_some()
    }

    /// What it says is on the wire: a response that was cancelled since says nothing more.
    pub fn still_says(&mut self, event: &Value) -> bool {
        let of = event["response_id"].as_str().or_else(|| event["response"]["id"].as_str());
        let Some(of) = of else { return true };
        let runs = self.running.as_deref() == Some(of);
        if event["type"] == "response.done" && event["response"]["status"] == "completed" && runs {
            self.running = None;
        }
        runs || event["response"]["status"] == "cancelled"
    }

    fn add(&mut self, mut item: Value) -> Vec<(u64, Value)> {
        let after = self.items.last().map(|item| item["id"].clone()).unwrap_or_default();
        item["status"] = "completed".into();
        self.items.push(item.clone());
        let told = |kind: &str| json!({"type": kind, "previous_item_id": after, "item": item});
        vec![(0, told("conversation.item.added")), (0, told("conversation.item.done"))]
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<(u64, Value)> {
        self.heard += bytes.len() as u64;
        let speech = bytes.first() == Some(&1);
        match (speech, self.turn) {
            (true, None) => {
                self.turn = bytes.get(1).copied();
                let started = json!({"type": "input_audio_buffer.speech_started", "item_id": "u"});
                let mut events = self.cancel("turn_detected");
                events.insert(0, (0, started));
                events
            }
            (false, Some(turn)) => {
                self.turn = None;
                let id = self.id("it");
                let item = json!({"id": id, "type": "message", "role": "user",
                    "content": [{"type": "input_audio", "transcript": null}]});
                let mut events = vec![
                    (0, json!({"type": "input_audio_buffer.speech_stopped", "item_id": id})),
                    (0, json!({"type": "input_audio_buffer.committed", "item_id": id})),
                ];
                events.extend(self.add(item));
                let text = format!("turn {turn}");
                if let Some(item) = self.items.last_mut() {
                    item["content"][0]["transcript"] = text.clone().into();
                }
                events.push((
                    30,
                    json!({"type": "conversation.item.input_audio_transcription.completed",
                    "item_id": id, "content_index": 0, "transcript": text}),
                ));
                events.extend(self.respond());
                events
            }
            _ => Vec::new(),
        }
    }

    fn respond(&mut self) -> Vec<(u64, Value)> {
        let (id, item_id) = (self.id("re"), self.id("it"));
        self.running = Some(id.clone());
        let text = self.last_words();
        let mut events = vec![(
            10,
            json!({"type": "response.created", "response": {"id": id, "conversation_id": "conv"}}),
        )];
        let output = if let Some(argument) = text.strip_prefix("call ") {
            let call_id = self.id("ca");
            json!({"id": item_id, "type": "function_call", "call_id": call_id, "name": "work",
                "arguments": json!({"what": argument}).to_string(), "status": "completed"})
        } else {
            let mut audio = String::new();
            Audio::from(vec![0; ANSWER_MS * 48]).encode_into(&mut audio);
            let words = format!("re: {text}");
            for (kind, delta) in
                [("response.output_audio_transcript.delta", &words), ("response.output_audio.delta", &audio)]
            {
                events.push((
                    40,
                    json!({"type": kind, "response_id": id, "item_id": item_id, "content_index": 0,
                    "delta": delta}),
                ));
            }
            json!({"id": item_id, "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_audio", "transcript": words}]})
        };
        let mut added = self.add(output.clone());
        for (delay, event) in &mut added {
            *delay = 60;
            // So that a cancelled response leaves no item.
            event["response_id"] = id.clone().into();
        }
        events.extend(added);
        let response =
            json!({"id": id, "conversation_id": "conv", "status": "completed", "output": [output]});
        events.push((80, json!({"type": "response.done", "response": response})));
        events
    }

    fn cancel(&mut self, reason: &str) -> Vec<(u64, Value)> {
        let Some(id) = self.running.take() else { return Vec::new() };
        let response = json!({"id": id, "conversation_id": "conv", "status": "cancelled",
            "status_details": {"reason": reason}, "output": []});
        vec![(0, json!({"type": "response.done", "response": response}))]
    }

    /// The user's last words, or what the last call gave.
    fn last_words(&self) -> String {
        let last = self
            .items
            .iter()
            .rev()
            .find(|item| item["role"] == "user" || item["type"] == "function_call_output");
        let Some(last) = last else { return "nothing".to_owned() };
        if let Some(output) = last["output"].as_str() {
            let call = self.items.iter().rev().find(|item| item["type"] == "function_call");
            if let Some(call) = call.filter(|_| !output.contains("done")) {
                // It was given up, as far as this session knows: the model wants it done.
                let arguments: Value = call["arguments"]
                    .as_str()
                    .and_then(|json| serde_json::from_str(json).ok())
                    .unwrap_or_default();
                return format!("call {}", arguments["what"].as_str().unwrap_or_default());
            }
            return format!("result {output}");
        }
        let part = &last["content"][0];
        part["text"].as_str().or_else(|| part["transcript"].as_str()).unwrap_or("nothing").to_owned()
    }

    fn id(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}_c{}_{}", self.connection, self.made)
    }
}
