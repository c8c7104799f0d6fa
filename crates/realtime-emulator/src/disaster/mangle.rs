//! Wire text that no server should send.

use realtime_protocol::event::ServerEvent;
use serde_json::{Map, Value};

/// The text with a member that nobody knows in every object.
pub(super) fn with_unknown_members(text: &str) -> String {
    edited(text, |event| {
        add_members(event);
        true
    })
}

/// The text with a delta that is not base64.
pub(super) fn with_bad_base64(text: &str) -> String {
    edited(text, |event| {
        let delta = event.get_mut("delta");
        delta.map(|delta| *delta = "%%% not base64 %%%".into()).is_some()
    })
}

/// The first half of the text.
pub(super) fn cut_off(text: &str) -> String {
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at));
    text[..middle.unwrap_or_default()].into()
}

/// As much of a close reason as fits into a close frame, in whole characters.
pub(crate) fn close_reason(mut reason: String) -> String {
    let end = (0..=reason.len().min(MOST_REASON)).rev().find(|end| reason.is_char_boundary(*end));
    reason.truncate(end.unwrap_or_default());
    reason
}

/// The event with other audio, if it has some.
pub(super) fn edit_audio(event: &mut ServerEvent, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    if let ServerEvent::ResponseOutputAudioDelta(delta) = event
        && let Ok(bytes) = delta.delta.bytes()
    {
        delta.delta = edit(bytes.to_vec()).into();
    }
}

fn edited(text: &str, edit: impl FnOnce(&mut Value) -> bool) -> String {
    let Ok(mut event) = serde_json::from_str::<Value>(text) else { return text.into() };
    if edit(&mut event) { event.to_string() } else { text.into() }
}

fn add_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(add_members);
            let unknown: Map<_, _> = [("since".into(), 2031.into())].into_iter().collect();
            members.insert("x_emulator".into(), unknown.into());
        }
        Value::Array(elements) => elements.iter_mut().for_each(add_members),
        _ => {}
    }
}

/// Bytes: a control frame holds 125, and the code takes two of them.
const MOST_REASON: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let check = |reason: String, length: usize| assert_eq!(close_reason(reason).len(), length);
        check("x".repeat(123), 123);
        check("x".repeat(500), 123);
        check("é".repeat(100), 122);
        check(format!("{}😀", "x".repeat(120)), 120);
        check(String::new(), 0);
    }
}
