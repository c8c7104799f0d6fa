//! The protocol's version, as both sides understand it: [`Version`].

use serde_json::Value;

/// Our own.
pub(super) const OURS: &str = "2.2.0";

/// What the client speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// Version 2, or something unknown, which is served as if it were version 2.
    Current,
    /// Version 1, as it said. It gets the messages of that version.
    Legacy(String),
}

impl Version {
    /// Reads what the client says of itself. The second: what does not fit, for the client.
    pub(super) fn of(said: &Value) -> (Self, Option<String>) {
        let Value::String(said) = said else {
            return (Self::Current, Some(compared(format_args!("expected the client's version, got none"))));
        };
        let numbers: Option<Vec<u32>> = said.split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some([2, _, _]) => (Self::Current, None),
            Some([1, _, _]) => (Self::Legacy(said.clone()), None),
            Some([_, _, _]) => (Self::Current, Some(compared(format_args!("expected version 1 or 2")))),
            _ => {
                let wrong = format_args!("expected a version such as {OURS}, got another text");
                (Self::Current, Some(compared(wrong)))
            }
        }
    }

    /// What the client is told that we speak.
    pub(super) fn told(&self) -> &str {
        match self {
            Self::Current => OURS,
            Self::Legacy(theirs) => theirs,
        }
    }

    pub(super) const fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy(_))
    }
}

fn compared(what: std::fmt::Arguments<'_>) -> String {
    format!("{what}: the server speaks {OURS}, and goes on with it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn majors_must_match_and_version_1_gets_what_it_knows() {
        let fits = |said: Value| {
            let (version, wrong) = Version::of(&said);
            (version.told().to_owned(), wrong.is_none())
        };
        for (said, told, is_fine) in [
            (json!("2.1.0"), OURS, true),
            (json!("2.99.3"), OURS, true),
            (json!("1.4.1"), "1.4.1", true),
            (json!("3.0.0"), OURS, false),
            (json!("2.1"), OURS, false),
            (json!("2.x.0"), OURS, false),
            (json!(""), OURS, false),
            (json!(2), OURS, false),
            (Value::Null, OURS, false),
        ] {
            assert_eq!(fits(said.clone()), (told.to_owned(), is_fine), "{said}");
        }
        assert!(Version::of(&json!("1.0.0")).0.is_legacy());
    }
}
