//! What stands at which path.

use realtime_client::HttpRequest;
use serde_json::json;

use crate::support::{code, json, start};

#[tokio::test]
async fn health_and_calls_are_json() {
    let server = start(&["--most-calls", "7"], &[]).await;
    let health = server.json("/healthz").await;
    assert_eq!(
        (&health["status"], &health["calls"], &health["most_calls"]),
        (&json!("ok"), &json!(0), &json!(7))
    );
    assert!(health["uptime_seconds"].is_u64() && health["version"].is_string());
    assert_eq!(server.json("/calls").await, json!({ "live": [], "ended": [] }));
    assert_eq!(code(&server.get("/calls/0-x").await), (404, "call".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_is_told_as_json() {
    let server = start(&[], &[]).await;
    assert_eq!(code(&server.get("/nothing").await), (404, "path".to_owned()));
    assert_eq!(code(&server.post("/healthz", &[], "text/plain", "").await), (405, "method".to_owned()));
    let answer = HttpRequest::new("DELETE", server.url("/twilio")).send().await.unwrap();
    assert_eq!(code(&answer), (405, "method".to_owned()));
    assert_eq!(code(&server.post("/genesys", &[], "text/plain", "").await), (405, "method".to_owned()));
    let long = "x".repeat(300_000);
    assert_eq!(code(&server.post("/twilio", &[], "text/plain", &long).await), (413, "body".to_owned()));
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_holds_no_secret() {
    let secrets = [
        ("OPENAI_API_KEY", "sk-canary-openai"),
        ("REALTIME_PAGE_TOKEN", "canary-page-token-1234"),
        ("REALTIME_ADMIN_TOKEN", "canary-admin-token-1234"),
        ("TWILIO_AUTH_TOKEN", "canary-twilio"),
    ];
    let server = start(&["--url", "ws://127.0.0.1:9/?key=canary-query", "--model", "a<b"], &secrets).await;
    let page = server.get("/").await;
    assert_eq!((page.status, page.content_type.as_deref()), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains(r#""model":"a\u003cb""#) && page.body.contains(r#""needs_token":true"#));
    let script = server.get("/client.js").await;
    assert!(script.body.contains("class VoiceCall"), "{}", script.body);
    for text in
        [&page.body, &script.body, &server.get("/healthz").await.body, &server.introduction.join("\n")]
    {
        assert!(!text.contains("canary"), "{text}");
    }
    for address in page.body.split("src=").chain(page.body.split("href=")).skip(1) {
        let address = address.trim_start_matches(['"', '\'']);
        assert!(address.starts_with("data:") || !address.starts_with("http"), "{}", &address[..40]);
    }
}

#[tokio::test]
async fn a_carrier_is_told_to_stream_to_the_public_address() {
    let form = "application/x-www-form-urlencoded";
    let public = [
        "--public-url",
        "https://voice.example.com/a",
        "--unverified",
        "twilio",
        "--unverified",
        "vonage",
        "--unverified",
        "jambonz",
    ];
    let server = start(&public, &[]).await;
    let answer = server.post("/twilio", &[], form, "CallSid=CA1&From=%2B15550100001&To=%2B15550100002").await;
    assert_eq!(answer.content_type.as_deref(), Some("text/xml"));
    assert!(answer.body.contains(r#"<Stream url="wss://voice.example.com/a/twilio">"#), "{}", answer.body);
    assert!(answer.body.contains(r#"<Parameter name="from" value="+15550100001"/>"#), "{}", answer.body);
    let answer = json(&server.get("/vonage?from=15550100001&to=15550100002&uuid=u").await);
    assert_eq!(answer[0]["endpoint"][0]["uri"], "wss://voice.example.com/a/vonage");
    assert_eq!(answer[0]["endpoint"][0]["headers"]["from"], "15550100001");
    let answer = json(&server.post("/jambonz", &[], "application/json", r#"{"call_sid":"c"}"#).await);
    assert_eq!(answer[0]["url"], "wss://voice.example.com/a/jambonz");
    assert_eq!(code(&server.post("/plivo", &[], form, "").await), (403, "closed".to_owned()));
}
