//! A whole history as one user message.

use realtime_protocol::field::Field;
use realtime_protocol::item::Item;

use crate::log::EntryId;
use crate::message::{Content, Message, Part, Role};
use crate::sync::{Omitted, Why, cut};

/// The text before a packed history.
pub(super) const PREAMBLE: &str = "What follows is the record of our conversation up to now, as a JSON list of \
    messages, the oldest first. You are the assistant in it and I am the user. Take it as said: do not repeat \
    it, and do not read it out.";
/// The text after a packed history.
pub(super) const EPILOGUE: &str =
    "Here the record ends. Carry on from its last message, as if we had never stopped talking.";

/// The history as one user message of at most `most` bytes of JSON. The oldest messages are left out if there
/// is no room for them, outputs together with their calls. `None`: there is no room at all.
pub(super) fn packed(
    messages: &[(EntryId, Message)],
    most: usize,
    omitted: &mut Vec<Omitted>,
) -> Option<Item> {
    let lines: Vec<String> = messages.iter().map(|(entry, message)| line(*entry, message, omitted)).collect();
    let mut from = 0;
    while from < lines.len() {
        let text = format!("{PREAMBLE}\n\n[\n{}\n]\n\n{EPILOGUE}", lines[from..].join(",\n"));
        let item = Item::user_text(text);
        let fits = cut::fitted(item, most).filter(|fit| !fit.is_cut);
        if let Some(fit) = fits {
            let left_out = messages[..from].iter().map(|(entry, _)| *entry);
            omitted.extend(left_out.map(|entry| Omitted { entry, why: Why::TooLarge }));
            return Some(fit.item);
        }
        // By halves while it is far too much, then one by one.
        let bytes: usize = lines[from..].iter().map(String::len).sum();
        let step = if bytes > 2 * most { (lines.len() - from).div_ceil(2) } else { 1 };
        from += step;
        while messages.get(from).is_some_and(|(_, message)| message.role == Role::Tool) {
            from += 1;
        }
    }
    omitted.extend(messages.iter().map(|(entry, _)| Omitted { entry: *entry, why: Why::TooLarge }));
    None
}

fn line(entry: EntryId, message: &Message, omitted: &mut Vec<Omitted>) -> String {
    let mut message = message.clone();
    if let Field::Value(Content::Parts(parts)) = &mut message.content {
        for part in parts {
            if strip(part) {
                omitted.push(Omitted { entry, why: Why::NoSuchItem });
            }
        }
    }
    serde_json::to_string(&message).expect("strings and JSON values are JSON")
}

/// Replaces data in a part that has no meaning as text by a mark. Returns whether there was any.
fn strip(part: &mut Part) -> bool {
    let data = match part {
        Part::ImageUrl(image) if image.image_url.url.starts_with("data:") => &mut image.image_url.url,
        Part::InputAudio(audio) => &mut audio.input_audio.data,
        Part::Text(_) | Part::ImageUrl(_) | Part::Other(_) => return false,
    };
    "[left out]".clone_into(data);
    true
}
