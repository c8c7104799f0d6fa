//! Numbers in unexpected spellings: whole numbers with a fraction of zero or an exponent (`1234.0`, `1e3`),
//! and numbers in a string (`"7"`).
//!
//! The rule kept here: a text that means exactly one number is read as that number, and reported; the text is
//! kept and written back. Other texts (`12.5` for a whole number, `"07"`, `"7 ms"`) are unreadable, which is
//! not the same as zero.

use alloc::borrow::Cow;

use serde_json::value::RawValue;

use crate::compare::decimal;
use crate::wire::{Mismatch, Wire, mismatch};

macro_rules! whole {
    ($($ty:ty),*) => { $(
        impl Wire for $ty {
            const LOOSE: bool = true;

            fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
                serde_json::from_str(raw.get()).or_else(|error| {
                    let read = whole(raw.get()).and_then(|whole| Self::try_from(whole).ok());
                    read.ok_or_else(|| mismatch(raw, &error))
                })
            }
        }
    )* };
}
whole!(u16, u32, u64, i64);

impl Wire for f64 {
    const LOOSE: bool = true;

    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(raw.get()).or_else(|error| {
            let read = number(raw.get()).and_then(|number| serde_json::from_str(&number).ok());
            read.ok_or_else(|| mismatch(raw, &error))
        })
    }
}

/// The whole number that a JSON value stands for, exactly.
pub(crate) fn whole(json: &str) -> Option<i128> {
    let number = number(json)?;
    let (is_negative, digits, exponent) = decimal(&number)?;
    if digits.is_empty() {
        return Some(0);
    }
    let power = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
    let whole = digits.parse::<i128>().ok()?.checked_mul(power)?;
    Some(if is_negative { -whole } else { whole })
}

/// The JSON text of the number that a value is, or that stands in a string.
fn number(json: &str) -> Option<Cow<'_, str>> {
    let text = match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => text,
        None => json,
    };
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok();
    is_number.then_some(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Wire>(json: &str) -> Option<T> {
        T::from_raw(serde_json::from_str(json).unwrap()).ok()
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (json, expected) in [
            ("7", Some(7)),
            ("1234.0", Some(1234)),
            ("1e3", Some(1000)),
            ("1.50E+1", Some(15)),
            ("120e-1", Some(12)),
            ("-0", Some(0)),
            ("0.0", Some(0)),
            ("0e99999999999999999", Some(0)),
            (r#""7""#, Some(7)),
            (r#""7.0""#, Some(7)),
            (r#""1e3""#, Some(1000)),
            ("18446744073709551615.0", Some(u64::MAX)),
            ("18446744073709551616.0", None),
            ("12.5", None),
            ("1e-1", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            ("-1.0", None),
            (r#""""#, None),
            (r#""07""#, None),
            (r#""+7""#, None),
            (r#"" 7""#, None),
            (r#""7 ms""#, None),
            (r#""0x7""#, None),
            (r#""NaN""#, None),
            (r#""\u0037""#, None),
            ("true", None),
            ("null", None),
            ("[7]", None),
        ] {
            assert_eq!(read::<u64>(json), expected, "{json}");
        }
        assert_eq!(read::<i64>(r#""-9223372036854775808.0""#), Some(i64::MIN));
        assert_eq!((read::<u16>("65536.0"), read::<u32>("4294967295.0")), (None, Some(u32::MAX)));
    }

    #[test]
    fn numbers_with_a_fraction_are_read_from_strings_too() {
        for (json, expected) in [
            ("0.5", Some(0.5)),
            (r#""0.5""#, Some(0.5)),
            (r#""-1e3""#, Some(-1000.0)),
            (r#""inf""#, None),
            (r#""NaN""#, None),
            (r#""1e400""#, None),
            ("1e400", None),
            (r#"".5""#, None),
        ] {
            assert_eq!(read::<f64>(json), expected, "{json}");
        }
    }
}
