//! Conversations that outgrow what the model can read.

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::{Reply, Step};
use serde_json::{Value, json};

use crate::driver::{Always, Driver};

/// A session whose model reads 300 tokens, and answers with one.
fn driver(truncation: &Value) -> Driver {
    let options = ConnectionOptions { context_tokens: Some(300), ..ConnectionOptions::default() };
    let mut driver = Driver::with(options, Always(Reply::default().then(Step::Text("Yes.".into()))));
    driver.update(json!({"instructions": "x".repeat(400), "truncation": truncation}));
    driver.find("session.updated");
    driver
}

/// A turn of 51 tokens; returns the response.
fn turn(driver: &mut Driver) -> Value {
    driver.write(&"y".repeat(200));
    driver.send(&json!({"type": "response.create"}));
    driver.run(1000);
    driver.new_done()
}

fn read(response: &Value) -> u64 {
    response["usage"]["input_tokens"].as_u64().unwrap()
}

#[test]
fn the_oldest_items_leave_a_context_that_is_full() {
    let mut driver = driver(&json!("auto"));
    let read: Vec<u64> = (0..6).map(|_| read(&turn(&mut driver))).collect();
    // Instructions of 100 tokens; from the fourth turn on what no longer fits is left out.
    assert_eq!(read, [150, 201, 252, 253, 253, 253]);
}

#[test]
fn items_that_left_the_context_stay_in_the_conversation() {
    let mut driver = driver(&json!("auto"));
    driver.write("First.");
    let first = driver.find("conversation.item.done")["item"]["id"].clone();
    for _ in 0..6 {
        turn(&mut driver);
    }
    driver.take();
    driver.send(&json!({"type": "conversation.item.retrieve", "item_id": first}));
    let retrieved = driver.find("conversation.item.retrieved");
    assert_eq!(retrieved["item"]["content"][0]["text"], "First.");
}

#[test]
fn without_truncation_the_response_fails() {
    let mut driver = driver(&json!("disabled"));
    for _ in 0..3 {
        assert_eq!(turn(&mut driver)["status"], "completed");
    }
    let failed = turn(&mut driver);
    assert_eq!((&failed["status"], read(&failed)), (&json!("failed"), 0));
    let error = &failed["status_details"]["error"];
    assert_eq!(error["code"], "context_length_exceeded");
    assert!(error["message"].as_str().unwrap().contains("303 tokens"), "{error}");
    driver.update(json!({"truncation": "auto"}));
    assert_eq!(turn(&mut driver)["status"], "completed");
}

#[test]
fn a_retention_ratio_leaves_room_so_that_the_cache_serves_longer() {
    let rule = json!({"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 160}});
    let mut driver = driver(&rule);
    let turns: Vec<Value> = (0..7).map(|_| turn(&mut driver)).collect();
    let read: Vec<u64> = turns.iter().map(read).collect();
    // At most 160 tokens after the instructions; if that was too much, 80 of them are left.
    assert_eq!(read, [150, 201, 252, 151, 202, 253, 151]);
    let cached = |turn: &Value| turn["usage"]["input_token_details"]["cached_tokens"].as_u64().unwrap();
    let cached: Vec<u64> = turns.iter().map(cached).collect();
    assert_eq!(cached, [0, 128, 192, 64, 128, 192, 64]);
}

#[test]
fn a_response_of_its_own_input_reads_nothing_else() {
    let mut driver = driver(&json!("auto"));
    turn(&mut driver);
    driver.send(&json!({"type": "response.create", "response": {"conversation": "none", "input": []}}));
    driver.run(1000);
    assert_eq!(read(&driver.new_done()), 100);
}

#[test]
fn a_truncation_that_cannot_be_is_refused() {
    let mut driver = driver(&json!("auto"));
    let mut check = |truncation: Value, code: &str, param: &str| {
        driver.update(json!({"truncation": truncation}));
        let param = format!("session.truncation{param}");
        assert_eq!(driver.error(), (code.into(), param, String::new()));
    };
    check(json!("some"), "invalid_value", "");
    check(json!({"type": "half"}), "invalid_value", ".type");
    check(json!({"type": "retention_ratio"}), "missing_required_parameter", ".retention_ratio");
    check(json!({"type": "retention_ratio", "retention_ratio": 2}), "invalid_value", ".retention_ratio");
    let limits = json!({"post_instructions": 301});
    check(
        json!({"type": "retention_ratio", "retention_ratio": 1, "token_limits": limits}),
        "invalid_value",
        ".token_limits.post_instructions",
    );
}
