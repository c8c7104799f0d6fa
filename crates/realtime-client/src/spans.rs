//! The tree of spans of a call: session, turn, response, function.
//!
//! A turn is what the user said and what the assistant said to it; the first one may be a greeting. Names and
//! fields are those of OpenTelemetry's conventions for generative AI, where these have them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_protocol::call::{Event, FunctionCall, FunctionEnd, Notice, ResponseEnd, ResponseReport};
use realtime_protocol::id::{CallId, ResponseId};
use tracing::{Span, debug, field, info_span};

/// The most responses, and the most functions, whose spans are kept open.
const MOST_OPEN: usize = 64;

/// The spans that are open.
pub(crate) struct Spans {
    session: Span,
    turn: Option<Turn>,
    /// The turn before, which an interruption that is told later may be about.
    before: Option<Turn>,
    turns: u64,
    responses: BTreeMap<ResponseId, Span>,
    /// The response that has just ended: its calls may be told next.
    ended: Option<(ResponseId, Span)>,
    functions: FunctionSpans,
}

/// The spans of functions that are open. What a function does belongs into its span, so who runs functions
/// has them too.
#[derive(Clone, Default)]
pub(crate) struct FunctionSpans(Arc<Mutex<BTreeMap<CallId, Span>>>);

impl FunctionSpans {
    /// The span of a call that the model has made and that is not answered.
    #[cfg_attr(not(feature = "tools"), expect(dead_code, reason = "only tools run functions"))]
    pub(crate) fn get(&self, call_id: &CallId) -> Option<Span> {
        self.lock().get(call_id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CallId, Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Turn {
    span: Span,
    /// Whether it began with speech that is not an item yet.
    is_speech: bool,
    /// Whether the assistant has answered.
    is_answered: bool,
    was_interrupted: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.span.record("turn.was_interrupted", self.was_interrupted);
    }
}

impl Spans {
    pub(crate) const fn new(session: Span, functions: FunctionSpans) -> Self {
        Self {
            session,
            turn: None,
            before: None,
            turns: 0,
            responses: BTreeMap::new(),
            ended: None,
            functions,
        }
    }

    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::SpeechStarted { .. } => self.begin_turn(true),
            Event::Committed { .. } => match &mut self.turn {
                Some(turn) if turn.is_speech => turn.is_speech = false,
                _ => self.begin_turn(false),
            },
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                self.response_started(response_id, *out_of_band);
            }
            Event::ResponseFinished(report) => self.response_finished(report),
            Event::Interrupted(_) => self.interrupted(),
            Event::FunctionCalls { response_id, calls, .. } => {
                let parent = self.response(response_id);
                calls.iter().for_each(|call| self.function_called(call, &parent));
            }
            Event::Notice(Notice::FunctionStarted { call }) => {
                if let Some(span) = self.functions.lock().get(&call.call_id) {
                    span.in_scope(|| debug!("function started"));
                }
            }
            Event::FunctionEnded { call, end } => self.function_ended(call, end),
            Event::Closed { .. } => {
                self.responses.clear();
                self.functions.lock().clear();
                (self.turn, self.before) = (None, None);
            }
            _ => {}
        }
        // The command that the response answered is settled before the response's calls are told.
        if !matches!(event, Event::ResponseFinished(_) | Event::Settled { .. }) {
            self.ended = None;
        }
    }

    fn response(&self, id: &ResponseId) -> Span {
        let ended = self.ended.as_ref().filter(|(ended, _)| ended == id).map(|(_, span)| span);
        self.responses.get(id).or(ended).cloned().unwrap_or_else(|| self.parent())
    }

    /// What a response is part of.
    fn parent(&self) -> Span {
        self.turn.as_ref().map_or_else(|| self.session.clone(), |turn| turn.span.clone())
    }

    fn begin_turn(&mut self, is_speech: bool) {
        self.turns += 1;
        let span = info_span!(
            parent: &self.session,
            "realtime_turn",
            turn.number = self.turns,
            turn.r#type = "conversation",
            turn.was_interrupted = field::Empty,
        );
        let turn = Turn { span, is_speech, is_answered: false, was_interrupted: false };
        self.before = self.turn.replace(turn);
    }

    /// Marks the last turn that was answered. Speech that interrupts has begun another one already.
    fn interrupted(&mut self) {
        let mut turns = [&mut self.turn, &mut self.before].into_iter().flatten();
        if let Some(turn) = turns.find(|turn| turn.is_answered) {
            turn.was_interrupted = true;
        }
    }

    fn response_started(&mut self, response_id: &ResponseId, out_of_band: bool) {
        if self.turn.is_none() && !out_of_band {
            self.begin_turn(false);
        }
        let parent = if out_of_band { self.session.clone() } else { self.parent() };
        let span = info_span!(
            parent: &parent,
            "realtime_response",
            gen_ai.operation.name = "chat",
            gen_ai.response.id = %response_id,
            gen_ai.response.finish_reasons = field::Empty,
            gen_ai.usage.input_tokens = field::Empty,
            gen_ai.usage.output_tokens = field::Empty,
            gen_ai.usage.cache_read.input_tokens = field::Empty,
            first_audio_ms = field::Empty,
            error.r#type = field::Empty,
        );
        span.in_scope(|| debug!("response started"));
        if self.responses.len() < MOST_OPEN {
            self.responses.insert(response_id.clone(), span);
        }
        if let Some(turn) = self.turn.as_mut().filter(|_| !out_of_band) {
            turn.is_answered = true;
        }
    }

    fn response_finished(&mut self, report: &ResponseReport) {
        let span = self.responses.remove(&report.response_id).unwrap_or_else(Span::none);
        let finish = match &report.end {
            ResponseEnd::Completed => "stop",
            ResponseEnd::Cancelled { .. } => "cancelled",
            ResponseEnd::Incomplete { .. } => "length",
            ResponseEnd::Failed { error, .. } => {
                span.record("error.type", error.code_str());
                "error"
            }
            _ => "lost",
        };
        span.record("gen_ai.response.finish_reasons", finish);
        if let Some(usage) = &report.usage {
            span.record("gen_ai.usage.input_tokens", usage.input_tokens.value());
            span.record("gen_ai.usage.output_tokens", usage.output_tokens.value());
            let cached = usage.input_token_details.value().and_then(|details| details.cached_tokens.value());
            span.record("gen_ai.usage.cache_read.input_tokens", cached);
        }
        let timeline = &report.timeline;
        if let (Some(asked), Some(first)) =
            (timeline.requested.or(timeline.speech_stopped), timeline.first_audio)
        {
            let after = u64::try_from(first.saturating_since(asked).as_millis()).unwrap_or(u64::MAX);
            span.record("first_audio_ms", after);
        }
        span.in_scope(|| debug!(response_id = %report.response_id, "response finished"));
        self.ended = Some((report.response_id.clone(), span));
    }

    fn function_called(&self, call: &FunctionCall, parent: &Span) {
        let mut functions = self.functions.lock();
        if functions.len() < MOST_OPEN {
            let span = info_span!(
                parent: parent,
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = call.name,
                gen_ai.tool.call.id = %call.call_id,
                error.r#type = field::Empty,
            );
            functions.insert(call.call_id.clone(), span);
        }
    }

    fn function_ended(&self, call: &FunctionCall, end: &FunctionEnd) {
        let Some(span) = self.functions.lock().remove(&call.call_id) else { return };
        if !matches!(end, FunctionEnd::Result(_) | FunctionEnd::Detached) {
            span.record("error.type", kind_of_end(end));
        }
    }
}

/// The kind of a function's end, out of a few names.
const fn kind_of_end(end: &FunctionEnd) -> &'static str {
    match end {
        FunctionEnd::Error(_) => "error",
        FunctionEnd::Cancelled => "cancelled",
        FunctionEnd::TimedOut => "timeout",
        FunctionEnd::Unknown => "unknown_function",
        FunctionEnd::Refused(_) => "refused",
        FunctionEnd::BadArguments(_) => "bad_arguments",
        _ => "other",
    }
}
