//! MCP: servers listed, tools called with and without the user's approval.

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::Script;
use serde_json::{Value, json};

use crate::driver::Driver;

fn server(label: &str, approval: &str) -> Value {
    json!({"type": "mcp", "server_label": label, "server_url": "https://mcp.example", "allowed_tools": ["search"],
        "require_approval": approval})
}

#[test]
fn servers_are_asked_once_for_their_tools() {
    let script =
        json!({"turns": [], "mcp": {"docs": [{"name": "find", "input_schema": {}}], "broken": "refused"}});
    let mut driver = Driver::with(ConnectionOptions::default(), Script::parse(&script.to_string()).unwrap());
    driver.update(
        json!({"tools": [server("docs", "never"), server("broken", "never"), server("other", "never")]}),
    );
    driver.run(1000);
    let kinds = driver.kinds();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(kinds[..3], ["session.updated", "conversation.item.added", "mcp_list_tools.in_progress"]);
    assert_eq!((count("mcp_list_tools.completed"), count("mcp_list_tools.failed")), (2, 1));
    assert_eq!((count("conversation.item.added"), count("conversation.item.done")), (3, 3));
    driver.update(json!({"tools": [server("docs", "never")]}));
    driver.run(1000);
    assert_eq!(driver.kinds(), ["session.updated"]);
}

#[test]
fn a_tool_is_called_within_the_response() {
    let mut driver = Driver::new();
    driver.update(json!({"tools": [server("docs", "never")]}));
    driver.run(1000);
    let done = driver.find("conversation.item.done")["item"].clone();
    assert_eq!(done["tools"][0]["name"], "search");
    driver.write(r#"search {"q": "x"}"#);
    driver.send(&json!({"type": "response.create"}));
    driver.take();
    driver.run(2000);
    assert_eq!(
        driver.kinds(),
        [
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
}

#[test]
fn an_approval_is_asked_for_and_answered() {
    let mut driver = Driver::new();
    driver.update(json!({"tools": [server("docs", "always")]}));
    driver.write(r#"search {"q": "x"}"#);
    driver.send(&json!({"type": "response.create"}));
    driver.run(2000);
    let request = driver.new_done()["output"][0].clone();
    assert_eq!((&request["type"], &request["name"]), (&json!("mcp_approval_request"), &json!("search")));

    let answer = |id: &Value| {
        let item = json!({"type": "mcp_approval_response", "approval_request_id": id, "approve": true});
        json!({"type": "conversation.item.create", "item": item})
    };
    driver.send(&answer(&json!("nobody")));
    assert_eq!(driver.find("error")["error"]["param"], "item.approval_request_id");
    driver.send(&answer(&request["id"]));
    driver.send(&json!({"type": "response.create"}));
    driver.run(2000);
    let call = driver.new_done()["output"][0].clone();
    assert_eq!((&call["type"], &call["approval_request_id"]), (&json!("mcp_call"), &request["id"]));
    assert_eq!((&call["output"], &call["error"]), (&json!(r#"{"q": "x"}"#), &Value::Null));
}

#[test]
fn a_scripted_call_fails_and_the_response_goes_on() {
    let script = json!({"turns": [{"on": "text", "reply": [
        {"mcp": "docs", "tool": "search", "arguments": {"q": "{input}"}, "error": "no such index"},
        {"say": "I could not find it."},
    ]}]});
    let mut driver = Driver::with(ConnectionOptions::default(), Script::parse(&script.to_string()).unwrap());
    driver.write("it");
    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    driver.find("response.mcp_call.failed");
    let output = driver.new_done()["output"].clone();
    assert_eq!(output[0]["error"], json!({"type": "tool_execution_error", "message": "no such index"}));
    assert_eq!(output[0]["arguments"], r#"{"q":"it"}"#);
    assert_eq!(output[1]["content"][0]["transcript"], "I could not find it.");
}
