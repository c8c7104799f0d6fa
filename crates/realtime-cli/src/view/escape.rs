//! Text inside of HTML's `script` elements: plain ASCII, and no `<`, so that nothing in it ends the element,
//! opens a comment, or depends on the page's encoding.

use std::fmt::Write;

/// Appends JSON with everything but plain characters escaped. White space becomes a blank: JSON has none
/// within its strings.
pub(super) fn ascii(json: &str, out: &mut String) {
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{7f}'.. => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            '\0'..' ' => out.push(' '),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_script_can_end_it() {
        let text = "</script><!--\u{2028}\u{2029}ü\u{1f600}&\u{7f}\n\0 \"\\";
        let json = serde_json::to_string(text).unwrap();
        let mut escaped = String::new();
        ascii(&json, &mut escaped);
        assert!(escaped.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{escaped}");
        assert!(!escaped.contains(['<', '>', '&']), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
