//! A page in a browser as the other end of a call: [`Page`], and the program for the page: [`CLIENT_JS`].
//!
//! One WebSocket carries both voices as 16-bit PCM, mono, and texts besides: what is said, which tools run,
//! how long answers take, what the user types. The page tells what it has played, so that an interruption
//! cuts at what was heard. If its connection is lost, the call waits for it.
//!
//! ```
//! use realtime_pipeline::media::{MediaProtocol, Page, PageOptions};
//! use realtime_protocol::time::Timestamp;
//!
//! // A server draws the token, and gives a new socket and this to `MediaSocket::new`.
//! let mut page = Page::new(PageOptions::new("7f0c5b1e9a2d4c3f8e6b0d1a5c9e7f32"));
//! page.handle_opened(Timestamp::ZERO);
//! page.handle_text(Timestamp::ZERO, r#"{"type":"hello","version":1}"#);
//! assert!(page.is_ready());
//! ```
//!
//! # What it says and hears
//! `docs/page-protocol.md` in the repository has every message with an example, for who writes another
//! client.
//!
//! | from the page | frame |
//! |---|---|
//! | `hello` | [`Peer::Connected`](crate::chain::Peer), and after a loss [`SinkReport::Back`](crate::chain::SinkReport) |
//! | audio | [`InputAudio`](crate::chain::FrameKind::InputAudio); silence while the page says that it is muted |
//! | `played`, `stopped` | [`SinkReport::Heard`](crate::chain::SinkReport), [`SinkReport::Cleared`](crate::chain::SinkReport) |
//! | `text`, `stop` | [`UserInput`](crate::chain::UserInput) |
//! | `keys`, `message` | [`InputDtmf`](crate::chain::FrameKind::InputDtmf), [`InputMessage`](crate::chain::FrameKind::InputMessage) |
//! | `mute` | [`UserSpeech::Muted`](crate::chain::UserSpeech), `Unmuted` |
//! | `ping` | none: it is answered with `pong` |
//! | `bye` | [`Peer::Disconnected`](crate::chain::Peer) |
//!
//! | frame | for the page |
//! |---|---|
//! | [`PlayedAudio`](crate::chain::FrameKind::PlayedAudio) | `item`, audio, `done` |
//! | [`ClearSink`](crate::chain::FrameKind::ClearSink) | `clear` |
//! | [`User`](crate::chain::UserSpeech), [`Bot`](crate::chain::BotSpeech) | `speaking`, `muted` |
//! | [`Event`](crate::chain::FrameKind::Event) | `delta`, `transcript`, `interrupted`, `tool`, `notice` |
//! | [`Metric`](crate::chain::Metric) | `latency` |
//! | [`Message`](crate::chain::Message), [`OutputDtmf`](crate::chain::FrameKind::OutputDtmf) | `message`, `keys` |
//! | [`End`](crate::chain::FrameKind::End), [`Cancel`](crate::chain::FrameKind::Cancel) | `ended` |
//!
//! # Rules
//! - A page that is lost is away for [`resume_within`](PageOptions::resume_within). What it had not played by
//!   then is sent again, and texts wait, up to 64 KiB. Then it is gone for good.
//! - What is not understood is counted and answered with an `error`, at most one a second in the long run.
//! - No position is beyond what was sent. An answer to `clear` that takes longer than 160 ms is estimated by
//!   the last report and the time since.
//! - No message is longer than 64 KiB, either way, and audio that comes faster than it sounds is dropped.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `machine` | the machine |
//! | `presence`, `link` | how a page comes, is lost, comes back and goes |
//! | `speak`, `clearing` | what its messages mean, how audio is sent, and how it stops |
//! | `sent`, `allowance` | accounts of what was sent and played, and of what may come |
//! | `up`, `down`, `words` | what a page says, what it is told, and in which words |
//! | `client.js` | the page's side |

mod allowance;
mod clearing;
mod down;
mod link;
mod machine;
mod options;
mod presence;
mod sent;
mod speak;
#[cfg(test)]
mod tests;
mod up;
mod words;

pub use machine::{Page, PageCounts};
pub use options::PageOptions;
pub use up::token_in;

/// The page's side of the protocol: one ECMAScript module without dependencies, to be served as it is.
pub const CLIENT_JS: &str = include_str!("client.js");

/// Samples per second of the audio that a page is sent (Hz).
const RATE: u32 = 24_000;
