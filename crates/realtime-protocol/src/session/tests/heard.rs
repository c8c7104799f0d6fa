//! What an application hears of each server event, in both dialects: the table of `docs/events.md`.
//!
//! The match is complete: a new server event does not compile before it is decided what is heard of it.

use super::*;
use crate::event::{Dialect, ServerEvent};

/// What is heard of an event.
enum Heard {
    /// One of these call events, by the names that they have in logs.
    Tells(&'static [&'static str]),
    /// Nothing of its own.
    Nothing(&'static str),
}

use Heard::{Nothing, Tells};

fn heard(event: &ServerEvent) -> Heard {
    match event {
        ServerEvent::SessionCreated(_) => Tells(&["created"]),
        ServerEvent::SessionUpdated(_) => Tells(&["config_updated", "ready", "settled"]),
        ServerEvent::ConversationItemCreated(_) | ServerEvent::ConversationItemAdded(_) => {
            Tells(&["item_placed", "item_done", "settled"])
        }
        ServerEvent::ConversationItemDone(_) => Tells(&["item_done", "item_placed"]),
        ServerEvent::ConversationItemRetrieved(_) => {
            Nothing("it answers `retrieve_item`, whose `settled` holds the item")
        }
        ServerEvent::ConversationItemTruncated(_) => Nothing("`interrupted` told the cut when it was sent"),
        ServerEvent::ConversationItemDeleted(_) => Tells(&["item_removed", "settled"]),
        ServerEvent::InputAudioTranscriptionDelta(_) => Tells(&["user_transcript_delta"]),
        ServerEvent::InputAudioTranscriptionCompleted(_) => {
            Tells(&["user_transcript", "user_transcript_failed"])
        }
        ServerEvent::InputAudioTranscriptionFailed(_) => Tells(&["user_transcript_failed"]),
        ServerEvent::InputAudioBufferCommitted(_) => Tells(&["committed", "settled"]),
        ServerEvent::InputAudioBufferCleared(_) => Nothing("it answers `clear_audio`, which is `settled`"),
        ServerEvent::InputAudioBufferSpeechStarted(_) => {
            Tells(&["speech_started", "stop_playback", "interrupted"])
        }
        ServerEvent::InputAudioBufferSpeechStopped(_) => Tells(&["speech_stopped"]),
        ServerEvent::ResponseCreated(_) => Tells(&["response_started"]),
        ServerEvent::ResponseDone(_) => Tells(&[
            "response_finished",
            "function_calls",
            "function_ended",
            "settled",
            "text",
            "item_placed",
        ]),
        ServerEvent::ResponseOutputItemAdded(_) => {
            Nothing("the item is empty, and `item_placed` tells its place")
        }
        ServerEvent::ResponseOutputItemDone(_) => Tells(&["item_done", "function_calls", "text"]),
        ServerEvent::ResponseOutputTextDelta(_) | ServerEvent::ResponseOutputAudioTranscriptDelta(_) => {
            Tells(&["text"])
        }
        ServerEvent::ResponseOutputAudioDelta(_) => Tells(&["audio", "warning"]),
        ServerEvent::ResponseOutputAudioDone(_) => Tells(&["audio_done"]),
        ServerEvent::ResponseContentPartAdded(_) => Nothing("the part is empty"),
        ServerEvent::ResponseContentPartDone(_)
        | ServerEvent::ResponseOutputTextDone(_)
        | ServerEvent::ResponseOutputAudioTranscriptDone(_) => Tells(&["text"]),
        ServerEvent::ResponseFunctionCallArgumentsDelta(_)
        | ServerEvent::ResponseMcpCallArgumentsDelta(_) => {
            Nothing("`function_calls` or `server` brings the arguments whole")
        }
        ServerEvent::ResponseFunctionCallArgumentsDone(_) => {
            Nothing("`function_calls` brings the call with its response, or at once for `early_functions`")
        }
        ServerEvent::ConversationCreated(_)
        | ServerEvent::InputAudioTranscriptionSegment(_)
        | ServerEvent::InputAudioBufferTimeoutTriggered(_)
        | ServerEvent::InputAudioBufferDtmfEventReceived(_)
        | ServerEvent::OutputAudioBufferStarted(_)
        | ServerEvent::OutputAudioBufferStopped(_)
        | ServerEvent::OutputAudioBufferCleared(_)
        | ServerEvent::ResponseMcpCallArgumentsDone(_)
        | ServerEvent::ResponseMcpCallInProgress(_)
        | ServerEvent::ResponseMcpCallCompleted(_)
        | ServerEvent::ResponseMcpCallFailed(_)
        | ServerEvent::McpListToolsInProgress(_)
        | ServerEvent::McpListToolsCompleted(_)
        | ServerEvent::McpListToolsFailed(_) => Tells(&["server"]),
        ServerEvent::RateLimitsUpdated(_) => Tells(&["rate_limits"]),
        ServerEvent::ErrorEvent(_) => Tells(&["server_error", "settled"]),
        ServerEvent::Unknown(_) | ServerEvent::Malformed(_) => Tells(&["warning"]),
    }
}

/// An example of each kind: its `type` on the wire, and the event.
fn examples(dialect: Dialect) -> Vec<(String, ServerEvent)> {
    let lines = match dialect {
        Dialect::Beta => include_str!("../../../tests/fixtures/beta_server.jsonl"),
        _ => include_str!("../../../tests/fixtures/ga_server.jsonl"),
    };
    let kind =
        |line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap_or_default().into();
    lines.lines().map(|line| (kind(line), ServerEvent::decode(line, dialect))).collect()
}

#[test]
fn each_event_of_both_dialects_is_heard_as_the_table_says() {
    for (dialect, kinds) in [(Dialect::Ga, 46), (Dialect::Beta, 35)] {
        let mut seen = alloc::collections::BTreeSet::new();
        for (kind, event) in examples(dialect) {
            let options = SessionOptions { dialect, ..SessionOptions::default() };
            let mut bench = Bench::ready_with(options);
            if let ServerEvent::ResponseOutputItemDone(done) = &event {
                let item = serde_json::to_value(&done.item).unwrap();
                bench.server(json!({"type": "conversation.item.added", "item": item}));
            }
            bench.session.handle_event(bench.at(), event.clone());
            let told = bench.drain();
            match heard(&event) {
                Tells(names) => {
                    let is_heard = told.iter().any(|told| names.contains(&told.as_str()));
                    assert!(is_heard, "{dialect:?} {kind}: {told:?} is none of {names:?}");
                }
                Nothing(_) => {
                    // A response that was never heard of counts as created now; a wrong shape is told for
                    // itself.
                    let alone = |told: &&String| {
                        !matches!(told.as_str(), "response_started" | "warning" | "item_removed")
                    };
                    assert_eq!(told.iter().find(alone), None, "{dialect:?} {kind}");
                }
            }
            if !matches!(event, ServerEvent::Unknown(_) | ServerEvent::Malformed(_)) {
                seen.insert(kind);
            }
        }
        assert_eq!(seen.len(), kinds, "{dialect:?}: {seen:?}");
    }
}

#[test]
fn the_table_in_the_docs_is_this_one() {
    let mut table = String::from("| server event | in beta | the application hears |\n|---|---|---|\n");
    for (_, event) in examples(Dialect::Ga).iter().chain(&examples(Dialect::Beta)) {
        let kind = event.kind();
        if table.contains(&format!("| `{kind}` |"))
            || matches!(event, ServerEvent::Unknown(_) | ServerEvent::Malformed(_))
        {
            continue;
        }
        let heard = match heard(event) {
            Tells(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            Nothing(why) => format!("nothing: {why}"),
        };
        let beta = if event.is_sent_in(Dialect::Beta) { "yes" } else { "no" };
        table.push_str(&format!("| `{kind}` | {beta} | {heard} |\n"));
    }
    let docs = include_str!("../../../../../docs/events.md");
    assert!(docs.contains(&table), "docs/events.md should hold this table:\n{table}");
}
