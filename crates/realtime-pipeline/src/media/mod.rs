//! What is said on media sockets, as machines: no socket, no clock.
//!
//! A [`MediaProtocol`] turns the messages of the other end into frames, and frames into messages. A
//! [`MediaSocket`](crate::sockets::MediaSocket) drives it over a WebSocket.

pub mod page;
#[cfg(feature = "telephony")]
pub mod phone;
mod protocol;
pub mod rtvi;
mod tool_answer;

pub use page::{Page, PageOptions};
#[cfg(feature = "telephony")]
pub use phone::{Phone, PhoneCall};
pub use protocol::{MediaOutput, MediaProtocol, MediaWork, SocketMessage};
pub use rtvi::{Rtvi, RtviOptions};
pub use tool_answer::ToolAnswer;
