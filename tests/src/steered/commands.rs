//! What an application gives, with small arguments: commands, and media.

use realtime_protocol::call::{
    Command, FunctionOutput, HoldId, Media, PlaybackPosition, PlaybackReport, StopId,
};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::item::Item;
use serde_json::{Value, json};

use crate::steered::bytes::Reader;
use crate::steered::texts::{call_id, item_id, response_id};

/// Events that an application may send as they are.
const EVENTS: &[&str] = &[
    r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
    r#"{"type":"input_audio_buffer.commit"}"#,
    r#"{"type":"input_audio_buffer.clear"}"#,
    r#"{"type":"output_audio_buffer.clear"}"#,
    r#"{"type":"response.create","response":{"instructions":"x"}}"#,
    r#"{"type":"response.cancel","event_id":"mine"}"#,
    r#"{"type":"session.update","event_id":"mine","session":{"instructions":"y"}}"#,
    r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[]}}"#,
    r#"{"type":"conversation.item.truncate","item_id":"r0_i0","content_index":0,"audio_end_ms":99999}"#,
    r#"{"type":"conversation.item.delete","item_id":"r0_i0"}"#,
    r#"{"type":"conversation.item.retrieve","item_id":"r0_i0"}"#,
    r#"{"type":"a.new.event","x":{"y":[1]}}"#,
    r#"{"type":"response.create","response":7}"#,
];

/// A command, of whatever kind.
pub(super) fn command(reader: &mut Reader<'_>) -> Command {
    let (kind, names) = (reader.byte(), reader.byte());
    let flag = kind & 128 == 128;
    match kind & 127 {
        0 | 1 => Command::CreateResponse { params: None, protected: flag },
        2 => {
            let params = json!({"conversation": if flag { "none" } else { "auto" }, "metadata": {"a": "b"}});
            let params = serde_json::from_value(params).expect("parameters");
            Command::CreateResponse { params: Some(params), protected: names & 1 == 1 }
        }
        3 | 4 => {
            let mut item = Item::user_text("hi");
            if names & 64 == 64 {
                item.set_id(format!("mine_{}", names & 3).into());
            }
            let after = (names & 128 == 128).then(|| item_id(names).into());
            Command::CreateItem { item: item.into(), after, respond: flag }
        }
        5 => {
            let item = Item::function_call_output(call_id(names).into(), "{}");
            Command::CreateItem { item: item.into(), after: None, respond: flag }
        }
        6 => Command::DeleteItem { item_id: some_item(names).into() },
        7 => Command::RetrieveItem { item_id: some_item(names).into() },
        8 => {
            let response_id = (names & 128 == 128).then(|| response_id(names).into());
            Command::CancelResponse { response_id }
        }
        9 => Command::Interrupt {},
        10 => Command::BargeIn {},
        11 => Command::CommitAudio { respond: flag },
        12 => Command::ClearAudio {},
        13 => {
            let audio = match names % 5 {
                0 => json!({"instructions": "x"}),
                1 => json!({"audio": {"input": {"turn_detection": null}}}),
                2 => json!({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}),
                3 => {
                    json!({"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"voice": "sage"}}})
                }
                _ => json!({}),
            };
            Command::UpdateConfig { config: serde_json::from_value(audio).expect("a configuration") }
        }
        14..=18 => {
            let output = match names >> 5 {
                0 => FunctionOutput::Error("no".into()),
                1 => FunctionOutput::Cancelled,
                2 => FunctionOutput::TimedOut,
                3 => FunctionOutput::Unknown,
                _ => FunctionOutput::Result(Value::Null),
            };
            Command::AnswerFunction { call_id: call_id(names).into(), output, respond: flag }
        }
        19 => {
            let text = EVENTS[usize::from(names) % EVENTS.len()];
            let dialect = if flag { Dialect::Beta } else { Dialect::Ga };
            Command::SendEvent { event: ClientEvent::decode(text, dialect).into() }
        }
        20..=22 => {
            let endpoint = (names & 128 == 128).then_some(u32::from(names) & 3);
            Command::Rotate { endpoint, urgent: flag }
        }
        23 => Command::Close {},
        _ => Command::CreateResponse { params: None, protected: false },
    }
}

/// Media, of whatever kind.
pub(super) fn media(reader: &mut Reader<'_>) -> Media {
    let (kind, names, place) = (reader.byte(), reader.byte(), reader.byte());
    let played = match place {
        0..=250 => u64::from(place) * 4,
        251 | 252 => u64::from(place) * 1_000,
        _ => u64::MAX - u64::from(place),
    };
    let position =
        PlaybackPosition { item_id: item_id(names).into(), content_index: u32::from(names >> 3 & 1), played };
    let at = (kind & 128 == 0).then(|| position.clone());
    match kind & 7 {
        0 => Media::Append(vec![names; usize::from(place) * 2].into()),
        1 => Media::Append(vec![names; usize::from(place) * 97].into()),
        2 => Media::BeginTurn,
        3 => Media::Report(PlaybackReport::Mark(u64::from(place))),
        4 => Media::Report(PlaybackReport::Held { id: HoldId(u64::from(names >> 4)), at }),
        5 | 6 => Media::Report(PlaybackReport::Stopped { id: StopId(u64::from(names >> 4)), at }),
        _ => Media::Report(PlaybackReport::Played(position)),
    }
}

/// One of the server's, or the one that this side made last.
fn some_item(names: u8) -> String {
    if names & 128 == 128 { "$item".into() } else { item_id(names) }
}
