//! A connection ends: what is carried over, whether another follows and when, and the end of the call.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::call::close::may_pass;
use crate::call::machine::blame::{Loss, MOST_SENT};
use crate::call::machine::commands::Carry;
use crate::call::machine::connection::Connection;
use crate::call::machine::is_own;
use crate::call::machine::succession::Successor;
use crate::call::{
    Call, CloseReason, Command, CommandId, ConnectionEvent, DisconnectClass, DisconnectReason, Event,
    FunctionEnd, Outcome, Warning,
};
use crate::session::Output;
use crate::time::Timestamp;

impl Call {
    /// The connection that serves has ended. `because`: a reason that overrides the one that its session
    /// knows.
    pub(super) fn lose_serving(&mut self, how: DisconnectReason, because: Option<CloseReason>) {
        let Some(mut connection) = self.serving.take() else { return };
        let (endpoint, served) = (connection.endpoint, connection.serves_since);
        let rest = self.rest_of(&mut connection, how);
        let verdict = self.config_deaths.note(&rest.loss);
        let reason = because.or(verdict).unwrap_or_else(|| rest.loss.reason.clone());
        let class = DisconnectClass::of(&reason);
        if self.reconnect.is_none() || class == DisconnectClass::Requested {
            self.pass_on(rest);
            self.settle_waiting(&reason);
            return self.finish(reason);
        }
        if served.is_some_and(|since| since + self.reconnect.healthy_after <= self.now) {
            self.attempts = 0;
        }
        self.lost_at = Some(self.now);
        if let Some(rotation) = &mut self.rotation {
            rotation.endpoint = None; // from here on, any that works
        }
        let plan = self.plan(class, &reason, endpoint, served.is_some());
        match plan {
            Some(_) => self.carry(rest),
            None => self.pass_on(rest),
        }
        self.follow(plan, reason, class);
    }

    /// Ends a session that another one has replaced.
    pub(super) fn end_session(&mut self, mut connection: Box<Connection>, how: DisconnectReason) {
        let rest = self.rest_of(&mut connection, how);
        self.carry(rest);
    }

    /// The connection that was to serve next has ended.
    pub(super) fn lose_successor(&mut self, how: DisconnectReason) {
        let seeding = matches!(self.successor, Successor::Seeding(_));
        let mut unacknowledged = None;
        let mut connection = match core::mem::take(&mut self.successor) {
            Successor::Opening(connection) | Successor::Standby(connection) => connection,
            Successor::Seeding(seeding) => {
                unacknowledged = seeding.largest_pending();
                seeding.into_connection()
            }
            Successor::None | Successor::Waiting { .. } => return,
        };
        let (endpoint, was_ready) = (connection.endpoint, connection.session.is_ready());
        let Rest { loss, .. } = self.rest_of(&mut connection, how);
        if let Some(largest) = unacknowledged {
            self.seed_limit.note(&loss, largest);
        }
        let reason = self.config_deaths.note(&loss).unwrap_or(loss.reason);
        let class = DisconnectClass::of(&reason);
        if let Some(rotation) = &mut self.rotation {
            rotation.endpoint = None; // from here on, any that works
        }
        if self.serving.is_none() {
            let plan = self.plan(class, &reason, endpoint, was_ready);
            return self.follow(plan, reason, class);
        }
        if !was_ready || class != DisconnectClass::Transient {
            self.endpoints.failed(self.now, endpoint, class, may_pass(&reason));
        }
        self.retry_rotation();
        if seeding {
            self.release_to_serving();
        }
    }

    /// Returns when and where to make the next attempt, if there is one.
    fn plan(
        &mut self,
        class: DisconnectClass,
        reason: &CloseReason,
        endpoint: u32,
        was_ready: bool,
    ) -> Option<(Timestamp, u32)> {
        let helpless = matches!(class, DisconnectClass::Account | DisconnectClass::Configuration);
        if helpless || !was_ready {
            self.endpoints.failed(self.now, endpoint, class, may_pass(reason));
        }
        if self.successor.connection().is_some() {
            return Some((self.now, 0)); // it was on its way already
        }
        if self.attempts >= self.reconnect.attempts {
            return None;
        }
        let next = self.endpoints.choose(self.now)?;
        self.attempts += 1;
        let fresh = next != endpoint && !self.endpoints.rests(self.now, next);
        let entropy = self.options.entropy.wrapping_add(u64::from(self.connections));
        let wait = self.reconnect.backoff.delay(self.attempts, entropy);
        Some((if fresh { self.now } else { self.now + wait.max(asked_for(reason)) }, next))
    }

    /// Does what was planned: waits for the next attempt, or ends the call.
    fn follow(&mut self, plan: Option<(Timestamp, u32)>, reason: CloseReason, class: DisconnectClass) {
        let retry_at = plan.map(|(at, _)| at);
        match plan {
            None => self.settle_waiting(&reason),
            Some((at, endpoint)) if self.successor.connection().is_none() => {
                self.successor = Successor::Waiting { at, endpoint };
            }
            Some(_) => {}
        }
        self.tell(Event::Connection(ConnectionEvent::Lost { reason: reason.clone(), class, retry_at }));
        if retry_at.is_none() {
            self.finish(reason);
        }
    }

    /// Passes on the rest of a session, but for what the next one takes over.
    pub(super) fn carry(&mut self, rest: Rest) {
        let Rest { events, loss, mut owes, spoke, rounds, held, in_turn } = rest;
        owes.any |= spoke && self.reconnect.ask_again;
        self.rounds = rounds;
        let given_up = self.calls.end_deliveries(&loss);
        let (format, oldest) = self.held_bounds();
        if in_turn {
            self.audio.begin_turn();
        }
        for audio in held {
            self.audio.push(self.now, audio, format, oldest);
        }
        for event in events {
            match event {
                Event::Settled { id, outcome: Outcome::Closed { .. } } if self.asked == Some(id) => {
                    // The reply was cut off a second time before it came: it is still due.
                    self.asked = None;
                    owes = Owes { any: true, unsent: owes.unsent || !loss.was_sent(id) };
                }
                Event::Settled { id, outcome: Outcome::Closed { .. } }
                    if given_up.iter().any(|(delivery, _)| *delivery == id) =>
                {
                    self.give_up(id, loss.refusal(MOST_SENT));
                }
                Event::Settled { id, outcome: outcome @ Outcome::Closed { .. } } => {
                    match self.commands.carry(id, &self.calls, &loss) {
                        Carry::Waits => {}
                        Carry::Ends => self.relay(Event::Settled { id, outcome }),
                        Carry::GivenUp(outcome, command) => {
                            if loss.blames_payload() {
                                self.seed_limit.learn(command.size());
                            }
                            if let Command::CreateItem { respond: true, .. } = command {
                                owes = Owes::default(); // without the item there is nothing to reply to
                            }
                            self.give_up(id, outcome);
                        }
                    }
                }
                Event::FunctionEnded { call, end: FunctionEnd::Closed } => {
                    self.relay(Event::FunctionEnded { call, end: FunctionEnd::Detached });
                }
                event => self.relay(event),
            }
        }
        self.owes.any |= owes.any;
        self.owes.unsent |= owes.unsent;
        for (_, call_id) in given_up {
            self.tell(Event::Warning(Warning::FunctionOutputGivenUp { call_id }));
        }
        self.calls.detach(self.now);
        self.leave_because = None;
    }

    /// Settles a command that no session will settle.
    fn give_up(&mut self, id: CommandId, outcome: Outcome) {
        if !is_own(id) {
            self.tell(Event::Settled { id, outcome });
        }
    }

    /// Ends a session, and gives back what it leaves behind.
    pub(super) fn rest_of(&self, connection: &mut Connection, how: DisconnectReason) -> Rest {
        Rest::of(connection, self.now, how, self.attaches())
    }

    /// Passes on everything that a session still tells. No other session takes anything over.
    pub(super) fn pass_on(&mut self, rest: Rest) {
        for event in rest.events {
            self.relay(event);
        }
    }

    /// Settles what waits for a session that will not come.
    pub(super) fn settle_waiting(&mut self, reason: &CloseReason) {
        let rotation = self.rotation.take().map(|rotation| rotation.waiters);
        for id in self.commands.end().into_iter().chain(rotation.into_iter().flatten()) {
            self.tell(Event::Settled { id, outcome: Outcome::Closed { reason: reason.clone() } });
        }
    }

    /// The call is over.
    pub(super) fn finish(&mut self, reason: CloseReason) {
        self.drop_successor();
        self.ended = true;
        self.tell(Event::Closed { reason });
    }
}

/// How long the server wants to wait before the next attempt.
fn asked_for(reason: &CloseReason) -> Duration {
    match reason {
        CloseReason::Disconnected(DisconnectReason::Refused { retry_after: Some(wait), .. }) => {
            (*wait).min(LONGEST_WAIT)
        }
        _ => Duration::ZERO,
    }
}

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Whether the model still owes a response that no command asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owes {
    /// In a new conversation.
    pub(super) any: bool,
    /// In the same conversation, which answers every request that it received.
    pub(super) unsent: bool,
}

/// What a session leaves behind.
pub(super) struct Rest {
    /// Its remaining events, except for its end.
    pub(super) events: Vec<Event>,
    pub(super) loss: Loss,
    pub(super) owes: Owes,
    /// Whether a response of the conversation was speaking.
    pub(super) spoke: bool,
    /// Rounds of function calls without user input.
    pub(super) rounds: u32,
    /// Input audio that it never sent.
    pub(super) held: Vec<bytes::Bytes>,
    /// Whether a push-to-talk turn runs.
    pub(super) in_turn: bool,
}

impl Rest {
    fn of(connection: &mut Connection, now: Timestamp, how: DisconnectReason, attaches: bool) -> Self {
        let session = &mut connection.session;
        let owes = Owes { any: session.owes_response(), unsent: session.owes_unsent_response() };
        let (spoke, rounds) = (session.is_speaking(), session.rounds());
        let (held, in_turn) = (session.take_held_audio(), session.in_turn());
        let (unsent, configuring) = (session.unsent_commands(), session.is_configuring());
        session.handle_disconnected(now, how);
        let (mut events, mut reason) = (Vec::new(), CloseReason::Requested);
        while let Some(output) = session.poll_output() {
            match output {
                Output::Event(Event::Closed { reason: why }) => reason = why,
                Output::Event(event) => events.push(event),
                // The connection is gone: there is nowhere to send it.
                Output::Send(_) | Output::Close => {}
            }
        }
        let loss = Loss { reason, unsent, configuring, attaches };
        Self { events, loss, owes, spoke, rounds, held, in_turn }
    }
}
