//! A chain of stages as a machine: frames in, frames out, and nothing that waits.
//!
//! A stage is a [`Processor`]. It gets a [`Frame`] and a [`Cx`], with which it pushes frames, asks the
//! session for something, and hands out work that takes long. [`Stages`] are stages in a row, [`Parallel`]
//! side by side, [`Switch`] one at a time; all of them are stages, so they nest. [`Tap`] and [`Map`] make a
//! stage of one function. A [`Chain`] is all of it as a machine that a driver runs.
//!
//! ```
//! use realtime_pipeline::chain::{Audio, Chain, Cx, Direction, Frame, FrameKind, Output, Processor, Stages};
//! use realtime_pipeline::chain::{Tap, WorkFailed};
//! use realtime_protocol::time::Timestamp;
//!
//! /// Asks another service about the first audio, and ends the run with what it says.
//! struct Judge;
//!
//! impl Processor for Judge {
//!     fn name(&self) -> &str {
//!         "judge"
//!     }
//!
//!     fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
//!         if let FrameKind::InputAudio(audio) = frame.kind() {
//!             let samples = audio.frames();
//!             cx.spawn(async move { if samples > 100 { "long" } else { "short" } }).then(Self::on_verdict);
//!         }
//!         cx.forward(frame);
//!     }
//! }
//!
//! impl Judge {
//!     fn on_verdict(&mut self, verdict: Result<&'static str, WorkFailed>, cx: &mut Cx<'_>) {
//!         cx.end(verdict.unwrap_or("the work failed"));
//!     }
//! }
//!
//! let count = Tap::new(|frame, _| eprintln!("{}", frame.kind().name()));
//! let mut chain = Chain::new(Stages::new().then(Judge).then(count))?;
//! let audio = FrameKind::InputAudio(Audio::mono(16_000, vec![0; 320]));
//! chain.handle_input(Timestamp::ZERO, Direction::Downstream, audio);
//!
//! // A driver gives each output its effect.
//! let mut left = Vec::new();
//! while let Some(output) = chain.poll_output() {
//!     match output {
//!         Output::Frame(_, frame) => left.push(frame.kind().name()),
//!         Output::Spawn(work, future) => {
//! #           let done = futures_util::FutureExt::now_or_never(future).expect("it waits for nothing");
//! #           /*
//!             let done = future.await;
//! #           */
//!             chain.handle_work(Timestamp::from_millis(20), work, Ok(done));
//!         }
//!         Output::Ended(ended) => eprintln!("{ended:?}"),
//!         _ => {}
//!     }
//! }
//! assert_eq!(left, ["start", "input_audio", "end"]);
//! # Ok::<(), realtime_pipeline::chain::WrongChain>(())
//! ```
//!
//! # Rules
//! No stage can break these:
//!
//! | case | rule |
//! |---|---|
//! | order | what one stage pushes to its neighbour arrives in that order; `Start` precedes everything |
//! | work is open | frames are handled at once. A stage that [holds](Cx::hold) keeps its ordinary frames back, at most [`MOST_HELD`]; `Start`, `End`, `Cancel`, interruptions, reports and faults pass |
//! | interruption | drops [work for the response](Spawned::for_response), and frames that wait and do not [survive](FrameKind::survives_interruption) |
//! | livelock | one input causes at most [`MOST_STEPS`] steps; the rest is dropped and counted, and the fault names the stages |
//! | slow step | over [`LONGEST_STEP`]: observers see each one, and the first of each stage is a fault |
//! | panic | caught. The stage is never called again; frames pass it, or the run ends, by [`Policy`] |
//! | end | `End` leaves a stage that is idle and has no open work, or at the limit |
//! | stop | exactly once for each stage that has not failed, when the run is over |
//! | intents | exactly one [`Answer`] each: from the service, or refused at once without one, or closed |
//! | wrong chains | refused by [`Chain::new`]: [`WrongChain`] |
//!
//! Words that users of pipecat look for stand in the [crate's docs](crate#words-of-pipecat).
//!
//! # What it does not do
//! It reads no clock, runs no future and opens nothing: the driver does. It plays nothing and speaks to no
//! session: stages do.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `frame`, `audio`, `payload`, `user_input`, `phone`, `metric`, `intent`, `fault` | what flows, what is asked, what goes wrong |
//! | `processor`, `cx`, `work`, `observer` | what stages and observers see |
//! | `slot` | the account of one stage: most of the rules |
//! | `group`, `stages`, `parallel`, `switch` | stages that hold stages |
//! | `tap`, `idle` | stages of one function; what happens when nobody speaks |
//! | `shape`, `options`, `machine`, `output`, `shared`, `budget`, `meter` | the whole chain, and what its stages share |

mod audio;
mod budget;
mod cx;
mod fault;
mod frame;
mod group;
mod idle;
mod intent;
mod machine;
mod meter;
mod metric;
mod observer;
mod options;
mod output;
mod parallel;
mod payload;
mod phone;
mod processor;
mod shape;
mod shared;
mod slot;
mod stages;
mod switch;
mod tap;
#[cfg(test)]
mod tests;
mod user_input;
mod work;

pub use audio::{Audio, AudioSource, Coded, OutputAudio, Samples};
pub use budget::MOST_STEPS;
pub use cx::Cx;
pub(crate) use fault::panic_text;
pub use fault::{Category, Fault, Policy};
pub use frame::{CustomFrame, Direction, Frame, FrameId, FrameKind};
pub use idle::Idle;
pub use intent::{Answer, Intent, NotAsked, Ticket};
pub use machine::Chain;
pub use meter::LONGEST_STEP;
pub use metric::Metric;
pub use observer::{Hop, Observer};
pub use options::ChainOptions;
pub use output::{Ended, Losses, Output};
pub use parallel::Parallel;
pub use payload::{BotSpeech, ClearId, Keys, Message, Peer, SinkPosition, SinkReport, UserSpeech};
pub use phone::{PhoneAction, PhoneAnswer, PhoneRequest};
pub use processor::Processor;
pub use shape::{Shape, WrongChain};
pub use shared::MOST_OPEN;
pub use slot::MOST_HELD;
pub use stages::Stages;
pub use switch::Switch;
pub use tap::{Map, Tap};
pub use user_input::{Respond, UserInput};
pub use work::{BlockingWork, Done, Spawned, WorkFailed, WorkFuture, WorkId, WorkValue};
