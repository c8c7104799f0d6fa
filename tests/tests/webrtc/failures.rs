//! Calls that cannot be made, and why.

use realtime_client::{ConnectError, Phase};
use realtime_webrtc::{Peer, PeerOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::*;

/// A server that answers one offer with this status and what `answer` makes of the offer.
async fn answering(status: &'static str, answer: impl FnOnce(String) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("ws://{}/v1/realtime", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The multipart body ends with its boundary, twice dashed.
        while !request.ends_with(b"--\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let offer = request.split("v=0").nth(1).and_then(|rest| rest.split("\r\n--").next()).unwrap();
        let body = answer(format!("v=0{offer}"));
        let head = format!(
            "HTTP/1.1 {status}\r\nLocation: /v1/realtime/calls/rtc_1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    });
    url
}

async fn fail(url: &str) -> ConnectError {
    let endpoint = endpoint(url)
        .phase_deadline(Phase::Ice, Duration::from_millis(800))
        .phase_deadline(Phase::Dtls, Duration::from_millis(800));
    Client::over_webrtc(WebRtc::new(), endpoint, options()).await.unwrap_err()
}

#[tokio::test]
async fn a_server_that_is_silent_by_udp_is_told_by_the_phase() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = answering("201 Created", move |offer| {
        let mut options = PeerOptions::default();
        options.local = Some(Ipv4Addr::LOCALHOST.into());
        let (answer, _) = Peer::answer(options, &offer).unwrap();
        let own = answer.split(" 127.0.0.1 ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        answer.replace(&format!(" 127.0.0.1 {own} "), &format!(" 127.0.0.1 {port} "))
    });
    let began = Instant::now();
    let error = fail(&url.await).await;
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Ice, .. }), "{error}");
    assert!(error.is_retryable() && error.to_string().contains("by UDP (ICE)"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_with_the_reason() {
    let error = fail(&answering("201 Created", |_| "hello".to_owned()).await).await;
    assert!(matches!(error, ConnectError::BadAnswer { .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("cannot use the answer of 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn refusals_are_those_of_any_connection() {
    let error = fail(&answering("401 Unauthorized", |_| String::new()).await).await;
    assert!(matches!(error, ConnectError::KeyRefused { status: 401, .. }), "{error}");
    let error = fail(&answering("503 Service Unavailable", |_| String::new()).await).await;
    assert!(matches!(error, ConnectError::Http { status: 503, .. }) && error.is_retryable(), "{error}");
    let error = fail("ws://127.0.0.1:9/v1/realtime").await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_text_that_is_too_large_for_the_channel_is_refused_and_the_call_goes_on() {
    let script = json!({ "turns": [{ "on": "text", "reply": [{ "text": "Yes." }] }] });
    let mut talk = connect(&server(script).await, options()).await;
    talk.until(is_ready).await;
    let refused = talk.handle.send_text("x".repeat(2_000_000), false).await.unwrap_err();
    assert!(refused.to_string().contains("over WebRTC"), "{refused}");
    let reply = talk.handle.ask("Are you there?").await.unwrap();
    assert_eq!(reply.text, "Yes.");
}
