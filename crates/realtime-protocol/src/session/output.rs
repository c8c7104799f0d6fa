//! What a session wants done and tells: one queue, oldest first.

use crate::call::Event;
use crate::event::ClientEvent;

/// One thing that a session wants the driver to do, or tells the application.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum Output {
    /// Send this to the server.
    Send(ClientEvent),
    /// Tell this to the application.
    Event(Event),
    /// Close the connection, and call `handle_disconnected` when it is closed.
    Close,
}
