//! What a context makes of call events, one at a time, in any order, and from a real session.

use std::sync::Arc;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{
    AudioChunk, CloseReason, FunctionCall, FunctionEnd, Origin, Place, ResponseEnd, Timeline,
};
use realtime_protocol::error::ApiError;
use realtime_protocol::id::ResponseId;
use realtime_protocol::item::{Item, MessageItem};
use serde_json::{Value, json};

use super::*;
use crate::conversation::Conversation;
use crate::log::{INAUDIBLE, UNTRANSCRIBED};
use crate::message::Message;
use crate::sync::History;
use crate::transcript::Line;

mod interleavings;
mod with_session;

fn apply(context: &Conversation, events: impl IntoIterator<Item = Event>) -> Vec<Change> {
    events.into_iter().flat_map(|event| context.observe(&event)).collect()
}

fn said(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let context = Conversation::new();
    apply(&context, events);
    texts(&context)
}

fn entry(context: &Conversation, item_id: &str) -> EntryId {
    context.entry_of(&item_id.into()).unwrap()
}

fn line(context: &Conversation, item_id: &str) -> Option<Line> {
    context.line(entry(context, item_id))
}

/// The messages, a line each.
fn texts(context: &Conversation) -> Vec<String> {
    context.messages().iter().map(|m| format!("{}: {}", m.role.as_str(), m.text())).collect()
}

fn item(json: Value) -> Box<Item> {
    serde_json::from_value(json).unwrap()
}

fn placed(json: Value, after: Option<&str>) -> Event {
    let place = after.map_or(Place::Untold, |after| Place::After(after.into()));
    Event::ItemPlaced { item: item(json), place, origin: Origin::Server }
}

fn speech(id: &str) -> Value {
    json!({ "id": id, "type": "message", "role": "user", "status": "completed",
        "content": [{ "type": "input_audio", "transcript": null }] })
}

fn reply(id: &str) -> Value {
    json!({ "id": id, "type": "message", "role": "assistant", "status": "in_progress", "content": [] })
}

fn done_reply(id: &str, status: &str, transcript: &str) -> Event {
    Event::ItemDone {
        item: item(json!({ "id": id, "type": "message", "role": "assistant", "status": status,
            "content": [{ "type": "output_audio", "transcript": transcript }] })),
    }
}

fn transcript(id: &str, text: &str) -> Event {
    Event::UserTranscript {
        item_id: id.into(),
        content_index: 0,
        transcript: text.into(),
        languages: Vec::new(),
        logprobs: Vec::new(),
        usage: None,
    }
}

fn text(response: &str, id: &str, delta: &str) -> Event {
    Event::Text {
        response_id: response.into(),
        item_id: id.into(),
        content_index: 0,
        delta: delta.into(),
        spoken: true,
    }
}

pub(crate) fn audio(response: &str, id: &str) -> Event {
    Event::Audio(AudioChunk {
        mark: 0,
        response_id: response.into(),
        item_id: id.into(),
        content_index: 0,
        out_of_band: false,
        start: 0,
        format: AudioFormat::default(),
        audio: Default::default(),
    })
}

fn started(response: &str, out_of_band: bool) -> Event {
    Event::ResponseStarted {
        response_id: response.into(),
        origin: Origin::Server,
        out_of_band,
        metadata: Default::default(),
    }
}

pub(crate) fn finished(response: &str) -> Event {
    Event::ResponseFinished(Box::new(ResponseReport {
        response_id: response.into(),
        end: ResponseEnd::Completed,
        usage: None,
        timeline: Timeline::default(),
        dropped_bytes: 0,
        totals: Default::default(),
    }))
}

fn interrupted(response: Option<&str>, heard: &[(&str, &str, Cut)]) -> Event {
    let part = |(id, text, cut): &(&str, &str, Cut)| HeardPart {
        item_id: (*id).into(),
        content_index: 0,
        format: AudioFormat::PCM16_24K,
        heard: 12_000,
        received: 21_600,
        heard_text: (*text).into(),
        estimated: false,
        cut: *cut,
    };
    Event::Interrupted(Interruption {
        response_id: response.map(ResponseId::from),
        parts: heard.iter().map(part).collect(),
    })
}

const CUT: Cut = Cut::Truncated { audio_end_ms: 500 };

fn call(call_id: &str, item_id: Option<&str>) -> Arc<FunctionCall> {
    Arc::new(FunctionCall {
        key: String::new(),
        call_id: call_id.into(),
        item_id: item_id.map(Into::into),
        name: "get_weather".into(),
        arguments: r#"{"city":"Oslo"}"#.into(),
    })
}

fn calls(response: &str, calls: &[(&str, Option<&str>)]) -> Event {
    let calls = calls.iter().map(|(call_id, item_id)| call(call_id, *item_id)).collect();
    Event::FunctionCalls { response_id: response.into(), out_of_band: false, calls }
}

fn sent(item: Value) -> Event {
    Event::ItemSent { item: serde_json::from_value(item).unwrap(), after: None }
}

fn call_item(id: &str, call_id: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": arguments })
}

fn output_item(id: &str, call_id: &str, output: &str) -> Value {
    json!({ "id": id, "type": "function_call_output", "call_id": call_id, "output": output })
}

fn pair(call_id: &str, output: &str) -> [Message; 2] {
    [Message::tool_call(call_id, "get_weather", r#"{"city":"Oslo"}"#), Message::tool(call_id, output)]
}

#[test]
fn a_transcript_fills_the_place_that_the_speech_was_given() {
    let context = Conversation::new();
    assert_eq!(
        apply(&context, [Event::Committed { item_id: "u1".into() }]),
        [Change::Added(entry(&context, "u1"))]
    );
    apply(
        &context,
        [placed(speech("u1"), None), placed(reply("a1"), Some("u1")), text("r1", "a1", "Hello.")],
    );
    assert_eq!(texts(&context), [format!("user: {UNTRANSCRIBED}"), "assistant: Hello.".into()]);

    let delta = Event::UserTranscriptDelta { item_id: "u1".into(), content_index: 0, delta: "Hi th".into() };
    assert_eq!(apply(&context, [delta]), [Change::Updated(entry(&context, "u1"))]);
    assert_eq!(line(&context, "u1").unwrap().text, "Hi th");

    assert_eq!(
        apply(&context, [transcript("u1", "Hi there.\n")]),
        [Change::Completed(entry(&context, "u1"))]
    );
    assert_eq!(texts(&context), ["user: Hi there.", "assistant: Hello."]);
}

#[test]
fn items_that_are_given_the_same_id_are_each_kept() {
    let answer = |response: &str, words: &str| {
        [
            started(response, false),
            text(response, "i", words),
            done_reply("i", "completed", words),
            finished(response),
        ]
    };
    let context = Conversation::new();
    apply(&context, [placed(reply("i"), None)]);
    apply(&context, answer("r1", "One."));
    apply(&context, [Event::Committed { item_id: "i".into() }, transcript("i", "Two?")]);
    apply(&context, answer("r2", "Three."));
    apply(&context, answer("r3", "Four."));
    assert_eq!(texts(&context), ["assistant: One.", "user: Two?", "assistant: Three.", "assistant: Four."]);
}

#[test]
fn speech_whose_transcription_failed_stays_audio() {
    let context = Conversation::new();
    let failed = Event::UserTranscriptFailed {
        item_id: "u1".into(),
        content_index: 0,
        error: Box::new(ApiError::default()),
    };
    apply(&context, [placed(speech("u1"), None), failed]);
    apply(&context, [placed(speech("u2"), Some("u1")), transcript("u2", " ")]);
    apply(&context, [placed(speech("u3"), Some("u2")), transcript("u3", "Two?")]);
    assert_eq!(context.audio_to_text(0), [entry(&context, "u3")]);
}

#[test]
fn speech_without_words_is_marked_and_not_lost() {
    let failed = Event::UserTranscriptFailed {
        item_id: "u1".into(),
        content_index: 0,
        error: Box::new(ApiError::default()),
    };
    let inaudible = [format!("user: {INAUDIBLE}")];
    assert_eq!(said([placed(speech("u1"), None), failed]), inaudible);
    assert_eq!(said([placed(speech("u1"), None), transcript("u1", " ")]), inaudible);
    assert_eq!(said([placed(speech("u1"), None)]), [format!("user: {UNTRANSCRIBED}")]);
}

#[test]
fn typed_items_are_whole_at_once() {
    let context = Conversation::new();
    let typed = json!({ "id": "u1", "type": "message", "role": "user", "content": [
        { "type": "input_text", "text": "What is this?" },
        { "type": "input_image", "image_url": "data:image/png;base64,AA==" },
    ] });
    let changes = apply(&context, [placed(typed, None)]);
    assert_eq!(changes, [Change::Added(entry(&context, "u1")), Change::Completed(entry(&context, "u1"))]);
    assert_eq!(
        serde_json::to_value(context.messages()).unwrap(),
        json!([{ "role": "user", "content": [
            { "type": "text", "text": "What is this?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
        ] }])
    );
}

#[test]
fn an_interruption_leaves_what_was_heard_and_keeps_the_rest_aside() {
    let context = Conversation::new();
    apply(
        &context,
        [placed(reply("a1"), None), text("r1", "a1", "Hi there,"), text("r1", "a1", " how are you?")],
    );
    let changes = apply(&context, [interrupted(Some("r1"), &[("a1", "Hi there,", CUT)])]);
    assert_eq!(changes, [Change::Completed(entry(&context, "a1"))]);
    apply(&context, [done_reply("a1", "incomplete", "Hi there, how are you today?"), finished("r1")]);

    assert_eq!(texts(&context), ["assistant: Hi there,"]);
    let line = line(&context, "a1").unwrap();
    assert_eq!(line.state, State::Truncated);
    assert_eq!(line.generated.as_deref(), Some("Hi there, how are you today?"));
    assert_eq!(
        context.transcript().to_string(),
        "assistant: Hi there, [interrupted; unheard: how are you today?]\n"
    );
}

#[test]
fn an_interrupted_item_that_was_deleted_is_gone_for_good() {
    let context = Conversation::new();
    apply(&context, [placed(reply("a1"), None), text("r1", "a1", "Hi")]);
    let gone = entry(&context, "a1");
    let changes = apply(&context, [interrupted(Some("r1"), &[("a1", "", Cut::Deleted)])]);
    assert_eq!(changes, [Change::Removed(gone)]);
    let late = [
        Event::ItemRemoved { item_id: "a1".into() },
        placed(reply("a1"), None),
        text("r1", "a1", " there"),
        done_reply("a1", "incomplete", "Hi there"),
    ];
    assert_eq!(apply(&context, late), []);
    assert!(context.is_empty());
}

#[test]
fn words_whose_audio_never_came_were_not_heard() {
    let context = Conversation::new();
    apply(
        &context,
        [
            placed(reply("a1"), None),
            text("r1", "a1", "One."),
            audio("r1", "a1"),
            placed(reply("a2"), Some("a1")),
            text("r1", "a2", "Two."),
            interrupted(Some("r1"), &[]),
            // It came to nothing here before it was cut off.
            placed(reply("a3"), Some("a2")),
            done_reply("a3", "incomplete", "Three."),
        ],
    );
    assert_eq!(texts(&context), ["assistant: One."]);
    assert_eq!(line(&context, "a2").unwrap().generated.as_deref(), Some("Two."));
    assert_eq!(line(&context, "a3").unwrap().generated.as_deref(), Some("Three."));
}

#[test]
fn many_interruptions_lose_no_message() {
    let context = Conversation::new();
    let mut last: Option<String> = None;
    for turn in 0..50 {
        let (user, assistant, response) = (format!("u{turn}"), format!("a{turn}"), format!("r{turn}"));
        apply(
            &context,
            [
                Event::Committed { item_id: user.as_str().into() },
                placed(speech(&user), last.as_deref()),
                started(&response, false),
                placed(reply(&assistant), Some(&user)),
                text(&response, &assistant, &format!("Answer {turn} and much more")),
                interrupted(Some(&response), &[(&assistant, &format!("Answer {turn}"), CUT)]),
                done_reply(&assistant, "incomplete", ""),
                finished(&response),
                transcript(&user, &format!("Question {turn}")),
            ],
        );
        last = Some(assistant);
    }
    let expected: Vec<_> = (0..50)
        .flat_map(|turn| [format!("user: Question {turn}"), format!("assistant: Answer {turn}")])
        .collect();
    assert_eq!(texts(&context), expected);
}

#[test]
fn a_call_is_in_progress_until_its_output_has_a_place_or_is_sent() {
    let context = Conversation::new();
    apply(
        &context,
        [
            placed(speech("u1"), None),
            placed(call_item("f1", "c1", ""), Some("u1")),
            placed(call_item("f2", "c2", ""), Some("f1")),
            calls("r1", &[("c1", Some("f1")), ("c2", Some("f2"))]),
            placed(output_item("o2", "c2", "2"), Some("f2")),
        ],
    );
    let running = [pair("c1", r#"{"status":"in_progress"}"#), pair("c2", "2")].concat();
    assert_eq!(context.messages()[1..], running);

    let changes = apply(&context, [placed(output_item("o1", "c1", "1"), Some("o2"))]);
    assert_eq!(changes, [Change::Completed(entry(&context, "f1"))]);
    apply(&context, [placed(reply("a1"), Some("o1")), text("r2", "a1", "Three degrees.")]);
    let answered = [pair("c1", "1"), pair("c2", "2")].concat();
    assert_eq!(context.messages()[1..5], answered);
    assert_eq!(texts(&context)[5], "assistant: Three degrees.");
    assert_eq!(line(&context, "f1").unwrap().to_string(), r#"tool: get_weather({"city":"Oslo"}) -> 1"#);
}

#[test]
fn an_output_that_was_sent_is_known_though_the_server_never_says_it_again() {
    let context = Conversation::new();
    let events = [
        placed(speech("u1"), None),
        calls("r1", &[("c1", Some("f1"))]),
        sent(output_item("o1", "c1", "booked")),
        Event::Closed { reason: CloseReason::Requested },
    ];
    apply(&context, events);
    assert_eq!(context.messages()[1..], pair("c1", "booked"));
}

#[test]
fn a_call_that_its_response_told_first_is_entered_once() {
    let call = placed(call_item("f1", "c1", r#"{"city":"Oslo"}"#), None);
    let output = placed(output_item("o1", "c1", "1"), Some("f1"));
    for events in [
        vec![calls("r1", &[("c1", None)]), call.clone(), output.clone()],
        vec![call.clone(), calls("r1", &[("c1", None)]), output.clone()],
        vec![output.clone(), calls("r1", &[("c1", Some("f1"))]), call.clone()],
        vec![output, call],
    ] {
        let context = Conversation::new();
        apply(&context, events);
        assert_eq!(context.messages(), pair("c1", "1"));
    }
}

#[test]
fn a_call_that_nobody_answers_before_the_end_has_failed() {
    let context = Conversation::new();
    apply(
        &context,
        [
            placed(speech("u1"), None),
            calls("r1", &[("c1", Some("f1"))]),
            Event::FunctionEnded { call: call("c1", None), end: FunctionEnd::Closed },
        ],
    );
    let changes = apply(&context, [Event::Closed { reason: CloseReason::Requested }]);
    assert_eq!(changes, [Change::Completed(entry(&context, "u1"))]);
    assert_eq!(
        context.messages()[1..],
        pair("c1", r#"{"error":"the session ended before the function did"}"#)
    );
    assert!(context.transcript().lines.iter().all(|line| line.state == State::Failed));
}

#[test]
fn a_call_that_is_made_again_in_the_next_conversation_is_told_once() {
    let context = Conversation::new();
    let made = |call_id: &str, item_id| calls("r", &[(call_id, Some(item_id))]);
    apply(
        &context,
        [
            Event::Created { session_id: None },
            made("c1", "f1"),
            Event::FunctionEnded { call: call("c1", None), end: FunctionEnd::Detached },
        ],
    );
    assert_eq!(context.messages().len(), 2);
    let lost = entry(&context, "f1");
    let changes = apply(&context, [Event::Created { session_id: None }, made("c2", "f2")]);
    assert!(changes.contains(&Change::Removed(lost)));
    assert_eq!(context.messages(), pair("c2", r#"{"status":"in_progress"}"#));
}

#[test]
fn what_runs_beside_the_conversation_leaves_no_trace() {
    let mut called = calls("r9", &[("c9", None)]);
    if let Event::FunctionCalls { out_of_band, .. } = &mut called {
        *out_of_band = true;
    }
    let beside = [
        started("r9", true),
        text("r9", "x1", "A summary"),
        done_reply("x1", "completed", "A summary"),
        called,
        finished("r9"),
    ];
    assert!(said(beside).is_empty());
}

#[test]
fn items_of_ones_own_are_entered_once_and_take_the_servers_place() {
    let context = Conversation::from_messages([Message::user("Hi"), Message::assistant("Hello.")]);
    let seed = context.clone().history(History::PackedMessage).seed();
    let [packed] = seed.items.as_slice() else { panic!("expected one item, got {}", seed.items.len()) };
    let packed_id = packed.id().unwrap().as_str().to_owned();
    let json = |item: &Item| serde_json::to_value(item).unwrap();

    apply(&context, [Event::Created { session_id: None }, placed(json(packed), None)]);
    apply(&context, [Event::ItemDone { item: Box::new(packed.clone()) }]);
    let mut typed = Item::user_text("Typed");
    typed.set_id("own".into());
    apply(&context, [Event::ItemSent { item: Box::new(typed.clone()), after: None }]);
    apply(
        &context,
        [
            placed(speech("u1"), Some(&packed_id)),
            transcript("u1", "Spoken"),
            placed(json(&typed), Some("u1")),
            placed(json(&typed), Some("u1")),
        ],
    );
    assert_eq!(texts(&context), ["user: Hi", "assistant: Hello.", "user: Spoken", "user: Typed"]);

    apply(&context, [Event::ItemRemoved { item_id: packed_id.as_str().into() }]);
    assert_eq!(context.messages().len(), 4);
}

#[test]
fn the_echo_of_a_packed_history_leaves_what_was_said_as_it_was() {
    let context = Conversation::new();
    let turn = [
        placed(speech("u1"), None),
        transcript("u1", "Hi"),
        placed(reply("a1"), Some("u1")),
        text("r1", "a1", "Hello there."),
        interrupted(Some("r1"), &[("a1", "Hello", CUT)]),
    ];
    apply(&context, turn);
    let before = context.transcript().to_string();
    let seed = context.clone().history(History::PackedMessage).seed();
    let echo = [
        Event::Created { session_id: None },
        placed(serde_json::to_value(&seed.items[0]).unwrap(), None),
        Event::ItemDone { item: Box::new(seed.items[0].clone()) },
    ];
    assert_eq!(apply(&context, echo), []);
    assert_eq!(context.transcript().to_string(), before);
}

#[test]
fn native_items_are_entered_once() {
    let context = Conversation::from_messages([Message::user("Hi")]);
    for message in pair("c1", "1").into_iter().chain([Message::assistant("Hello.")]) {
        context.append(message);
    }
    let seed = context.clone().history(History::NativeItems).seed();
    let mut last: Option<String> = None;
    apply(&context, [Event::Created { session_id: None }]);
    for item in &seed.items {
        apply(&context, [placed(serde_json::to_value(item).unwrap(), last.as_deref())]);
        last = item.id().map(|id| id.as_str().to_owned());
    }
    apply(&context, [placed(speech("u1"), last.as_deref()), transcript("u1", "And?")]);
    assert_eq!(texts(&context), ["user: Hi", "assistant: ", "tool: 1", "assistant: Hello.", "user: And?"]);
}

#[test]
fn ids_of_an_earlier_conversation_are_other_items() {
    let created = || Event::Created { session_id: None };
    let turn = |user: &str, answer: &str| {
        [
            placed(speech("u1"), None),
            transcript("u1", user),
            placed(reply("a1"), Some("u1")),
            text("r1", "a1", answer),
            done_reply("a1", "completed", answer),
            finished("r1"),
        ]
    };
    let context = Conversation::new();
    apply(&context, [created()].into_iter().chain(turn("One?", "One.")));
    apply(&context, [created()].into_iter().chain(turn("Two?", "Two.")));
    assert_eq!(texts(&context), ["user: One?", "assistant: One.", "user: Two?", "assistant: Two."]);

    let context = Conversation::load(&context.save()).unwrap();
    apply(&context, turn("Three?", "Three."));
    assert_eq!(texts(&context)[4..], ["user: Three?", "assistant: Three."]);
}

#[test]
fn what_was_said_is_saved_with_what_was_not_heard() {
    let context = Conversation::new();
    apply(
        &context,
        [
            placed(speech("u1"), None),
            placed(reply("a1"), Some("u1")),
            text("r1", "a1", "Hi there."),
            interrupted(Some("r1"), &[("a1", "Hi", CUT)]),
            placed(call_item("f1", "c1", r#"{"city":"Oslo"}"#), Some("a1")),
            placed(output_item("o1", "c1", "1"), Some("f1")),
            placed(json!({ "id": "m1", "type": "mcp_list_tools" }), Some("o1")),
        ],
    );
    let loaded = Conversation::load(&context.save()).unwrap();
    assert_eq!(loaded.transcript().to_string(), context.transcript().to_string());
    assert_eq!(loaded.messages(), context.messages());
    assert_eq!(
        loaded.clone().history(History::NativeItems).seed(),
        context.clone().history(History::NativeItems).seed()
    );
}

#[test]
fn retrieved_items_bring_transcripts_along() {
    let mut retrieved = MessageItem::default().id("u1");
    retrieved.role = realtime_protocol::item::Role::User.into();
    let part = realtime_protocol::content::InputAudio::default().transcript("Hi there.");
    retrieved.content = vec![part.into()].into();
    let settled = Event::Settled {
        id: realtime_protocol::call::CommandId(1),
        outcome: Outcome::Retrieved { item: Box::new(retrieved.into()) },
    };
    assert_eq!(said([placed(speech("u1"), None), settled]), ["user: Hi there."]);
}

#[test]
fn an_item_after_one_that_is_not_known_waits_at_the_end() {
    let typed = |id: &str| json!({ "id": id, "type": "message", "role": "user", "content": [{ "type": "input_text", "text": id }] });
    // 2 and 3 are both told to stand after 1: the later one closer. 4 stands after 2, a circle stays apart.
    let events = [
        placed(typed("2"), Some("1")),
        placed(typed("4"), Some("2")),
        placed(typed("3"), Some("1")),
        placed(typed("0"), None),
        placed(typed("1"), Some("0")),
        placed(typed("x"), Some("y")),
        placed(typed("y"), Some("x")),
    ];
    let expected = ["0", "1", "3", "2", "4", "x", "y"].map(|id| format!("user: {id}"));
    assert_eq!(said(events), expected);
}
