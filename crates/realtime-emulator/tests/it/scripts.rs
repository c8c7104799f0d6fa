//! Scripts: the built-in one played through, the rules of matching, and errors that say where.

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::Script;
use serde_json::{Value, json};

use crate::driver::{Driver, audio_bytes};

fn scripted(script: &Value) -> Driver {
    Driver::with(ConnectionOptions::default(), Script::parse(&script.to_string()).unwrap())
}

/// What is said or called in answer to a text message. An empty text: in answer to nothing.
fn answer(driver: &mut Driver, text: &str) -> String {
    if !text.is_empty() {
        driver.write(text);
    }
    driver.send(&json!({"type": "response.create"}));
    driver.run(20_000);
    let done = driver.new_done();
    let item = &done["output"][0];
    let words = [&item["content"][0]["transcript"], &item["content"][0]["text"], &item["arguments"]];
    words.into_iter().find_map(Value::as_str).or_else(|| done["status"].as_str()).unwrap().to_owned()
}

#[test]
fn the_demo_plays_through() {
    let mut driver = Driver::with(ConnectionOptions::default(), Script::demo());
    let tools = json!([{"type": "function", "name": "get_weather", "parameters": {}}]);
    driver.update(json!({"tools": tools, "audio": {"input": {"transcription": {"model": "whisper-1"}}}}));
    let greeting = answer(&mut driver, "");
    assert_eq!(greeting, "Hello! I am your weather assistant. Which city are you curious about?");

    let turn = |driver: &mut Driver| {
        driver.take();
        driver.speak("These words do not matter.");
        driver.silence(600);
        driver.run(20_000);
        driver.find("conversation.item.input_audio_transcription.completed")["transcript"].clone()
    };
    assert_eq!(turn(&mut driver), "What is the weather in Paris today?");
    let call = driver.find("response.function_call_arguments.done");
    assert_eq!((&call["name"], &call["arguments"]), (&json!("get_weather"), &json!(r#"{"city":"Paris"}"#)));
    let weather = json!({"city": "Paris", "sky": "sunny", "celsius": 21, "wind": "light"}).to_string();
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": weather});
    driver.send(&json!({"type": "conversation.item.create", "item": output}));
    driver.take();
    driver.send(&json!({"type": "response.create"}));
    driver.run(20_000);
    let events = driver.take();
    assert!(audio_bytes(&events) >= 8 * 48_000, "{} bytes", audio_bytes(&events));
    assert!(format!("{events:?}").contains("In Paris it is sunny today, with 21 degrees"));

    assert_eq!(turn(&mut driver), "Thank you. And how about tomorrow?");
    let events = driver.take();
    assert!((36..=52).contains(&(audio_bytes(&events) / 4800)), "{} bytes", audio_bytes(&events));
    for _ in 0..4 {
        turn(&mut driver);
        assert!(audio_bytes(&driver.take()) > 48_000);
    }
}

#[test]
fn turns_are_taken_in_order_once_or_again_and_again() {
    let mut driver = scripted(&json!({"turns": [
        {"on": {"text": "BYE"}, "repeat": true, "reply": [{"say": "Bye."}]},
        {"on": "text", "reply": [{"say": "First, {input}."}]},
        {"reply": [{"text": "Second."}]},
        {"on": "request", "reply": [{"call": "f", "arguments": {"a": [1]}}]},
        {"reply": [{"fail": "server_error"}]},
    ]}));
    assert_eq!(answer(&mut driver, "good bye"), "Bye.");
    assert_eq!(answer(&mut driver, "hello"), "First, hello.");
    assert_eq!(answer(&mut driver, "hello"), "Second.");
    assert_eq!(answer(&mut driver, ""), r#"{"a":[1]}"#);
    assert_eq!(answer(&mut driver, "bye-bye"), "Bye.");
    assert_eq!(answer(&mut driver, "hello"), "failed");
    assert!(answer(&mut driver, "hello").starts_with("You wrote: hello."), "the parrot takes over");
}

#[test]
fn outputs_are_put_in_by_member() {
    let mut driver = scripted(&json!({"turns": [
        {"on": {"tool": "f"}, "reply": [{"delay_ms": 50}, {"say": "{output.a.b.1}, {output.no}, {x} and {output}"}]},
    ]}));
    for item in [
        json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": "c", "output": r#"{"a":{"b":[0,"one"]}}"#}),
    ] {
        driver.send(&json!({"type": "conversation.item.create", "item": item}));
    }
    assert_eq!(answer(&mut driver, ""), r#"one, {output.no}, {x} and {"a":{"b":[0,"one"]}}"#);
}

#[test]
fn errors_say_where() {
    let check = |script: &Value, expected: &str| {
        let error = Script::parse(&script.to_string()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let turn = |turn: Value| json!({"turns": [{"reply": []}, turn]});
    check(&json!({"turn": []}), "script: unknown field `turn`");
    check(&json!({"turns": [7]}), "turns[0]: invalid type");
    check(&turn(json!({})), "turns[1]: missing field `reply`");
    check(&turn(json!({"on": "speach", "reply": []})), "turns[1].on: expected `any`");
    check(&turn(json!({"on": {"tool": "a", "text": "b"}, "reply": []})), "turns[1].on: expected one member");
    check(&turn(json!({"on": "text", "transcript": "x", "reply": []})), "turns[1].transcript: only");
    check(&turn(json!({"reply": [{"say": "a"}, {"sing": "a"}]})), "turns[1].reply[1]: unknown field `sing`");
    check(&turn(json!({"reply": [{"say": "a", "text": "b"}]})), "turns[1].reply[0]: expected exactly one");
    check(&turn(json!({"reply": [{}]})), "turns[1].reply[0]: expected exactly one");
    check(&turn(json!({"reply": [{"say": "a", "arguments": {}}]})), "turns[1].reply[0]: `arguments` needs");
    check(&turn(json!({"reply": [{"fail": "x"}, {"say": "a"}]})), "turns[1].reply[1]: nothing may follow");
    assert!(Script::parse("{\n  oops").unwrap_err().to_string().contains("line 2 column 3"));
}

/// The JSON examples in a module's own text.
fn examples(source: &str) -> Vec<Value> {
    let text: Vec<_> =
        source.lines().filter_map(|line| Some(line.strip_prefix("//!")?.trim_start())).collect();
    let text = text.join("\n");
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}")))
        .collect()
}

#[test]
fn the_examples_in_the_docs_can_be_followed() {
    let scripts = examples(include_str!("../../src/brain/script/mod.rs"));
    assert_eq!(scripts.len(), 3);
    for script in scripts {
        Script::parse(&script.to_string()).unwrap();
    }
    let [control, list] =
        <[Value; 2]>::try_from(examples(include_str!("../../src/disaster/mod.rs"))).unwrap();
    realtime_emulator::disaster::Disaster::parse(&control["disaster"], "disaster").unwrap();
    Script::parse(&json!({"turns": [], "disasters": list}).to_string()).unwrap();
}
