//! Connecting, over loopback: who must act on which failure, and that no key shows.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, ConnectError, Endpoint};
use realtime_protocol::session::SessionEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn over_tcp_a_session_is_ready_and_the_key_is_in_its_header_alone() {
    let (listener, endpoint) = listen("ws").await;
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = vec![0; 2048];
        let length = stream.peek(&mut seen).await.unwrap();
        let request = String::from_utf8(seen[..length].to_vec()).unwrap();
        assert!(request.starts_with("GET /v1/realtime?model=test-model HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");
        assert!(request.contains("x-extra: 1\r\n"), "{request}");
        stream.set_nodelay(true).unwrap();
        let mut server = Server::accept(&mut stream).await;
        server.open().await;
        server.expect_close().await;
    };
    let near = async {
        let endpoint = endpoint.header("x-extra", "1").unwrap();
        let (handle, mut events) = Client::connect(endpoint, ClientOptions::default()).await.unwrap();
        assert!(matches!(next(&mut events).await, SessionEvent::Created { .. }));
        assert!(matches!(next(&mut events).await, SessionEvent::Ready { .. }));
        handle.close().await.unwrap();
        events
    };
    let ((), mut events) = tokio::join!(far, near);
    assert!(matches!(rest(&mut events).await[..], [SessionEvent::Closed { .. }]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_says_so_and_does_not_show_it() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. Get one.","code":"invalid_api_key"}}}}"#
    );
    let error = answered(&http("401 Unauthorized", &body)).await;
    check(
        &error,
        "the server refused the key (401): Incorrect API key provided: [redacted]. Get one.",
        false,
    );
    let error = answered(&http("403 Forbidden", "")).await;
    check(&error, "the server refused the key (403)", false);
}

#[tokio::test(start_paused = true)]
async fn other_statuses_say_whether_to_try_again() {
    for (status, body, text, retryable) in [
        ("404 Not Found", "<html>no</html>", "HTTP status 404", false),
        ("429 Too Many Requests", r#"{"error":"slow down"}"#, "HTTP status 429: slow down", true),
        ("503 Service Unavailable", "busy\r\n", "HTTP status 503: busy", true),
        ("301 Moved Permanently", "", "HTTP status 301", false),
        ("200 OK", "hello", "HTTP status 200: hello", false),
    ] {
        let error = answered(&http(status, body)).await;
        check(&error, &format!("the server refused the connection with {text}"), retryable);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_websocket_is_told_from_what_hangs_up() {
    let error = answered("SSH-2.0-OpenSSH_9.6\r\n").await;
    assert!(matches!(error, ConnectError::NotWebSocket { .. }) && !error.is_retryable(), "{error}");
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let error = answered(upgrade).await;
    assert!(matches!(error, ConnectError::NotWebSocket { .. }) && !error.is_retryable(), "{error}");
    let error = answered("").await;
    assert!(matches!(error, ConnectError::HungUp { .. }) && error.is_retryable(), "{error}");
    let error = answered("HTTP/1.1 101 Swi").await;
    assert!(matches!(error, ConnectError::HungUp { .. }) && error.is_retryable(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_unreachable() {
    let (listener, endpoint) = listen("ws").await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(endpoint, ClientOptions::default()).await.unwrap_err();
    check(&error, &format!("cannot reach {address}"), true);
    assert!(error.source().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_left_at_the_deadline() {
    let (listener, endpoint) = listen("ws").await;
    let began = Instant::now();
    let endpoint = endpoint.connect_deadline(Duration::from_secs(3));
    let address = listener.local_addr().unwrap();
    let error = Client::connect(endpoint, ClientOptions::default()).await.unwrap_err();
    check(&error, &format!("no connection to {address} within 3000 ms"), true);
    assert!((3000..3010).contains(&began.elapsed().as_millis()));
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn a_server_without_tls_is_told_apart_from_one_without_trust() {
    let (listener, endpoint) = listen("wss").await;
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (error, _stream) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_retryable(), "{error}");
    assert!(error.source().is_some());
}

#[cfg(not(feature = "tls"))]
#[tokio::test(start_paused = true)]
async fn without_the_feature_wss_is_a_clear_error() {
    let (_listener, endpoint) = listen("wss").await;
    let error = Client::connect(endpoint, ClientOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("feature `tls`") && !error.is_retryable(), "{error}");
}

fn check(error: &ConnectError, text: &str, retryable: bool) {
    assert_eq!((error.to_string().as_str(), error.is_retryable()), (text, retryable), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

/// The error of a connection that got this answer.
async fn answered(answer: &str) -> ConnectError {
    let (listener, endpoint) = listen("ws").await;
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let (result, ()) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
    result.unwrap_err()
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn listen(scheme: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("{scheme}://{}", listener.local_addr().unwrap());
    (listener, Endpoint::new(&base, "test-model").unwrap().key(KEY))
}
