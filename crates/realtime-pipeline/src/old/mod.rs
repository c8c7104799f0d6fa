//! The first pipeline: processors in tasks of their own. The chain takes its place.

pub mod adapter;
mod cx;
mod error;
mod frame;
mod lanes;
mod observer;
mod payload;
mod pipeline;
pub mod playout;
mod processor;
mod service;
mod task;
pub mod wav;

pub use cx::Cx;
pub use error::{Error, Fault, PipelineError, Severity};
pub use frame::{CustomFrame, Direction, Frame, FrameKind, Generation, Lane};
pub use lanes::LaneCapacity;
pub use observer::{Observed, Observer};
pub use payload::{AudioFrame, OutputAudio, ResponseMetrics, TextFrame, TranscriptFrame, TranscriptStage};
pub use pipeline::{Pipeline, PipelineOptions};
pub use playout::Playout;
pub use processor::Processor;
pub use service::RealtimeService;
pub use task::{Finished, PipelineHandle, PipelineTask};
pub use wav::{WavError, WavInput, WavLayout, WavOutput};
