//! Calls by SIP at OpenAI, where the emulator is OpenAI.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use realtime_client::HttpRequest;
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use serde_json::json;
use sha2::Sha256;

use crate::support::{Running, start};

const SECRET: &[u8] = b"canary-webhook-secret";

/// Posts a webhook as OpenAI does, and returns the status.
async fn posted(server: &Running, id: &str, body: &str) -> u16 {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(format!("{id}.{now}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers =
        [("webhook-id", id), ("webhook-timestamp", now.as_str()), ("webhook-signature", &signature)];
    server.post("/openai", &headers, "application/json", body).await.status
}

#[tokio::test]
async fn a_call_is_accepted_once_joined_and_ended() {
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let server = start(&[], &[("OPENAI_WEBHOOK_SECRET", &secret)]).await;
    let incoming = json!({
        "id": "evt_1", "type": "realtime.call.incoming", "created_at": 1,
        "data": { "call_id": "rtc_1", "sip_headers": [
            { "name": "From", "value": "\"Ann\" <sip:+15550100001@example.com>;tag=1" },
            { "name": "To", "value": "<sip:+15550100002@sip.api.openai.com>" },
        ] },
    });
    assert_eq!(posted(&server, "wh_1", &incoming.to_string()).await, 204);
    assert_eq!(posted(&server, "wh_1", &incoming.to_string()).await, 204);
    assert_eq!(posted(&server, "wh_2", r#"{"type":"response.completed","data":{}}"#).await, 204);

    for odd in ["", "../../x?y=1", "\u{1b}[31mred"] {
        let told = json!({ "type": "realtime.call.incoming", "data": { "call_id": odd } });
        assert_eq!(posted(&server, "wh_3", &told.to_string()).await, 204);
    }

    let calls = server.calls(|calls| calls["live"][0]["state"] == "live").await;
    let call = &calls["live"][0];
    assert_eq!(calls["live"].as_array().unwrap().len(), 1, "{calls}");
    assert_eq!((&call["kind"], &call["carrier_id"]), (&json!("openai"), &json!("rtc_1")));
    assert_eq!((&call["from"], &call["to"]), (&json!("+15550100001"), &json!("+15550100002")));
    // The agent greets: the first words of its answer come on the side channel.
    let calls = server.calls(|calls| calls["live"][0]["first_byte_ms"][0].is_u64()).await;
    let id = calls["live"][0]["id"].as_str().unwrap().to_owned();
    HttpRequest::new("DELETE", server.url(&format!("/calls/{id}"))).send().await.unwrap();
    server.calls(|calls| calls["ended"][0]["id"] == id).await;
}

/// The model's script: it says something, and then transfers the call.
const TRANSFERS: &str = r#"{ "turns": [{ "on": "request", "reply": [
    { "say": "One moment, I put you through." },
    { "call": "transfer_call", "arguments": { "to": "reception" } }
] }] }"#;

const RECEPTIONIST: &str = r#"
instructions = "Be brief."
greeting = "Put them through."
[phone]
transfer = { reception = "+15550100001" }
"#;

#[tokio::test]
async fn a_call_is_transferred_by_the_model_s_server() {
    let options = Options::default().brain(|| Script::parse(TRANSFERS).unwrap());
    let emulator = Emulator::spawn(options).await.unwrap();
    let agent = std::env::temp_dir().join(format!("realtime-sip-{}.toml", std::process::id()));
    std::fs::write(&agent, RECEPTIONIST).unwrap();
    let server = start(&["--url", emulator.url(), "--agent", agent.to_str().unwrap()], &[]).await;
    std::fs::remove_file(&agent).unwrap();
    let body = r#"{"type":"realtime.call.incoming","data":{"call_id":"rtc_1"}}"#;
    assert_eq!(server.post("/openai", &[], "application/json", body).await.status, 204);
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let call = &calls["ended"][0];
    // The server ends its call once it has handed the line on: nobody else does.
    let end = call["end"].as_str().unwrap();
    assert!(end.contains("the session ended") && call["seconds"].as_f64().unwrap() > 1.0, "{call}");
}

#[tokio::test]
async fn a_call_that_can_not_be_accepted_is_told() {
    let server = start(&["--url", "ws://127.0.0.1:9/v1/realtime"], &[]).await;
    let body = r#"{"type":"realtime.call.incoming","data":{"call_id":"rtc_1"}}"#;
    assert_eq!(server.post("/openai", &[], "application/json", body).await.status, 204);
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let end = calls["ended"][0]["end"].as_str().unwrap();
    assert!(end.contains("127.0.0.1:9"), "{end}");
}
