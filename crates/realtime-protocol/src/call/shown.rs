//! `Debug` of commands and events: short, without audio and words.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::Serialize;

use crate::log::without_content;

/// The longest that a value is shown (characters).
const LONGEST: usize = 400;

/// Shows a value as JSON, with sizes in place of audio, words and arguments.
pub(crate) fn show<T: Serialize>(value: &T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(mut json) = serde_json::to_value(value) else { return f.write_str("(no JSON)") };
    without_content(&mut json);
    let text: String = format!("{json}");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => write!(f, "{}…", &text[..end]),
        None => f.write_str(&text),
    }
}

/// Implements `Debug` by [`show`], without audio, words and arguments.
macro_rules! shown_without_content {
    ($($type:ty),* $(,)?) => {
        $(
            impl core::fmt::Debug for $type {
                fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    $crate::call::shown::show(self, f)
                }
            }
        )*
    };
}
pub(crate) use shown_without_content;
