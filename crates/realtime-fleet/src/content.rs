//! What people said and what functions answered: [`Content`], which shows itself nowhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// JSON that may hold words of people or secrets of tools: its `Debug` shows none of it.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Content(pub Value);

impl Content {
    /// Returns whether there is nothing.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_null() { "Content(null)" } else { "Content(…)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_show() {
        let content = Content(serde_json::json!({ "said": "my number is 12" }));
        assert_eq!(format!("{content:?}"), "Content(…)");
    }
}
