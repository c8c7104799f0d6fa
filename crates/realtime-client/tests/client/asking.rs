//! A question and its whole answer, and a call whose task is polled.

use realtime_client::{Client, ClientOptions, Error, SendError};
use realtime_protocol::call::{CloseReason, Command, Event, Refusal, ResponseEnd};
use realtime_protocol::field::Field;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::SessionConfig;
use serde_json::json;
use tokio::io::duplex;

use crate::support::*;

/// Adds the item that the client sends, and takes its request for a response.
async fn take_question<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(server: &mut Server<S>) {
    let created = server.expect("conversation.item.create").await;
    server.send(json!({"type": "conversation.item.added", "item": created["item"]})).await;
    server.expect("response.create").await;
}

fn words(response_id: &str, text: &str) -> serde_json::Value {
    json!({
        "type": "response.output_audio_transcript.delta", "response_id": response_id, "item_id": "a",
        "output_index": 0, "content_index": 0, "delta": text,
    })
}

#[tokio::test(start_paused = true)]
async fn a_reply_has_the_words_the_voice_the_cost_and_the_end() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        take_question(&mut server).await;
        server.begin_response("r", "a").await;
        server.send(words("r", "Hello ")).await;
        server.audio("r", "a", "AAEC").await;
        server.send(words("r", "Ada.")).await;
        server.audio("r", "a", "AwQF").await;
        let usage = json!({"input_tokens": 3, "output_tokens": 5});
        let done = json!({"id": "r", "status": "incomplete", "output": [], "usage": usage,
            "status_details": {"type": "incomplete", "reason": "max_output_tokens"}});
        server.send(json!({"type": "response.done", "response": done})).await;
    };
    let (reply, ()) = tokio::join!(handle.ask("I am Ada."), far);
    let reply = reply.unwrap();
    assert_eq!(reply.text, "Hello Ada.");
    assert_eq!(*reply.audio, [0, 1, 2, 3, 4, 5]);
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (3, 5));
    assert!(matches!(reply.outcome, ResponseEnd::Incomplete { .. }));
    let shown = format!("{reply:?}");
    assert!(!shown.contains("Ada") && shown.contains("10 bytes"), "{shown}");
    let Err(Error::NotCompleted { response_id, .. }) = reply.into_result() else {
        panic!("expected an error")
    };
    assert_eq!(response_id, "r");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_question_is_what_is_said_after_the_functions() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let call =
        json!({"id": "f", "type": "function_call", "call_id": "c", "name": "clock", "arguments": "{}"});
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ask("What time is it?").await }
    });
    take_question(&mut server).await;
    server.begin_response("r1", "a1").await;
    server.send(words("r1", "Let me look. ")).await;
    let done = json!({"id": "r1", "status": "completed", "output": [call]});
    server.send(json!({"type": "response.done", "response": done})).await;
    while !matches!(next(&mut events).await, Event::FunctionCalls { .. }) {}
    assert!(!asked.is_finished());
    let output = realtime_protocol::call::FunctionOutput::Result(json!("noon").to_string().into());
    let far = async {
        let output = server.expect("conversation.item.create").await;
        server.send(json!({"type": "conversation.item.added", "item": output["item"]})).await;
        server.expect("response.create").await;
        server.begin_response("r2", "a2").await;
        server.send(words("r2", "Noon.")).await;
        server.end_response("r2").await;
    };
    let (answered, ()) = tokio::join!(handle.answer_function("c", output), far);
    answered.unwrap();
    let reply = asked.await.unwrap().unwrap();
    assert_eq!((reply.text.as_str(), reply.response_id.as_str()), ("Let me look. Noon.", "r2"));
}

#[tokio::test(start_paused = true)]
async fn a_question_whose_function_needs_no_answer_is_answered_by_what_was_said() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let call = json!({"id": "f", "type": "function_call", "call_id": "c", "name": "note", "arguments": "{}"});
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ask("Note this.").await }
    });
    take_question(&mut server).await;
    server.begin_response("r1", "a1").await;
    server.send(words("r1", "Noted.")).await;
    let done = json!({"id": "r1", "status": "completed", "output": [call]});
    server.send(json!({"type": "response.done", "response": done})).await;
    while !matches!(next(&mut events).await, Event::FunctionCalls { .. }) {}
    let output = realtime_protocol::call::FunctionOutput::Result("null".into());
    let silent = Command::AnswerFunction { call_id: "c".into(), output, respond: false };
    let answered = handle.send(silent).unwrap();
    let output = server.expect("conversation.item.create").await;
    server.send(json!({"type": "conversation.item.added", "item": output["item"]})).await;
    answered.await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap().text, "Noted.");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_refused_or_ends_with_the_call_says_so() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        let created = server.expect("conversation.item.create").await;
        let error =
            json!({"type": "invalid_request_error", "message": "No.", "event_id": created["event_id"]});
        server.send(json!({"type": "error", "error": error})).await;
    };
    let (refused, ()) = tokio::join!(handle.ask("Hm?"), far);
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let far = async {
        take_question(&mut server).await;
        server.begin_response("r", "a").await;
        server.ws.close(None).await.unwrap();
    };
    let (lost, ()) = tokio::join!(handle.ask("Hm?"), far);
    assert!(matches!(lost.map(|reply| reply.outcome), Ok(ResponseEnd::Lost)));
    let late = handle.ask("Hm?").await.unwrap_err();
    assert!(matches!(late, Error::Send(SendError::Closed { reason: Some(_), .. })), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn two_questions_at_once_get_the_answer_that_serves_both() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        for _ in 0..2 {
            let created = server.receive().await;
            if created["type"] == "conversation.item.create" {
                server.send(json!({"type": "conversation.item.added", "item": created["item"]})).await;
            }
        }
        while server.receive().await["type"] != "response.create" {}
        server.begin_response("r1", "a").await;
        server.send(words("r1", "One.")).await;
        server.end_response("r1").await;
        if server.receive().await["type"] == "response.create" {
            server.begin_response("r2", "b").await;
            server.send(words("r2", "Two.")).await;
            server.end_response("r2").await;
        }
    };
    let both = async { tokio::join!(handle.ask("1?"), handle.ask("2?")) };
    tokio::select! {
        ((first, second), ()) = async { tokio::join!(both, far) } => {
            let texts = [first.unwrap().text, second.unwrap().text];
            assert_eq!(texts, ["One.", "Two."], "each has its own");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_and_could_not_be_right_is_this_sides_refusal() {
    let mut config = SessionConfig::realtime();
    config.input_mut().turn_detection = Field::Null;
    let session = SessionOptions::default().config(config);
    let (handle, _events, mut server) = connect(session).await;
    let commit = handle.send(Command::CommitAudio { respond: false }).unwrap();
    server.open().await;
    let error = commit.await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::TooShort { .. })), "{error}");
    assert!(
        error.to_string().starts_with("the session did not carry it out: expected at least 100 ms"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_command_after_the_decision_to_close_is_told_why() {
    let bounds = realtime_client::Bounds::default().events(10);
    let (handle, _events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    for n in 0..1000 {
        server.send(json!({"type": "brand.new", "n": n})).await;
    }
    let error = match handle.send(Command::ClearAudio {}) {
        Err(error) => Error::from(error),
        Ok(pending) => pending.await.expect_err("the server answers nothing"),
    };
    assert!(error.to_string().contains("too slow"), "{error}");
    assert!(handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_polled_where_its_events_are_read() {
    let (near, far) = duplex(64 * 1024);
    let endpoint = endpoint();
    let options = ClientOptions::default().polled();
    let (call, mut server) = tokio::join!(Client::over(near, &endpoint, options), Server::accept(far));
    let mut call = call.unwrap();
    let handle = call.handle().clone();
    let asked = tokio::spawn(async move {
        server.open().await;
        take_question(&mut server).await;
        server.begin_response("r", "a").await;
        server.send(words("r", "Here.")).await;
        server.end_response("r").await;
        server.expect_close().await;
    });
    let question = tokio::spawn(async move {
        let reply = handle.ask("Where?").await.unwrap();
        handle.close().await.unwrap();
        reply.text
    });
    let mut reason = None;
    while let Some(event) = call.next().await {
        if let Event::Closed { reason: why } = event {
            reason = Some(why);
        }
    }
    assert_eq!(reason, Some(CloseReason::Requested));
    assert_eq!(question.await.unwrap(), "Here.");
    asked.await.unwrap();
}

#[cfg(feature = "tools")]
#[tokio::test(start_paused = true)]
async fn a_polled_call_that_is_dropped_leaves_its_conversation_to_the_next_one() {
    use realtime_context::{Conversation, Message};

    let conversation = Conversation::from_messages([Message::user("One.")]);
    let (near, far) = duplex(64 * 1024);
    let endpoint = endpoint();
    let options = ClientOptions::default().conversation(conversation.clone()).polled();
    let (call, mut server) = tokio::join!(Client::over(near, &endpoint, options), Server::accept(far));
    let mut call = call.unwrap();
    let served = async {
        server.open().await;
        server.expect("conversation.item.create").await;
    };
    tokio::select! {
        () = served => {}
        () = async { while call.next().await.is_some() {} } => panic!("the call goes on"),
    }
    drop(call);
    conversation.append(Message::user("Two."));
    let (_handle, _events, mut server) = ready(ClientOptions::default().conversation(conversation)).await;
    let told = server.expect("conversation.item.create").await.to_string();
    assert!(told.contains("One.") && told.contains("Two."), "{told}");
    server.expect_silence().await;
}
