//! Scenarios: JSON lines, a header and steps. What a step may say is decided here; what it does, in the
//! agent.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use realtime_protocol::audio::Audio;
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::session_config::SessionConfig;

use crate::Error;

/// One scenario.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) header: Header,
    /// Step `n` of a trace is `steps[n - 1]`.
    pub(super) steps: Vec<Step>,
}

/// What holds for a whole scenario.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    pub(super) service: Service,
    pub(super) context: Option<Chat>,
    #[serde(default = "accept")]
    pub(super) server: Value,
    #[serde(default)]
    pub(super) transport: String,
    #[serde(default)]
    pub(super) handlers: Map<String, Value>,
}

/// Options of the service.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Service {
    #[serde(default)]
    pub(super) session_properties: Map<String, Value>,
    #[serde(default)]
    pub(super) start_audio_paused: bool,
    pub(super) run_in_parallel: Option<bool>,
    pub(super) send_transcription_frames: Option<bool>,
}

/// A context: messages in chat form, and tools, as a list or in a schema.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Chat {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) messages: Vec<Value>,
    #[serde(default)]
    pub(super) tools: Value,
}

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    /// The server sends these, readable at once.
    Server(Vec<Value>),
    ServerRaw(String),
    ServerClose {
        code: Option<u16>,
        reason: String,
    },
    ServerAbort,
    ServerMode(Value),
    Frame(Value),
    Context(Chat),
    ContextFrame(String),
    ExpectClient(String),
    /// Milliseconds since the start.
    Clock(u64),
    /// Milliseconds of audio are played.
    Play(u64),
    PlaybackIdle,
    /// Real time passes, of which nothing here knows.
    Sleep,
    RegisterFunction(Registration),
    ReleaseFunction(String),
    Call(Map<String, Value>),
    CancelCall(String),
    Together(Vec<Self>),
}

/// A function that the model may call.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Registration {
    /// `None`: any name that nobody registered.
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) hold: bool,
    pub(super) raises: Option<String>,
    #[serde(default)]
    pub(super) no_result: bool,
    pub(super) run_llm: Option<bool>,
    pub(super) cancel_on_interruption: Option<bool>,
}

fn accept() -> Value {
    json!("accept")
}

impl Scenario {
    /// Reads a scenario.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or("expected a scenario, got an empty file")?;
        let header = serde_json::from_str(first).map_err(|error| format!("line 1: {error}"))?;
        let mut steps = Vec::new();
        for (index, line) in lines {
            let step = serde_json::from_str(line).map_err(Error::from).and_then(Step::read);
            steps.push(step.map_err(|error| format!("line {}: {error}", index + 1))?);
        }
        Ok(Self { header, steps })
    }

    /// The steps with their numbers, those that happen together one after the other.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().flat_map(|(index, step)| {
            let all = if let Step::Together(steps) = step { &steps[..] } else { std::slice::from_ref(step) };
            all.iter().map(move |step| (index + 1, step))
        })
    }
}

impl Step {
    fn read(value: Value) -> Result<Self, Error> {
        let Value::Object(members) = value else {
            return Err(format!("expected a step, an object, got {value}").into());
        };
        let kind = if members.contains_key("call") {
            Some("call")
        } else {
            members.keys().next().map(String::as_str)
        };
        let kind = kind.ok_or("expected a step, got an empty object")?.to_owned();
        let value = members[&kind].clone();
        Ok(match kind.as_str() {
            "server" => Self::Server(vec![value]),
            "server_batch" => Self::Server(serde_json::from_value(value)?),
            "server_raw" => Self::ServerRaw(serde_json::from_value(value)?),
            "server_close" => Self::ServerClose {
                code: value["code"].as_u64().and_then(|code| u16::try_from(code).ok()),
                reason: value["reason"].as_str().unwrap_or_default().to_owned(),
            },
            "server_abort" => Self::ServerAbort,
            "server_mode" => Self::ServerMode(value),
            "frame" if value["type"].is_string() => Self::Frame(value),
            "context" => Self::Context(serde_json::from_value(value)?),
            "context_frame" => Self::ContextFrame(serde_json::from_value(value)?),
            "expect_client" => Self::ExpectClient(serde_json::from_value(value)?),
            "clock_ms" => Self::Clock(serde_json::from_value(value)?),
            "play_ms" => Self::Play(serde_json::from_value(value)?),
            "playback_idle" => Self::PlaybackIdle,
            "sleep_ms" => Self::Sleep,
            "register_function" => Self::RegisterFunction(serde_json::from_value(value)?),
            "release_function" => Self::ReleaseFunction(serde_json::from_value(value)?),
            "call" => Self::Call(members),
            "cancel_call" => Self::CancelCall(serde_json::from_value(value)?),
            "together" => {
                let steps: Vec<Value> = serde_json::from_value(value)?;
                Self::Together(steps.into_iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            _ => return Err(format!("unknown step `{kind}`").into()),
        })
    }
}

impl Header {
    /// Returns whether the transport plays at the speed of sound; otherwise it passes everything on at once.
    pub(super) fn plays(&self) -> bool {
        self.transport == "output"
    }
}

/// The bytes that `{"bytes": N, "seed": S}` stands for.
pub(super) fn audio_bytes(spec: &Value) -> Option<Vec<u8>> {
    let (bytes, seed) = (spec["bytes"].as_u64()?, spec["seed"].as_u64().unwrap_or(0));
    let byte = |i: u64| u8::try_from((31 * i + 17 * seed + 7 * (i >> 8)) & 0xff).unwrap_or_default();
    Some((0..bytes).map(byte).collect())
}

/// The length of a delta's audio (bytes); `None`: it is not base64.
pub(super) fn delta_bytes(delta: &Value) -> Option<u64> {
    match delta {
        Value::Object(spec) => spec.get("$audio")?["bytes"].as_u64(),
        Value::String(text) => decoded(text).map(|bytes| bytes.len() as u64),
        _ => None,
    }
}

/// The bytes of a delta, whose padding may be missing.
pub(super) fn decoded(delta: &str) -> Option<Vec<u8>> {
    let text = delta.trim_end_matches('=');
    let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
    Audio::from_base64(&format!("{text}{padding}")).bytes().ok().map(|bytes| bytes.to_vec())
}

/// An event as the server sends it: audio in base64, and ids of client events (all that were sent, in order)
/// put in. `None`: it refers to an event that was never sent, so that no server would say it.
pub(super) fn event_text(event: &Value, sent: &[Value]) -> Option<String> {
    fill(event, sent).map(|event| event.to_string())
}

fn fill(value: &Value, sent: &[Value]) -> Option<Value> {
    Some(match value {
        Value::Object(members) => match members.get("$audio") {
            Some(spec) => {
                let mut text = String::new();
                Audio::from(audio_bytes(spec)?).encode_into(&mut text);
                Value::String(text)
            }
            None => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| Some((name.clone(), fill(value, sent)?)))
                    .collect::<Option<_>>()?,
            ),
        },
        Value::Array(elements) => {
            Value::Array(elements.iter().map(|value| fill(value, sent)).collect::<Option<_>>()?)
        }
        Value::String(text) => Value::String(fill_text(text, sent)?),
        other => other.clone(),
    })
}

fn fill_text(text: &str, sent: &[Value]) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once("${") {
        let (reference, after) = reference.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&referred(reference, sent)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

/// What `conversation.item.create[0].item.id` refers to.
fn referred(reference: &str, sent: &[Value]) -> Option<String> {
    let (kind, rest) = reference.split_once('[')?;
    let (index, path) = rest.split_once(']')?;
    let mut events: Vec<&Value> = sent.iter().filter(|event| event["type"] == kind).collect();
    let index: isize = index.parse().ok()?;
    if index < 0 {
        events.reverse();
    }
    let index = if index < 0 { index.unsigned_abs() - 1 } else { index.unsigned_abs() };
    let pointer = path.replace('.', "/");
    let value = events.get(index)?.pointer(&pointer)?;
    value.as_str().map(str::to_owned)
}

/// The configuration that the service's constructor, or a settings frame, makes of its properties.
pub(super) fn config_of(properties: &Map<String, Value>) -> SessionConfig {
    let mut properties = properties.clone();
    properties.retain(|_, value| !value.is_null());
    if properties.get("turn_detection") == Some(&Value::Bool(false)) {
        properties.insert("turn_detection".into(), Value::Null);
    }
    // The class of this property has a default of its own.
    if let Some(Value::Object(transcription)) = properties.get_mut("input_audio_transcription") {
        transcription.entry("model").or_insert_with(|| json!("gpt-4o-transcribe"));
    }
    let update = json!({ "type": "session.update", "session": properties }).to_string();
    match ClientEvent::decode(&update, Dialect::Beta) {
        ClientEvent::SessionUpdate(update) => {
            let mut config = SessionConfig::realtime();
            config.merge(*update.session);
            config
        }
        _ => SessionConfig::realtime(),
    }
}

impl Chat {
    /// The tools as the wire has them.
    pub(super) fn wire_tools(&self) -> Option<Value> {
        match &self.tools {
            Value::Array(_) => Some(self.tools.clone()),
            Value::Object(schema) => {
                let functions = schema.get("schema")?.as_array()?.iter().map(|function| {
                    json!({
                        "type": "function",
                        "name": function["name"],
                        "description": function["description"],
                        "parameters": {
                            "type": "object",
                            "properties": function["properties"],
                            "required": function["required"],
                        },
                    })
                });
                Some(functions.collect())
            }
            _ => None,
        }
        .filter(|tools| tools.as_array().is_some_and(|tools| !tools.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_named_with_its_line() {
        let error =
            Scenario::read("{\"scenario\": \"x\"}\n{\"clock_ms\": 1}\n{\"dance\": true}\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: unknown step `dance`");
    }

    #[test]
    fn references_to_client_events_are_filled_in_or_make_the_event_void() {
        let sent = [json!({"type": "a", "item": {"id": "x"}}), json!({"type": "a", "item": {"id": "y"}})];
        let text = |reference: &str| event_text(&json!({ "id": reference }), &sent);
        assert_eq!(text("${a[0].item.id}").as_deref(), Some(r#"{"id":"x"}"#));
        assert_eq!(text("<${a[-1].item.id}>").as_deref(), Some(r#"{"id":"<y>"}"#));
        assert_eq!(text("${a[2].item.id}"), None);
        assert_eq!(text("${b[0].item.id}"), None);
    }

    #[test]
    fn audio_is_made_by_its_formula() {
        let event = json!({ "delta": { "$audio": { "bytes": 3, "seed": 1 } } });
        assert_eq!(audio_bytes(&event["delta"]["$audio"]), Some(vec![17, 48, 79]));
        assert_eq!(event_text(&event, &[]).as_deref(), Some(r#"{"delta":"ETBP"}"#));
        assert_eq!(delta_bytes(&event["delta"]), Some(3));
        assert_eq!((delta_bytes(&json!("AAA")), delta_bytes(&json!("A*"))), (Some(2), None));
    }
}
