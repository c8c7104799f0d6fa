//! The arguments of a function call: a JSON object, which the wire has as text within text.

use alloc::borrow::Cow;
use alloc::string::String;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::repair;

/// Reads the arguments of a function call: the text that can be handed on, and its members.
///
/// The text is returned as it came, except that half of a surrogate pair (`\ud83d` alone) reads as U+FFFD:
/// models and servers cut strings there, and a strict reader refuses the whole text. `NaN` and `Infinity` are
/// refused: a function must not run without a number that the model gave.
///
/// ```
/// use realtime_protocol::arguments::read_arguments;
///
/// let (text, members) = read_arguments(r#"{"note":"well done \ud83d","stars":5}"#)?;
/// assert_eq!(text, r#"{"note":"well done \ufffd","stars":5}"#);
/// assert_eq!(members["note"], "well done \u{fffd}");
/// assert!(read_arguments("[1]").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// [`serde_json::Error`] when the text is no JSON object.
pub fn read_arguments(text: &str) -> Result<(Cow<'_, str>, Map<String, Value>), serde_json::Error> {
    match serde_json::from_str(text) {
        Ok(members) => Ok((Cow::Borrowed(text), members)),
        Err(error) => {
            // Text that is not JSON by its grammar stays unreadable.
            let text = serde_json::from_str::<&RawValue>(text).map(|raw| repair::clean(raw.get()));
            text.and_then(|text| serde_json::from_str(&text).map(|members| (text, members)))
                .map_err(|_| error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_with_half_an_emoji_and_not_with_a_number_that_is_none() {
        for text in [r#"{"a":"\ud83d"}"#, r#"{"\uDE00":{"b":["x\ud83d\ud83d\ude00"]}}"#] {
            let (repaired, members) = read_arguments(text).unwrap();
            let strict: Map<String, Value> = serde_json::from_str(&repaired).unwrap();
            assert_eq!(strict, members);
        }
        for text in [r#"{"a":"\\ud83d"}"#, "{}", r#"{"a":"\ud83d\ude00"}"#] {
            assert_eq!(read_arguments(text).unwrap().0, text);
        }
        for text in [
            "",
            "null",
            "[]",
            r#""{}""#,
            r#"{"a":NaN}"#,
            r#"{"a":NaN,"b":"\ud83d"}"#,
            r#"{"a":"\ud83d""#,
            r#"["\ud83d"]"#,
        ] {
            assert!(read_arguments(text).is_err(), "{text}");
        }
    }
}
