//! The variables that hold keys and secrets: [`Environment`].

use std::collections::BTreeMap;
use std::fmt;

/// Variables, by name. Keys and secrets come by them, since everybody on a machine can read command lines.
///
/// `Debug` shows the names alone.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Those that are no UTF-8 are left out.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(variables.filter_map(text).collect())
    }

    /// These variables.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A variable without the white space around it. An empty one counts as missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A variable.
    ///
    /// # Errors
    /// It is not set: the error names it, and what it is for.
    pub fn require(&self, name: &str, purpose: &str) -> Result<&str, crate::Error> {
        self.get(name).ok_or_else(|| format!("expected {purpose} in the variable {name}: set it").into())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_missing_and_no_value_shows() {
        let environment = Environment::of([("KEY", " canary \n"), ("EMPTY", " ")]);
        assert_eq!((environment.get("KEY"), environment.get("EMPTY")), (Some("canary"), None));
        let error = environment.require("EMPTY", "the key of the model").unwrap_err();
        assert_eq!(error.to_string(), "expected the key of the model in the variable EMPTY: set it");
        assert!(!format!("{environment:?}").contains("canary"));
    }
}
