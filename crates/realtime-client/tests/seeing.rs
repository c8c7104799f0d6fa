//! What others get to see of a session. Alone in its process, for `tracing` remembers from the first event of
//! a kind whether anybody wants it.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use realtime_client::ClientOptions;
use realtime_protocol::call::{Command, Event};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

#[cfg(test)]
#[path = "client/support.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod support;

use support::*;

/// A session in which every text that anyone gives says `canary`.
async fn session(options: ClientOptions) -> String {
    let seen = Seen::default();
    let _guard = tracing::subscriber::set_default(seen.clone());
    let (handle, mut events, mut server) = ready(options).await;

    handle.append_audio(b"canary".to_vec()).expect("a session that lives");
    server.expect("input_audio_buffer.append").await;
    let _pending = handle.send(Command::CreateItem {
        item: Box::new(realtime_protocol::item::Item::user_text("canary")),
        after: None,
        respond: false,
    });
    server.expect("conversation.item.create").await;
    server.begin_response("resp_1", "item_1").await;
    server.audio("resp_1", "item_1", "Y2FuYXJ5").await;
    let delta = json!({
        "type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_1",
        "output_index": 0, "content_index": 0, "delta": "canary",
    });
    server.send(delta).await;
    let call = json!({
        "id": "item_2", "type": "function_call", "status": "completed",
        "call_id": "call_1", "name": "look", "arguments": "{\"for\":\"canary\"}",
    });
    let usage = json!({"total_tokens": 30, "input_tokens": 10, "output_tokens": 20, "input_token_details": {"cached_tokens": 4}});
    let done = json!({"id": "resp_1", "status": "completed", "output": [call], "usage": usage});
    server.send(json!({"type": "response.done", "response": done})).await;
    server.send(json!({"type": "error", "error": {"code": "odd", "message": "canary"}})).await;
    server.send(json!({"type": "canary"})).await;
    loop {
        if matches!(next(&mut events).await, Event::Warning(_)) {
            break;
        }
    }
    handle.append_audio(b"canary".to_vec()).expect("a session that lives");
    server.expect("input_audio_buffer.append").await;
    drop(server);
    rest(&mut events).await;

    seen.text()
}

#[tokio::test(start_paused = true)]
async fn no_key_audio_or_word_reaches_tracing() {
    let text = session(ClientOptions::default()).await;
    assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"), "{text}");
    for what in
        ["session ready", "response.output_audio.delta", "gen_ai.conversation.id=sess_1", "session closed"]
    {
        assert!(text.contains(what), "{what} is missing in:\n{text}");
    }
    for field in [
        "gen_ai.request.model=test-model",
        "gen_ai.response.id=resp_1",
        "gen_ai.response.finish_reasons=stop",
        "gen_ai.usage.input_tokens=10",
        "gen_ai.usage.output_tokens=20",
        "gen_ai.usage.cache_read.input_tokens=4",
        "turn.number=1",
        "gen_ai.tool.name=look",
        "gen_ai.tool.call.id=call_1",
        "error.type=connection_lost",
    ] {
        assert!(text.contains(field), "{field} is missing in:\n{text}");
    }

    let text = session(ClientOptions::default().trace_content()).await;
    assert!(text.contains(r#"gen_ai.tool.call.arguments={"for":"canary"}"#), "{text}");
    assert!(!text.contains("Y2FuYXJ5") && !text.contains(KEY), "audio and keys are never shown: {text}");
}

/// Everything that `tracing` was told, as text.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn text(&self) -> String {
        self.0.lock().expect("no panic while it is held").clone()
    }

    fn add(&self, name: &str, record: impl FnOnce(&mut dyn Visit)) {
        struct Text<'a>(&'a mut String);
        impl Visit for Text<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").expect("text can be written to");
            }
            fn record_str(&mut self, field: &Field, value: &str) {
                write!(self.0, " {field}={value}").expect("text can be written to");
            }
        }
        let mut text = self.0.lock().expect("no panic while it is held");
        text.push_str(name);
        record(&mut Text(&mut text));
        text.push('\n');
    }
}

impl Subscriber for Seen {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(span.metadata().name(), |visit| span.record(visit));
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        self.add("record", |visit| values.record(visit));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.add(event.metadata().target(), |visit| event.record(visit));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
