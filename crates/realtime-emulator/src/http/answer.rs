//! Answers to HTTP requests.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::connection::Fault;

/// A status, headers and a body. The connection is closed after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    /// Only a status.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("Content-Type", kind.into())], body: body.into() }
    }

    /// An error object in the service's form.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
        let error = json!({"message": message, "type": kind, "param": null, "code": code});
        Self::json(status, &json!({ "error": error }))
    }

    /// What is wrong with a body.
    pub(crate) fn fault(fault: &Fault) -> Self {
        let error = json!({"message": fault.message, "type": "invalid_request_error", "param": fault.param,
            "code": fault.code});
        Self::json(400, &json!({ "error": error }))
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    #[cfg(test)]
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| *name == "Location").map(|(_, value)| value.as_str())
    }

    /// The answer as it goes over the wire. The page that asked may read it, if there is one and it is
    /// allowed to.
    pub(crate) fn bytes(&self, origin: Option<&str>) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(origin) = origin {
            let _ = write!(
                text,
                "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Expose-Headers: Location\r\n"
            );
        }
        let length = self.body.len();
        let _ = write!(
            text,
            "Vary: Origin\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{}",
            self.body
        );
        text.into_bytes()
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
