//! An item cut to what a server takes: texts are shortened, from their end.

use realtime_protocol::check::LARGEST_EVENT;
use realtime_protocol::content::ContentPart;
use realtime_protocol::item::Item;

/// The largest item (bytes of JSON): the largest event without what is around the item.
pub(super) const LARGEST_ITEM: usize = LARGEST_EVENT - 1024;
/// The longest text of a part (characters), as observed at the service.
const LONGEST_TEXT: usize = 256_000;
/// What stands at the end of a shortened text.
const MARK: &str = " […]";

/// An item that fits.
pub(super) struct Fitted {
    pub(super) item: Item,
    /// Whether a text was shortened.
    pub(super) is_cut: bool,
}

/// Shortens the texts of an item until it has at most so many bytes of JSON. `None`: that is not possible.
pub(super) fn fitted(mut item: Item, most: usize) -> Option<Fitted> {
    let mut is_cut = false;
    if let Item::Message(message) = &mut item {
        for text in message.content.value_mut().into_iter().flatten().filter_map(text_of) {
            is_cut |= shorten(text, LONGEST_TEXT);
        }
    }
    loop {
        let size = size(&item);
        if size <= most {
            return Some(Fitted { item, is_cut });
        }
        let text = longest_text(&mut item)?;
        let length = text.chars().count();
        // JSON may write a character in several bytes: the share that is too much, and a little more.
        let keep = (length as u64 * most as u64 / size as u64 * 15 / 16) as usize;
        if keep <= MARK.len() || !shorten(text, keep) {
            return None;
        }
        is_cut = true;
    }
}

pub(super) fn size(item: &Item) -> usize {
    serde_json::to_string(item).map_or(0, |text| text.len())
}

fn longest_text(item: &mut Item) -> Option<&mut String> {
    match item {
        Item::Message(message) => {
            let texts = message.content.value_mut()?.iter_mut().filter_map(text_of);
            texts.max_by_key(|text| text.len())
        }
        Item::FunctionCallOutput(output) => output.output.value_mut(),
        _ => None,
    }
}

fn text_of(part: &mut ContentPart) -> Option<&mut String> {
    match part {
        ContentPart::InputText(part) => part.text.value_mut(),
        ContentPart::OutputText(part) => part.text.value_mut(),
        _ => None,
    }
}

/// Leaves at most so many characters. Returns whether it was longer.
fn shorten(text: &mut String, most: usize) -> bool {
    let Some((end, _)) = text.char_indices().nth(most) else { return false };
    let room = most.saturating_sub(MARK.chars().count());
    let end = text.char_indices().nth(room).map_or(end, |(end, _)| end);
    text.truncate(end);
    text.push_str(MARK);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_until_the_item_fits() {
        let fit = fitted(Item::user_text("ä\"".repeat(5000)), 1000).unwrap();
        assert!(fit.is_cut && size(&fit.item) <= 1000 && size(&fit.item) > 500);
        let fit = fitted(Item::user_text("short"), 1000).unwrap();
        assert!(!fit.is_cut);
        assert!(fitted(Item::user_text("x".repeat(100)), 20).is_none());
        let fit = fitted(Item::user_text("x".repeat(300_000)), LARGEST_ITEM).unwrap();
        assert!(fit.is_cut);
    }
}
