//! Responses: their life, their parameters, text, calls and responses beside the conversation.

use std::time::Duration;

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::{Brain, Ending, Parrot, Reply, Step, Turn};
use realtime_protocol::response::StatusReason;
use serde_json::json;

use crate::driver::{Driver, audio_bytes};

fn create(response: &serde_json::Value) -> serde_json::Value {
    json!({"type": "response.create", "event_id": "rc", "response": response})
}

fn weather_tool() -> serde_json::Value {
    json!([{"type": "function", "name": "get_weather", "description": "d", "parameters": {"type": "object"}}])
}

#[test]
fn a_response_begins_empty_with_all_its_members() {
    let mut driver = Driver::new();
    driver.send(&create(&json!({"metadata": {"topic": "x"}, "max_output_tokens": 4096})));
    let created = driver.find("response.created")["response"].clone();
    let conversation = created["conversation_id"].clone();
    assert!(conversation.as_str().unwrap().starts_with("conv_"));
    assert_eq!(
        created,
        json!({
            "id": created["id"], "object": "realtime.response", "status": "in_progress", "status_details": null,
            "output": [], "conversation_id": conversation, "output_modalities": ["audio"],
            "max_output_tokens": 4096,
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
            "usage": null, "metadata": {"topic": "x"},
        })
    );
    driver.find("rate_limits.updated");
    let item = driver_item(&mut driver, "response.output_item.added");
    assert_eq!((&item["status"], &item["content"]), (&json!("in_progress"), &json!([])));
    assert_eq!(driver.find("conversation.item.added")["previous_item_id"], json!(null));
    assert_eq!(
        driver.find("response.content_part.added")["part"],
        json!({"type": "audio", "transcript": ""})
    );
    driver.run(4000);
    let done = driver.new_done();
    assert_eq!(done["metadata"], json!({"topic": "x"}));
    assert_eq!((&done["status"], &done["status_details"]), (&json!("completed"), &json!(null)));
    let transcript = done["output"][0]["content"][0]["transcript"].as_str().unwrap();
    assert!(transcript.starts_with("Hello!"));
    let usage = &done["usage"];
    let sum = |kind: &str| usage[kind].as_u64().unwrap();
    assert_eq!(sum("total_tokens"), sum("input_tokens") + sum("output_tokens"));
    assert_eq!(usage["input_token_details"]["cached_tokens_details"]["image_tokens"], 0);
}

fn driver_item(driver: &mut Driver, kind: &str) -> serde_json::Value {
    driver.run(250);
    driver.find(kind)["item"].clone()
}

#[test]
fn audio_comes_faster_than_it_plays_and_the_transcript_in_step() {
    let options = ConnectionOptions { burst: Duration::ZERO, ..ConnectionOptions::default() };
    let mut driver = Driver::with(options, Parrot::new());
    driver.write("a long story, please");
    driver.send(&create(&json!({})));
    driver.run(200);
    driver.take();
    driver.run(399);
    let events = driver.take();
    // 100 ms of audio each 10 ms.
    assert_eq!(audio_bytes(&events), 39 * 4800);
    let words = events.iter().filter(|e| e.kind() == "response.output_audio_transcript.delta").count();
    assert!((8..=13).contains(&words), "{words} words in four seconds");
    driver.run(10_000);
    let more = driver.take();
    assert!(audio_bytes(&events) + audio_bytes(&more) >= 8 * 48_000 - 4800);
}

#[test]
fn a_text_response_has_text_events() {
    let mut driver = Driver::new();
    driver.update(json!({"output_modalities": ["text"]}));
    driver.write("Hello");
    driver.take();
    driver.send(&create(&json!({})));
    driver.run(5000);
    assert_eq!(
        driver.kinds(),
        [
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
}

#[test]
fn a_call_and_its_output_make_two_responses() {
    let mut driver = Driver::new();
    driver.update(json!({"tools": weather_tool()}));
    driver.write(r#"get_weather {"city": "Paris"}"#);
    driver.take();
    driver.send(&create(&json!({})));
    driver.run(2000);
    let mut all = Vec::new();
    all.extend(driver.take());
    let kinds: Vec<_> = all.iter().map(|event| event.kind()).collect();
    assert_eq!(
        kinds[2..5],
        ["response.output_item.added", "conversation.item.added", "response.function_call_arguments.delta"]
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        [
            "response.function_call_arguments.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
    let arguments = crate::driver::as_json(&all[all.len() - 4]);
    assert_eq!(
        (&arguments["name"], &arguments["arguments"]),
        (&json!("get_weather"), &json!(r#"{"city": "Paris"}"#))
    );
    let done = crate::driver::as_json(&all[all.len() - 1]);
    let call = &done["response"]["output"][0];
    assert_eq!((&call["type"], &call["status"]), (&json!("function_call"), &json!("completed")));
    assert_eq!(call["call_id"], arguments["call_id"]);

    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "{\"t\":21}"});
    driver.send(&json!({"type": "conversation.item.create", "item": output}));
    assert_eq!(driver.kinds(), ["conversation.item.added", "conversation.item.done"]);
    driver.send(&create(&json!({})));
    driver.run(4000);
    let done = driver.new_done();
    let said = done["output"][0]["content"][0]["transcript"].as_str().unwrap();
    assert!(said.starts_with(r#"The tool get_weather returned {"t":21}."#), "{said}");
}

#[test]
fn a_second_response_is_refused_while_one_runs() {
    let mut driver = Driver::new();
    driver.send(&create(&json!({})));
    driver.take();
    driver.send(&create(&json!({})));
    assert_eq!(driver.error(), ("conversation_already_has_active_response".into(), "".into(), "rc".into()));
    driver.run(5000);
    driver.new_done();
    driver.send(&create(&json!({})));
    driver.find("response.created");
}

#[test]
fn responses_beside_the_conversation_add_no_items() {
    let mut driver = Driver::new();
    driver.write("in the conversation");
    driver.send(&create(&json!({})));
    driver.take();
    let item =
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "beside"}]});
    driver.send(&create(&json!({
        "conversation": "none", "output_modalities": ["text"], "input": [item], "metadata": {"lane": "side"},
    })));
    let created = driver.find("response.created")["response"].clone();
    assert_eq!((&created["conversation_id"], &created["metadata"]["lane"]), (&json!(null), &json!("side")));
    driver.run(10_000);
    let events = driver.take();
    let of = |id: &serde_json::Value| -> Vec<_> {
        events.iter().filter(|e| crate::driver::as_json(e)["response_id"] == *id).map(|e| e.kind()).collect()
    };
    assert_eq!(of(&created["id"]).first().unwrap(), &"response.output_item.added");
    let added: Vec<_> = events.iter().filter(|e| e.kind() == "conversation.item.added").collect();
    assert_eq!(added.len(), 1, "that of the conversation's own response");
    let done: Vec<_> =
        events.iter().filter(|e| e.kind() == "response.done").map(crate::driver::as_json).collect();
    assert_eq!(done.len(), 2);
    assert!(done.iter().any(|d| {
        d["response"]["output"][0]["content"][0]["text"].as_str().is_some_and(|t| t.contains("beside"))
    }));
}

#[test]
fn the_client_cancels_by_id_or_in_the_conversation() {
    let mut driver = Driver::new();
    driver.send(&json!({"type": "response.cancel", "event_id": "x1"}));
    assert_eq!(driver.error(), ("response_cancel_not_active".into(), "".into(), "x1".into()));
    driver.send(&create(&json!({"conversation": "none"})));
    let beside = driver.find("response.created")["response"]["id"].clone();
    driver.take();
    driver.send(&json!({"type": "response.cancel"}));
    assert_eq!(driver.error().0, "response_cancel_not_active");
    driver.send(&json!({"type": "response.cancel", "response_id": beside}));
    let done = driver.new_done();
    assert_eq!(done["status_details"]["reason"], "client_cancelled");
    assert_eq!(done["output"], json!([]), "it had not begun");
}

#[test]
fn a_token_limit_cuts_the_response_off() {
    let mut driver = Driver::new();
    driver.write("a long story");
    driver.send(&create(&json!({"max_output_tokens": 30})));
    driver.run(5000);
    let done = driver.new_done();
    assert_eq!(done["status"], "incomplete");
    assert_eq!(done["status_details"], json!({"type": "incomplete", "reason": "max_output_tokens"}));
    assert_eq!(done["output"][0]["status"], "incomplete");
    assert!((30..40).contains(&done["usage"]["output_tokens"].as_u64().unwrap()));
}

struct Says(Reply);

impl Brain for Says {
    fn reply(&mut self, _turn: &Turn<'_>) -> Reply {
        self.0.clone()
    }
}

fn done_of(reply: Reply) -> serde_json::Value {
    let mut driver = Driver::with(ConnectionOptions::default(), Says(reply));
    driver.send(&create(&json!({})));
    driver.run(60_000);
    driver.new_done()
}

#[test]
fn a_brain_may_make_several_items_and_fail() {
    let reply = Reply::say("One moment.")
        .then(Step::Call { name: "f".into(), arguments: "{}".into() })
        .then(Step::Text("Done.".into()));
    let done = done_of(reply.clone());
    let kinds: Vec<_> = done["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);

    let ending =
        Ending::Failed { code: "inference_rate_limit_exceeded".into(), message: "Slow down.".into() };
    let done = done_of(reply.clone().ending(ending));
    assert_eq!(done["status"], "failed");
    assert_eq!(done["status_details"]["error"]["code"], "inference_rate_limit_exceeded");
    assert_eq!(done["output"][2]["status"], "incomplete");

    let done = done_of(reply.ending(Ending::Incomplete(StatusReason::ContentFilter)));
    assert_eq!(done["status_details"], json!({"type": "incomplete", "reason": "content_filter"}));

    let done = done_of(Reply::default());
    assert_eq!((&done["status"], &done["output"]), (&json!("completed"), &json!([])));
}
