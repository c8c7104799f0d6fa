//! The unit that flows through a chain: what it carries, what it overtakes, and whether it survives an
//! interruption.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::{Event, Notice, PlaybackReport, StopId};
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;

use crate::chain::audio::{Audio, AudioSource, OutputAudio};
use crate::chain::fault::Fault;
use crate::chain::metric::Metric;
use crate::chain::payload::{BotSpeech, ClearId, Keys, Message, Peer, SinkReport, UserSpeech};
use crate::chain::phone::{PhoneAnswer, PhoneRequest};
use crate::chain::user_input::UserInput;

/// One unit that flows through a chain. A clone is the same frame: what it carries is shared.
///
/// A frame never changes. A stage that changes something pushes a new frame in place of it.
#[derive(Clone)]
pub struct Frame(Arc<Made>);

/// What there is of a frame. It is shared, because a frame is moved from stage to stage and kept in between,
/// and what it carries may be large.
struct Made {
    id: FrameId,
    made_at: Timestamp,
    kind: FrameKind,
}

impl Frame {
    pub(super) fn new(id: FrameId, made_at: Timestamp, kind: FrameKind) -> Self {
        Self(Arc::new(Made { id, made_at, kind }))
    }

    /// The frame's number. A copy that flows elsewhere, as in the branches of a
    /// [`Parallel`](crate::chain::Parallel), has the same one.
    pub fn id(&self) -> FrameId {
        self.0.id
    }

    /// When it was made.
    pub fn made_at(&self) -> Timestamp {
        self.0.made_at
    }

    /// What it carries.
    pub fn kind(&self) -> &FrameKind {
        &self.0.kind
    }

    /// What it carries, to be kept.
    pub fn into_kind(self) -> FrameKind {
        Arc::try_unwrap(self.0).map_or_else(|shared| shared.kind.clone(), |made| made.kind)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("id", &self.0.id)
            .field("made_at", &self.0.made_at)
            .field("kind", &self.0.kind)
            .finish()
    }
}

/// The number of a frame, unique in its chain. Frames made later have larger ones.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FrameId(pub(super) u64);

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.0)
    }
}

/// Which way a frame flows.
#[doc(alias = "FrameDirection")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "a chain has two directions")]
pub enum Direction {
    /// From the source (microphone, caller) to the sink (loudspeaker, recorder).
    Downstream,
    /// From the sink to the source.
    Upstream,
}

/// What a frame carries. `Debug` shows sizes and ids, and none of the content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FrameKind {
    // The run. The chain itself hands these on: no stage can keep one back.
    /// The run begins. Precedes everything at every stage; downstream.
    #[doc(alias = "StartFrame")]
    Start,
    /// The run ends once all that came before is done; downstream. A stage that pushes one asks for that, as
    /// by [`Cx::end`](crate::chain::Cx::end).
    #[doc(alias("EndFrame", "EndTaskFrame", "EndWorkerFrame"))]
    End {
        /// Why, for logs.
        reason: Arc<str>,
    },
    /// The run ends now; downstream. A stage that pushes one asks for that, as by
    /// [`Cx::cancel`](crate::chain::Cx::cancel).
    #[doc(alias("CancelFrame", "CancelTaskFrame", "CancelWorkerFrame"))]
    Cancel {
        /// Why, for logs.
        reason: Arc<str>,
    },

    // What passes a stage that waits.
    /// What is being said stops: the user speaks, or somebody asked for it.
    #[doc(alias("InterruptionFrame", "StartInterruptionFrame", "BotInterruptionFrame"))]
    Interruption {
        /// The response that is cut off. `None`: whatever is being said.
        response_id: Option<ResponseId>,
        /// What playback repeats in its answer. `None`: the session did not ask, and wants no answer.
        stop: Option<StopId>,
    },
    /// What was played; upstream, to the service.
    Playback(PlaybackReport),
    /// What becomes of output at the sink; upstream, to the playout.
    Sink(SinkReport),
    /// The sink drops what it has taken and not sounded yet, and answers with [`SinkReport::Cleared`];
    /// downstream, from the playout.
    ClearSink(ClearId),
    /// A stage reports a fault; upstream. The application is told at the same time.
    #[doc(alias = "ErrorFrame")]
    Fault(Arc<Fault>),

    // The session.
    /// What the session tells, with every member: words, responses, functions, transcripts, warnings. It is
    /// the service that pushes it.
    #[doc(alias(
        "LLMFullResponseStartFrame",
        "LLMFullResponseEndFrame",
        "LLMTextFrame",
        "TTSTextFrame",
        "TranscriptionFrame",
        "InterimTranscriptionFrame",
        "FunctionCallsStartedFrame",
        "FunctionCallInProgressFrame",
        "FunctionCallResultFrame",
        "FunctionCallCancelFrame"
    ))]
    Event(Arc<Event>),
    /// What a stage tells the application.
    Notice(Arc<Notice>),
    /// A duration or a cost, when it is known; both ways, from the service.
    #[doc(alias("MetricsFrame", "TTFBMetricsData", "LLMUsageMetricsData"))]
    Metric(Metric),

    // Audio.
    /// Audio from the user; downstream.
    #[doc(alias("InputAudioRawFrame", "UserAudioRawFrame"))]
    InputAudio(Audio),
    /// The user's audio is over: nothing follows but silence.
    InputFinished,
    /// Audio to be played, as it came: faster than it sounds.
    OutputAudio(OutputAudio),
    /// All audio of a part or a clip has come.
    #[doc(alias = "TTSStoppedFrame")]
    OutputFinished {
        /// The part or clip.
        source: AudioSource,
        /// Its length (samples).
        total: u64,
    },
    /// Audio that was handed to the output at its due time: what a recorder takes.
    PlayedAudio(OutputAudio),

    // Who speaks.
    /// The user's turn and voice.
    User(UserSpeech),
    /// The assistant's voice, as it is heard.
    Bot(BotSpeech),

    // The other end of the transport.
    /// The other end came or went.
    #[doc(alias = "ClientConnectedFrame")]
    Peer(Peer),
    /// A message of the application's own from the other end of the transport; downstream.
    #[doc(alias("InputTransportMessageFrame", "RTVIClientMessageFrame"))]
    InputMessage(Message),
    /// A message of the application's own for the other end of the transport; downstream.
    #[doc(alias("TransportMessageFrame", "OutputTransportMessageFrame", "RTVIServerMessageFrame"))]
    Message(Message),
    /// What the user types, and asks for without speaking; downstream, to the service.
    UserInput(UserInput),
    /// Keys that the user pressed: downstream from a source, and both ways from the service if the model's
    /// own line has told of them.
    #[doc(alias = "InputDTMFFrame")]
    InputDtmf(Keys),
    /// Keys to be sent to the user's end.
    #[doc(alias("OutputDTMFFrame", "OutputDTMFUrgentFrame"))]
    OutputDtmf(Keys),

    /// Something to do with the phone call; downstream, from the service to the transport.
    PhoneRequest(PhoneRequest),
    /// What became of it; to the service, whichever way.
    PhoneAnswer(PhoneAnswer),

    /// A frame of the application's own.
    Custom(Arc<dyn CustomFrame>),
}

impl FrameKind {
    /// A frame of the application's own.
    pub fn custom(frame: impl CustomFrame) -> Self {
        Self::Custom(Arc::new(frame))
    }

    /// The application's own frame, if it is one of type `T`.
    pub fn as_custom<T: CustomFrame>(&self) -> Option<&T> {
        let Self::Custom(frame) = self else { return None };
        let frame: &dyn Any = &**frame;
        frame.downcast_ref()
    }

    /// Returns whether it passes a stage that [holds](crate::chain::Cx::hold) its other frames.
    pub fn passes_hold(&self) -> bool {
        match self {
            Self::Start
            | Self::End { .. }
            | Self::Cancel { .. }
            | Self::Interruption { .. }
            | Self::Playback(_)
            | Self::Sink(_)
            | Self::ClearSink(_)
            | Self::PhoneAnswer(_)
            | Self::Fault(_) => true,
            Self::Custom(frame) => frame.passes_hold(),
            _ => false,
        }
    }

    /// Returns whether it survives an interruption while it waits at a stage. The assistant's pending output
    /// does not. Facts, requests and what the user says do, so that beginnings and ends stay paired.
    pub fn survives_interruption(&self) -> bool {
        match self {
            Self::OutputAudio(_) | Self::OutputFinished { .. } => false,
            Self::Event(event) => {
                !matches!(**event, Event::Text { .. } | Event::Audio(_) | Event::AudioDone { .. })
            }
            Self::Custom(frame) => frame.survives_interruption(),
            _ => true,
        }
    }

    /// Returns whether it begins or ends the run.
    pub(super) const fn is_run(&self) -> bool {
        matches!(self, Self::Start | Self::End { .. } | Self::Cancel { .. })
    }

    /// The kind's name in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End { .. } => "end",
            Self::Cancel { .. } => "cancel",
            Self::Interruption { .. } => "interruption",
            Self::Playback(_) => "playback",
            Self::Sink(_) => "sink",
            Self::ClearSink(_) => "clear_sink",
            Self::Fault(_) => "fault",
            Self::Event(_) => "event",
            Self::Notice(_) => "notice",
            Self::Metric(_) => "metric",
            Self::InputAudio(_) => "input_audio",
            Self::InputFinished => "input_finished",
            Self::OutputAudio(_) => "output_audio",
            Self::OutputFinished { .. } => "output_finished",
            Self::PlayedAudio(_) => "played_audio",
            Self::User(_) => "user",
            Self::Bot(_) => "bot",
            Self::Peer(_) => "peer",
            Self::InputMessage(_) => "input_message",
            Self::Message(_) => "message",
            Self::UserInput(_) => "user_input",
            Self::InputDtmf(_) => "input_dtmf",
            Self::OutputDtmf(_) => "output_dtmf",
            Self::PhoneRequest(_) => "phone_request",
            Self::PhoneAnswer(_) => "phone_answer",
            Self::Custom(frame) => frame.name(),
        }
    }
}

/// A frame of the application's own. Push it with [`FrameKind::custom`], and read it back with
/// [`FrameKind::as_custom`].
pub trait CustomFrame: Any + fmt::Debug + Send + Sync {
    /// The frame's name in logs.
    fn name(&self) -> &'static str;

    /// Returns whether it passes a stage that [holds](crate::chain::Cx::hold) its other frames. Default: no.
    fn passes_hold(&self) -> bool {
        false
    }

    /// Returns whether it survives an interruption while it waits at a stage. Default: no.
    fn survives_interruption(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lamp(bool);

    impl CustomFrame for Lamp {
        fn name(&self) -> &'static str {
            "lamp"
        }
    }

    #[test]
    fn an_applications_own_frame_is_read_back() {
        let kind = FrameKind::custom(Lamp(true));
        assert!(kind.as_custom::<Lamp>().is_some_and(|lamp| lamp.0));
        assert_eq!((kind.name(), kind.passes_hold(), kind.survives_interruption()), ("lamp", false, false));
        assert!(FrameKind::Start.as_custom::<Lamp>().is_none());
    }
}
