//! More calls than there may be are refused before the upgrade.

use std::time::Duration;

use serde_json::json;

use crate::support::{code, expect, json, open, say, start};

#[tokio::test]
async fn a_call_too_many_is_refused_with_503_and_its_place_is_free_again() {
    let server = start(&["--most-calls", "1"], &[]).await;
    assert_eq!(json(&server.get("/ws").await), json!({ "takes_calls": true }));
    let mut first = open(&server.ws("/ws"), &[]).await.unwrap();
    say(&mut first, &json!({ "type": "hello", "version": 1 })).await;
    let ready = expect(&mut first, "ready", |_| {}).await;

    for path in ["/twilio", "/rtvi", "/jambonz"] {
        assert_eq!(open(&server.ws(path), &[]).await.map(drop), Err(503), "{path}");
    }
    assert_eq!(code(&server.get("/ws").await), (503, "busy".to_owned()));
    let form = "application/x-www-form-urlencoded";
    let declined = server.post("/twilio", &[], form, "CallSid=CA1").await;
    assert!(declined.body.contains(r#"<Reject reason="busy"/>"#), "{}", declined.body);

    // A page without a call to come back to is turned away in words.
    let mut other = open(&server.ws("/ws"), &[]).await.unwrap();
    say(&mut other, &json!({ "type": "hello", "version": 1 })).await;
    assert_eq!(expect(&mut other, "ended", |_| {}).await["code"], "busy");

    // One that comes back to its call is not refused.
    drop(first);
    let mut back = open(&server.ws("/ws"), &[]).await.unwrap();
    say(&mut back, &json!({ "type": "hello", "version": 1, "token": ready["token"] })).await;
    assert_eq!(expect(&mut back, "ready", |_| {}).await["resumed"], true);
    say(&mut back, &json!({ "type": "bye" })).await;
    server.calls(|calls| calls["live"] == json!([])).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(open(&server.ws("/twilio"), &[]).await.is_ok());
}
