//! Whole calls by carriers' stand-ins.

use std::time::Duration;

use realtime_client::HttpRequest;
use realtime_emulator::voice;
use realtime_tests::carriers::{Carrier, End, Report, Step, call};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Running, start};

async fn hold(server: &Running, carrier: Carrier, script: Vec<Step>) -> Report {
    let url = server.ws(&format!("/{}", carrier.name()));
    let report = call(carrier, &url, &[], script).await.unwrap();
    assert!(report.violations.is_empty(), "{carrier:?}: {report:?}");
    report
}

#[tokio::test]
async fn a_call_by_twilio_is_greeted_heard_answered_and_listed() {
    let server = start(&[], &[]).await;
    // What the caller says, at the carrier's rate: one sample of three.
    let spoken: Vec<i16> =
        voice::speak("What is the weather today?").samples.into_iter().step_by(3).collect();
    let script = vec![
        Step::hear(Duration::from_secs(1)),
        Step::Silence(Duration::from_millis(600)),
        Step::say(spoken),
        Step::Spoken,
        Step::hear(Duration::from_secs(1)),
        // The caller speaks over the answer, which is dropped at the carrier.
        Step::say(vec![9_000; 8_000]),
        Step::Cleared(1),
        Step::hang_up(),
    ];
    let report = hold(&server, Carrier::Twilio, script).await;
    assert_eq!((report.end, report.cleared_at.len()), (End::HungUp, 1));
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let call = &calls["ended"][0];
    assert_eq!((&call["kind"], &call["state"]), (&json!("twilio"), &json!("ended")));
    assert!(call["carrier_id"].is_string() && call["seconds"].as_f64().unwrap() > 3.0, "{call}");
    assert_eq!((&call["tool_calls"], &call["interruptions"]), (&json!(1), &json!(1)));
    assert!(
        call["user_turns"].as_u64().unwrap() >= 2 && call["agent_turns"].as_u64().unwrap() >= 2,
        "{call}"
    );
    assert!(!call["voice_to_voice_ms"].as_array().unwrap().is_empty(), "{call}");
}

#[tokio::test]
async fn every_carrier_s_caller_is_greeted() {
    let server = start(&[], &[]).await;
    let script = || vec![Step::hear(Duration::from_millis(400)), Step::hang_up()];
    let calls = Carrier::ALL.map(|carrier| hold(&server, carrier, script()));
    for report in futures_util::future::join_all(calls).await {
        assert!(report.sounded >= Duration::from_millis(400), "{report:?}");
    }
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 8).await;
    assert!(calls["ended"].as_array().unwrap().iter().all(|call| call["agent_turns"] == 1), "{calls}");
}

#[tokio::test]
async fn where_closing_the_socket_ends_nothing_the_carrier_is_asked_to_hang_up() {
    let carrier = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", carrier.local_addr().unwrap());
    let server = start(&[], &[("TELNYX_API_KEY", "canary"), ("TELNYX_API_URL", &url)]).await;
    let asked = async {
        let (mut stream, _) = carrier.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    };
    let ending = async {
        let calls = server.calls(|calls| calls["live"][0]["agent_turns"] == 1).await;
        let path = format!("/calls/{}", calls["live"][0]["id"].as_str().unwrap());
        HttpRequest::new("DELETE", server.url(&path)).send().await.unwrap();
    };
    let (report, asked, ()) = tokio::join!(hold(&server, Carrier::Telnyx, vec![Step::Stay]), asked, ending);
    assert_eq!(report.end, End::ByServer);
    assert!(asked.starts_with("POST /v2/calls/") && asked.contains("/actions/hangup HTTP/1.1"), "{asked}");
}
