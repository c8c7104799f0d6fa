//! The HTTP calls around sessions, against the emulator, and against answers word for word.

use std::net::Ipv4Addr;
use std::time::Duration;

use realtime_client::{
    ApiKey, Client, ClientOptions, ConnectError, Endpoint, HttpAnswer, HttpRequest, Phase, Rest, RestError,
};
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::Event;
use realtime_protocol::http::{CallCreateRequest, ClientSecretRequest, ExpiresAfter};
use realtime_protocol::session_config::SessionConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::*;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";

#[tokio::test]
async fn a_short_lived_key_is_made_and_opens_a_session() {
    let url = emulator().await;
    let rest = Rest::new(Endpoint::new(&url, "").unwrap().key(KEY));
    let session = SessionConfig::realtime().model("gpt-realtime").instructions("Be brief.");
    let lasting = ExpiresAfter::default().anchor("created_at").seconds(60);
    let request = ClientSecretRequest::default().expires_after(lasting).session(Box::new(session));
    let secret = rest.create_client_secret(&request).await.unwrap();
    let key = ApiKey::from_client_secret(&secret).unwrap();
    assert!(key.expose().starts_with("ek_"));

    let endpoint = Endpoint::new(&url, "").unwrap().key(key);
    let (_handle, mut events) = Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
    let Event::Created { .. } = next(&mut events).await else { panic!("a session was made") };

    let request = ClientSecretRequest::default().expires_after(ExpiresAfter::default().seconds(5));
    let error = rest.create_client_secret(&request).await.unwrap_err();
    let RestError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.status, refused.code.as_deref()), (400, Some("invalid_value")));
    assert!(refused.message.as_ref().unwrap().contains("expires_after.seconds") && !error.is_retryable());
}

#[tokio::test]
async fn a_call_is_made_joined_by_its_side_channel_and_ended() {
    let url = emulator().await;
    let rest = Rest::new(Endpoint::new(&url, "").unwrap().key(KEY));
    let offer = CallCreateRequest { sdp: OFFER.to_owned(), ..CallCreateRequest::default() };
    let with_session = offer.clone().session(Box::new(SessionConfig::realtime().instructions("Canary.")));
    for (request, instructions) in [(with_session, true), (offer, false)] {
        let call = rest.create_call(&request).await.unwrap();
        assert!(call.call_id.starts_with("rtc_") && call.sdp.starts_with("v=0"), "{call:?}");
        let side = Endpoint::new(&format!("{url}?call_id={}", call.call_id), "").unwrap().key(KEY);
        let (_handle, mut events) = Client::connect(side, ClientOptions::default()).await.unwrap().split();
        let Event::Created { .. } = next(&mut events).await else { panic!("no session") };
        let Event::Ready { config, .. } = next(&mut events).await else { panic!("not ready") };
        assert_eq!(config.instructions.value().is_some_and(|text| text == "Canary."), instructions);
        rest.hang_up_call(&call.call_id).await.unwrap();
        let end = super::support::rest(&mut events).await;
        assert!(matches!(end.last(), Some(Event::Closed { .. })), "{end:?}");
        let error = rest.hang_up_call(&call.call_id).await.unwrap_err();
        let RestError::NotFound(refused) = &error else { panic!("{error:?}") };
        assert_eq!(refused.code.as_deref(), Some("call_id_not_found"));
    }
}

#[tokio::test]
async fn a_sip_call_is_taken_handed_on_or_turned_away() {
    let url = emulator().await;
    let rest = Rest::new(Endpoint::new(&url, "").unwrap().key(KEY));
    let session = SessionConfig::realtime().model("gpt-realtime");
    rest.accept_call("rtc_1", &session).await.unwrap();
    assert!(
        matches!(rest.accept_call("rtc_1", &session).await, Err(RestError::Refused(refused)) if refused.status == 400)
    );
    rest.refer_call("rtc_1", "tel:+14155550123").await.unwrap();
    assert!(matches!(rest.hang_up_call("rtc_1").await, Err(RestError::NotFound(_))));
    rest.reject_call("rtc_2", Some(486)).await.unwrap();
    rest.reject_call("rtc_3", None).await.unwrap();
    assert!(matches!(rest.reject_call("rtc_4", Some(200)).await, Err(RestError::Refused(_))));
    // An id is one piece of the path, whatever is in it.
    assert!(matches!(rest.hang_up_call("../calls/rtc_1?x").await, Err(RestError::NotFound(_))));
}

#[tokio::test]
async fn a_key_that_is_wrong_or_may_not_is_told() {
    let url = emulator().await;
    for (key, status) in [("sk-canary-wrong", 401), ("sk-canary-forbidden", 403)] {
        let rest = Rest::new(Endpoint::new(&url, "").unwrap().key(key));
        let error = rest.hang_up_call("rtc_1").await.unwrap_err();
        let RestError::KeyRefused(refused) = &error else { panic!("{error:?}") };
        assert_eq!((refused.status, error.is_retryable()), (status, false));
        assert!(!format!("{error:?} {error} {rest:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_says_who_must_act() {
    let error = answered("HTTP/1.1 409 X\r\nContent-Length: 4\r\n\r\nbusy").await;
    assert!(matches!(error, RestError::Conflict(_)) && !error.is_retryable());
    assert_eq!(error.to_string(), "it does not fit the server's current state (409): busy");
    let error = answered("HTTP/1.1 429 X\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n").await;
    let RestError::TooManyRequests(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.retry_after, error.is_retryable()), (Some(Duration::from_secs(20)), true));
    let error = answered("HTTP/1.1 302 X\r\nLocation: https://other.example/v1?canary\r\n\r\n").await;
    assert!(matches!(error, RestError::Connect(ConnectError::Redirected { .. })), "{error:?}");
    assert!(error.to_string().contains(" to https://other.example/v1:") && !error.is_retryable(), "{error}");
    let error = answered("HTTP/1.1 500 X\r\n\r\n<html>").await;
    assert_eq!(error.to_string(), "the server refused it with HTTP status 500");
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_told() {
    for (answer, text) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "cannot read the answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\u{7f}", "cannot read the answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "closed the connection before it had answered"),
        ("HTTP/1.1 200", "closed the connection before it had answered"),
        ("SSH-2.0", "the answer is not HTTP"),
    ] {
        let error = answered(answer).await;
        assert!(error.to_string().contains(text), "{answer}: {error}");
    }
    let mut long = "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    long.extend(std::iter::repeat_n(' ', 1024 * 1024 + 1));
    assert!(answered(&long).await.to_string().contains("more than 1048576 bytes"));
    let long = format!("100001\r\n{}", " ".repeat(0x10_0001));
    for (body, reason) in [(long.as_str(), "more than 1048576 bytes"), ("1\r\naaaa", "Invalid chunk body")] {
        let error = answered(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        assert!(matches!(error, RestError::BadAnswer { .. }) && !error.is_retryable(), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = Rest::new(Endpoint::new(&url, "").unwrap()).hang_up_call("rtc_1").await.unwrap_err();
    assert!(
        matches!(silent, RestError::Connect(ConnectError::TimedOut { phase: Phase::Http, .. })),
        "{silent}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_with_a_slow_body_stays_one_when_its_phase_ends() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = Endpoint::new(&url, "").unwrap().phase_deadline(Phase::Http, Duration::from_secs(1));
    let rest = Rest::new(endpoint);
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 409 X\r\nContent-Length: 99\r\n\r\nbusy").await.unwrap();
        stream
    };
    let (result, _stream) = tokio::join!(rest.hang_up_call("rtc_1"), far);
    assert!(
        matches!(result.unwrap_err(), RestError::Conflict(refused) if refused.message.as_deref() == Some("busy"))
    );
}

#[tokio::test(start_paused = true)]
async fn any_server_is_asked_and_whatever_it_answers_is_told() {
    let answer =
        fetched("HTTP/1.1 302 X\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    assert_eq!((answer.status, answer.is_success(), answer.body.as_str()), (302, false, "hi"));
    assert_eq!(answer.content_type.as_deref(), Some("text/x"));
    assert!(!format!("{answer:?}").contains("hi"));
    let error = fetched("SSH-2.0").await.unwrap_err();
    assert!(error.to_string().contains("the answer is not HTTP"), "{error}");
    let error = fetched("").await.unwrap_err();
    assert!(matches!(error, RestError::Connect(ConnectError::Interrupted { .. })), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_of_http_is_told_without_its_secrets() {
    for url in ["ws://h/canary?key=canary", "https://canary@h/", "h"] {
        let error = HttpRequest::new("GET", url).send().await.unwrap_err();
        assert!(matches!(error, RestError::Connect(ConnectError::BadUrl { .. })), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("key=canary"), "{error}");
    }
    let request = HttpRequest::new("GET", "http://127.0.0.1:1/").header("Content-Length", "7");
    assert!(!format!("{request:?}").contains("127"));
    let error = request.send().await.unwrap_err();
    assert!(matches!(error, RestError::Connect(ConnectError::BadHeader { .. })), "{error}");
}

/// What comes of a request that got this answer.
async fn fetched(answer: &str) -> Result<HttpAnswer, RestError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/a/b?c=d", listener.local_addr().unwrap());
    let request = HttpRequest::new("PUT", url).header("X-Key", "canary").body("text/plain", "hello");
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("PUT /a/b?c=d HTTP/1.1\r\n"), "{head}");
        for line in ["X-Key: canary", "Content-Type: text/plain", "Content-Length: 5", "Connection: close"] {
            assert!(head.lines().any(|other| other == line), "{line}: {head}");
        }
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    tokio::join!(request.send(), far).0
}

/// The error of a request that got this answer.
async fn answered(answer: &str) -> RestError {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let rest = Rest::new(Endpoint::new(&url, "").unwrap().key(KEY));
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("POST /v1/realtime/client_secrets HTTP/1.1\r\n"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(body, b"{}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let request = ClientSecretRequest::default();
    let (result, ()) = tokio::join!(rest.create_client_secret(&request), far);
    result.unwrap_err()
}

/// An emulator on its own port, and its address.
async fn emulator() -> String {
    let options = Options::default().api_key(KEY).forbidden_key("sk-canary-forbidden");
    let emulator = Emulator::bind((Ipv4Addr::LOCALHOST, 0), options).await.unwrap();
    let url = emulator.url();
    tokio::spawn(emulator.serve(std::future::pending()));
    url
}
