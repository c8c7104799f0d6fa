//! The way through a proxy, over loopback.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, ConnectError, Endpoint, Phase, Proxy};
use realtime_protocol::call::Event;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_session_runs_through_a_proxy_that_is_told_user_and_password() {
    let (listener, endpoint) = through("user:canary%21@").await;
    let far = async {
        let (mut tunnel, _) = listener.accept().await.unwrap();
        tunnel.set_nodelay(true).unwrap();
        let head = read_head(&mut tunnel).await;
        assert!(
            head.starts_with("CONNECT server.invalid:8080 HTTP/1.1\r\nHost: server.invalid:8080\r\n"),
            "{head}"
        );
        assert!(head.contains("Proxy-Authorization: Basic dXNlcjpjYW5hcnkh\r\n"), "{head}");
        assert!(!head.contains(KEY), "{head}");
        tunnel.write_all(b"HTTP/1.0 200 Connection established\r\nVia: 1.0 p\r\n\r\n").await.unwrap();
        let mut server = Server::accept(tunnel).await;
        server.open().await;
        server.expect_close().await;
    };
    let near = async {
        let (handle, mut events) = Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
        assert!(matches!(next(&mut events).await, Event::Created { .. }));
        assert!(matches!(next(&mut events).await, Event::Ready { .. }));
        handle.close().await.unwrap();
    };
    tokio::join!(far, near);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_refuses_says_why_and_not_who_asked() {
    let body = "{\"error\":\"user:canary! (dXNlcjpjYW5hcnkh) is not known\"}";
    let denied = format!(
        "HTTP/1.1 407 X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let text = "HTTP status 407: user:[redacted] ([redacted]) is not known";
    refused(&denied, text, false).await;
    refused("HTTP/1.1 403 X\r\nContent-Length: 6\r\n\r\n<html>", "HTTP status 403", false).await;
    refused("HTTP/1.1 502 X\r\n\r\nno such host\r\n", "HTTP status 502: no such host", true).await;
}

async fn refused(answer: &str, text: &str, retryable: bool) {
    let (error, proxy) = answered(answer).await;
    assert!(matches!(error, ConnectError::ProxyRefused { .. }), "{error:?}");
    let whole = format!("the proxy {proxy} refused to connect to server.invalid:8080 with {text}");
    assert_eq!((error.to_string(), error.is_retryable()), (whole, retryable));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_proxy_is_told_and_named() {
    for (answer, reason) in [
        ("", "it sent no whole answer"),
        ("HTTP/1.1 200", "it sent no whole answer"),
        ("SSH-2.0", "the answer is not HTTP: invalid HTTP version parsed"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "bytes follow its answer"),
    ] {
        let (error, proxy) = answered(answer).await;
        let whole = format!("the proxy {proxy} gave no readable answer: {reason}");
        assert_eq!((error.to_string(), error.is_retryable()), (whole, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_silent_or_gone_is_named() {
    let (listener, endpoint) = through("").await;
    let began = Instant::now();
    let near = Client::connect(endpoint.clone(), ClientOptions::default());
    let (result, _accepted) = tokio::join!(near, listener.accept());
    let error = result.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Proxy, .. }), "{error}");
    assert!(error.is_retryable() && began.elapsed() < Duration::from_secs(11));

    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(endpoint, ClientOptions::default()).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.is_retryable()),
        (format!("cannot reach the proxy {address}"), true)
    );
    assert!(error.source().is_some());
}

#[cfg(feature = "_rustls")]
#[tokio::test]
async fn tls_goes_through_a_tunnel_and_to_the_proxy_itself() {
    use crate::tls::Authority;

    let authority = Authority::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::new(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let trust = realtime_client::Tls::default().trust_pem(authority.pem()).unwrap();
    let endpoint = at("wss://server.invalid", "m").proxy(proxy).tls(trust);
    let far = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tunnel = authority.serving("127.0.0.1").accept(tcp).await.unwrap();
        let head = read_head(&mut tunnel).await;
        assert!(head.starts_with("CONNECT server.invalid:443 HTTP/1.1\r\n"), "{head}");
        tunnel.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        tunnel.flush().await.unwrap();
        let server = authority.serving("server.invalid").accept(tunnel).await.unwrap();
        Server::accept(server).await.open().await;
    };
    let near = async {
        let (handle, mut events) = Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
        assert!(matches!(next(&mut events).await, Event::Created { .. }));
        assert!(matches!(next(&mut events).await, Event::Ready { .. }));
        handle
    };
    tokio::join!(far, near);
}

/// The error of a connection whose proxy gives this answer, and the proxy.
async fn answered(answer: &str) -> (ConnectError, String) {
    let (listener, endpoint) = through("user:canary!@").await;
    let far = async {
        let (mut tunnel, _) = listener.accept().await.unwrap();
        read_head(&mut tunnel).await;
        tunnel.write_all(answer.as_bytes()).await.unwrap();
    };
    let (result, ()) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
    (result.unwrap_err(), listener.local_addr().unwrap().to_string())
}

/// A proxy, and an endpoint behind it that only a proxy can find.
async fn through(user: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::new(&format!("http://{user}{}", listener.local_addr().unwrap())).unwrap();
    (listener, at("ws://server.invalid:8080", "m").key(KEY).proxy(proxy))
}
