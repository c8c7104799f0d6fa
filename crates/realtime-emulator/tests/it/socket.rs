//! The socket part: over TCP as any client would come, and over a byte stream in paused time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_emulator::brain::{Brain, Reply, Turn};
use realtime_emulator::{Emulator, Options, ServeError, serve_stream};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

struct Server {
    url: String,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn server(options: Options) -> Server {
    let emulator = Emulator::bind("127.0.0.1:0", options.pace(0.0).latency(Duration::ZERO)).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let (url, address) = (emulator.url(), emulator.local_addr());
    let task = tokio::spawn(emulator.serve(async move { drop(stopped.await) }));
    Server { url, address, stop, task }
}

async fn connect(
    server: &Server,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
    let mut request = format!("{}?model=gpt-realtime", server.url).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(server.address).await.unwrap();
    client_async(request, stream).await.map(|(socket, _)| socket)
}

/// The next event of that kind; all before it are dropped.
async fn event<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, kind: &str) -> Value {
    loop {
        let message = socket.next().await.expect("the connection is open").unwrap();
        let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if event["type"] == kind {
            return event;
        }
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, event: Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

/// A text message, and the response to it.
async fn text_turn<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Value {
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]});
    send(socket, json!({"type": "conversation.item.create", "item": item})).await;
    send(socket, json!({"type": "response.create"})).await;
    event(socket, "response.done").await["response"].clone()
}

#[tokio::test]
async fn a_client_connects_talks_and_leaves() {
    let server = server(Options::default().api_key("sk-1")).await;
    let mut socket = connect(&server, &[("authorization", "Bearer sk-1")]).await.unwrap();
    let created = event(&mut socket, "session.created").await;
    assert_eq!(created["session"]["model"], "gpt-realtime");
    assert_eq!(text_turn(&mut socket).await["status"], "completed");
    socket.send(Message::Ping("here?".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("here?".into()));
    socket.send(Message::Binary(vec![1, 2].into())).await.unwrap();
    event(&mut socket, "error").await;
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, None | Some(Ok(Message::Close(_)))));
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_spawned_server_tells_what_it_received_and_ends_with_its_handle() {
    let emulator = Emulator::spawn(Options::default().pace(0.0).latency(Duration::ZERO)).await.unwrap();
    let address = emulator.url().trim_start_matches("ws://").trim_end_matches("/v1/realtime").to_owned();
    let request = format!("{}?model=gpt-realtime", emulator.url()).into_client_request().unwrap();
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    text_turn(&mut socket).await;
    socket.send(Message::text("no JSON")).await.unwrap();
    send(&mut socket, json!({"type": "response.create", "event_id": "last"})).await;
    let asked = emulator.receives("response.create", 2).await;
    assert_eq!(asked[1]["event_id"], "last");
    let received = emulator.received();
    assert_eq!(received[0]["item"]["content"][0]["text"], "hi");
    assert_eq!(received[2], "no JSON");
    assert_eq!(emulator.received_of("session.update"), Vec::<Value>::new());
    assert!(!format!("{emulator:?}").contains("hi"));
    drop(emulator);
    while !matches!(socket.next().await, None | Some(Err(_) | Ok(Message::Close(_)))) {}
}

#[tokio::test]
async fn keys_are_checked_and_the_subprotocol_is_selected() {
    let server = server(Options::default().api_key("sk-1")).await;
    let refused = connect(&server, &[("authorization", "Bearer sk-2")]).await;
    let Err(tungstenite::Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 401);
    let body: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "invalid_api_key");
    let protocols = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1");
    let mut socket = connect(&server, &[protocols]).await.unwrap();
    event(&mut socket, "session.created").await;
}

#[tokio::test]
async fn a_shutdown_closes_all_connections() {
    let server = server(Options::default()).await;
    let mut socket = connect(&server, &[]).await.unwrap();
    event(&mut socket, "session.created").await;
    server.stop.send(()).unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!(frame.code, CloseCode::Away);
    server.task.await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_turned_away() {
    let server = server(Options::default().most_connections(1)).await;
    let mut first = connect(&server, &[]).await.unwrap();
    event(&mut first, "session.created").await;
    match connect(&server, &[]).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 503),
        // The request may be cut off by the answer.
        Err(tungstenite::Error::Io(_)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(text_turn(&mut first).await["status"], "completed");
}

#[tokio::test]
async fn half_a_request_keeps_nobody_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = server(Options::default().most_connections(2)).await;
    let mut halves = Vec::new();
    let post = "POST /v1/realtime/client_secrets HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
    for text in ["GET", post] {
        let mut half = TcpStream::connect(server.address).await.unwrap();
        half.write_all(text.as_bytes()).await.unwrap();
        halves.push(half);
    }
    let mut sessions = Vec::new();
    // The oldest gives way, be it half a head or half a body; a session stays.
    for half in &mut halves {
        let mut socket = connect(&server, &[]).await.unwrap();
        let mut answer = String::new();
        half.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert_eq!(text_turn(&mut socket).await["status"], "completed");
        sessions.push(socket);
    }
    assert!(connect(&server, &[]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_waited_for_five_seconds() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let start = tokio::time::Instant::now();
    let (mut near, far) = tokio::io::duplex(1 << 10);
    let server = tokio::spawn(serve_stream(far, Options::default()));
    near.write_all(b"GET").await.unwrap();
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(matches!(server.await.unwrap(), Err(ServeError::Refused(408))));
    assert_eq!(start.elapsed().as_secs(), 5);
}

struct Panics;

impl Brain for Panics {
    fn reply(&mut self, _turn: &Turn<'_>) -> Reply {
        panic!("this brain always does")
    }
}

#[tokio::test]
async fn a_panic_takes_down_its_own_connection_alone() {
    let server = server(Options::default().brain(|| Panics)).await;
    let mut first = connect(&server, &[]).await.unwrap();
    let mut second = connect(&server, &[]).await.unwrap();
    send(&mut first, json!({"type": "response.create"})).await;
    event(&mut first, "session.created").await;
    assert!(matches!(first.next().await, None | Some(Err(_))));
    event(&mut second, "session.created").await;
    send(&mut second, json!({"type": "session.update", "session": {"type": "realtime"}})).await;
    event(&mut second, "session.updated").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_served_in_virtual_time() {
    let options = Options::default().wall_clock(|| realtime_protocol::time::UnixTime::from_secs(1_000));
    let start = tokio::time::Instant::now();
    let (near, far) = tokio::io::duplex(1 << 20);
    let server = tokio::spawn(serve_stream(far, options));
    let (mut socket, _) = client_async("ws://emulator/v1/realtime?model=m", near).await.unwrap();
    let created = event(&mut socket, "session.created").await;
    assert_eq!(created["session"]["expires_at"], 4_600);
    let response = text_turn(&mut socket).await;
    // 200 ms until it begins, then ten times as fast as it plays.
    let audio_ms = response["usage"]["output_token_details"]["audio_tokens"].as_u64().unwrap() * 50;
    let expected = Duration::from_millis(200 + audio_ms / 10);
    let took = start.elapsed();
    assert!(took.abs_diff(expected) < Duration::from_millis(20), "{took:?}, expected {expected:?}");
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_to_the_caller() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(serve_stream(far, Options::default()));
    let refused = client_async("ws://emulator/v1/elsewhere?model=m", near).await;
    assert!(matches!(refused, Err(tungstenite::Error::Http(response)) if response.status() == 404));
    assert!(matches!(server.await.unwrap(), Err(ServeError::Refused(404))));
}

#[tokio::test]
async fn a_message_that_is_too_big_closes_the_connection_with_1009() {
    let server = server(Options::default()).await;
    let mut socket = connect(&server, &[]).await.unwrap();
    event(&mut socket, "session.created").await;
    // The server may close before all of it is sent.
    drop(socket.send(Message::text("x".repeat((16 << 20) + 1))).await);
    let close = loop {
        match socket.next().await.expect("a close comes first").unwrap() {
            Message::Close(frame) => break frame.unwrap(),
            _ => continue,
        }
    };
    assert_eq!(close.code, CloseCode::Size);
    let mut next = connect(&server, &[]).await.unwrap();
    assert_eq!(text_turn(&mut next).await["status"], "completed");
}

#[tokio::test]
async fn a_request_that_asks_for_no_whole_websocket_is_told_so() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = server(Options::default()).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let whole =
        format!("{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    for (version, headers, status) in [
        ("1.1", String::new(), "426 Upgrade Required"),
        ("1.1", upgrade.into(), "426 Upgrade Required"),
        ("1.1", format!("{upgrade}Sec-WebSocket-Version: 8\r\n"), "426 Upgrade Required"),
        ("1.1", format!("{upgrade}Sec-WebSocket-Version: 13\r\n"), "400 Bad Request"),
        ("1.1", whole.replace("dGhlIHNhbXBsZSBub25jZQ==", "x"), "400 Bad Request"),
        ("1.1", whole.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), "400 Bad Request"),
        ("1.1", whole.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHN!bXBsZSBub25jZQ=="), "400 Bad Request"),
        ("1.1", format!("{whole}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "400 Bad Request"),
        ("1.0", whole.clone(), "400 Bad Request"),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /v1/realtime?model=m HTTP/{version}\r\nHost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{headers}: {answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn a_request_that_a_library_would_hang_up_on_is_answered() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = server(Options::default()).await;
    let version = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (target, headers) in [
        ("/v1/realtime?model=m", "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("/v1/realtime?model=m", "Connection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n"),
        ("/v1/realtime?model=<m>{}|\"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}{version}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(std::str::from_utf8(&head).unwrap(), "HTTP/1.1 101", "{target} {headers}");
    }
}
