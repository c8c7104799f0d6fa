//! Compares two JSON texts strictly: every member counts, `null` differs from absent, and numbers may have
//! any size. The tests of losslessness use it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::wire::{Mismatch, Path, json_kind};

/// Finds the first place where `after` differs from `before`. `None`: both say the same.
///
/// The order of members does not count, nor how strings are escaped and numbers spelled (`1`, `1.0` and
/// `10e-1` are one number). Values nested deeper than 64 levels are compared as text.
///
/// ```
/// use realtime_protocol::compare::first_difference;
///
/// assert_eq!(first_difference(r#"{"a":1,"b":null}"#, r#"{"b":null,"a":1.0}"#), None);
/// let difference = first_difference(r#"{"a":[{"b":null}]}"#, r#"{"a":[{}]}"#).unwrap();
/// assert_eq!(difference.to_string(), "a[0].b: lost");
/// ```
pub fn first_difference(before: &str, after: &str) -> Option<Mismatch> {
    difference(before.trim(), after.trim(), &Path::ROOT, 64)
}

fn difference(before: &str, after: &str, path: &Path<'_>, depth: usize) -> Option<Mismatch> {
    let differs = |reason: &str| Some(Mismatch { path: format!("{path}"), reason: reason.into() });
    if before == after {
        return None;
    }
    if depth == 0 {
        return differs("not the same text");
    }
    match (before.as_bytes().first(), after.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (Some(before), Some(after)) = (members(before), members(after)) else {
                return differs("not JSON");
            };
            let mut after = after.into_iter().peekable();
            for (name, value) in before {
                let path = path.member(&name);
                if after.peek().is_some_and(|(other, _)| *other < name) {
                    break; // reported below
                }
                let Some((_, other)) = after.next_if(|(other, _)| *other == name) else {
                    return Some(Mismatch { path: format!("{path}"), reason: "lost".into() });
                };
                let found = difference(value.get(), other.get(), &path, depth - 1);
                if found.is_some() {
                    return found;
                }
            }
            let (name, _) = after.next()?;
            Some(Mismatch { path: format!("{}", path.member(&name)), reason: "not there before".into() })
        }
        (Some(b'['), Some(b'[')) => {
            let (Ok(before), Ok(after)) = (
                serde_json::from_str::<Vec<&RawValue>>(before),
                serde_json::from_str::<Vec<&RawValue>>(after),
            ) else {
                return differs("not JSON");
            };
            if before.len() != after.len() {
                return differs(&format!("had {} elements, has {}", before.len(), after.len()));
            }
            let mut pairs = before.iter().zip(after).enumerate();
            pairs.find_map(|(index, (before, after))| {
                difference(before.get(), after.get(), &path.index(index), depth - 1)
            })
        }
        (Some(b'"'), Some(b'"')) => {
            match (serde_json::from_str::<String>(before), serde_json::from_str::<String>(after)) {
                (Ok(before), Ok(after)) if before == after => None,
                _ => differs("another string"),
            }
        }
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
            if same_number(before, after) {
                None
            } else {
                differs("another number")
            }
        }
        _ => differs(&format!("was {}, is {}", json_kind(before), json_kind(after))),
    }
}

/// An object's members by name; those of one name stay in their order.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);
    impl<'de> serde::Deserialize<'de> for Members<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members<'de>;
                fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Members<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some((name, value)) =
                        map.next_entry::<crate::wire::Key<'de>, &'de RawValue>()?
                    {
                        members.push((name.into_cow(), value));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    let Members(mut members) = serde_json::from_str(text).ok()?;
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(members)
}

/// Returns whether two numbers are equal. Whole numbers of any size are compared digit by digit. Numbers with
/// a fraction or an exponent are also equal if they read as the same finite 64-bit float.
fn same_number(a: &str, b: &str) -> bool {
    let is_whole = |text: &str| !text.contains(['.', 'e', 'E']);
    if decimal(a) == decimal(b) {
        return true;
    }
    if is_whole(a) && is_whole(b) {
        return false;
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.is_finite() && a.to_bits() == b.to_bits(),
        _ => false,
    }
}

/// A number as its sign, its digits without zeros at either end, and the power of ten of the last one.
pub(crate) fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all: String = [whole, fraction].concat();
    let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let kept = all.trim_end_matches('0').len();
    exponent = exponent.checked_add(i64::try_from(all.len() - kept).ok()?)?;
    all.truncate(kept);
    let all = String::from(all.trim_start_matches('0'));
    let exponent = if all.is_empty() { 0 } else { exponent };
    Some((negative, all, exponent))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_at_any_size() {
        for (a, b, equal) in [
            ("1", "1.0", true),
            ("0.1", "1e-1", true),
            ("100", "1E2", true),
            ("0", "0.000", true),
            ("0.1", "0.1000000000000000055511151231257827", true),
            ("12345678901234567890", "12345678901234567891", false),
            ("1e400", "1e401", false),
            ("1e400", "10e399", true),
            ("1", "-1", false),
            ("1", "2", false),
            ("1e99999999999999999999", "1", false),
        ] {
            assert_eq!(first_difference(a, b).is_none(), equal, "{a} {b}");
        }
    }

    #[test]
    fn a_difference_names_its_place() {
        for (before, after, found) in [
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, "a: another number"),
            (r#"{"a":{"b":"\u0041"}}"#, r#"{"a":{"b":"A"}}"#, ""),
            (r#"{"a":{"b":null}}"#, r#"{"a":{"b":false}}"#, "a.b: was null, is a boolean"),
            (r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, "a: had 1 elements, has 2"),
            ("{}", r#"{"x":{}}"#, "x: not there before"),
        ] {
            let difference = first_difference(before, after).map(|found| found.to_string());
            assert_eq!(difference.unwrap_or_default(), found);
        }
    }

    #[test]
    fn many_members_take_no_time_with_the_square_of_their_number() {
        let names = |names: &mut dyn Iterator<Item = u32>| -> String {
            let members: Vec<String> = names.map(|name| format!("\"{name}\":0")).collect();
            ["{", &members.join(","), "}"].concat()
        };
        let (up, down) = (names(&mut (0..200_000)), names(&mut (0..200_000).rev()));
        assert_eq!(first_difference(&up, &down), None);
        let event = |members: &str| members.replacen('{', "{\"type\":\"error\",", 1);
        let decoded = crate::event::ServerEvent::decode(&event(&up), crate::dialect::Dialect::Beta);
        assert_eq!(first_difference(&event(&up), &decoded.encode(crate::dialect::Dialect::Beta)), None);
    }

    #[test]
    fn deep_values_do_not_overflow_the_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(first_difference(&deep, &deep), None);
        assert!(first_difference(&deep, &(deep.clone() + " 1")).is_some());
    }
}
