//! Frames, processors and transports for voice agents on realtime models.
//!
//! A pipeline is a chain of [`Processor`]s, each in a task of its own, that hand [`Frame`]s to their
//! neighbours: audio from the user goes down to the model, its answer down to the loudspeaker, and what was
//! played comes back up. This example sends a second of silence through a pipeline without a model, and an
//! observer prints every frame:
//!
//! ```
//! use realtime_pipeline::{FrameKind, Finished, Observed, Observer, Pipeline, Playout, WavInput};
//!
//! struct Watch;
//!
//! impl Observer for Watch {
//!     fn on_frame(&mut self, seen: &Observed) {
//!         eprintln!("{:?} {} -> {}: {:?}", seen.at, seen.source, seen.destination, seen.frame.kind);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let microphone = WavInput::from_samples(16_000, vec![0; 16_000]);
//! let mut task = Pipeline::new().then(microphone).then(Playout::new()).into_task();
//! task.observe(Watch);
//!
//! let handle = task.handle();
//! tokio::spawn(async move {
//!     tokio::time::sleep(std::time::Duration::from_secs(1)).await;
//!     handle.end();
//! });
//! assert_eq!(task.run().await?, Finished::Ended);
//! # Ok(())
//! # }
//! ```
//!
//! An agent is [`WavInput`] (or another source), [`RealtimeService`], [`Playout`], [`WavOutput`], in this
//! order.
//!
//! # What always holds
//! - Start precedes every other frame at every processor, and frames of one lane keep their order.
//! - An interruption begins a new [`Generation`]. Frames of an earlier one that do not survive it are dropped
//!   wherever they are; no task is ended for it.
//! - A processor only waits for its downstream neighbour, so neighbours never wait for each other. Input
//!   audio never waits: a processor that is too slow loses the oldest.
//! - If a task fails, the run ends with its error, and every other processor is still stopped properly.
//! - Audio counts as played when it is handed to the output at its due time, counted in samples.
//!
//! # What it does not do
//! It opens no connection (`realtime-client` does), and decides nothing about the protocol: the session
//! decides when to cancel, what to truncate and when to ask for a response. It does not detect speech, and
//! does not code G.711; audio in the session's own format passes through.
//!
//! # Modules
//! | module | what is in it |
//! |---|---|
//! | [`adapter`] | pure: frames to commands, call events to frames |
//! | [`chain`] | pure: stages in a chain as a machine, with frames of its own; the next shape of the pipeline |
//! | [`playout`] | audio out in real time, with every sample accounted for |
//! | [`resample`] | conversion between sample rates |
//! | [`turns`] | who speaks, and what is a turn |
//! | [`wav`] | files to speak from and to record into |
//!
//! The rest is re-exported here: frames and what they carry, the processor and its view of the pipeline, the
//! pipeline and its run, observers, the service.

pub mod agent;
pub mod chain;
pub mod convert;
pub mod edges;
#[allow(dead_code, unreachable_pub, missing_docs, unused)]
pub mod old;
mod pcm;
pub mod playout;
pub mod resample;
pub mod service;
pub mod task;

pub use realtime_client as client;
pub use realtime_context as context;
pub use realtime_protocol as protocol;
pub mod turns;

pub use agent::{Agent, AgentCall};
pub use chain::{Audio, Cx, Direction, Frame, FrameKind, Intent, Processor, Samples, Stages};
pub use edges::{RawSink, RawSource, Recorder, Recording, Sink, Source, Transport, WavSink, WavSource};
pub use playout::Playout;
pub use realtime_client::Endpoint;
pub use realtime_context::{Conversation, ToolError, Toolbox};
pub use service::RealtimeService;
pub use task::{HangUp, Runner, Task, TaskHandle};
