//! One WebRTC peer of a voice call: an audio track both ways, and a data channel of texts beside it.
//!
//! `Offer` calls, `Peer::answer` answers; both give a `Peer`. It takes samples and texts, and tells what
//! is heard and said as `PeerEvent`s. Speech travels as Opus, in frames of 20 ms; the samples are mono, in
//! a `Rate` that Opus takes, so that nothing is resampled here.
//!
//! Everything here needs the feature `webrtc`. It is off by default, because AWS-LC, which brings the
//! cryptography, is C and takes a minute to build: without it the crate is empty.
//!
//! # What holds
//!
//! - **One task, one UDP socket per call**, and str0m's machine in between, which has neither.
//! - **Time is bounded.** A call that is not open within the deadlines of `PeerOptions` ends, and says
//!   whether the other side was not found (`Ended::NoRoute`) or did not agree (`Ended::NoChannel`). A
//!   call whose other side cannot be reached for a while goes on if it can be reached again in time.
//! - **Memory is bounded.** Texts are never lost: where the application does not read them, the call ends.
//!   Audio that it does not read is dropped.
//! - **Loss is concealed, delay is borne.** Packets are put in order and handed out evenly, about 60 ms after
//!   they came.
//!
//! # What it does not do
//!
//! It has no STUN or TURN: one side must be reachable by UDP, as servers are. It sends no video, does not
//! cancel echo, and knows nothing of what the texts say.
//!
//! **str0m logs what is said**: at TRACE, it writes the texts of the data channel to `tracing`. Keep its
//! target `str0m` below that where conversations are private.
//!
//! # Map
//!
//! | module | what lives there |
//! |---|---|
//! | `peer` | `Offer`, `Peer`: what an application holds |
//! | `task` | the loop around the socket |
//! | `rtc` | str0m's machine with one track and one channel |
//! | `jitter` | what came, in order and at an even pace |
//! | `mouth` | what is said, at an even pace |
//! | `opus` | packets and samples |
//! | `error` | `PeerError`, `Ended` |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "webrtc")]
mod error;
#[cfg(feature = "webrtc")]
mod jitter;
#[cfg(feature = "webrtc")]
mod mouth;
#[cfg(feature = "webrtc")]
mod opus;
#[cfg(feature = "webrtc")]
mod peer;
#[cfg(feature = "webrtc")]
mod rtc;
#[cfg(feature = "webrtc")]
mod task;

#[cfg(feature = "webrtc")]
pub use error::{Ended, PeerError};
#[cfg(feature = "webrtc")]
pub use opus::Rate;
#[cfg(feature = "webrtc")]
pub use peer::{Heard, Offer, Peer, PeerEvent, PeerOptions};
