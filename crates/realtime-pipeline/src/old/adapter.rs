//! Translates between frames and a session: frames become commands, call events become frames.
//!
//! Pure: no runtime, no clock, no connection. A new kind of frame or event must be decided on here.
#![deny(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{
    AudioChunk, CloseReason, Command, ErrorClass, Event, Media, PlaybackReport, ResponseEnd, ResponseReport,
};
use realtime_protocol::session_config::SessionConfig;

use crate::old::error::{Fault, Severity};
use crate::old::frame::{Direction, FrameKind};
use crate::old::payload::{
    AudioFrame, OutputAudio, ResponseMetrics, TextFrame, TranscriptFrame, TranscriptStage,
};
use crate::resample::{RateError, Resampler};

/// The name under which the service stands in its pipeline.
pub(crate) const NAME: &str = "realtime";

/// Translates between a pipeline and a session.
///
/// It only knows the session's input format and who ends the user's turns, both learnt from its events, and
/// the state of the conversion to that format.
///
/// If the session detects no turns (`turn_detection` is `null`), a processor upstream does: its
/// [`UserStartedSpeaking`](FrameKind::UserStartedSpeaking) interrupts the assistant and begins a turn, and
/// its [`UserStoppedSpeaking`](FrameKind::UserStoppedSpeaking) commits it and asks for a response. If the
/// session detects turns, such frames ask for nothing.
#[derive(Debug, Default)]
pub struct Adapter {
    input: AudioFormat,
    /// The session detects no turns.
    manual_turns: bool,
    resampler: Option<Resampler>,
    running_responses: usize,
    /// Unsettled interruptions for which playback was told to stop.
    stopping: usize,
}

/// Where a frame made from a call event goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a chain has two directions")]
pub enum Route {
    /// To the processors that play and record.
    Downstream,
    /// To the processors that listen to the user.
    Upstream,
    /// To all.
    Both,
}

/// Why input audio cannot go to the session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The rates do not convert.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The encodings do not convert.
    #[error(
        "cannot convert input audio: expected the session's format {expected:?} or 16-bit PCM for 16-bit PCM, got {got:?}"
    )]
    Encoding {
        /// The session's format.
        expected: AudioFormat,
        /// The frame's.
        got: AudioFormat,
    },
}

/// What a frame asks of the session.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a session takes nothing else")]
pub enum Asked {
    /// A command.
    Command(Command),
    /// Media.
    Media(Media),
}

impl From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl From<Media> for Asked {
    fn from(media: Media) -> Self {
        Self::Media(media)
    }
}

impl Adapter {
    /// An adapter for a session with this input format, until the session reports another.
    pub fn new(input: AudioFormat) -> Self {
        Self { input, ..Self::default() }
    }

    /// An adapter for a session with this configuration, until the session reports its own.
    pub fn for_config(config: &SessionConfig) -> Self {
        let mut adapter = Self::default();
        adapter.learn(config);
        adapter
    }

    /// Returns whether a response runs.
    pub const fn has_running_response(&self) -> bool {
        self.running_responses > 0
    }

    /// What a frame asks of the session, in order.
    ///
    /// # Errors
    /// [`InputError`] for audio that the session cannot take. Nothing else fails.
    pub fn commands(&mut self, kind: &FrameKind, direction: Direction) -> Result<Vec<Asked>, InputError> {
        Ok(match (kind, direction) {
            (FrameKind::InputAudio(audio), Direction::Downstream) => {
                let data = self.convert(audio)?;
                if data.is_empty() { Vec::new() } else { vec![Media::Append(data).into()] }
            }
            (FrameKind::Playback(report), Direction::Upstream) => {
                vec![Media::Report(PlaybackReport::clone(report)).into()]
            }
            (FrameKind::Command(command), _) if matches!(**command, Command::CommitAudio { .. }) => {
                self.end_turn(Command::clone(command))
            }
            (FrameKind::Command(command), _) => {
                if matches!(**command, Command::ClearAudio {}) {
                    self.resampler = None; // what it holds back is cleared, too
                }
                vec![Command::clone(command).into()]
            }
            (FrameKind::UserStartedSpeaking { .. }, Direction::Downstream) if self.manual_turns => {
                vec![Command::Interrupt {}.into(), Media::BeginTurn.into()]
            }
            (FrameKind::UserStoppedSpeaking { .. }, Direction::Downstream) if self.manual_turns => {
                self.end_turn(Command::CommitAudio { respond: true })
            }
            (
                FrameKind::Start
                | FrameKind::End
                | FrameKind::Cancel
                | FrameKind::Error(_)
                | FrameKind::InputAudio(_)
                | FrameKind::InputFinished
                | FrameKind::UserStartedSpeaking { .. }
                | FrameKind::UserStoppedSpeaking { .. }
                | FrameKind::Transcript(_)
                | FrameKind::ResponseStarted { .. }
                | FrameKind::Text(_)
                | FrameKind::OutputAudio(_)
                | FrameKind::OutputAudioDone { .. }
                | FrameKind::ResponseFinished(_)
                | FrameKind::Metrics(_)
                | FrameKind::FunctionCallStarted { .. }
                | FrameKind::FunctionEnded { .. }
                | FrameKind::StopPlayback { .. }
                | FrameKind::Interruption(_)
                | FrameKind::Playback(_)
                | FrameKind::PlayedAudio(_)
                | FrameKind::BotStartedSpeaking
                | FrameKind::BotStoppedSpeaking
                | FrameKind::Session(_)
                | FrameKind::ContextUpdated(_)
                | FrameKind::Custom(_),
                _,
            ) => Vec::new(),
        })
    }

    /// The frames that a call event stands for, in order.
    ///
    /// [`FrameKind::StopPlayback`] begins a new generation: the caller must call
    /// [`Cx::interrupt`](crate::old::Cx::interrupt) before it pushes the frame. [`FrameKind::End`] upstream asks
    /// for the run's end.
    pub fn frames(&mut self, event: &Arc<Event>) -> Vec<(FrameKind, Route)> {
        use Route::{Both, Downstream, Upstream};

        let session = || vec![(FrameKind::Session(Arc::clone(event)), Downstream)];
        match &**event {
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                self.learn(config);
                session()
            }
            Event::SpeechStarted { item_id, .. } => {
                vec![(FrameKind::UserStartedSpeaking { item_id: item_id.clone() }, Both)]
            }
            Event::SpeechStopped { item_id, .. } => {
                vec![(FrameKind::UserStoppedSpeaking { item_id: item_id.clone() }, Both)]
            }
            Event::UserTranscriptDelta { item_id, content_index, delta } => {
                let (item_id, text) = (item_id.clone(), delta.as_str().into());
                let stage = TranscriptStage::Interim;
                let frame = TranscriptFrame { item_id, content_index: *content_index, text, stage };
                vec![(FrameKind::Transcript(frame), Downstream)]
            }
            Event::UserTranscript { item_id, content_index, transcript, .. } => {
                let (item_id, text) = (item_id.clone(), transcript.as_str().into());
                let stage = TranscriptStage::Final;
                let frame = TranscriptFrame { item_id, content_index: *content_index, text, stage };
                vec![(FrameKind::Transcript(frame), Downstream)]
            }
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                self.running_responses += 1;
                let (response_id, out_of_band) = (response_id.clone(), *out_of_band);
                vec![(FrameKind::ResponseStarted { response_id, out_of_band }, Downstream)]
            }
            Event::Text { response_id, item_id, content_index, delta, spoken } => {
                let frame = TextFrame {
                    response_id: response_id.clone(),
                    item_id: item_id.clone(),
                    content_index: *content_index,
                    delta: delta.as_str().into(),
                    spoken: *spoken,
                };
                vec![(FrameKind::Text(frame), Downstream)]
            }
            // Out-of-band audio is not played; the code that asked for it finds it here.
            Event::Audio(chunk) if chunk.out_of_band => session(),
            Event::Audio(chunk) => vec![(FrameKind::OutputAudio(output_audio(chunk)), Downstream)],
            Event::AudioDone { item_id, content_index, total, .. } => {
                let (item_id, content_index, total) = (item_id.clone(), *content_index, *total);
                vec![(FrameKind::OutputAudioDone { item_id, content_index, total }, Downstream)]
            }
            // They take no output; the code that asked for them finds them here.
            Event::FunctionCalls { out_of_band: true, .. } => session(),
            Event::FunctionCalls { response_id, calls, .. } => calls
                .iter()
                .map(|call| {
                    let (response_id, call) = (response_id.clone(), Arc::clone(call));
                    (FrameKind::FunctionCallStarted { response_id, call }, Both)
                })
                .collect(),
            Event::FunctionEnded { call, end } => {
                vec![(FrameKind::FunctionEnded { call: Arc::clone(call), end: end.clone() }, Both)]
            }
            Event::ResponseFinished(report) => self.finished(report),
            Event::StopPlayback { id } => {
                self.stopping += 1;
                vec![(FrameKind::StopPlayback { id: Some(*id) }, Downstream)]
            }
            Event::Interrupted(interruption) => {
                let interruption = FrameKind::Interruption(Arc::new(interruption.clone()));
                let mut frames = vec![(interruption, Both)];
                match self.stopping.checked_sub(1) {
                    Some(stopping) => self.stopping = stopping,
                    // The session did not ask for a stop, but waiting audio must not be heard either.
                    None => frames.insert(0, (FrameKind::StopPlayback { id: None }, Downstream)),
                }
                frames
            }
            // They need no action.
            Event::ServerError { class: ErrorClass::Benign, .. }
            | Event::ServerError { answered: true, .. } => session(),
            Event::ServerError { error, .. } => {
                // One that ends the session is followed by `Closed`.
                let mut frames = session();
                frames.push((FrameKind::fault(NAME, format!("the server reports {error}")), Upstream));
                frames
            }
            Event::Closed { reason } => {
                let mut frames = session();
                frames.push((closed(reason), Upstream));
                frames
            }
            Event::Created { .. }
            | Event::Settled { .. }
            | Event::Committed { .. }
            | Event::ItemPlaced { .. }
            | Event::ItemDone { .. }
            | Event::ItemRemoved { .. }
            | Event::UserTranscriptFailed { .. }
            | Event::RateLimits { .. }
            | Event::ItemSent { .. }
            | Event::HoldPlayback { .. }
            | Event::ResumePlayback { .. }
            | Event::Connection(_)
            | Event::Server(_)
            | Event::Notice(_)
            | Event::Raw { .. }
            | Event::Overdue { .. }
            | Event::Expiring { .. }
            | Event::Warning(_) => session(),
            _ => session(),
        }
    }

    fn finished(&mut self, report: &ResponseReport) -> Vec<(FrameKind, Route)> {
        self.running_responses = self.running_responses.saturating_sub(1);
        let metrics = ResponseMetrics::of(report);
        let mut frames = vec![
            (FrameKind::Metrics(Arc::new(metrics)), Route::Downstream),
            (FrameKind::ResponseFinished(Arc::new(report.clone())), Route::Downstream),
        ];
        if let ResponseEnd::Failed { error, .. } = &report.end {
            let text = format!("the response {} failed: {error}", report.response_id);
            frames.push((FrameKind::fault(NAME, text), Route::Upstream));
        }
        frames
    }

    fn learn(&mut self, config: &SessionConfig) {
        self.manual_turns = config.turn_detection().is_null();
        let format = config.input_format();
        if format != self.input {
            self.input = format;
            self.resampler = None;
        }
    }

    /// The user's turn ends: the audio that the resampler holds back belongs to it, not to the next one.
    fn end_turn(&mut self, commit: Command) -> Vec<Asked> {
        let rest = self.resampler.take().map(|mut resampler| crate::pcm::to_bytes(&resampler.flush()));
        let rest = rest.filter(|rest| !rest.is_empty());
        rest.map(|rest| Media::Append(rest).into()).into_iter().chain([commit.into()]).collect()
    }

    fn convert(&mut self, audio: &AudioFrame) -> Result<bytes::Bytes, InputError> {
        if audio.format == self.input {
            return Ok(audio.data.clone());
        }
        let (AudioFormat::Pcm16 { rate: from }, AudioFormat::Pcm16 { rate: to }) = (audio.format, self.input)
        else {
            return Err(InputError::Encoding { expected: self.input, got: audio.format });
        };
        let resampler = match &mut self.resampler {
            Some(resampler) if resampler.from_rate() == from => resampler,
            stale => stale.insert(Resampler::new(from, to)?),
        };
        let samples: Vec<i16> = crate::pcm::samples(&audio.data).collect();
        Ok(crate::pcm::to_bytes(&resampler.process(&samples)))
    }
}

fn output_audio(chunk: &AudioChunk) -> OutputAudio {
    OutputAudio {
        item_id: chunk.item_id.clone(),
        content_index: chunk.content_index,
        start: chunk.start,
        audio: AudioFrame { format: chunk.format, data: chunk.audio.clone() },
    }
}

fn closed(reason: &CloseReason) -> FrameKind {
    if *reason == CloseReason::Requested {
        return FrameKind::End;
    }
    let (processor, message) = (NAME.into(), format!("the session ended: {reason}").into());
    FrameKind::Error(Fault { processor, message, severity: Severity::Fatal })
}

#[cfg(test)]
mod tests;
