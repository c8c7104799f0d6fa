//! Bodies of requests.

use std::fmt;

use crate::answer::json::encoded;

/// The body of a request. `Debug` shows its kind alone.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// None.
    Empty,
    /// A form: names and values, in order.
    Form(Vec<(&'static str, String)>),
    /// JSON.
    Json(String),
}

impl Body {
    /// For the header `Content-Type`.
    pub const fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Json(_) => Some("application/json"),
        }
    }

    /// The body as it is sent.
    pub fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Form(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
                pairs.join("&")
            }
            Self::Json(text) => text.clone(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Form(_) => "Form",
            Self::Json(_) => "Json",
        })
    }
}
