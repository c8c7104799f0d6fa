//! What a client did wrong, in the words of the service: the `error` events of this server.
//!
//! Codes and texts are the documented or observed ones, because clients match on both.

use realtime_protocol::error::ApiError;
use realtime_protocol::event::Dialect;
use realtime_protocol::field::{Extra, Field};
use realtime_protocol::id::EventId;

/// A refusal of one client event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) code: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FaultKind {
    Request,
    Server,
}

impl FaultKind {
    /// The error's type.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "invalid_request_error",
            Self::Server => "server_error",
        }
    }
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Request, code, param: None, message: message.into() }
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        Self::new("missing_required_parameter", format!("Missing required parameter: '{param}'."))
            .param(param)
    }

    pub(crate) fn unknown(param: impl Into<String>) -> Self {
        let param = param.into();
        Self::new("unknown_parameter", format!("Unknown parameter: '{param}'.")).param(param)
    }

    pub(crate) fn invalid_value(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new("invalid_value", message).param(param)
    }

    /// A value that is not supported.
    pub(crate) fn unsupported(param: impl Into<String>, got: &str, supported: &[&str]) -> Self {
        let listed = match supported {
            [] => "none".into(),
            [one] => format!("'{one}'"),
            [most @ .., last] => {
                let most: Vec<_> = most.iter().map(|word| format!("'{word}'")).collect();
                format!("{}, and '{last}'", most.join(", "))
            }
        };
        Self::invalid_value(param, format!("Invalid value: '{got}'. Supported values are: {listed}."))
    }

    pub(crate) fn too_long(param: impl Into<String>, most: usize, got: usize) -> Self {
        let param = param.into();
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string \
             with length {got} instead."
        );
        Self::new("string_above_max_length", message).param(param)
    }

    /// The fault with its paths as the dialect has them.
    pub(crate) fn spelled(mut self, dialect: Dialect) -> Self {
        self.param = self.param.map(|param| dialect.paths(&param));
        self.message = dialect.paths(&self.message);
        self
    }

    /// The error object, with every member written.
    pub(crate) fn into_error(self, event_id: Option<EventId>) -> ApiError {
        ApiError {
            kind: self.kind.as_str().into(),
            code: self.code.into(),
            message: self.message.into(),
            param: self.param.map_or(Field::Null, Field::Value),
            event_id: event_id.map_or(Field::Null, Field::Value),
            extra: Extra::default(),
        }
    }
}

/// Refuses the first unknown member. Values that did not fit a field were refused before.
pub(crate) fn no_unknown(extra: &Extra, path: &str) -> Result<(), Fault> {
    match extra.iter().next() {
        None => Ok(()),
        Some((name, _)) if path.is_empty() => Err(Fault::unknown(name)),
        Some((name, _)) => Err(Fault::unknown(format!("{path}.{name}"))),
    }
}
