//! Calls over WebSockets that carry audio: [`MediaSocket`].
//!
//! A server accepts a socket with the library of its choice, says what is spoken on it
//! ([`media`](crate::media)), and holds a call over it.

#[cfg(feature = "axum")]
mod axum;
mod first;
mod line;
mod lines;
mod peer_tools;
mod socket;
#[cfg(test)]
mod tests;
mod transport;
#[cfg(feature = "tungstenite")]
mod tungstenite;
mod works;

pub use first::{First, NoText, first_text};
pub use lines::{HeldLine, Lines, NotHeld, draw_token};
pub use peer_tools::PeerTools;
pub use socket::WebSocketMessage;
pub use transport::{MediaLine, MediaSocket, NotReady};
