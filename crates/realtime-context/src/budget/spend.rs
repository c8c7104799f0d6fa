//! A leash on what a call spends: soft and hard limits of cost and time, as a listener.
//!
//! The rule kept here: once the hard limit is told, the only response that goes on is the last words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_protocol::call::{
    Command, CommandError, CommandId, Event, Listener, Notice, Out, ResponseReport,
};
use realtime_protocol::field::Field;
use realtime_protocol::id::ResponseId;
use realtime_protocol::response::ResponseParams;
use realtime_protocol::session_config::{SessionConfig, TurnDetection};
use realtime_protocol::time::{MediaTime, Timestamp, UnixTime};
use realtime_protocol::usage::TranscriptionUsage;

use crate::budget::{Cost, Prices};

/// Limits of a call. Default: none.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "limits: built with `..Default::default()`")]
pub struct SpendLimits {
    /// The most that the call may cost, in the currency of the prices.
    pub cost: Option<f64>,
    /// The longest that the call may last, from its first session on.
    pub duration: Option<Duration>,
    /// What the model is told to say when a limit is reached, before the call ends. `None`: it ends at once.
    pub last_words: Option<String>,
}

/// The share of a limit at which the application is told.
const SOFT: f64 = 0.8;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// The metadata by which the response with the last words is known: the server echoes it.
const MARK: (&str, &str) = ("purpose", "last_words");

/// Counts what a call spends. It tells the application at 80 % of a limit, by
/// [`Notice::BudgetNearlySpent`], once. At 100 % it tells [`Notice::BudgetSpent`], has the last words said
/// and played, and ends the call. Meanwhile no other response is answered: the server is told not to begin
/// any after the user's speech, and one that begins nevertheless is cancelled.
///
/// Clones are the same budget: give one to the call's listeners, and read the other one.
///
/// ```
/// use realtime_context::budget::{Budget, Prices, SpendLimits};
///
/// let budget = Budget::new(
///     Prices { output_audio: 64.0, ..Prices::default() },
///     SpendLimits { cost: Some(0.50), last_words: Some("Please call again.".into()), ..SpendLimits::default() },
/// );
/// // ClientOptions::new(session).listener(budget.clone())
/// assert_eq!(budget.spent().total(), 0.0);
/// ```
#[derive(Clone)]
pub struct Budget {
    prices: Prices,
    limits: SpendLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    spent: Cost,
    turn: Cost,
    latest: Cost,
    began: Option<Timestamp>,
    turn_detection: Option<TurnDetection>,
    stage: Stage,
    /// Whether a limit is reached that is not this call's alone.
    is_exhausted: bool,
}

#[derive(Clone, Debug, Default)]
enum Stage {
    #[default]
    Below,
    /// The soft limit was told.
    Warned,
    /// The last words are asked for.
    Ending(LastWords),
    Ended,
}

#[derive(Clone, Debug)]
struct LastWords {
    /// The command that asked for them.
    id: CommandId,
    /// When the call ends in any case.
    until: Timestamp,
    response_id: Option<ResponseId>,
    /// When their audio began to come, and how long it is.
    audio: Option<(Timestamp, MediaTime)>,
}

impl Budget {
    /// Counts by these prices, up to these limits.
    pub fn new(prices: Prices, limits: SpendLimits) -> Self {
        Self { prices, limits, state: Arc::default() }
    }

    /// What all responses, and all transcripts of the user's speech, cost so far.
    pub fn spent(&self) -> Cost {
        self.state().spent
    }

    /// What the responses, and the transcript of what was said, cost since the user last spoke or wrote.
    pub fn turn(&self) -> Cost {
        self.state().turn
    }

    /// What the latest response cost.
    pub fn latest(&self) -> Cost {
        self.state().latest
    }

    /// Returns whether a limit is reached: the call ends.
    pub fn is_spent(&self) -> bool {
        matches!(self.state().stage, Stage::Ending(_) | Stage::Ended)
    }

    /// Ends the call as a reached limit does, at the next thing that happens in it: for who knows of a limit
    /// that several calls share. A call in which nothing happens spends nothing.
    pub fn exhaust(&self) {
        self.state().is_exhausted = true;
    }

    /// Nobody panics while holding it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, state: &mut State, report: &ResponseReport) {
        let Some(usage) = &report.usage else { return };
        let cost = self.prices.cost(usage);
        state.latest = cost;
        state.turn.add(&cost);
        state.spent.add(&cost);
    }

    fn count_transcript(&self, state: &mut State, usage: &TranscriptionUsage) {
        let cost = self.prices.transcription_cost(usage);
        state.turn.add(&cost);
        state.spent.add(&cost);
    }

    fn check(&self, now: Timestamp, state: &mut State, out: &mut Out<'_>) {
        if !matches!(state.stage, Stage::Below | Stage::Warned) {
            return;
        }
        let lasted = state.began.map_or(Duration::ZERO, |began| now.saturating_since(began));
        let of_cost = self.limits.cost.map_or(0.0, |most| share(state.spent.total(), most));
        let of_time =
            self.limits.duration.map_or(0.0, |most| share(lasted.as_secs_f64(), most.as_secs_f64()));
        let of_others = if state.is_exhausted { 1.0 } else { 0.0 };
        let spent = of_cost.max(of_time).max(of_others);
        if spent >= 1.0 {
            out.tell(Notice::BudgetSpent {});
            self.end(now, state, out);
        } else if spent >= SOFT && matches!(state.stage, Stage::Below) {
            state.stage = Stage::Warned;
            out.tell(Notice::BudgetNearlySpent { percent: (spent * 100.0) as u32 });
        }
    }

    fn end(&self, now: Timestamp, state: &mut State, out: &mut Out<'_>) {
        let Some(words) = &self.limits.last_words else { return state.close(out) };
        if let Some(silenced) = state.turn_detection.as_ref().and_then(without_responses) {
            let mut config = SessionConfig::default();
            config.input_mut().turn_detection = Field::Value(silenced);
            out.ask(Command::UpdateConfig { config: Box::new(config) });
        }
        out.ask(Command::Interrupt {});
        let (name, value) = MARK;
        let params =
            ResponseParams::saying(words).metadata(BTreeMap::from([(name.to_owned(), value.to_owned())]));
        let id = out.ask(Command::CreateResponse { params: Some(Box::new(params)), protected: true });
        let until = now + LAST_WORDS;
        state.stage = Stage::Ending(LastWords { id, until, response_id: None, audio: None });
    }
}

impl State {
    fn close(&mut self, out: &mut Out<'_>) {
        self.stage = Stage::Ended;
        out.ask(Command::Close {});
    }

    /// Hears an event after the limit was reached.
    fn hear_last_words(&mut self, now: Timestamp, event: &Event, out: &mut Out<'_>) {
        let Stage::Ending(last) = &mut self.stage else { return };
        match event {
            Event::ResponseStarted { response_id, metadata, .. } => {
                if metadata.get(MARK.0).is_some_and(|value| value == MARK.1) {
                    last.response_id = Some(response_id.clone());
                } else {
                    out.ask(Command::CancelResponse { response_id: Some(response_id.clone()) });
                }
            }
            Event::Audio(chunk) if Some(&chunk.response_id) == last.response_id.as_ref() => {
                let (_, length) = last.audio.get_or_insert((now, MediaTime::ZERO));
                *length += chunk.duration();
            }
            Event::Settled { id, .. } if *id == last.id => {
                // Audio comes faster than it is played.
                let played = last.audio.map_or(now, |(began, length)| began + length.as_duration());
                if played <= now {
                    return self.close(out);
                }
                last.until = last.until.max(now).min(played);
            }
            _ => {}
        }
    }
}

impl Listener for Budget {
    fn on_event(&mut self, now: Timestamp, _wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        let mut state = self.state();
        match event {
            Event::Created { .. } => drop(state.began.get_or_insert(now)),
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                state.turn_detection = config.turn_detection().value().cloned();
            }
            Event::Committed { .. } => state.turn = Cost::default(),
            Event::ItemSent { item, .. } if is_users(item) => state.turn = Cost::default(),
            Event::ResponseFinished(report) => {
                self.count(&mut state, report);
                self.check(now, &mut state, out);
            }
            Event::UserTranscript { usage: Some(usage), .. } => {
                self.count_transcript(&mut state, usage);
                self.check(now, &mut state, out);
            }
            Event::Closed { .. } => state.stage = Stage::Ended,
            _ => {}
        }
        if state.is_exhausted {
            self.check(now, &mut state, out);
        }
        state.hear_last_words(now, event, out);
    }

    fn on_refused(&mut self, _now: Timestamp, id: CommandId, _error: &CommandError, out: &mut Out<'_>) {
        let mut state = self.state();
        if matches!(&state.stage, Stage::Ending(last) if last.id == id) {
            state.close(out);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let state = self.state();
        let limit = self.limits.duration.zip(state.began);
        match &state.stage {
            Stage::Below => limit.map(|(most, began)| began + most.mul_f64(SOFT)),
            Stage::Warned => limit.map(|(most, began)| began + most),
            Stage::Ending(last) => Some(last.until),
            Stage::Ended => None,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        let mut state = self.state();
        match &state.stage {
            Stage::Ending(last) if last.until <= now => state.close(out),
            Stage::Below | Stage::Warned => self.check(now, &mut state, out),
            Stage::Ending(_) | Stage::Ended => {}
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("spent", &self.spent())
            .field("is_spent", &self.is_spent())
            .finish_non_exhaustive()
    }
}

fn share(spent: f64, most: f64) -> f64 {
    if most > 0.0 { spent / most } else { 1.0 }
}

fn is_users(item: &realtime_protocol::item::Item) -> bool {
    item.as_message()
        .is_some_and(|message| message.role.value() == Some(&realtime_protocol::item::Role::User))
}

/// The same turn detection, at whose turns the server begins no response. `None`: it begins none as it is, or
/// this crate does not know that kind.
fn without_responses(detection: &TurnDetection) -> Option<TurnDetection> {
    if !detection.creates_response() {
        return None;
    }
    match detection {
        TurnDetection::ServerVad(vad) => {
            let mut vad = vad.clone().create_response(false).interrupt_response(false);
            if vad.idle_timeout_ms.value().is_some() {
                vad.idle_timeout_ms = Field::Null; // it begins responses, too
            }
            Some(vad.into())
        }
        TurnDetection::SemanticVad(vad) => {
            Some(vad.clone().create_response(false).interrupt_response(false).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
