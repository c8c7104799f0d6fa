//! How calls begin with each kind of key, and how they end from the server's side.

use std::sync::{Arc, Mutex};

use realtime_client::{ApiKey, Rest, RestError};
use realtime_protocol::call::{CloseReason, Command, ConnectionEvent, DisconnectReason, Reconnect};
use realtime_protocol::http::ClientSecretRequest;
use serde_json::json;

use super::*;

/// A way to servers that notes the ids of its calls.
fn noting_calls() -> (WebRtc, Arc<Mutex<Vec<String>>>) {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&ids);
    let webrtc = WebRtc::new().on_call(move |id| noted.lock().unwrap().push(id.to_owned()));
    (webrtc, ids)
}

#[tokio::test]
async fn a_short_lived_key_brings_its_session() {
    let url = server(json!({ "turns": [] })).await;
    let session = SessionConfig::realtime().model("gpt-realtime-mini");
    let request = ClientSecretRequest::default().session(Box::new(session));
    let secret = Rest::new(endpoint(&url)).create_client_secret(&request).await.unwrap();
    let key = ApiKey::from_client_secret(&secret).unwrap();
    let call = Client::over_webrtc(WebRtc::new(), endpoint(&url).key(key), options()).await.unwrap();
    let (ready, _) = Talk::of(call).until(is_ready).await;
    let Event::Ready { config, .. } = ready else { unreachable!() };
    assert_eq!(config.model.value().map(String::as_str), Some("gpt-realtime-mini"));
    assert_eq!(config.instructions.value().map(String::as_str), Some("Be brief."));
}

#[tokio::test]
async fn the_server_hangs_up_and_the_call_goes_on_with_another_if_it_may() {
    let url = server(json!({ "turns": [{ "on": "request", "reply": [{ "say": "I am back." }] }] })).await;
    let (webrtc, ids) = noting_calls();
    let options = options().reconnect(Reconnect::default());
    let call = Client::over_webrtc(webrtc, endpoint(&url), options).await.unwrap();
    let mut talk = Talk::of(call);
    talk.until(is_ready).await;

    let rest = Rest::new(endpoint(&url));
    let first = ids.lock().unwrap()[0].clone();
    rest.hang_up_call(&first).await.unwrap();
    let resumed = |event: &Event| matches!(event, Event::Connection(ConnectionEvent::Resumed { .. }));
    talk.until(resumed).await;
    assert_eq!(ids.lock().unwrap().len(), 2);
    drop(talk.handle.send(Command::CreateResponse { params: None, protected: false }).unwrap());
    let (_, heard) = talk.until(is_played).await;
    assert!(millis(&heard) > 500, "{} ms", millis(&heard));
    let gone = rest.hang_up_call(&first).await;
    assert!(matches!(gone, Err(RestError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_call_that_may_not_reconnect_is_told_that_the_server_hung_up() {
    let url = server(json!({ "turns": [] })).await;
    let (webrtc, ids) = noting_calls();
    let call = Client::over_webrtc(webrtc, endpoint(&url), options()).await.unwrap();
    let mut talk = Talk::of(call);
    talk.until(is_ready).await;
    let id = ids.lock().unwrap()[0].clone();
    Rest::new(endpoint(&url)).hang_up_call(&id).await.unwrap();
    loop {
        if let Event::Closed { reason } = talk.next().await {
            let CloseReason::Disconnected(DisconnectReason::Closed { code: None, reason }) = reason else {
                panic!("{reason:?}")
            };
            assert_eq!(reason, "the call was hung up");
            break;
        }
    }
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_call_at_the_server() {
    let url = server(json!({ "turns": [] })).await;
    let (webrtc, ids) = noting_calls();
    let call = Client::over_webrtc(webrtc, endpoint(&url), options()).await.unwrap();
    let mut talk = Talk::of(call);
    talk.until(is_ready).await;
    talk.handle.close().await.unwrap();
    let id = ids.lock().unwrap()[0].clone();
    let rest = Rest::new(endpoint(&url));
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // A call that runs could be referred.
        if matches!(rest.refer_call(&id, "").await, Err(RestError::NotFound(_))) {
            return;
        }
    }
    panic!("the call still runs at the server");
}

#[tokio::test]
async fn push_to_talk_commits_what_was_said_before() {
    let script = json!({ "turns": [{ "on": "speech", "transcript": "One two three.", "reply": [{ "text": "Yes." }] }] });
    let mut config = SessionConfig::realtime();
    config.input_mut().turn_detection = realtime_protocol::field::Field::Null;
    let options = ClientOptions::new(SessionOptions::default().config(config));
    let mut talk = connect(&server(script).await, options).await;
    talk.until(is_ready).await;
    // All at once: it is sent at the pace at which it sounds, and the commit waits for it.
    let said = voice::speak("One two three.");
    for frame in said.pcm().chunks(4800) {
        talk.handle.append_audio(frame.to_vec()).unwrap();
    }
    let item = talk.handle.commit_audio(true).await.unwrap();
    talk.until(|event| matches!(event, Event::ResponseFinished(_))).await;
    let item = talk.handle.retrieve_item(item).await.unwrap();
    let text = serde_json::to_string(&item).unwrap();
    let audio = text.split("\"audio\":\"").nth(1).map_or(0, |rest| rest.split('"').next().unwrap().len());
    let millis = audio / 4 * 3 / 48;
    let expected = usize::try_from(said.duration().as_millis()).unwrap();
    assert!((expected - 100..expected + 1500).contains(&millis), "{millis} ms of {expected} ms");
}
