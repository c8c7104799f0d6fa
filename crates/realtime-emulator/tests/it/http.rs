//! The port as HTTP clients see it, and the ways into a session besides `?model=`.

use futures_util::{SinkExt, StreamExt};
use realtime_emulator::disaster::{Action, Disaster, Rehearsal};
use realtime_emulator::{Options, ServeError, serve_stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

pub(crate) type Socket = WebSocketStream<DuplexStream>;

/// The answer's status, head and body.
pub(crate) async fn ask(options: &Options, request: &str) -> (u16, String, String) {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(serve_stream(far, options.clone()));
    near.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    near.read_to_string(&mut text).await.unwrap();
    drop(server.await.unwrap());
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.into(), body.into())
}

async fn post(options: &Options, path: &str, kind: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    ask(options, &(head + body)).await
}

pub(crate) async fn connect(options: &Options, path: &str, headers: &[(&'static str, &str)]) -> Socket {
    let (near, far) = tokio::io::duplex(1 << 20);
    drop::<JoinHandle<Result<(), ServeError>>>(tokio::spawn(serve_stream(far, options.clone())));
    let mut request = format!("ws://emulator{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client_async(request, near).await.unwrap().0
}

pub(crate) async fn event(socket: &mut Socket) -> Value {
    let message = socket.next().await.expect("the connection is open").unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_port_tells_how_it_is() {
    let options = Options::default();
    let (status, head, body) = ask(&options, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!((status, body.as_str()), (200, r#"{"sessions":0,"status":"ok"}"#));
    assert!(head.contains("Connection: close"));
    let mut socket = connect(&options, "/v1/realtime?model=m", &[]).await;
    event(&mut socket).await;
    let (_, _, body) = ask(&options, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(body, r#"{"sessions":1,"status":"ok"}"#);
    assert_eq!(ask(&options, "BREW / COFFEE\r\n\r\n").await.0, 400);
    assert_eq!(ask(&options, "GET /nowhere HTTP/1.1\r\n\r\n").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn pages_of_other_machines_are_refused_unless_they_are_allowed() {
    let get = |origin: &str| format!("GET /v1/models HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n\r\n");
    let page = "https://app.example";
    let (status, head, body) = ask(&Options::default(), &get(page)).await;
    assert_eq!(status, 403);
    assert!(body.contains("origin_not_allowed") && !head.contains("Access-Control"), "{head} {body}");
    let (_, head, _) = ask(&Options::default(), &get("http://localhost:5173")).await;
    assert!(head.contains("Access-Control-Allow-Origin: http://localhost:5173\r\n"), "{head}");
    let allowed = Options::default().allow_origin(page);
    let (status, head, _) = ask(&allowed, &get(page)).await;
    assert_eq!(status, 200);
    assert!(head.contains("Access-Control-Allow-Origin: https://app.example\r\n"), "{head}");
    let (_, head, _) = ask(&allowed, "GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(!head.contains("Access-Control") && head.contains("Vary: Origin"), "{head}");

    let mut socket = connect(&allowed, "/v1/realtime?model=m", &[("origin", page)]).await;
    assert_eq!(event(&mut socket).await["type"], "session.created");
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(serve_stream(far, Options::default()));
    let mut request = "ws://emulator/v1/realtime?model=m".into_client_request().unwrap();
    request.headers_mut().insert("origin", page.parse().unwrap());
    assert!(client_async(request, near).await.is_err());
    assert!(matches!(server.await.unwrap(), Err(ServeError::Refused(403))));
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_client_secret_begins_as_it_says() {
    let options = Options::default().api_key("sk-1");
    let body = r#"{"session":{"type":"realtime","model":"gpt-realtime-2","instructions":"Be brief."}}"#;
    assert_eq!(post(&options, "/v1/realtime/client_secrets", "application/json", body).await.0, 401);
    let open = options.clone();
    let request = format!(
        "POST /v1/realtime/client_secrets HTTP/1.1\r\nAuthorization: Bearer sk-1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, _, answer) = ask(&open, &request).await;
    assert_eq!(status, 200, "{answer}");
    let secret: Value = serde_json::from_str(&answer).unwrap();
    let protocols = format!("realtime, openai-insecure-api-key.{}", secret["value"].as_str().unwrap());
    let mut socket = connect(&options, "/v1/realtime", &[("sec-websocket-protocol", &protocols)]).await;
    let session = event(&mut socket).await["session"].clone();
    assert_eq!(
        (&session["model"], &session["instructions"]),
        (&json!("gpt-realtime-2"), &json!("Be brief."))
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_joined_until_it_ends() {
    let options = Options::default();
    let session = r#"{"type":"realtime","instructions":"You are a phone."}"#;
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"sdp\"\r\n\r\nv=0\r\nm=audio 9 UDP 111\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"session\"\r\n\r\n{session}\r\n--b--\r\n"
    );
    let (status, head, sdp) =
        post(&options, "/v1/realtime/calls", "multipart/form-data; boundary=b", &form).await;
    assert_eq!((status, &sdp[..3]), (201, "v=0"));
    let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
    let id = location.rsplit('/').next().unwrap();
    let mut socket = connect(&options, &format!("/v1/realtime?call_id={id}"), &[]).await;
    assert_eq!(event(&mut socket).await["session"]["instructions"], "You are a phone.");
    socket.send(Message::text(r#"{"type":"response.create"}"#)).await.unwrap();
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "output_audio_buffer.stopped") {
        kinds.push(event(&mut socket).await["type"].as_str().unwrap().to_owned());
    }
    assert!(kinds.contains(&"output_audio_buffer.started".into()));
    assert!(!kinds.contains(&"response.output_audio.delta".into()));

    assert_eq!(post(&options, &format!("{location}/hangup"), "", "").await.0, 200);
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1000);
}

/// The next event of that type; those before it are dropped.
async fn find(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let event = event(socket).await;
        if event["type"] == kind {
            return event;
        }
    }
}

async fn send(socket: &mut Socket, event: Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_side_channels_of_a_call_share_one_conversation() {
    let options = Options::default();
    let (calls, path) = ("/v1/realtime/calls/rtc_7", "/v1/realtime?call_id=rtc_7");
    assert_eq!(post(&options, &format!("{calls}/accept"), "", r#"{"type":"realtime"}"#).await.0, 200);
    let mut first = connect(&options, path, &[]).await;
    let mut second = connect(&options, path, &[]).await;
    let created = find(&mut first, "session.created").await;
    assert_eq!(find(&mut second, "session.created").await["session"]["id"], created["session"]["id"]);
    let update = json!({"type": "realtime", "instructions": "Be brief."});
    send(&mut first, json!({"type": "session.update", "session": update})).await;
    assert_eq!(find(&mut second, "session.updated").await["session"]["instructions"], "Be brief.");
    send(&mut second, json!({"type": "response.create"})).await;
    let id = find(&mut first, "response.created").await["response"]["id"].clone();
    assert_eq!(find(&mut second, "response.created").await["response"]["id"], id);
    // The one that asked leaves in the middle of it: the call goes on.
    second.close(None).await.unwrap();
    drop(second);
    assert_eq!(find(&mut first, "response.done").await["response"]["id"], id);
    assert_eq!(find(&mut first, "output_audio_buffer.stopped").await["response_id"], id);
    drop(first);
    // Nobody is in it for a while.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let mut late = connect(&options, path, &[]).await;
    let session = find(&mut late, "session.created").await["session"].clone();
    assert_eq!((&session["id"], &session["instructions"]), (&created["session"]["id"], &json!("Be brief.")));
    let beta = connect_status(&options, path, &[("openai-beta", "realtime=v1")]).await;
    assert_eq!(beta, Some(400));
    assert_eq!(ask(&options, "GET /healthz HTTP/1.1\r\n\r\n").await.2, r#"{"sessions":1,"status":"ok"}"#);
    assert_eq!(post(&options, &format!("{calls}/hangup"), "", "").await.0, 200);
    let Some(Ok(Message::Close(Some(frame)))) = late.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1000);
    assert_eq!(connect_status(&options, path, &[]).await, Some(404));
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_is_on_the_wire() {
    let rehearse = |name: &str| Options::default().rehearse(Rehearsal::named(name).unwrap());
    let mut socket = connect(&rehearse("binary_events"), "/v1/realtime?model=m", &[]).await;
    let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("no binary message") };
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["type"], "session.created");

    let key = [("authorization", "Bearer sk-hush")];
    let mut socket = connect(&rehearse("says_key_back"), "/v1/realtime?model=m", &key).await;
    send(&mut socket, json!({"type": "response.create"})).await;
    let error = find(&mut socket, "error").await;
    assert!(error["error"]["message"].as_str().unwrap().contains("sk-hush"));
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "bad key sk-hush"));

    let (options, path) = (rehearse("unknown_call"), "/v1/realtime?call_id=rtc_6");
    assert_eq!(post(&options, "/v1/realtime/calls/rtc_6/accept", "", r#"{"type":"realtime"}"#).await.0, 200);
    assert_eq!(connect_status(&options, path, &[]).await, Some(404));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(connect_status(&options, path, &[]).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_one_channel_asks_for_is_heard_by_all() {
    let options = Options::default().control(true);
    let path = "/v1/realtime?call_id=rtc_9";
    assert_eq!(post(&options, "/v1/realtime/calls/rtc_9/accept", "", r#"{"type":"realtime"}"#).await.0, 200);
    let (mut first, mut second) = (connect(&options, path, &[]).await, connect(&options, path, &[]).await);
    let key = json!({"after_ms": 500, "do": "dtmf", "event": "9"});
    send(&mut first, json!({"type": "emulator.disaster", "disaster": key})).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(find(socket, "input_audio_buffer.dtmf_event_received").await["event"], "9");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_session_is_over_cannot_be_joined_again() {
    let options = Options::default().session_length(std::time::Duration::from_secs(10));
    let accept = "/v1/realtime/calls/rtc_8/accept";
    assert_eq!(post(&options, accept, "", r#"{"type":"realtime"}"#).await.0, 200);
    let mut socket = connect(&options, "/v1/realtime?call_id=rtc_8", &[]).await;
    assert_eq!(find(&mut socket, "error").await["error"]["code"], "session_expired");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(connect_status(&options, "/v1/realtime?call_id=rtc_8", &[]).await, Some(404));
}

#[tokio::test(start_paused = true)]
async fn calls_that_everybody_left_are_bounded() {
    let options = Options::default();
    let path = |number: u32| format!("/v1/realtime?call_id=rtc_{number}");
    let mut stays = None;
    for number in 0..70 {
        let accept = format!("/v1/realtime/calls/rtc_{number}/accept");
        assert_eq!(post(&options, &accept, "", r#"{"type":"realtime"}"#).await.0, 200);
        let mut socket = connect(&options, &path(number), &[]).await;
        find(&mut socket, "session.created").await;
        if number == 0 {
            stays = Some(socket);
        } else {
            socket.close(None).await.unwrap();
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        }
    }
    // The oldest that nobody is in have ended; the one that somebody is in has not.
    send(stays.as_mut().unwrap(), json!({"type": "session.update", "session": {"type": "realtime"}})).await;
    find(stays.as_mut().unwrap(), "session.updated").await;
    assert_eq!(connect_status(&options, &path(1), &[]).await, Some(404));
    assert_eq!(connect_status(&options, &path(69), &[]).await, None);
}

/// The status that refuses a WebSocket, if it is refused.
async fn connect_status(options: &Options, path: &str, headers: &[(&'static str, &str)]) -> Option<u16> {
    let (near, far) = tokio::io::duplex(1 << 16);
    drop::<JoinHandle<Result<(), ServeError>>>(tokio::spawn(serve_stream(far, options.clone())));
    let mut request = format!("ws://emulator{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, near).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Some(response.status().as_u16()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn azures_preview_speaks_beta_and_its_first_version_ga() {
    let options = Options::default().api_key("sk-1");
    let azure = "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview";
    let mut socket = connect(&options, azure, &[("api-key", "sk-1")]).await;
    let session = event(&mut socket).await["session"].clone();
    assert_eq!(
        (&session["model"], &session["modalities"]),
        (&json!("gpt-4o-realtime-preview"), &json!(["text", "audio"]))
    );
    assert_eq!(event(&mut socket).await["type"], "conversation.created");
    let mut socket =
        connect(&options, "/openai/v1/realtime?model=my-deployment", &[("api-key", "sk-1")]).await;
    assert_eq!(event(&mut socket).await["session"]["output_modalities"], json!(["audio"]));
}

#[tokio::test(start_paused = true)]
async fn beta_can_be_shut_down_as_openai_did() {
    let options = Options::default().beta(false);
    let mut socket = connect(&options, "/v1/realtime?model=m", &[("openai-beta", "realtime=v1")]).await;
    assert_eq!(event(&mut socket).await["error"]["code"], "beta_api_shape_disabled");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 4000);
}

#[tokio::test(start_paused = true)]
async fn a_cut_without_a_code_and_a_break_look_as_they_should() {
    let cut = |action| Options::default().disasters([Disaster::at("response.created", action)]);
    let create = Message::text(r#"{"type":"response.create"}"#);
    let options = cut(Action::Cut { code: None, reason: String::new() });
    let mut socket = connect(&options, "/v1/realtime?model=m", &[]).await;
    event(&mut socket).await;
    socket.send(create.clone()).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(None)))));

    let mut socket = connect(&cut(Action::Break), "/v1/realtime?model=m", &[]).await;
    event(&mut socket).await;
    socket.send(create).await.unwrap();
    assert!(matches!(socket.next().await, Some(Err(_)) | None));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_logged_on_request() {
    let directory = std::env::temp_dir().join(format!("realtime-emulator-log-{}", std::process::id()));
    let options = Options::default().log_directory(&directory);
    let mut socket = connect(&options, "/v1/realtime?model=m", &[]).await;
    let mut lines = vec![event(&mut socket).await];
    let tool =
        json!({"type": "mcp", "server_label": "docs", "authorization": "hush", "server_url": "https://x"});
    for text in [
        json!({"type": "session.update", "session": {"type": "realtime", "tools": [tool]}}).to_string(),
        "not json".into(),
        "{\n\"type\": \"ping\"\n}".into(),
    ] {
        socket.send(Message::text(text)).await.unwrap();
        lines.push(event(&mut socket).await);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    // The server writes the last line once it has seen the end.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let log = std::fs::read_to_string(directory.join("session-000000.jsonl")).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let mut rest = log.lines();
    let header = realtime_protocol::log::read_header(rest.next().unwrap()).unwrap();
    assert_eq!(header.model, "m");
    let sources: Vec<_> =
        rest.map(|line| serde_json::from_str::<Value>(line).unwrap()["from"].clone()).collect();
    assert!(sources.contains(&json!("client")) && sources.len() >= 7, "{log}");
    assert!(log.contains("[redacted]") && !log.contains("hush"));
    assert!(log.contains(r#""from":"client","text":"not json""#) && log.contains("ping"), "{log}");
    assert!(log.lines().last().unwrap().contains("disconnected"));
}
