//! Limits the number of elements in a wire text. The driver bounds the bytes of a text, but a text of tiny
//! elements takes far more memory than its bytes: an array item takes 200 bytes as a value, and may be one
//! digit in the text.
//!
//! The rule kept here: the memory of a text is in proportion to its bytes. One long string (an hour of audio)
//! is not an element.

use alloc::format;
use alloc::string::String;

use crate::event::{Malformed, scan};

/// The most `{`, `[` and `,` outside of strings that a wire text may have. The largest texts that servers
/// have reason to send (a long transcript with the probability of each token, hundreds of tools with their
/// schemas) stay below half of that.
const MOST_ELEMENTS: usize = 128 * 1024;

/// A text up to this length (bytes) is not counted: it cannot have too many.
const ALWAYS_WITHIN: usize = 128 * 1024;

/// Returns whether a text has no more elements than allowed. Takes one pass, and stops when there are too
/// many.
pub(crate) fn is_within(text: &str) -> bool {
    text.len() <= ALWAYS_WITHIN || count(text.as_bytes()) <= MOST_ELEMENTS
}

/// The event for a text with too many elements.
pub(crate) fn exceeded(text: &str) -> Malformed {
    Malformed {
        kind: scan::peek_kind(text).map(|kind| kind.into_owned()),
        path: String::new(),
        reason: format!("expected at most {MOST_ELEMENTS} elements, got more"),
        raw: text.into(),
    }
}

/// Counts the elements, up to one more than allowed.
fn count(text: &[u8]) -> usize {
    let (mut elements, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at),
            b'{' | b'[' | b',' => {
                elements += 1;
                if elements > MOST_ELEMENTS {
                    break;
                }
            }
            _ => {}
        }
        at += 1;
    }
    elements
}

/// Where the string ends that begins there.
fn string_end(text: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else { return text.len() };
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Dialect, ServerEvent};

    fn output(elements: usize) -> String {
        let elements = r#"{"a":1},"#.repeat(elements);
        format!(r#"{{"type":"response.done","response":{{"id":"r","output":[{elements}0]}}}}"#)
    }

    #[test]
    fn a_text_of_too_many_elements_is_malformed_and_names_what_it_is() {
        for dialect in [Dialect::Ga, Dialect::Beta] {
            let event = ServerEvent::decode(&output(MOST_ELEMENTS / 2), dialect);
            let ServerEvent::Malformed(malformed) = &event else { panic!("{}", event.kind()) };
            assert_eq!(
                format!("{malformed}"),
                "malformed response.done: expected at most 131072 elements, got more"
            );
            assert_eq!(event.encode(dialect), output(MOST_ELEMENTS / 2));
            let event = ServerEvent::decode(&output(MOST_ELEMENTS / 2 - 10), dialect);
            assert!(matches!(event, ServerEvent::ResponseDone(_)));
        }
    }

    #[test]
    fn what_stands_in_a_string_is_no_element() {
        let long = r#",[{\""#.repeat(200_000);
        let text = format!(r#"{{"type":"brand.new","x":"{long}"}}"#);
        assert!(matches!(ServerEvent::decode(&text, Dialect::Ga), ServerEvent::Unknown(_)));
        // What is no JSON does not end in a panic.
        assert!(is_within(&text[..text.len() - 3]));
    }
}
