//! The way through a SOCKS5 proxy, over loopback.

use std::net::Ipv4Addr;

use realtime_client::{Client, ClientOptions, ConnectError, Endpoint, Proxy};
use realtime_protocol::call::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_session_runs_through_a_socks_proxy_that_resolves_the_name() {
    for (user, scheme) in [("", "socks5"), ("us%40er:canary!@", "socks5h")] {
        let (listener, endpoint) = through(scheme, user).await;
        let far = async {
            let (mut tunnel, _) = listener.accept().await.unwrap();
            tunnel.set_nodelay(true).unwrap();
            let (login, asked) = negotiate(&mut tunnel).await;
            assert_eq!(login, (!user.is_empty()).then(|| ("us@er".to_owned(), "canary!".to_owned())));
            assert_eq!(asked, "server.invalid:8080");
            tunnel.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let mut server = Server::accept(tunnel).await;
            server.open().await;
            server.expect_close().await;
        };
        let near = async {
            let (handle, mut events) =
                Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
            assert!(matches!(next(&mut events).await, Event::Created { .. }));
            assert!(matches!(next(&mut events).await, Event::Ready { .. }));
            handle.close().await.unwrap();
        };
        tokio::join!(far, near);
    }
}

#[tokio::test(start_paused = true)]
async fn a_socks_proxy_that_refuses_says_why_and_whether_to_try_again() {
    for (code, text, retryable) in [
        (1, "it failed", true),
        (2, "its rules forbid it", false),
        (4, "it cannot reach that host", true),
        (5, "the server refused its connection", true),
        (8, "it does not support this kind of connection", false),
    ] {
        let (error, proxy) = told(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        assert!(matches!(error, ConnectError::SocksRefused { .. }), "{error:?}");
        let whole = format!("the proxy {proxy} refused to connect to server.invalid:8080: {text}");
        assert_eq!((error.to_string(), error.is_retryable()), (whole, retryable));
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    for (answer, reason) in [(&b""[..], "it sent no whole answer"), (b"HTTP/1.1 4", "not SOCKS5")] {
        let (error, proxy) = told(answer).await;
        assert!(matches!(error, ConnectError::ProxyFailed { .. }) && error.is_retryable(), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("the proxy {proxy} gave no readable answer: ")), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socks_proxy_that_does_not_take_the_user_says_so() {
    for (answers, text) in [
        (&[&[5, 2][..], &[1, 1]][..], "it does not take the user and password"),
        (&[&[5, 0xff]], "it wants another way to authenticate: expected none, or user and password"),
    ] {
        let (listener, endpoint) = through("socks5", "user:canary@").await;
        let far = async {
            let (mut tunnel, _) = listener.accept().await.unwrap();
            for answer in answers {
                assert!(tunnel.read(&mut [0; 600]).await.unwrap() > 0);
                tunnel.write_all(answer).await.unwrap();
            }
            tunnel
        };
        let (result, _tunnel) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
        let error = result.unwrap_err();
        assert!(error.to_string().ends_with(text) && !error.is_retryable(), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

/// Does the proxy's half up to its answer: the login, if there is one, and what it is asked for.
async fn negotiate(tunnel: &mut TcpStream) -> (Option<(String, String)>, String) {
    assert_eq!(tunnel.read_u8().await.unwrap(), 5);
    let methods = text(tunnel).await;
    let login = if methods.contains('\u{2}') {
        tunnel.write_all(&[5, 2]).await.unwrap();
        assert_eq!(tunnel.read_u8().await.unwrap(), 1);
        let login = (text(tunnel).await, text(tunnel).await);
        tunnel.write_all(&[1, 0]).await.unwrap();
        Some(login)
    } else {
        tunnel.write_all(&[5, 0]).await.unwrap();
        None
    };
    let mut head = [0; 4];
    tunnel.read_exact(&mut head).await.unwrap();
    assert_eq!(head, [5, 1, 0, 3], "a connection to a name");
    let host = text(tunnel).await;
    (login, format!("{host}:{}", tunnel.read_u16().await.unwrap()))
}

/// Text after its length.
async fn text(tunnel: &mut TcpStream) -> String {
    let mut text = vec![0; tunnel.read_u8().await.unwrap().into()];
    tunnel.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// The error of a connection whose proxy gives this answer, and the proxy.
async fn told(answer: &[u8]) -> (ConnectError, String) {
    let (listener, endpoint) = through("socks5", "user:canary@").await;
    let far = async {
        let (mut tunnel, _) = listener.accept().await.unwrap();
        negotiate(&mut tunnel).await;
        tunnel.write_all(answer).await.unwrap();
    };
    let (result, ()) = tokio::join!(Client::connect(endpoint, ClientOptions::default()), far);
    (result.unwrap_err(), listener.local_addr().unwrap().to_string())
}

/// A proxy, and an endpoint behind it that only a proxy can find.
async fn through(scheme: &str, user: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::new(&format!("{scheme}://{user}{}", listener.local_addr().unwrap())).unwrap();
    (listener, at("ws://server.invalid:8080", "m").key(KEY).proxy(proxy))
}
