//! Repairs texts that are almost JSON, as some servers write them: half of a surrogate pair in a string (a
//! text that was cut by code units), and Python's `NaN`, `Infinity` and `-Infinity` in place of a number.
//!
//! The rule kept here: only what can't be read is changed, and each change is reported with its place. Half
//! of a pair becomes U+FFFD, and a `NaN` or `Infinity` becomes `null`. It takes one pass, only over texts
//! that could not be read as they came.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::wire::{Mismatch, Mismatches};

/// The reason reported for a string with half of a surrogate pair.
const HALF_A_PAIR: &str = "expected Unicode text, got half of a surrogate pair: read as U+FFFD";

/// A readable text, and its differences from the one that came.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub(crate) text: String,
    pub(crate) found: Vec<Mismatch>,
}

/// Repairs a text; `None`: there is nothing to repair.
pub(crate) fn repaired(text: &str) -> Option<Repaired> {
    let mut repair = Repair::new(text);
    repair.run();
    if repair.copied == 0 {
        return None;
    }
    repair.out.push_str(&text[repair.copied..]);
    Some(Repaired { text: repair.out, found: repair.found.into_vec() })
}

/// [`repaired`] for text that is JSON by its grammar, and so can only have halves of pairs. Without
/// backslashes it costs one search.
pub(crate) fn without_halves(json: &str) -> Option<Repaired> {
    has_half(json.as_bytes()).then(|| repaired(json)).flatten()
}

/// A text as it came, or repaired if needed.
pub(crate) fn clean(json: &str) -> Cow<'_, str> {
    without_halves(json).map_or(Cow::Borrowed(json), |repaired| Cow::Owned(repaired.text))
}

/// Returns whether JSON holds half of a surrogate pair. Backslashes stand in strings alone.
fn has_half(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        match escape(json, at) {
            Escape::Half => return true,
            Escape::Whole(length) => at += length,
        }
    }
    false
}

/// What a backslash begins.
enum Escape {
    /// Half of a surrogate pair: six characters.
    Half,
    /// Anything else, with this many characters.
    Whole(usize),
}

fn escape(bytes: &[u8], at: usize) -> Escape {
    match unit(bytes, at) {
        None => Escape::Whole(2),
        Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => Escape::Whole(12),
        Some(0xd800..=0xdfff) => Escape::Half,
        Some(_) => Escape::Whole(6),
    }
}

/// The code unit that `\uXXXX` stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// The place of a value in the text.
enum Place<'a> {
    /// In an object, after the latest name.
    Member { name: &'a str, name_is_next: bool },
    /// In an array.
    Element(usize),
}

/// The most levels that are followed. Deeper values are reported with the place of the last level.
const DEPTH: usize = 64;

struct Repair<'a> {
    text: &'a str,
    at: usize,
    out: String,
    /// The position up to which `out` has the text.
    copied: usize,
    places: Vec<Place<'a>>,
    /// Levels below those that are followed.
    deeper: usize,
    found: Mismatches,
}

impl<'a> Repair<'a> {
    fn new(text: &'a str) -> Self {
        let (places, found) = (Vec::new(), Mismatches::default());
        Self { text, at: 0, out: String::new(), copied: 0, places, deeper: 0, found }
    }

    fn run(&mut self) {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' => self.open(Place::Member { name: "", name_is_next: true }),
                b'[' => self.open(Place::Element(0)),
                b'}' | b']' => self.close(),
                b',' => self.next(),
                b':' => self.value_is_next(),
                b'N' | b'I' | b'-' => self.no_number(),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn open(&mut self, place: Place<'a>) {
        if self.places.len() < DEPTH { self.places.push(place) } else { self.deeper += 1 }
    }

    fn close(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.places.pop();
        }
    }

    fn next(&mut self) {
        if self.deeper == 0 {
            match self.places.last_mut() {
                Some(Place::Member { name_is_next, .. }) => *name_is_next = true,
                Some(Place::Element(index)) => *index += 1,
                None => {}
            }
        }
    }

    fn value_is_next(&mut self) {
        if self.deeper == 0
            && let Some(Place::Member { name_is_next, .. }) = self.places.last_mut()
        {
            *name_is_next = false;
        }
    }

    /// Goes to the quote that ends a string.
    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut has_half = false;
        self.at = start;
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = bytes.len();
                break;
            };
            self.at += found;
            if bytes[self.at] == b'"' {
                break;
            }
            match escape(bytes, self.at) {
                Escape::Half => {
                    has_half = true;
                    self.replace(6, "\\ufffd");
                }
                Escape::Whole(length) => self.at += length,
            }
        }
        if self.deeper == 0
            && let Some(Place::Member { name, name_is_next: true }) = self.places.last_mut()
        {
            *name = self.text.get(start..self.at).unwrap_or_default();
        }
        if has_half {
            self.note(HALF_A_PAIR.to_string());
        }
    }

    fn no_number(&mut self) {
        let rest = &self.text[self.at..];
        let Some(word) = NO_NUMBERS.into_iter().find(|word| rest.starts_with(word)) else { return };
        let after = rest.as_bytes().get(word.len());
        if after.is_none_or(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')) {
            self.replace(word.len(), "null");
            self.at -= 1;
            self.note(format!("expected a number, got {word}: read as null"));
        }
    }

    /// Replaces `length` bytes, and moves past them.
    fn replace(&mut self, length: usize, with: &str) {
        self.out.push_str(&self.text[self.copied..self.at]);
        self.out.push_str(with);
        self.at += length;
        self.copied = self.at;
    }

    fn note(&mut self, reason: String) {
        let places = &self.places;
        self.found.note(|| Mismatch { path: path(places), reason });
    }
}

/// As Python's `json` writes them.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn path(places: &[Place<'_>]) -> String {
    let mut path = String::new();
    for place in places {
        match place {
            Place::Member { name, .. } if path.is_empty() => path.push_str(name),
            Place::Member { name, .. } => path.extend([".", name]),
            Place::Element(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str, paths: &[&str]) {
        let repaired = repaired(text).unwrap();
        assert_eq!(repaired.text, expected, "{text}");
        let found: Vec<_> = repaired.found.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(found, paths, "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&repaired.text).is_ok(), "{text}");
    }

    #[test]
    fn half_a_pair_becomes_one_character_and_is_told_with_its_place() {
        check(r#"{"a":["x",{"b":"good \ud83d"}]}"#, r#"{"a":["x",{"b":"good \ufffd"}]}"#, &["a[1].b"]);
        check(r#""\uDE00\uD83D""#, r#""\ufffd\ufffd""#, &[""]);
        check(r#""\ud83d\ud83d\ude00\ud83d\n""#, r#""\ufffd\ud83d\ude00\ufffd\n""#, &[""]);
        check(r#"{"\udc00":1,"b":"\uDbFf"}"#, r#"{"\ufffd":1,"b":"\ufffd"}"#, &[r"\udc00", "b"]);
    }

    #[test]
    fn numbers_that_are_none_become_null_and_are_told_with_their_places() {
        check(
            r#"{"a":NaN, "b":[1,-Infinity , Infinity],"c":"NaN, Infinity"}"#,
            r#"{"a":null, "b":[1,null , null],"c":"NaN, Infinity"}"#,
            &["a", "b[1]", "b[2]"],
        );
        check("NaN", "null", &[""]);
    }

    #[test]
    fn what_can_be_read_is_left_alone() {
        for text in [
            r#""\\ud83d""#,
            r#""\\\\ud83d \ud83d\ude00 \u0041 \uFFFD""#,
            r#"{"NaN":"Infinity \" NaN","a":-1}"#,
            "",
            "NaNo",
            "-",
            r#""\u""#,
            r#""\ud8"#,
            "\"\\é\"",
            "\"\\",
        ] {
            assert!(repaired(text).is_none() && without_halves(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_depth_and_no_number_of_places_costs_more_than_one_pass() {
        let deep = ["[".repeat(1_000_000), "NaN".into(), "]".repeat(1_000_000)].concat();
        let deep = repaired(&deep).unwrap();
        assert_eq!((deep.found.len(), deep.found[0].path.len()), (1, 3 * DEPTH));
        let many = ["[", &"NaN,".repeat(1_000_000), "0]"].concat();
        let found = repaired(&many).unwrap().found;
        assert_eq!((found.len(), found[64].path.as_str()), (65, ""));
        assert_eq!(found[64].reason, "999936 more members cannot be read as they should");
    }
}
