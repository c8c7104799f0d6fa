//! A speech-to-speech model as a stage: [`Core`] turns intents into commands, and events into frames.
//!
//! It is pure, so that whatever drives the session, a socket or a test, drives the same stage.
//! [`RealtimeService`] is what an application chooses: where the model is, and what the call begins with.
//!
//! # What becomes of an event
//! Every event is a frame [`FrameKind::Event`](crate::chain::FrameKind::Event), with all its members. It
//! flows both ways, except for words, which flow downstream. What else it leads to:
//!
//! | event | frames |
//! |---|---|
//! | `Audio` | [`OutputAudio`](crate::chain::FrameKind::OutputAudio) in its place, unless it is out of band |
//! | `AudioDone` | `OutputFinished` |
//! | `StopPlayback` | `Interruption`, both ways, in its place |
//! | `SpeechStarted`, `SpeechStopped` | `User(Started)`, `User(Stopped)`, both ways |
//! | `Notice(FunctionFiller)` | the clip of that name: `OutputAudio`, `OutputFinished` |
//! | `ResponseFinished` that failed, `ServerError` that nobody else is told of, `Closed` | `Fault` |
//! | `Settled` | none: the answer to an intent |
//!
//! [`Metric`](crate::chain::Metric)s are pushed both ways when they are known.
//!
//! # What becomes of a frame
//! Audio from the user goes to the session, in its format, and on to the stages downstream. Where the session
//! detects no turns, `User(Started)` from upstream interrupts the assistant, unless it is protected, and
//! begins a turn, and `User(Stopped)` ends it and asks for an answer. What the user types or shows
//! ([`UserInput`](crate::chain::UserInput)) is added to the conversation and answered; if the model can't be
//! given it, that is a fault. Reports of playback end here.

mod ask;
mod core;
mod hear;
mod measure;
mod options;
mod tell;

pub use self::core::Core;
pub(crate) use self::core::NAME;

#[cfg(test)]
mod tests;
pub use options::RealtimeService;
