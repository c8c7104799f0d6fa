//! Who speaks, and what is a turn: stages upstream of the service.
//!
//! [`Turns`] says when the user's turn begins and ends: by a detector of voices ([`Vad`]), by a key
//! ([`PushToTalk`]), or as others say. [`Mute`] does not let the user be heard for a while. [`TurnTracker`]
//! watches both sides and reports how long the user waited.
//!
//! ```
//! use realtime_pipeline::chain::{Audio, Chain, Direction, FrameKind, Output, Stages, UserSpeech};
//! use realtime_pipeline::turns::{EnergyVad, Mute, Turns};
//! use realtime_protocol::time::Timestamp;
//!
//! // The service, the playout and the others follow.
//! let stages = Stages::new().then(Mute::new().during_functions()).then(Turns::by_voice(EnergyVad::new()));
//! let mut chain = Chain::new(stages)?;
//!
//! let mut seen = Vec::new();
//! for n in 0..100 {
//!     // 20 ms of silence each, and a loud tone from 500 ms to 1,000 ms.
//!     let loud = (25..50).contains(&n);
//!     let wave = (0..320).map(|t| if loud { [0, 9_000, 0, -9_000][t / 4 % 4] } else { 0 });
//!     let audio = FrameKind::InputAudio(Audio::mono(16_000, wave.collect::<Vec<i16>>()));
//!     chain.handle_input(Timestamp::from_millis(20 * (n + 1)), Direction::Downstream, audio);
//!     while let Some(output) = chain.poll_output() {
//!         if let Output::Frame(Direction::Downstream, frame) = output
//!             && let FrameKind::User(speech) = frame.kind()
//!         {
//!             seen.push(speech.clone());
//!         }
//!     }
//! }
//! let turn = [UserSpeech::VoiceStarted, UserSpeech::Started { item_id: None }];
//! let end = [UserSpeech::VoiceStopped, UserSpeech::Stopped { item_id: None }];
//! assert_eq!(seen, [turn, end].concat());
//! # Ok::<(), realtime_pipeline::chain::WrongChain>(())
//! ```
//!
//! # Where they stand
//! The order is source, [`Mute`], [`Turns`], service. So `Turns` knows when the user is muted, and ends a
//! turn that is open. Both push what they say both ways, so that every stage knows.
//!
//! # Which turns
//! | who finds turns | the session's `turn_detection` | stage |
//! |---|---|---|
//! | the server | `server_vad` or `semantic_vad` | none, or [`Turns::server`]; [`Turns::hints`] if playback holds on a voice |
//! | this side, by voice | `null` | [`Turns::by_voice`] |
//! | the user, with a key | `null` | [`Turns::push_to_talk`] |
//! | somebody else | `null` | [`Turns::external`] |
//!
//! # What it does not do
//! It does not stop playback, cancel a response or commit audio: the service does, when a turn begins or
//! ends. It knows no words: with `turn_detection: null` they come after the commit.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `vad`, `energy`, `earshot` | what hears a voice in a window of audio |
//! | `detector`, `ear` | windows from any audio, and the edges of a voice |
//! | `strategy`, `key`, `floor`, `stage`, `steps` | what begins and ends a turn |
//! | `mute` | when the user is not heard |
//! | `first_word` | when an agent that calls somebody begins to speak |
//! | `dtmf` | keys that a caller presses, told to the model as one input |
//! | `tracker` | how long the user waited |

mod detector;
mod dtmf;
mod ear;
#[cfg(feature = "vad")]
mod earshot;
mod energy;
mod first_word;
mod floor;
mod key;
mod mute;
mod stage;
mod steps;
mod strategy;
#[cfg(test)]
mod tests;
mod tracker;
mod vad;

pub use dtmf::DtmfAggregator;
#[cfg(feature = "vad")]
pub use earshot::Earshot;
pub use energy::EnergyVad;
pub use first_word::FirstWord;
pub use key::{Key, PushToTalk};
pub use mute::{Mute, MuteButton, MuteRequest};
pub use stage::Turns;
pub use strategy::{EndOfTurn, Start, Stop, Utterance, Verdict};
pub use tracker::{TurnEnd, TurnReport, TurnTracker};
pub use vad::{Vad, Window};
