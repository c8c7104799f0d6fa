//! Connecting, over loopback: who must act on which failure, and that no key shows.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_client::{ApiKey, Client, ClientOptions, ConnectError, Endpoint, KeyPlace, Phase};
use realtime_protocol::call::{ConnectionEvent, Event, Reconnect};
use realtime_protocol::time::UnixTime;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

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
        assert!(request.contains(&format!("Authorization: Bearer {KEY}\r\n")), "{request}");
        assert!(request.contains("X-Extra: 1\r\n"), "{request}");
        stream.set_nodelay(true).unwrap();
        let mut server = Server::accept(&mut stream).await;
        server.open().await;
        server.expect_close().await;
    };
    let near = async {
        let endpoint = endpoint.header("x-extra", "1").unwrap();
        let (handle, mut events) = Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
        assert!(matches!(next(&mut events).await, Event::Created { .. }));
        assert!(matches!(next(&mut events).await, Event::Ready { .. }));
        handle.close().await.unwrap();
        events
    };
    let ((), mut events) = tokio::join!(far, near);
    assert!(matches!(rest(&mut events).await[..], [Event::Closed { .. }]));
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
        ("200 OK", "hello", "HTTP status 200: hello", false),
    ] {
        let error = answered(&http(status, body)).await;
        check(&error, &format!("the server refused the connection with {text}"), retryable);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_server_does_not_know_yet_is_asked_for_again_for_two_seconds() {
    let (listener, _) = listen("ws").await;
    let base = format!("ws://{}/v1/realtime?call_id=rtc_1", listener.local_addr().unwrap());
    let refuse = async || {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(http("404 Not Found", "no such call").as_bytes()).await.unwrap();
    };
    for unknown in [2, 3] {
        let began = Instant::now();
        let far = async {
            for _ in 0..unknown {
                refuse().await;
            }
            if unknown < 3 {
                let (stream, _) = listener.accept().await.unwrap();
                Some(Server::accept(stream).await)
            } else {
                None
            }
        };
        let near = Client::connect(at(&base, ""), ClientOptions::default());
        let (result, _server) = tokio::join!(near, far);
        assert!((2000..2010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        if unknown < 3 {
            assert!(result.is_ok());
        } else {
            let text = "the server does not know the call: 404 to each of 3 attempts: no such call";
            check(&result.unwrap_err(), text, false);
        }
    }
    let hurried = at(&base, "").connect_deadline(Duration::from_secs(1));
    let far = async {
        refuse().await;
        refuse().await;
    };
    let (result, ()) = tokio::join!(Client::connect(hurried, ClientOptions::default()), far);
    assert!(matches!(result.unwrap_err(), ConnectError::CallNotFound { tries: 2, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_refused_and_names_the_place_without_its_secrets() {
    for (location, to) in [
        ("wss://user:canary@other.example/v1?key=canary", "wss://other.example/v1"),
        ("/elsewhere#canary", "/elsewhere"),
        (&format!("https://other.example/{KEY}"), "https://other.example/[redacted]"),
    ] {
        let error = answered(&format!("HTTP/1.1 308 X\r\nLocation: {location}\r\n\r\n")).await;
        let ConnectError::Redirected { address, .. } = &error else { panic!("{error:?}") };
        let text = format!(
            "{address} redirected with HTTP status 308 to {to}: redirects are not followed, \
             name that address in the endpoint if it is right"
        );
        check(&error, &text, false);
    }
    let error = answered(&http("301 Moved Permanently", "")).await;
    assert!(error.to_string().ends_with("with HTTP status 301 and did not say where to"), "{error}");
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
    let text = format!("no connection to {address} within 3000 ms: still in the WebSocket handshake");
    check(&error, &text, true);
    assert!((3000..3010).contains(&began.elapsed().as_millis()));
}

#[cfg(feature = "_rustls")]
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

#[cfg(not(feature = "_rustls"))]
#[tokio::test(start_paused = true)]
async fn without_the_feature_wss_is_a_clear_error() {
    let (_listener, endpoint) = listen("wss").await;
    let error = Client::connect(endpoint, ClientOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("feature `tls`") && !error.is_retryable(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_byte_by_byte_with_the_first_event_behind_it_loses_nothing() {
    let (near, mut far) = duplex(64 * 1024);
    let endpoint = endpoint();
    let server = async {
        let request = read_head(&mut far).await;
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-Websocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let (last, slow) = head.as_bytes().split_last().unwrap();
        for byte in slow {
            far.write_all(&[*byte]).await.unwrap();
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        // The end of the head and the first event come in one piece.
        let event = br#"{"type":"session.created","session":{"id":"sess_1"}}"#;
        let frame = [&[*last, 0x81, u8::try_from(event.len()).unwrap()], event.as_slice()].concat();
        far.write_all(&frame).await.unwrap();
        far
    };
    let (client, _far) = tokio::join!(Client::over(near, &endpoint, ClientOptions::default()), server);
    let (_handle, mut events) = client.unwrap().split();
    assert!(matches!(next(&mut events).await, Event::Created { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_was_not_asked_for_is_none() {
    for (headers, reason) in [
        ("Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT", "another protocol"),
        ("Upgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT", "another protocol"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x", "Sec-WebSocket-Accept"),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\
             Sec-WebSocket-Extensions: permessage-deflate",
            "an extension that was not offered",
        ),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\
             Sec-WebSocket-Protocol: chat",
            "a subprotocol that was not offered",
        ),
    ] {
        let (near, mut far) = duplex(64 * 1024);
        let server = async {
            let request = read_head(&mut far).await;
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-Websocket-Key: ")).unwrap();
            let headers = headers.replace("ACCEPT", &derive_accept_key(key.as_bytes()));
            far.write_all(format!("HTTP/1.1 101 X\r\n{headers}\r\n\r\n").as_bytes()).await.unwrap();
        };
        let endpoint = endpoint();
        let (client, ()) = tokio::join!(Client::over(near, &endpoint, ClientOptions::default()), server);
        let error = client.unwrap_err();
        assert!(matches!(error, ConnectError::NotWebSocket { .. }) && !error.is_retryable(), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_counts_though_its_body_never_ends() {
    let (near, mut far) = duplex(1 << 20);
    let began = Instant::now();
    let endpoint = endpoint();
    let server = async {
        read_head(&mut far).await;
        let head = "HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 99\r\n\r\nwait";
        far.write_all(head.as_bytes()).await.unwrap();
        far
    };
    let (client, _far) = tokio::join!(Client::over(near, &endpoint, ClientOptions::default()), server);
    let error = client.unwrap_err();
    check(&error, "the server refused the connection with HTTP status 429: wait", true);
    let ConnectError::Http { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    assert!(began.elapsed() < Duration::from_secs(3));

    let page = "x".repeat(100_000);
    let error = answered(&http("500 Internal Server Error", &page)).await;
    assert!(error.is_retryable() && error.to_string().len() < 400, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_with_a_slow_body_stays_one_when_its_phase_ends() {
    for phase in [Phase::WebSocket, Phase::Proxy] {
        let (listener, mut endpoint) = listen("ws").await;
        if phase == Phase::Proxy {
            let proxy = format!("http://{}", listener.local_addr().unwrap());
            endpoint = at("ws://server.invalid", "m");
            endpoint = endpoint.proxy(realtime_client::Proxy::new(&proxy).unwrap());
        }
        let endpoint = endpoint.phase_deadline(phase, Duration::from_secs(1));
        let began = Instant::now();
        let far = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 407 X\r\nContent-Length: 99\r\n\r\nwho?").await.unwrap();
            stream
        };
        let (result, _stream) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
        let error = result.unwrap_err();
        assert!(error.to_string().ends_with("407: who?") && !error.is_retryable(), "{error}");
        assert!(began.elapsed() < Duration::from_millis(1010), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_phase_that_took_too_long_is_named() {
    let (_listener, endpoint) = listen("ws").await;
    let slow = || std::future::pending::<Result<ApiKey, std::io::Error>>();
    let error = timed_out(endpoint.clone().token_provider(slow)).await;
    assert_eq!(error, (Phase::Key, Duration::from_secs(10)));
    let error = timed_out(endpoint.clone().phase_deadline(Phase::WebSocket, Duration::from_secs(2))).await;
    assert_eq!(error, (Phase::WebSocket, Duration::from_secs(2)));
    let error = timed_out(endpoint.phase_deadline(Phase::WebSocket, Duration::MAX)).await;
    assert_eq!(error, (Phase::WebSocket, Duration::from_secs(10)));
    if cfg!(feature = "_rustls") {
        let (_listener, endpoint) = listen("wss").await;
        assert_eq!(timed_out(endpoint).await, (Phase::Tls, Duration::from_secs(10)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_before_each_attempt_and_goes_as_bearer() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let provider = move || {
        let count = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            match count {
                1 => Err("nobody is signed in"),
                count => Ok(ApiKey::new(format!("canary-{count}"))),
            }
        }
    };
    let endpoint =
        Endpoint::azure("http://memory", "d").unwrap().websocket(library()).token_provider(provider);
    for attempt in 0..3 {
        let (near, mut far) = duplex(64 * 1024);
        let server = async {
            if attempt != 1 {
                let head = read_head(&mut far).await;
                assert!(head.contains(&format!("Authorization: Bearer canary-{attempt}\r\n")), "{head}");
                assert!(!head.contains("Api-Key"), "{head}");
                let body = format!("no such token: canary-{attempt}");
                far.write_all(http("401 Unauthorized", &body).as_bytes()).await.unwrap();
            }
        };
        let (client, ()) = tokio::join!(Client::over(near, &endpoint, ClientOptions::default()), server);
        let error = client.unwrap_err();
        if attempt == 1 {
            check(&error, "cannot get a key", true);
            assert_eq!(error.source().unwrap().to_string(), "nobody is signed in");
        } else {
            check(&error, "the server refused the key (401): no such token: [redacted]", false);
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_followed_by_one_with_another_token() {
    let (listener, endpoint) = listen("ws").await;
    let count = AtomicUsize::new(1);
    let endpoint = endpoint.token_provider(move || {
        let count = count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, std::io::Error>(ApiKey::new(format!("token-{count}"))))
    });
    let options = ClientOptions::default().reconnect(Reconnect::default());
    let far = async {
        for attempt in 1..3 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut seen = [0; 2048];
            let length = stream.peek(&mut seen).await.unwrap();
            let head = String::from_utf8_lossy(&seen[..length]).into_owned();
            assert!(head.contains(&format!("Authorization: Bearer token-{attempt}\r\n")), "{head}");
            stream.set_nodelay(true).unwrap();
            let mut server = Server::accept(stream).await;
            server.open().await;
        }
    };
    let near = async {
        let (handle, mut events) = Client::connect(endpoint, options).await.unwrap().split();
        while !matches!(next(&mut events).await, Event::Connection(ConnectionEvent::Resumed { .. })) {}
        (handle, events)
    };
    tokio::join!(far, near);
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_as_a_subprotocol_where_it_must() {
    let subprotocol = endpoint().key_place(KeyPlace::Subprotocol);
    let beta = format!("realtime, openai-insecure-api-key.{KEY}, openai-beta.realtime-v1");
    for (endpoint, protocols) in [
        (subprotocol.clone(), format!("realtime, openai-insecure-api-key.{KEY}")),
        (subprotocol.clone().beta(), beta),
    ] {
        let (near, far) = duplex(64 * 1024);
        #[expect(clippy::result_large_err, reason = "the shape that the WebSocket library asks for")]
        let callback = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], protocols);
            assert!(!request.headers().contains_key("authorization"));
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("realtime"));
            Ok(response)
        };
        let server = accept_hdr_async(far, callback);
        let (client, server) = tokio::join!(Client::over(near, &endpoint, ClientOptions::default()), server);
        assert!(client.is_ok() && server.is_ok());
    }
    let error = connect_error(subprotocol.key("no token, this")).await;
    check(&error, "cannot send the header Sec-WebSocket-Protocol: HTTP does not allow its value", false);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_ended_is_not_sent() {
    let (_listener, endpoint) = listen("ws").await;
    let ended = endpoint.key(ApiKey::new("ek_canary").expires_at(UnixTime::from_secs(1_000_000)));
    let error = connect_error(ended).await;
    assert!(matches!(error, ConnectError::KeyExpired { .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().starts_with("the key expired "), "{error}");
}

async fn timed_out(endpoint: Endpoint) -> (Phase, Duration) {
    let began = Instant::now();
    match connect_error(endpoint).await {
        ConnectError::TimedOut { phase, after, .. } => {
            assert!(
                (after..after + Duration::from_millis(10)).contains(&began.elapsed()),
                "{:?}",
                began.elapsed()
            );
            (phase, after)
        }
        other => panic!("{other}"),
    }
}

async fn connect_error(endpoint: Endpoint) -> ConnectError {
    Client::connect(endpoint, ClientOptions::default()).await.unwrap_err()
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
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let (result, ()) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
    result.unwrap_err()
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn listen(scheme: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("{scheme}://{}", listener.local_addr().unwrap());
    (listener, at(&base, "test-model").key(KEY))
}
