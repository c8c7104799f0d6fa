//! Where a call's input comes from and its output goes: [`Source`] and [`Sink`].
//!
//! Both are polled in the call's one task, like futures. What blocks runs elsewhere and is reached through a
//! bounded ring.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `source`, `sink`, `transport` | the traits, and both ends of one transport |
//! | `error` | what goes wrong at an edge |
//! | `ring` | input from another task or thread |
//! | [`memory`] | a transport within the program |
//! | `raw` | samples from a reader, and into a writer: other programs as microphone and loudspeaker |
//! | `wav` | files to speak from and to record into |
//! | `local` | the microphone and the loudspeaker of this machine (feature `local-audio`) |
//! | `side_channel` | a call whose audio goes past this side (feature `telephony-rest`) |
//! | `recorder` | a stage that records both sides |
//! | `timeline` | pure: what stands where in a recording |

mod discard;
mod error;
#[cfg(feature = "local-audio")]
pub mod local;
pub mod memory;
mod raw;
mod recorder;
mod ring;
#[cfg(feature = "telephony-rest")]
mod side_channel;
mod sink;
mod source;
#[cfg(test)]
mod testing;
mod timeline;
mod transport;
mod wav;

pub use discard::Discard;
pub use error::EdgeError;
pub use raw::{RawSink, RawSource};
pub use recorder::{RecordedAudio, RecordedVoice, Recorder, RecorderHandle, Recording};
pub use ring::{RingInput, RingSource, ring};
#[cfg(feature = "telephony-rest")]
pub use side_channel::SideChannel;
pub use sink::{Pace, Sink};
pub use source::Source;
pub use transport::Transport;
pub use wav::{WavError, WavSink, WavSource};
