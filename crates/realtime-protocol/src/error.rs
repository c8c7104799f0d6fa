//! The server's errors. Refused commands and the ends of sessions are in [`call`](crate::call).

use alloc::string::String;

use crate::field::Field;
use crate::id::EventId;
use crate::wire::wire_struct;

wire_struct! {
    /// The server's error object. Compatible servers leave out most of it.
    pub struct ApiError {
        /// The error's type, such as `invalid_request_error`.
        kind as "type": Field<String>,
        /// The error's code.
        code: Field<String>,
        /// The error's text.
        message: Field<String>,
        /// The member at fault.
        param: Field<String>,
        /// The client event at fault.
        event_id: Field<EventId>,
    }
}

impl ApiError {
    /// The code, empty if there is none.
    pub fn code_str(&self) -> &str {
        self.code.value().map_or("", String::as_str)
    }

    /// The text, empty if there is none.
    pub fn message_str(&self) -> &str {
        self.message.value().map_or("", String::as_str)
    }
}

impl core::fmt::Display for ApiError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let code = self.code.value().or_else(|| self.kind.value());
        f.write_str(code.map_or("error", String::as_str))?;
        if let Some(message) = self.message.value() {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}
