//! A context fed by a real session: wire texts in, a conversation out.

use realtime_protocol::call::{
    Command, CommandId, FunctionOutput, Media, PlaybackPosition, PlaybackReport, StopId,
};
use realtime_protocol::event::Dialect;
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};

use super::*;
use crate::toolbox::Toolbox;

/// A session, its server, and the context beside it.
struct Call {
    session: Session,
    context: Conversation,
    now_ms: u64,
    sent: Vec<Value>,
    commands: u64,
}

impl Call {
    fn new(context: Conversation, options: SessionOptions) -> Self {
        let mut session = Session::new(options);
        session.handle_connected(Timestamp::from_millis(0), UnixTime::from_secs(1_790_000_000));
        let mut call = Self { session, context, now_ms: 0, sent: Vec::new(), commands: 0 };
        call.server(json!({ "type": "session.created", "session": {} }));
        call.server(json!({ "type": "session.updated", "session": {} }));
        call
    }

    fn now(&mut self) -> Timestamp {
        self.now_ms += 10;
        Timestamp::from_millis(self.now_ms)
    }

    fn server(&mut self, event: Value) {
        let now = self.now();
        self.session.handle_text(now, &event.to_string());
        self.drain();
    }

    fn command(&mut self, command: Command) {
        self.commands += 1;
        let now = self.now();
        self.session.handle_command(now, CommandId(self.commands), command).unwrap();
        self.drain();
    }

    fn media(&mut self, media: Media) {
        let now = self.now();
        self.session.handle_media(now, media).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Event(event) => drop(self.context.observe(&event)),
                Output::Send(event) => {
                    self.sent.push(serde_json::from_str(&event.encode(Dialect::default())).unwrap());
                }
                Output::Close => {}
            }
        }
    }

    /// The server takes in the item that was sent last.
    fn echo(&mut self, after: Option<&str>) -> String {
        let sent = self.sent.iter().rfind(|event| event["type"] == "conversation.item.create");
        let item = sent.unwrap()["item"].clone();
        let id = item["id"].as_str().unwrap().to_owned();
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.server(json!({ "type": kind, "previous_item_id": after, "item": item }));
        }
        id
    }

    fn speech(&mut self, id: &str, after: &str) {
        let buffer = |kind: &str| json!({ "type": format!("input_audio_buffer.{kind}"), "item_id": id });
        self.server(buffer("speech_stopped"));
        self.server(buffer("committed"));
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.server(json!({ "type": kind, "previous_item_id": after, "item": speech(id) }));
        }
    }

    fn started(&mut self, response: &str, item: &Value, after: &str) {
        let created = json!({ "id": response, "conversation_id": "conv" });
        self.server(json!({ "type": "response.created", "response": created }));
        self.server(json!({ "type": "response.output_item.added", "response_id": response, "item": item }));
        self.server(json!({ "type": "conversation.item.added", "previous_item_id": after, "item": item }));
    }

    fn finished(&mut self, response: &str, status: &str, item: &Value, after: &str) {
        self.server(json!({ "type": "response.output_item.done", "response_id": response, "item": item }));
        self.server(json!({ "type": "conversation.item.done", "previous_item_id": after, "item": item }));
        let done = json!({ "id": response, "conversation_id": "conv", "status": status, "output": [item] });
        self.server(json!({ "type": "response.done", "response": done }));
    }

    fn words(&mut self, response: &str, id: &str, delta: &str) {
        self.server(json!({ "type": "response.output_audio_transcript.delta", "response_id": response,
            "item_id": id, "output_index": 0, "content_index": 0, "delta": delta }));
    }

    /// 100 ms of silence.
    fn audio(&mut self, response: &str, id: &str) {
        self.server(json!({ "type": "response.output_audio.delta", "response_id": response,
            "item_id": id, "output_index": 0, "content_index": 0, "delta": "AAAA".repeat(1600) }));
    }
}

#[test]
fn a_seeded_call_with_a_barge_in_and_a_tool() {
    let context = Conversation::from_messages([
        Message::system("Be brief."),
        Message::user("Hi"),
        Message::assistant("Hello."),
    ]);
    let toolbox = Toolbox::new().tool("get_weather", "Looks up the weather", |city: String| async move {
        Ok::<_, crate::ToolError>(city)
    });
    let mut options = SessionOptions::default();
    options.config = toolbox.session_config(context.session_config(options.config));
    let seed = context.clone().history(History::PackedMessage).seed();

    let mut call = Call::new(context, options);
    assert_eq!(call.sent[0]["session"]["instructions"], "Be brief.");
    assert_eq!(call.sent[0]["session"]["tools"][0]["name"], "get_weather");
    for item in seed.items {
        call.command(Command::CreateItem { item: Box::new(item), after: None, respond: false });
    }
    let packed = call.echo(None);

    // The user asks. Of the 400 ms of the answer 200 are heard.
    call.speech("u1", &packed);
    call.started("r1", &reply("a1"), "u1");
    call.words("r1", "a1", "One two");
    call.audio("r1", "a1");
    call.audio("r1", "a1");
    call.words("r1", "a1", " three four");
    call.audio("r1", "a1");
    call.audio("r1", "a1");
    call.server(json!({ "type": "input_audio_buffer.speech_started", "item_id": "u2" }));
    let at = PlaybackPosition { item_id: "a1".into(), content_index: 0, played: 4800 };
    call.media(Media::Report(PlaybackReport::Stopped { id: StopId(1), at: Some(at) }));
    call.words("r1", "a1", " five");
    let cut = json!({ "id": "a1", "type": "message", "role": "assistant", "status": "incomplete",
        "content": [{ "type": "output_audio", "transcript": "One two three four five" }] });
    call.finished("r1", "cancelled", &cut, "u1");

    // The second question calls a tool.
    call.speech("u2", "a1");
    let mut made = call_item("f1", "c1", r#"{"value":"Oslo"}"#);
    made["status"] = "completed".into();
    call.started("r2", &made, "u2");
    call.finished("r2", "completed", &made, "u2");
    assert!(texts(&call.context).last().unwrap().contains("in_progress"));
    call.command(Command::AnswerFunction {
        call_id: "c1".into(),
        output: FunctionOutput::Result(json!(3)),
        respond: true,
    });
    let output = call.echo(Some("f1"));
    call.started("r3", &reply("a2"), &output);
    call.words("r3", "a2", "Three degrees.");
    call.audio("r3", "a2");

    // The transcripts come at the very end.
    for (id, text) in [("u2", "In Oslo?"), ("u1", "What is the weather?")] {
        call.server(json!({ "type": "conversation.item.input_audio_transcription.completed",
            "item_id": id, "content_index": 0, "transcript": text }));
    }
    assert_eq!(
        call.context.transcript().to_string(),
        r#"system: Be brief.
user: Hi
assistant: Hello.
user: What is the weather?
assistant: One two [interrupted; unheard: three four five]
user: In Oslo?
tool: get_weather({"value":"Oslo"}) -> 3
assistant: Three degrees. …
"#
    );
}
