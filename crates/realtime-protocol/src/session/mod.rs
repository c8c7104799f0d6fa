//! The state machine of one connection: [`Session`].
//!
//! Sans-IO: it is told what happened and when, and says what to send and what to tell. Concepts that other
//! libraries know under these names: session readiness is [`Event::Ready`], a pending response is the
//! sequencer of [`Command::CreateResponse`], audio-response tracking is the ledger of [`Event::Interrupted`],
//! retrieval futures are [`Command::RetrieveItem`], and messages added manually are [`Command::CreateItem`].
//!
//! # Four ways to wait
//! An accepted command that is not answered yet is in one of these states, and the end of the session answers
//! it from there:
//!
//! - **held**: until the session is ready. One queue, audio in its place among the commands.
//! - **waiting**: a request for a response, until the sequencer sends it and the response has run. Requests
//!   without parameters merge.
//! - **awaited**: it was sent, and its acknowledgement or error is due by a deadline. Retrievals work the
//!   same, with one request for all commands that want the same item.
//! - **stopping**: an interruption, until playback has stopped. No response is requested meanwhile.

mod answers;
mod call_key;
mod commands;
mod config;
mod deadlines;
mod error_events;
mod events;
mod fallback;
mod function_calls;
mod function_events;
mod handover;
mod heard_words;
mod held;
mod input_audio;
mod interruption;
mod interruption_policy;
mod items;
mod media;
mod options;
mod output;
mod playback;
mod policy;
mod response_events;
mod response_words;
mod retrievals;
mod said_texts;
mod seen_arguments;
mod seen_calls;
mod sequencer;
mod server_playback;
mod speech;
mod spoken_words;
mod state;
#[cfg(test)]
mod tests;
mod updates;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use crate::call::{
    CloseReason, Command, CommandError, CommandId, DisconnectReason, Event, FunctionEnd, Outcome, Refusal,
    ResponseEnd, UsageTotals, Warning,
};
use crate::event::{ClientEvent, ServerEvent, hot, scan};
use crate::field::Field;
use crate::flow::Shortfall;
use crate::id::EventId;
use crate::session::answers::{Answers, Await, Awaited};
use crate::session::deadlines::Seen;
use crate::session::function_calls::FunctionCalls;
use crate::session::held::Held;
use crate::session::input_audio::InputAudio;
use crate::session::interruption::Interruptions;
use crate::session::items::{Items, Transcripts};
use crate::session::playback::Playback;
use crate::session::policy::Policy;
use crate::session::retrievals::Retrievals;
use crate::session::sequencer::{Patience, Request, Sequencer};
use crate::session::state::{State, Step};
use crate::session::updates::Updates;
use crate::session_config::SessionConfig;
use crate::time::{Timestamp, UnixTime, earlier};

pub(crate) use call_key::call_digest;
pub use deadlines::{Answer, Deadline, Deadlines, OverduePolicy};
pub(crate) use input_audio::drop_oldest;
pub use interruption_policy::InterruptionPolicy;
pub use options::{Begin, FollowUp, PlaybackSource, SessionOptions, Unheard};
pub use output::Output;

/// The longest life of a session, whatever the server's clock says.
const LONGEST_SESSION: Duration = Duration::from_secs(3600);

/// Commands that may wait: for the session to be ready, or for their turn at a response.
const MOST_HELD_COMMANDS: usize = 1024;

/// The state machine of one connection.
///
/// Made for a connection, fed until it ends, and never used again, so that no id outlives its connection.
///
/// # Contract
/// After any `handle_*`, call [`poll_output`](Self::poll_output) until it returns `None`, and do what the
/// outputs say, in their order. Then read [`poll_timeout`](Self::poll_timeout), and call
/// [`handle_timeout`](Self::handle_timeout) at that time. Draining late changes nothing. An early or needless
/// `handle_timeout` does nothing. A `now` older than an earlier one counts as that one. No `handle_*` panics,
/// whatever the server sends. The same inputs give the same outputs, byte for byte.
///
/// Playback is the caller's duty: play each [`AudioChunk`](crate::call::AudioChunk) after the earlier ones,
/// report what was played ([`Media::Report`](crate::call::Media::Report)), and answer each
/// [`Event::StopPlayback`]. Truncation is as exact as these reports. Audio that is not reported counts as
/// unheard, for a minute at most. If nothing can report, choose [`PlaybackSource::Estimated`].
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    now: Timestamp,
    outputs: VecDeque<Output>,
    /// When something is due, as the latest input has left it.
    due: Option<Timestamp>,
    /// Events sent so far: the second half of every event id.
    sent: u64,
    state: State,
    /// The configuration as the server has it, as far as this side knows.
    config: SessionConfig,
    held: Held,
    input: InputAudio,
    responses: Sequencer,
    playback: Playback,
    /// Out-of-band audio: counted, but never interrupted or truncated.
    out_of_band: Playback,
    interruptions: Interruptions,
    policy: Policy,
    calls: FunctionCalls,
    retrievals: Retrievals,
    answers: Answers,
    /// Configurations that were sent and are not acknowledged.
    updates: Updates,
    /// Whether the model has spoken, after which its voice is fixed.
    voice_locked: bool,
    totals: UsageTotals,
    /// The time of day when the connection was made.
    connected: Option<(Timestamp, UnixTime)>,
    /// When to say that the session nears its age limit, and the limit.
    expiry: Option<(Timestamp, Timestamp)>,
    /// What this server has answered at least once.
    seen: Seen,
    /// The command that closes the session: after it, no other is taken.
    closing: Option<CommandId>,
    items: Items,
    transcripts: Transcripts,
    /// How often in a row the model was asked to go on after functions, without user input.
    rounds: u32,
}

impl Session {
    /// A session that is not connected yet.
    pub fn new(mut options: SessionOptions) -> Self {
        Self {
            policy: Policy::new(&mut options),
            config: SessionConfig::default(),
            options,
            now: Timestamp::ZERO,
            outputs: VecDeque::new(),
            due: None,
            sent: 0,
            state: State::default(),
            held: Held::default(),
            input: InputAudio::default(),
            responses: Sequencer::default(),
            playback: Playback::default(),
            out_of_band: Playback::default(),
            interruptions: Interruptions::default(),
            calls: FunctionCalls::default(),
            retrievals: Retrievals::default(),
            answers: Answers::default(),
            updates: Updates::default(),
            voice_locked: false,
            totals: UsageTotals::default(),
            connected: None,
            expiry: None,
            seen: Seen::default(),
            closing: None,
            items: Items::default(),
            transcripts: Transcripts::default(),
            rounds: 0,
        }
    }

    /// The connection is open. `wall` is the time of day, to read `expires_at`.
    pub fn handle_connected(&mut self, now: Timestamp, wall: UnixTime) {
        if !self.enter(now) {
            return;
        }
        self.connected = Some((self.now, wall));
        self.state.step(Step::Connected { created_due: self.now + self.options.created_deadline });
        self.flush();
    }

    /// The server sent a wire text.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        if !self.enter(now) || self.state.is_ended() {
            return;
        }
        if self.options.raw_text {
            self.tell(Event::Raw { text: text.into() });
        }
        match hot::plain_delta(text) {
            Some(delta) => {
                self.on_delta(delta);
                self.flush();
            }
            None => self.handle_other(text),
        }
    }

    // Most texts are deltas: what others need stays out of their way.
    #[inline(never)]
    fn handle_other(&mut self, text: &str) {
        self.handle_event(self.now, scan::decode_other(text, self.options.dialect));
    }

    /// The server sent an event: [`handle_text`](Self::handle_text) for a driver that decodes by itself.
    pub fn handle_event(&mut self, now: Timestamp, event: ServerEvent) {
        if !self.enter(now) || self.state.is_ended() {
            return;
        }
        for mismatch in event.mismatches() {
            self.tell(Event::Warning(Warning::Mismatch { kind: event.kind().into(), mismatch }));
        }
        self.on_event(event);
        self.flush();
    }

    /// The application asks for something.
    ///
    /// # Errors
    /// [`CommandError`] if the command can't be right. It had no effect, and is handed back.
    pub fn handle_command(
        &mut self,
        now: Timestamp,
        id: CommandId,
        command: Command,
    ) -> Result<(), CommandError> {
        if !self.enter(now) {
            return Err(CommandError { command: Box::new(command), reason: Refusal::Ended });
        }
        self.on_command(id, command)?;
        self.flush();
        Ok(())
    }

    /// The connection has ended, or could not be made.
    pub fn handle_disconnected(&mut self, now: Timestamp, reason: DisconnectReason) {
        if !self.enter(now) {
            return;
        }
        let reason = match &self.state {
            State::Closing { reason } => reason.clone(),
            _ => CloseReason::Disconnected(reason),
        };
        if self.state.step(Step::Disconnected) {
            self.end(&reason);
            self.tell(Event::Closed { reason });
        }
        self.flush();
    }

    /// The driver could not pass something on.
    pub fn handle_shortfall(&mut self, now: Timestamp, shortfall: Shortfall) {
        if !self.enter(now) {
            return;
        }
        // Positions of playback count from the part's beginning, so lost audio counts as not played.
        if let Shortfall::Unsent { bytes } = &shortfall {
            self.input.unsent(*bytes);
        }
        if let Some(reason) = shortfall.end() {
            self.close(reason);
        }
        self.outputs.extend(shortfall.warning(self.input_format()).map(Output::Event));
        self.flush();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if !self.enter(now) || self.state.is_ended() {
            return;
        }
        if self.state.deadline().is_some_and(|deadline| deadline <= self.now) {
            match self.state {
                State::Configuring { .. } => self.assume_config(),
                _ => self.close(CloseReason::NotCreated),
            }
        }
        self.expire_interruptions();
        self.expire_speech();
        if let Some((_, end)) = self.expiry.take_if(|(notice, _)| *notice <= self.now) {
            self.tell(Event::Expiring { left: end.saturating_since(self.now) });
        }
        self.expire();
        self.flush();
    }

    /// What to do or tell next, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        debug_assert_eq!(self.due, self.first_due(), "an input has moved a deadline and has not said so");
        self.due
    }

    /// The first of all deadlines.
    fn first_due(&self) -> Option<Timestamp> {
        if self.state.is_ended() {
            return None;
        }
        let first = earlier(self.state.deadline(), self.expiry.map(|(notice, _)| notice));
        let first = earlier(first, self.policy.deadline());
        let first = earlier(first, self.responses.deadline());
        let first = earlier(first, self.interruptions.deadline());
        let first = earlier(first, self.retrievals.deadline());
        earlier(first, self.answers.deadline())
    }

    /// Returns whether the configuration holds, so that audio and items flow.
    pub const fn is_ready(&self) -> bool {
        self.state.is_ready()
    }

    /// Returns whether the session is over and tells nothing more once its outputs are drained.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The configuration as the server has it, as far as this side knows.
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Every input passes here. Returns whether the session is still open: nothing is told after
    /// [`Event::Closed`]. Time never goes back.
    fn enter(&mut self, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        !self.is_closed()
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn send(&mut self, event: impl Into<ClientEvent>) {
        self.outputs.push_back(Output::Send(event.into()));
    }

    fn settle(&mut self, id: CommandId, outcome: Outcome) {
        self.tell(Event::Settled { id, outcome });
    }

    fn settle_all(&mut self, ids: Vec<CommandId>, outcome: &Outcome) {
        for id in ids {
            self.settle(id, outcome.clone());
        }
    }

    /// The id of the next event: the same in every run with the same entropy and inputs.
    fn next_event_id(&mut self) -> EventId {
        self.sent += 1;
        format!("evt_{:x}_{}", self.options.entropy, self.sent).into()
    }

    /// Notes that an answer is due for an event.
    fn expect(&mut self, id: Option<CommandId>, event_id: EventId, what: Await) {
        let deadline = self.due(what.answer());
        self.answers.expect(Awaited { id, event_id, number: self.sent, what, deadline });
    }

    /// Requests a response that no command waits for.
    fn request(&mut self) {
        self.responses.request(Request::new(None, None, self.sent));
    }

    /// When an answer, requested now, counts as overdue.
    fn due(&self, answer: Answer) -> Timestamp {
        self.now + self.options.deadlines.of(answer).after
    }

    /// An answer came: returns what waited for it.
    fn answered(&mut self, what: &Await) -> Option<Awaited> {
        self.seen.note(what.answer());
        self.answers.take(what)
    }

    /// Gives up answers that did not come in time.
    fn expire(&mut self) {
        let retrievals = self.retrievals.expire(self.now);
        if !retrievals.is_empty() {
            self.overdue(Answer::ItemRetrieved);
            self.settle_all(retrievals, &Outcome::TimedOut);
        }
        let patience = Patience {
            created: self.options.deadlines.of(Answer::ResponseCreated).after,
            done: self.options.deadlines.of(Answer::ResponseDone).after,
        };
        let expired = self.responses.expire(self.now, patience);
        if expired.silent_turn {
            self.tell_speech_ended(None);
        }
        for request in expired.unanswered {
            // A server may drop a response that the user spoke over.
            self.overdue_if(Answer::ResponseCreated, request.is_wanted());
            self.settle_all(request.waiters, &Outcome::TimedOut);
        }
        for answer in expired.silent {
            self.overdue(answer);
        }
        self.settle_all(expired.forsaken, &Outcome::TimedOut);
        for awaited in self.answers.expire(self.now) {
            self.forget_update(&awaited);
            self.overdue(awaited.what.answer());
            if let Some(id) = awaited.id {
                self.settle(id, Outcome::TimedOut);
            }
        }
    }

    fn overdue(&mut self, answer: Answer) {
        self.overdue_if(answer, true);
    }

    /// Tells that an answer is overdue. `wanted`: whether the server should have sent it.
    fn overdue_if(&mut self, answer: Answer, wanted: bool) {
        let policy = self.options.deadlines.of(answer).policy;
        if policy != OverduePolicy::Off {
            let rotate = wanted && self.seen.asks_for_rotation(answer, policy);
            self.tell(Event::Overdue { answer, rotate });
        }
    }

    /// The server said when the session ends: at most an hour from now, whatever its clock says.
    fn note_expiry(&mut self, expires_at: Field<u64>) {
        let (Some(expires_at), Some((at, wall))) = (expires_at.value(), self.connected) else { return };
        let left = UnixTime::from_secs(*expires_at).saturating_since(wall).min(LONGEST_SESSION);
        let end = at + left;
        self.expiry = Some(((end - self.options.expiry_notice).max(self.now), end));
    }

    /// Begins to close the connection.
    fn close(&mut self, reason: CloseReason) {
        if self.state.step(Step::Close { reason }) {
            self.outputs.push_back(Output::Close);
        }
    }

    /// Every input but an append ends here. Sends the next request for a response, if one may go: nearly
    /// always none waits. Then looks when something is due.
    fn flush(&mut self) {
        let may_go =
            || self.state.is_ready() && self.interruptions.is_empty() && !self.policy.is_committing();
        if self.responses.has_waiting() && may_go() {
            self.send_requests();
        }
        self.due = self.first_due();
    }

    fn send_requests(&mut self) {
        while let Some(request) = self.responses.next() {
            let event_id = self.next_event_id();
            self.send(crate::event::ResponseCreate {
                event_id: event_id.clone().into(),
                response: request.wire_params().map_or(Field::Absent, Field::Value),
                ..Default::default()
            });
            let deadline = self.due(Answer::ResponseCreated);
            self.responses.sent(event_id, request, self.now, deadline);
        }
    }

    /// Resolves everything that waits: nothing is left open after the end.
    fn end(&mut self, reason: &CloseReason) {
        self.resume();
        self.end_interruptions();
        let (waiters, responses) = self.responses.end();
        for response in responses {
            self.finish_response(response, ResponseEnd::Lost, None);
        }
        for call in self.calls.end() {
            self.tell(Event::FunctionEnded { call, end: FunctionEnd::Closed });
        }
        let waiters = waiters
            .into_iter()
            .chain(self.retrievals.end())
            .chain(self.answers.end().into_iter().filter_map(|awaited| awaited.id))
            .chain(self.held.end())
            .chain(self.updates.take_joined().into_iter().map(|(id, _)| id))
            .collect();
        self.settle_all(waiters, &Outcome::Closed { reason: reason.clone() });
        if let Some(id) = self.closing.take() {
            self.settle(id, Outcome::Done);
        }
        drop(self.input.take_pre_roll());
        self.playback = Playback::default();
        self.out_of_band = Playback::default();
        self.items = Items::default();
        self.transcripts = Transcripts::default();
    }
}
