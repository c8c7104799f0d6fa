//! OpenAI's endpoint as the environment has it.

use super::Endpoint;
use crate::connect::address::shown;
use crate::connect::error::ConnectError;

impl Endpoint {
    /// OpenAI's address, or the one that `OPENAI_BASE_URL` names, with the key of `OPENAI_API_KEY`: the
    /// variables of OpenAI's own libraries.
    ///
    /// The base may be `https://`, `http://`, `wss://` or `ws://`, with or without `/v1` and `/realtime`. An
    /// empty variable counts as missing.
    ///
    /// # Errors
    /// [`ConnectError::BadEnvironment`] names the variable that is missing or cannot be used: set it.
    pub fn openai_from_env(model: &str) -> Result<Self, ConnectError> {
        Self::from_variables(model, |name| std::env::var_os(name))
    }

    fn from_variables(
        model: &str,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ConnectError> {
        let set = |name: &'static str| {
            let value = variable(name).map(std::ffi::OsString::into_string).transpose();
            let value = value.map_err(|_| bad(name, "it is not UTF-8".to_owned()))?;
            Ok(value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
        };
        let key = set("OPENAI_API_KEY")?
            .ok_or_else(|| bad("OPENAI_API_KEY", "expected a key, and it is not set".to_owned()))?;
        if key.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(bad("OPENAI_API_KEY", "expected one word of ASCII characters".to_owned()));
        }
        let Some(base) = set("OPENAI_BASE_URL")? else { return Ok(Self::openai(key, model)) };
        // A base is completed, whatever its scheme is.
        let http = match base.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => format!("http://{rest}"),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => format!("https://{rest}"),
            _ => base.clone(),
        };
        let endpoint = Self::new(&http, model).map_err(|error| match error {
            ConnectError::BadUrl { reason, .. } => {
                bad("OPENAI_BASE_URL", format!("its address {:?} cannot be used: {reason}", shown(&base)))
            }
            other => other,
        });
        Ok(endpoint?.key(key))
    }
}

const fn bad(name: &'static str, reason: String) -> ConnectError {
    ConnectError::BadEnvironment { name, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(key: &str, base: &str) -> Result<Endpoint, ConnectError> {
        Endpoint::from_variables("m", |name| {
            Some(if name == "OPENAI_API_KEY" { key } else { base }.into()).filter(|value| value != "unset")
        })
    }

    #[test]
    fn every_form_of_a_base_leads_to_the_same_place() {
        for base in [
            "unset",
            "",
            "https://api.openai.com",
            "https://api.openai.com/v1",
            " https://api.openai.com/v1/\n",
            "wss://api.openai.com",
            "WSS://api.openai.com/v1",
            "wss://api.openai.com/v1/realtime",
        ] {
            let endpoint = from("sk-1", base).unwrap();
            assert_eq!(endpoint.url(), "wss://api.openai.com/v1/realtime?model=m", "{base:?}");
        }
        for base in ["http://[::1]:8000", "ws://[::1]:8000/v1/"] {
            assert_eq!(from("sk-1", base).unwrap().url(), "ws://[::1]:8000/v1/realtime?model=m");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_does_not_show() {
        for (key, base, text) in [
            ("unset", "unset", "OPENAI_API_KEY: expected a key, and it is not set"),
            (" ", "unset", "OPENAI_API_KEY: expected a key, and it is not set"),
            ("two canary", "unset", "OPENAI_API_KEY: expected one word of ASCII characters"),
            (
                "sk-canary",
                "api.openai.com?canary",
                "OPENAI_BASE_URL: its address \"api.openai.com\" cannot be used: there is no scheme before the host",
            ),
        ] {
            let error = from(key, base).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot use the environment variable {text}"));
            assert!(!error.is_retryable() && error.is_mistake() && !format!("{error:?}").contains("canary"));
        }
    }
}
