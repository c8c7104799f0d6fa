//! The unit that flows through a pipeline: what it is, which lane it takes, and whether it survives an
//! interruption.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_context::Change;
use realtime_protocol::call::{
    Command, Event, FunctionCall, FunctionEnd, Interruption, PlaybackReport, ResponseReport, StopId,
};
use realtime_protocol::id::{ItemId, ResponseId};

use crate::old::error::{Fault, Severity};
use crate::old::payload::{AudioFrame, OutputAudio, ResponseMetrics, TextFrame, TranscriptFrame};

/// One unit flowing through a pipeline. Cheap to clone: large payloads are shared.
///
/// Frames are made by [`Cx::push`](crate::old::Cx::push) and
/// [`PipelineHandle::push`](crate::old::PipelineHandle::push), which number and stamp them.
#[derive(Clone, Debug)]
pub struct Frame {
    id: u64,
    generation: Generation,
    pts: Option<Duration>,
    /// What it carries.
    pub kind: FrameKind,
}

impl Frame {
    pub(crate) const fn new(id: u64, generation: Generation, pts: Option<Duration>, kind: FrameKind) -> Self {
        Self { id, generation, pts, kind }
    }

    /// The frame's number, unique in its pipeline. A frame that was broadcast has the same one in both
    /// directions.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The generation in which it was made.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// When its audio was captured or is due, since the pipeline's start. `None`: the frame has no time.
    pub const fn pts(&self) -> Option<Duration> {
        self.pts
    }

    /// Returns whether a later interruption has made it stale.
    pub fn is_stale(&self, current: Generation) -> bool {
        self.generation < current && !self.kind.survives_interruption()
    }
}

/// How many interruptions a pipeline had seen when a frame was made.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Generation(u32);

impl Generation {
    /// The generation after one more interruption.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Interruptions so far.
    pub const fn count(self) -> u32 {
        self.0
    }
}

/// Which way a frame flows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a chain has two directions")]
pub enum Direction {
    /// From the source (microphone, caller) to the sink (loudspeaker, recorder).
    Downstream,
    /// From the sink to the source.
    Upstream,
}

/// How a frame queues at each processor.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "every processor serves exactly these")]
pub enum Lane {
    /// Ahead of everything else, and never dropped. For rare frames that must not wait.
    Urgent,
    /// In order and bounded: a full lane makes the processor that pushes downstream wait.
    Ordered,
    /// Realtime input: a full lane drops its oldest audio and counts it.
    Media,
}

/// What a frame carries.
///
/// `Debug` shows sizes and ids, and none of the content.
#[derive(Clone)]
#[non_exhaustive]
pub enum FrameKind {
    // The run.
    /// The run begins. Precedes everything at every processor.
    Start,
    /// The run ends once everything before this is done. Pushed upstream, it asks for that.
    End,
    /// The run ends now. Pushed either way, it asks for that; observers see it.
    Cancel,
    /// A processor reports a fault; upstream.
    Error(Fault),

    // From the user.
    /// Audio from the user; downstream.
    InputAudio(AudioFrame),
    /// The input's speech is over: silence follows. In order with the audio.
    InputFinished,
    /// The user began to speak; both ways.
    UserStartedSpeaking {
        /// The item that will hold the speech, if it is known.
        item_id: Option<ItemId>,
    },
    /// The user stopped speaking; both ways.
    UserStoppedSpeaking {
        /// The item that will hold the speech, if it is known.
        item_id: Option<ItemId>,
    },
    /// What the user said.
    Transcript(TranscriptFrame),

    // From the model.
    /// A response runs. Exactly one `ResponseFinished` follows.
    ResponseStarted {
        /// The response.
        response_id: ResponseId,
        /// Whether it runs beside the conversation.
        out_of_band: bool,
    },
    /// New words from the model.
    Text(TextFrame),
    /// Audio to be played, as it came: faster than it sounds.
    OutputAudio(OutputAudio),
    /// A part's audio is complete.
    OutputAudioDone {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// The length of all of it (samples).
        total: u64,
    },
    /// A response ended.
    ResponseFinished(Arc<ResponseReport>),
    /// How fast a response was.
    Metrics(Arc<ResponseMetrics>),
    /// The model calls a function.
    FunctionCallStarted {
        /// The response that made the call.
        response_id: ResponseId,
        /// The call.
        call: Arc<FunctionCall>,
    },
    /// A call's output was sent, or never will be.
    FunctionEnded {
        /// The call.
        call: Arc<FunctionCall>,
        /// How, with the output that was sent.
        end: FunctionEnd,
    },

    // Playback.
    /// Stop playing, empty the queue, and answer with [`Playback`](Self::Playback).
    StopPlayback {
        /// To be repeated in the answer. `None`: the session did not ask for the stop, and wants no answer.
        id: Option<StopId>,
    },
    /// What was heard when the user spoke over the assistant; both ways.
    Interruption(Arc<Interruption>),
    /// What was played; upstream, to the service.
    Playback(PlaybackReport),
    /// Audio handed to the output at its due time: what a loudspeaker or recorder takes.
    PlayedAudio(OutputAudio),
    /// The assistant became audible; both ways.
    BotStartedSpeaking,
    /// The assistant fell silent; both ways.
    BotStoppedSpeaking,

    // For the service, and from it.
    /// Something to ask of the session; either way, to the service.
    Command(Arc<Command>),
    /// An event of the session that no other kind carries.
    Session(Arc<Event>),
    /// The conversation's context changed, in these entries.
    ContextUpdated(Arc<[Change]>),

    /// A frame of the application's own.
    Custom(Arc<dyn CustomFrame>),
}

/// A frame of the application's own; read it back with [`FrameKind::custom`].
pub trait CustomFrame: Any + fmt::Debug + Send + Sync {
    /// The frame's name in logs.
    fn name(&self) -> &'static str;

    /// How it queues. Default: ordered.
    fn lane(&self) -> Lane {
        Lane::Ordered
    }

    /// Returns whether it survives an interruption. Default: no.
    fn survives_interruption(&self) -> bool {
        false
    }
}

impl FrameKind {
    /// A fault that ends nothing.
    pub fn fault(processor: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        let (processor, message) = (processor.into(), message.into());
        Self::Error(Fault { processor, message, severity: Severity::Survivable })
    }

    /// How it queues.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Start
            | Self::Cancel
            | Self::Error(_)
            | Self::UserStartedSpeaking { .. }
            | Self::UserStoppedSpeaking { .. }
            | Self::StopPlayback { .. }
            | Self::Interruption(_)
            | Self::Playback(_)
            | Self::BotStartedSpeaking
            | Self::BotStoppedSpeaking => Lane::Urgent,
            Self::InputAudio(_) | Self::InputFinished => Lane::Media,
            Self::End
            | Self::Transcript(_)
            | Self::ResponseStarted { .. }
            | Self::Text(_)
            | Self::OutputAudio(_)
            | Self::OutputAudioDone { .. }
            | Self::ResponseFinished(_)
            | Self::Metrics(_)
            | Self::FunctionCallStarted { .. }
            | Self::FunctionEnded { .. }
            | Self::PlayedAudio(_)
            | Self::Command(_)
            | Self::Session(_)
            | Self::ContextUpdated(_) => Lane::Ordered,
            Self::Custom(frame) => frame.lane(),
        }
    }

    /// Returns whether it survives an interruption. The assistant's pending output does not. Facts, requests
    /// and the user's words do, so that beginnings and ends stay paired and no request is lost.
    pub fn survives_interruption(&self) -> bool {
        match self {
            Self::Text(_) | Self::OutputAudio(_) | Self::OutputAudioDone { .. } => false,
            Self::Custom(frame) => frame.survives_interruption(),
            _ => true,
        }
    }

    /// The application's own frame, if it is one of type `T`.
    pub fn custom<T: CustomFrame>(&self) -> Option<&T> {
        let Self::Custom(frame) = self else { return None };
        let frame: &dyn Any = &**frame;
        frame.downcast_ref()
    }

    /// The kind's name in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Cancel => "cancel",
            Self::Error(_) => "error",
            Self::InputAudio(_) => "input_audio",
            Self::InputFinished => "input_finished",
            Self::UserStartedSpeaking { .. } => "user_started_speaking",
            Self::UserStoppedSpeaking { .. } => "user_stopped_speaking",
            Self::Transcript(_) => "transcript",
            Self::ResponseStarted { .. } => "response_started",
            Self::Text(_) => "text",
            Self::OutputAudio(_) => "output_audio",
            Self::OutputAudioDone { .. } => "output_audio_done",
            Self::ResponseFinished(_) => "response_finished",
            Self::Metrics(_) => "metrics",
            Self::FunctionCallStarted { .. } => "function_call_started",
            Self::FunctionEnded { .. } => "function_ended",
            Self::StopPlayback { .. } => "stop_playback",
            Self::Interruption(_) => "interruption",
            Self::Playback(_) => "playback",
            Self::PlayedAudio(_) => "played_audio",
            Self::BotStartedSpeaking => "bot_started_speaking",
            Self::BotStoppedSpeaking => "bot_stopped_speaking",
            Self::Command(_) => "command",
            Self::Session(_) => "session",
            Self::ContextUpdated(_) => "context_updated",
            Self::Custom(frame) => frame.name(),
        }
    }
}

impl fmt::Debug for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple(self.name());
        match self {
            Self::Error(fault) => tuple.field(fault),
            Self::InputAudio(audio) => tuple.field(audio),
            Self::Transcript(transcript) => tuple.field(transcript),
            Self::ResponseStarted { response_id, .. } => tuple.field(response_id),
            Self::Text(text) => tuple.field(text),
            Self::OutputAudio(audio) | Self::PlayedAudio(audio) => tuple.field(audio),
            Self::OutputAudioDone { item_id, total, .. } => tuple.field(item_id).field(total),
            Self::ResponseFinished(report) => tuple.field(&report.response_id),
            Self::Metrics(metrics) => tuple.field(metrics),
            Self::FunctionCallStarted { call, .. } => tuple.field(&call.name).field(&call.call_id),
            Self::FunctionEnded { call, end } => tuple.field(&call.call_id).field(end),
            Self::Interruption(interruption) => tuple.field(&interruption.heard()),
            Self::Playback(report) => tuple.field(report),
            Self::Command(command) => tuple.field(&command.name()),
            Self::ContextUpdated(changes) => tuple.field(changes),
            _ => &mut tuple,
        };
        tuple.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Note(u8);

    impl CustomFrame for Note {
        fn name(&self) -> &'static str {
            "note"
        }
    }

    #[test]
    fn an_interruption_drops_what_the_assistant_had_yet_to_say_and_nothing_else() {
        let text = FrameKind::Text(TextFrame {
            response_id: "resp".into(),
            item_id: "item".into(),
            content_index: 0,
            delta: "hello".into(),
            spoken: true,
        });
        let now = Generation::default().next();
        let frame = |kind| Frame::new(0, Generation::default(), None, kind);
        assert!(frame(text.clone()).is_stale(now));
        assert!(!frame(text).is_stale(Generation::default()));
        for kind in [
            FrameKind::End,
            FrameKind::StopPlayback { id: None },
            FrameKind::BotStartedSpeaking,
            FrameKind::InputFinished,
        ] {
            assert!(!frame(kind.clone()).is_stale(now), "{kind:?}");
        }
    }

    #[test]
    fn debug_shows_no_word_that_was_said() {
        let kind = FrameKind::Transcript(TranscriptFrame {
            item_id: "item".into(),
            content_index: 0,
            text: "my password is swordfish".into(),
            stage: crate::old::TranscriptStage::Final,
        });
        let shown = format!("{kind:?}");
        assert!(shown.contains("24 bytes"), "{shown}");
        assert!(!shown.contains("swordfish"), "{shown}");
    }

    #[test]
    fn a_custom_frame_is_read_back_by_its_type() {
        let kind = FrameKind::Custom(Arc::new(Note(7)));
        assert_eq!(kind.custom::<Note>().map(|note| note.0), Some(7));
        assert_eq!(kind.lane(), Lane::Ordered);
    }
}
