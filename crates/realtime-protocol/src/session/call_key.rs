//! Keys of function calls: the same call has the same key, however often it comes and however its JSON is
//! spelled.

use alloc::format;
use alloc::string::String;

use serde_json::Value;

/// The idempotency key of a call: 32 hexadecimal digits.
pub(super) fn call_key(session: &str, call_id: &str, name: &str, arguments: &str) -> String {
    let digest = call_digest(name, arguments);
    let hash = [session, call_id].iter().fold(digest, |hash, part| feed(hash, part));
    format!("{hash:032x}")
}

/// A digest of a call's function and arguments. Order and spacing of the arguments do not matter.
pub(crate) fn call_digest(name: &str, arguments: &str) -> u128 {
    let mut text = String::new();
    match serde_json::from_str(arguments) {
        Ok(value) => canonical(&value, &mut text),
        Err(_) => text.push_str(arguments),
    }
    feed(feed(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, name), &text)
}

/// 128 bits of FNV-1a over a text and an end mark.
fn feed(hash: u128, text: &str) -> u128 {
    text.bytes()
        .chain([0xff])
        .fold(hash, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b))
}

/// JSON with the members of each object in the order of their names.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: alloc::vec::Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, member) in members {
                out.push_str(&format!("{name:?}:"));
                canonical(member, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for element in elements {
                canonical(element, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&format!("{plain}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spacing_of_arguments_do_not_matter_and_their_values_do() {
        let same = call_digest("f", r#"{"a": 1, "b": {"x": [1, 2], "y": null}}"#);
        assert_eq!(call_digest("f", r#"{"b":{"y":null,"x":[1,2]},"a":1}"#), same);
        for (name, arguments) in [
            ("g", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
            ("f", r#"{"a":1,"b":{"x":[2,1],"y":null}}"#),
            ("f", r#"{"a":"1","b":{"x":[1,2],"y":null}}"#),
            ("f", "{}"),
        ] {
            assert_ne!(call_digest(name, arguments), same, "{name} {arguments}");
        }
    }

    #[test]
    fn a_key_is_of_one_call_in_one_session() {
        let key = call_key("sess", "call", "f", "{}");
        assert_eq!(key.len(), 32);
        assert_eq!(key, call_key("sess", "call", "f", " { } "));
        assert_ne!(key, call_key("sess", "call2", "f", "{}"));
        assert_ne!(key, call_key("other", "call", "f", "{}"));
    }
}
