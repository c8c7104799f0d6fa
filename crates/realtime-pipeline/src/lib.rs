//! Voice agents on realtime models: a chain of stages from the microphone to the loudspeaker, driven as one
//! task per call.
//!
//! An [`Agent`] is the whole: what the model is told to be, its tools, and how it is heard. This one speaks
//! from a file into a file:
//!
//! ```no_run
//! use realtime_pipeline::{Agent, Endpoint, WavSink, WavSource};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = (WavSource::open("question.wav")?, WavSink::create("answer.wav")?);
//! let agent = Agent::new("You are a friendly host.").greeting("Greet the user.");
//! let call = agent.run(Endpoint::openai_from_env("gpt-realtime")?, transport).await?;
//! eprintln!("{}", call.transcript());
//! # Ok(())
//! # }
//! ```
//!
//! Below it lies a [`Task`]: stages of one's own in a [chain], the service among them, a source and a sink.
//! This one has no model. It plays a clip at once, and ends:
//!
//! ```
//! use realtime_pipeline::chain::{Audio, AudioSource, FrameKind, OutputAudio};
//! use realtime_pipeline::edges::memory;
//! use realtime_pipeline::{Playout, Stages, Task};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (transport, mut peer) = memory::pair();
//! let task = Task::new(Stages::new().then(Playout::new()))?.transport(transport);
//! let (handle, source) = (task.handle().clone(), AudioSource::Clip("beep".into()));
//! let audio = Audio::mono(8_000, vec![900; 800]);
//! let clip = OutputAudio { response_id: None, source: source.clone(), start: 0, mark: None, audio };
//! handle.queue(FrameKind::OutputAudio(clip))?;
//! handle.queue(FrameKind::OutputFinished { source, total: 800 })?;
//! handle.end("all is played")?;
//! task.run().await?;
//!
//! let played = std::iter::from_fn(|| peer.output.try_next())
//!     .filter(|frame| matches!(frame, FrameKind::PlayedAudio(_)))
//!     .count();
//! assert_eq!(played, 5, "100 ms in chunks of 20 ms");
//! # Ok(())
//! # }
//! ```
//!
//! # What always holds
//! - `Start` precedes every other frame at every stage, and frames keep their order. No stage can stop a
//!   chain or keep its end back: [`chain`] has the rules.
//! - One task drives a call: stages, machines, and both edges. It never waits for a stage.
//! - What was heard is counted in samples, by one ledger: [`playout`].
//! - What somebody asked for is answered exactly once: [`Intent`], [`Answer`](chain::Answer).
//! - What is lost is counted and told.
//!
//! # What it does not do
//! It decides nothing about the protocol: the session decides when to cancel, what to truncate and when to
//! ask for a response.
//!
//! # Modules
//! | module | what is in it |
//! |---|---|
//! | [`agent`] | an agent in a few lines |
//! | [`task`] | one call as one task, and many calls on several threads |
//! | [`service`] | the model as a stage |
//! | [`chain`] | pure: stages in a chain as a machine, frames and intents |
//! | [`turns`] | pure: who speaks, what is a turn, and who is not listened to |
//! | [`playout`] | pure: audio out in real time, with every sample accounted for |
//! | [`edges`] | sources and sinks: memory, WAV files, raw PCM; recording |
//! | [`media`] | pure: what carriers, pages and RTVI clients say on their sockets |
//! | [`sockets`] | calls over WebSockets: `axum`, `tokio-tungstenite` |
//! | [`testing`] | checks over a call that was held |
//! | [`convert`], [`resample`] | from any audio into the format that is wanted |
//! | `echo` | what the loudspeaker plays is taken out of what the microphone hears (feature) |
//! | [`client`], [`context`], [`protocol`] | the crates below, so that this one is enough to depend on |
//!
//! # Features
//! - `tls` (default): `wss://` addresses.
//! - `telephony`: calls over the media-stream sockets of phone carriers.
//! - `telephony-rest`: requests to carriers, such as to transfer a call (`carrier_client`).
//! - `axum`, `tungstenite`: calls over WebSockets of these libraries.
//! - `webrtc`: speech to and from the model goes by UDP, as Opus (`RealtimeService::webrtc`). It builds C.
//! - `local-audio`: the microphone and the loudspeaker of this machine (`edges::local`). On Linux it needs
//!   Debian's `libasound2-dev`.
//! - `echo-cancellation`: takes the echo of a loudspeaker, and noise, out of a microphone's audio (`echo`).
//!   It needs Rust 1.91 or newer.
//! - `vad`: a small neural network that detects voices, `turns::Earshot`.
//!

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../WORDS.md")]

pub mod agent;
#[cfg(feature = "telephony-rest")]
pub mod carrier_client;
pub mod chain;
pub mod convert;
#[cfg(feature = "echo-cancellation")]
pub mod echo;
pub mod edges;
pub mod media;
mod pcm;
pub mod playout;
pub mod resample;
pub mod service;
pub mod sockets;
pub mod task;
pub mod testing;
pub mod turns;

pub use realtime_client as client;
pub use realtime_context as context;
pub use realtime_protocol as protocol;
#[cfg(feature = "telephony")]
pub use realtime_telephony as telephony;

pub use agent::{Agent, AgentCall};
pub use chain::{Audio, Cx, Direction, Frame, FrameKind, Intent, Processor, Samples, Stages};
pub use edges::{RawSink, RawSource, Recorder, Recording, Sink, Source, Transport, WavSink, WavSource};
pub use playout::Playout;
pub use realtime_client::Endpoint;
pub use realtime_context::{Conversation, ToolError, Toolbox};
pub use service::RealtimeService;
pub use task::{HangUp, Runner, Task, TaskHandle};
