//! Servers that people met in the field: each rehearsal does on the wire what its table says.

use std::collections::BTreeSet;

use realtime_emulator::brain::Parrot;
use realtime_emulator::disaster::{LineOutput, Rehearsal};
use serde_json::{Value, json};

use crate::far::Far;

const CALL_DONE: &str = "response.function_call_arguments.done";
const HEARD: &str = "conversation.item.input_audio_transcription.completed";

fn rehearse(name: &str, sideband: bool) -> Far {
    Far::of(Parrot::new(), Rehearsal::named(name).unwrap().disasters(), sideband)
}

/// What clients do: an update, a turn by voice, one in writing that calls a function, a deletion.
fn scenario(mut far: Far) -> Far {
    let tool = json!({"type": "function", "name": "get_weather", "parameters": {"type": "object"}});
    let update = json!({"type": "realtime", "tools": [tool]});
    far.send(&json!({"type": "session.update", "event_id": "u1", "session": update}));
    far.spoken_turn();
    let text = json!([{"type": "input_text", "text": "get_weather {\"city\":\"Paris\"}"}]);
    let item = json!({"type": "message", "id": "mine", "role": "user", "content": text});
    far.send(&json!({"type": "conversation.item.create", "item": item}));
    far.send(&json!({"type": "response.create", "event_id": "r1"}));
    far.run(20_000);
    far.send(&json!({"type": "conversation.item.delete", "item_id": "mine"}));
    far.run(1000);
    far
}

impl Far {
    /// All texts with that event type, whether they are JSON or not.
    fn all(&self, kind: &str) -> Vec<&str> {
        let kind = format!("\"type\":\"{kind}\"");
        self.texts.iter().map(|(_, text)| text.as_str()).filter(|text| text.contains(&kind)).collect()
    }

    /// The first event of that type with that in it.
    fn first(&self, kind: &str, needle: &str) -> Value {
        let all = self.all(kind);
        let text = all.iter().find(|text| text.contains(needle));
        serde_json::from_str(text.unwrap_or_else(|| panic!("no {kind} with {needle} in {all:?}"))).unwrap()
    }

    /// What the response that called the function put out.
    fn call_output(&self) -> Value {
        self.first("response.done", "function_call")["response"]["output"][0].clone()
    }

    /// Sends an update; the code, the param and the event of the error that refuses it, if it is refused.
    fn update(&mut self, session: &Value) -> Option<(String, String)> {
        self.texts.clear();
        self.send(&json!({"type": "session.update", "event_id": "mine", "session": session}));
        if self.count("error") == 0 {
            assert_eq!(self.count("session.updated"), 1);
            return None;
        }
        assert_eq!((self.count("error"), self.count("session.updated")), (1, 0));
        let error = self.json("error")["error"].clone();
        assert_eq!(error["event_id"], "mine");
        assert!(error["message"].as_str().unwrap().contains(error["param"].as_str().unwrap()));
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        Some((text("code"), text("param")))
    }
}

/// A session with all that some server somewhere refuses.
fn rich() -> Value {
    json!({"type": "realtime",
        "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b", "description": "B."}],
        "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "whisper-1"}, "turn_detection": {"type": "semantic_vad"}},
            "output": {"format": {"type": "audio/pcmu"}, "speed": 1.1, "voice": "cedar"}}})
}

const INPUT: &str = "session.audio.input";

fn refused(code: &str, param: &str) -> Option<(String, String)> {
    Some((code.into(), param.into()))
}

#[test]
fn each_rehearsal_does_what_its_table_says() {
    let calm = scenario(Far::of(Parrot::new(), Vec::new(), false));
    for rehearsal in Rehearsal::ALL {
        check(rehearsal.name(), &calm);
    }
}

fn check(name: &str, calm: &Far) {
    let run = || scenario(rehearse(name, false));
    let fresh = || rehearse(name, false);
    let items_done = ["response.output_item.done", "conversation.item.done"];
    match name {
        "arguments_object" => {
            let far = run();
            assert_eq!(far.first(CALL_DONE, "")["arguments"], json!({"city": "Paris"}));
            for kind in items_done {
                assert_eq!(far.first(kind, "function_call")["item"]["arguments"]["city"], "Paris");
            }
            assert_eq!(far.call_output()["arguments"]["city"], "Paris");
        }
        "arguments_missing_later" | "arguments_blank_later" => {
            let far = run();
            let expected = (name == "arguments_blank_later").then(|| json!(""));
            assert_eq!(far.first(CALL_DONE, "")["arguments"], r#"{"city":"Paris"}"#);
            for kind in items_done {
                assert_eq!(far.first(kind, "function_call")["item"].get("arguments"), expected.as_ref());
            }
            assert_eq!(far.call_output().get("arguments"), expected.as_ref());
        }
        "arguments_empty" => {
            let far = run();
            assert_eq!(
                (&far.first(CALL_DONE, "")["arguments"], &far.call_output()["arguments"]),
                (&json!(""), &json!(""))
            );
            assert_eq!(far.count("response.function_call_arguments.delta"), 0);
        }
        "name_in_added_only" => {
            let far = run();
            let added = far.first("response.output_item.added", "function_call");
            assert_eq!(added["item"]["name"], "get_weather");
            let names =
                |text: &str| text.contains("\"name\":\"get_weather\"") && !text.contains("session.updated");
            assert_eq!(far.texts.iter().filter(|(_, text)| names(text)).count(), 1);
            assert_eq!(far.first(CALL_DONE, "")["call_id"], added["item"]["call_id"]);
            assert_eq!(far.count("response.output_item.done"), 0);
            assert_eq!(far.first("response.done", "")["response"].get("output"), None);
        }
        "name_object" => {
            let far = run();
            assert_eq!(far.call_output()["name"], json!({"type": "get_weather"}));
            assert_eq!(far.first(CALL_DONE, "")["name"], json!({"type": "get_weather"}));
        }
        "call_id_number" => {
            let far = run();
            let id = far.call_output()["call_id"].clone();
            assert!(id.is_number());
            assert_eq!(
                (
                    &far.first(CALL_DONE, "")["call_id"],
                    &far.first(items_done[0], "function_call")["item"]["call_id"]
                ),
                (&id, &id)
            );
        }
        "half_emoji" => {
            let far = run();
            for kind in [
                CALL_DONE,
                HEARD,
                "response.output_audio_transcript.delta",
                "response.function_call_arguments.delta",
            ] {
                assert!(
                    !far.all(kind).is_empty() && far.all(kind).iter().all(|text| text.contains("\\ud83d\"")),
                    "{kind}"
                );
            }
        }
        "not_a_number" => {
            let far = run();
            assert!(far.all(HEARD)[0].contains("\"logprob\":-Infinity"));
            assert!(far.all("response.done")[0].contains("\"total_tokens\":NaN"));
        }
        "binary_events" => {
            let far = run();
            assert_eq!((far.binary, far.texts.len()), (far.texts.len(), calm.texts.len()));
        }
        "null_text" => {
            let far = run();
            let nulls = far.texts.iter().filter(|(_, text)| text == "null").count();
            assert_eq!((nulls, far.count("rate_limits.updated")), (calm.count("rate_limits.updated"), 0));
        }
        "floats" => {
            let far = run();
            assert!(far.all("session.created")[0].contains("\"expires_at\":1800003600.0"));
            assert!(far.all("input_audio_buffer.speech_started")[0].contains(".0,"));
            assert!(far.first("response.done", "")["response"]["usage"]["total_tokens"].is_f64());
        }
        "numbers_as_text" => {
            let far = run();
            assert!(far.json("input_audio_buffer.speech_started")["audio_start_ms"].is_string());
            let detection =
                far.json("session.updated")["session"]["audio"]["input"]["turn_detection"].clone();
            assert_eq!(detection["interrupt_response"], "true");
        }
        "status_object" => {
            assert_eq!(run().first("response.done", "")["response"]["status"], json!({"type": "completed"}));
        }
        "transcript_object" => assert!(run().json(HEARD)["transcript"].is_object()),
        "refuses_tool_meta" => {
            let mut session = rich();
            assert_eq!(fresh().update(&session), None);
            session["tools"][1]["meta"] = json!({});
            assert_eq!(fresh().update(&session), refused("unknown_parameter", "session.tools[1].meta"));
        }
        "refuses_tool_description" => {
            assert_eq!(fresh().update(&rich()), refused("unknown_parameter", "session.tools[1].description"));
        }
        "refuses_turn_detection" | "refuses_semantic_vad" => {
            let param = format!("{INPUT}.turn_detection.type");
            assert_eq!(fresh().update(&rich()), refused("invalid_value", &param));
            let mut session = rich();
            session["audio"]["input"]["turn_detection"]["type"] = "server_vad".into();
            assert_eq!(fresh().update(&session).is_none(), name == "refuses_semantic_vad");
            session["audio"]["input"]["turn_detection"] = json!(null);
            assert_eq!(fresh().update(&session), None);
        }
        "refuses_formats" => {
            let mut session = rich();
            assert_eq!(fresh().update(&session), refused("invalid_value", &format!("{INPUT}.format.type")));
            session["audio"]["input"].as_object_mut().unwrap().remove("format");
            assert_eq!(
                fresh().update(&session),
                refused("invalid_value", "session.audio.output.format.type")
            );
        }
        "refuses_transcription" => {
            assert_eq!(
                fresh().update(&rich()),
                refused("invalid_value", &format!("{INPUT}.transcription.model"))
            );
        }
        "refuses_one_by_one" => {
            let (mut session, mut far, mut params) = (rich(), fresh(), Vec::new());
            while let Some((_, param)) = far.update(&session).filter(|_| params.len() < 20) {
                // What cannot do without the member goes as a whole.
                let whole =
                    param.strip_suffix(".type").or_else(|| param.strip_suffix(".model")).unwrap_or(&param);
                let (parent, name) = whole.rsplit_once('.').unwrap();
                session.pointer_mut(&pointer_to(parent)).unwrap().as_object_mut().unwrap().remove(name);
                params.push(param);
            }
            assert_eq!(params.len(), 8, "{params:?}");
        }
        "refuses_outputs" => {
            let mut far = fresh();
            let item = json!({"type": "function_call_output", "call_id": "call_1", "output": "{}"});
            far.send(&json!({"type": "conversation.item.create", "event_id": "o1", "item": item}));
            let error = far.json("error")["error"].clone();
            assert_eq!((&error["code"], &error["event_id"]), (&json!("invalid_tool_call_id"), &json!("o1")));
            far.turn();
            assert_eq!(far.count("response.done"), 1, "other items are taken");
        }
        "unrelated_error" => {
            let far = run();
            assert_eq!(far.count("error"), far.count("session.updated"));
            assert_eq!(far.json("error")["error"]["event_id"], Value::Null);
            assert_eq!(far.position("error"), far.position("session.updated") - 1);
        }
        "echoes_nothing" => {
            let kinds = run().kinds();
            assert!(
                !kinds.iter().any(|kind| kind == "session.updated" || kind.starts_with("conversation.item."))
            );
            assert!(kinds.contains(&"response.done".into()));
        }
        "deletion_without_id" => {
            assert_eq!(run().json("conversation.item.deleted")["item_id"], "");
            assert_eq!(calm.json("conversation.item.deleted")["item_id"], "mine");
        }
        "previous_null" => {
            let far = run();
            let previous = |far: &Far| {
                far.texts.iter().filter(|(_, text)| text.contains("\"previous_item_id\":\"")).count()
            };
            assert!(previous(calm) > 3);
            assert_eq!(previous(&far), 0);
            assert_eq!(far.json("conversation.item.added").get("previous_item_id"), Some(&Value::Null));
        }
        "no_speech_stopped" => {
            let far = run();
            assert_eq!(
                (
                    far.count("input_audio_buffer.speech_started"),
                    far.count("input_audio_buffer.speech_stopped")
                ),
                (1, 0)
            );
            assert_eq!(far.count("response.done"), 2);
        }
        "late_response" => {
            assert_eq!(run().at("response.created"), calm.at("response.created") + 2000);
        }
        "closes_1009" | "closes_1007" | "closes_1003" => {
            let mut far = run();
            assert_eq!(far.end, None);
            far.send(&json!({"type": "session.update", "session": {"type": "realtime", "instructions": "x".repeat(65_536)}}));
            assert!(
                matches!(&far.end, Some(LineOutput::Close { code: Some(code), .. }) if name.ends_with(&code.to_string()))
            );
        }
        "same_response_id" | "same_item_id" => {
            let ids = |far: &Far| -> BTreeSet<String> {
                let id = |text: &str| match serde_json::from_str::<Value>(text).unwrap() {
                    event if name == "same_item_id" => event["item_id"].as_str().map(String::from),
                    event => event["response_id"].as_str().map(String::from),
                };
                far.texts
                    .iter()
                    .filter(|(_, text)| text.contains("\"type\":\"response."))
                    .filter_map(|(_, text)| id(text))
                    .collect()
            };
            assert_eq!((ids(calm).len(), ids(&run()).len()), (2, 1));
            assert_eq!(run().count("response.done"), 2);
        }
        "never_done" => assert_eq!((run().count("response.done"), run().count("response.created")), (0, 2)),
        "error_without_done" => {
            let mut far = fresh();
            far.send(&json!({"type": "response.create", "event_id": "r1"}));
            far.run(20_000);
            assert_eq!(far.json("error")["error"]["event_id"], "r1");
            assert!(far.position("error") > far.position("response.created"));
            assert_eq!(far.count("response.done"), 0);
        }
        "bare_server_error" => {
            let response = run().first("response.done", "")["response"].clone();
            assert_eq!(response["status_details"]["error"], json!({"type": "server_error"}));
            assert_eq!((&response["status"], &response["output"]), (&json!("failed"), &json!([])));
        }
        "endless_responses" => {
            let mut far = fresh();
            far.turn();
            let ids: BTreeSet<_> = far.all("response.created").into_iter().map(String::from).collect();
            assert!(ids.len() >= 1990, "{} in 20 s", ids.len());
            assert!(far.json("response.created")["response"]["id"].as_str().unwrap().starts_with("resp_"));
        }
        "says_key_back" => {
            let far = run();
            assert_eq!(far.json("error")["error"]["message"], "Incorrect API key provided: sk-secret.");
            assert_eq!(
                far.end,
                Some(LineOutput::Close { code: Some(4001), reason: "bad key sk-secret".into() })
            );
        }
        "foreign_transcription" => {
            let far = run();
            assert_eq!((far.count("session.updated"), far.count(HEARD)), (0, 0));
            assert!(far.count("transcription.delta") > 0 && far.count("transcription.done") == 1);
        }
        "mcp_fails" => {
            let mut far = fresh();
            let server = json!({"type": "mcp", "server_label": "docs", "server_url": "https://docs.example"});
            far.send(&json!({"type": "session.update", "session": {"type": "realtime", "tools": [server]}}));
            far.run(5000);
            assert_eq!((far.count("mcp_list_tools.failed"), far.count("mcp_list_tools.completed")), (1, 0));
        }
        "dtmf" => {
            let mut far = rehearse(name, true);
            far.run(2000);
            assert_eq!(far.json("input_audio_buffer.dtmf_event_received")["event"], "5");
            assert_eq!(far.at("input_audio_buffer.dtmf_event_received"), 1000);
            assert_eq!(run().count("input_audio_buffer.dtmf_event_received"), 0);
        }
        // Seen over HTTP alone: see the tests of calls there.
        "unknown_call" => {}
        _ => panic!("{name} is not tested"),
    }
}

/// The JSON pointer to a member of a session, from its path in errors.
fn pointer_to(param: &str) -> String {
    param.trim_start_matches("session").replace('[', "/").replace(']', "").replace('.', "/")
}

#[test]
fn a_client_can_ask_for_a_rehearsal() {
    let mut far = Far::of(Parrot::new(), Vec::new(), false);
    far.send(&json!({"type": "emulator.disaster", "rehearse": "never_done"}));
    far.turn();
    assert_eq!((far.count("response.created"), far.count("response.done"), far.count("error")), (1, 0, 0));
    far.send(&json!({"type": "emulator.disaster", "rehearse": "nothing", "event_id": "e"}));
    assert_eq!(far.json("error")["error"]["event_id"], "e");
}
