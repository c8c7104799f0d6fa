//! A call moves: [`Call::suspend`] in one process, [`Call::resume`] in another. [`Call::snapshot`] is for a
//! process that may be lost.
//!
//! The rules kept here: every command is answered before the call is suspended, or is named in [`Suspended`].
//! No id that this side made is made again. What may have happened after a snapshot does not happen twice.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::call::machine::blame::SeedLimit;
use crate::call::machine::commands::Commands;
use crate::call::machine::ending::Owes;
use crate::call::machine::functions::Functions;
use crate::call::machine::seeding::Instructions;
use crate::call::suspended::{Suspended, VERSION};
use crate::call::{
    Call, CallOptions, CloseReason, ConnectionEvent, DisconnectReason, Event, Outcome, Output, Warning,
};
use crate::field::Field;
use crate::session::{Begin, Session};
use crate::session_config::SessionConfig;
use crate::time::{MediaTime, Timestamp};

impl Call {
    /// Ends the call here, so that it can be resumed elsewhere. Poll the outputs once more: commands that
    /// can't move are settled, running responses end as [`Lost`](crate::call::ResponseEnd::Lost), running
    /// functions are [`Detached`](crate::call::FunctionEnd::Detached), waiting input audio is lost, and the
    /// connections are closed. The last event is [`ConnectionEvent::Suspended`]. A call that is about to end
    /// does end instead, and resuming it does nothing.
    ///
    /// ```
    /// use realtime_protocol::call::{Call, Command, CommandId, ConnectionId, Output, Suspended};
    /// use realtime_protocol::session::SessionOptions;
    /// use realtime_protocol::time::Timestamp;
    ///
    /// let mut call = Call::new(SessionOptions::default());
    /// call.handle_command(Timestamp::ZERO, CommandId(7), Command::CreateResponse { params: None, protected: false })?;
    /// let suspended = call.suspend(Timestamp::ZERO);
    /// assert!(call.is_ended());
    /// assert_eq!(suspended.waiters().collect::<Vec<_>>(), [CommandId(7)]);
    ///
    /// // In another process, by its own clock:
    /// let json = serde_json::to_string(&suspended).expect("it is JSON");
    /// let suspended: Suspended = serde_json::from_str(&json).expect("of this version");
    /// let mut call = Call::resume(SessionOptions::default(), suspended);
    /// assert_eq!(call.poll_output(), Some(Output::Connect { connection: ConnectionId(1), endpoint: 0 }));
    /// # Ok::<(), realtime_protocol::call::CommandError>(())
    /// ```
    pub fn suspend(&mut self, now: Timestamp) -> Suspended {
        self.advance(now);
        let config = self.moved_config();
        let is_over = self.ended || !self.leave();
        Suspended {
            is_over,
            config,
            functions: self.calls.suspend(),
            commands: self.commands.suspend(),
            owes_unsent: self.owes.unsent,
            went_on: false,
            // It has left its connection, so the rest is what a snapshot of it says now.
            ..self.snapshot()
        }
    }

    /// Returns what another process would go on with if this one were lost now. The call goes on here.
    ///
    /// It names no commands: whoever asked is lost, too, and they may be carried out after this. An output of
    /// a function counts as one that may have arrived. Functions without an output are
    /// [named](Suspended::functions), also those that get one after this: if something else knows more, see
    /// [`Suspended::with_functions`].
    ///
    /// ```
    /// use realtime_protocol::call::{Call, ConnectionId, Output};
    /// use realtime_protocol::session::{Begin, SessionOptions};
    ///
    /// // Each owner of a call that attaches has an entropy of its own.
    /// let options = |entropy| SessionOptions::default().begin(Begin::Attach).entropy(entropy);
    /// let call = Call::new(options(1));
    /// let snapshot = call.snapshot();
    /// // The process is lost. In another one:
    /// let mut call = Call::resume(options(2), snapshot);
    /// assert_eq!(call.poll_output(), Some(Output::Connect { connection: ConnectionId(1), endpoint: 0 }));
    /// ```
    pub fn snapshot(&self) -> Suspended {
        let session = self.serving.as_ref().map(|connection| &connection.session);
        let is_closing = session.is_some_and(|session| session.closing_reason().is_some());
        Suspended {
            version: VERSION,
            is_over: self.ended || is_closing,
            config: self.moved_config(),
            told_instructions: self.instructions.told.value().cloned(),
            instructions_changed: self.instructions.changed,
            functions: self.calls.snapshot(),
            commands: Vec::new(),
            owes: self.owes.any || session.is_some_and(Session::owes_response),
            owes_unsent: false,
            asks: self.asks,
            rounds: self.rounds + session.map_or(0, Session::rounds),
            in_turn: session.map_or_else(|| self.audio.in_turn(), Session::in_turn),
            was_ready: self.was_ready,
            seed_limit: self.seed_limit.most(),
            attempts: self.attempts,
            connections: self.connections,
            own_commands: self.own_commands,
            entropy: self.options.entropy,
            went_on: true,
        }
    }

    /// Resumes a suspended call. Its first output is [`Output::Connect`], and then it goes on as after a lost
    /// connection. `options` are those of the new owner; configuration and entropy are those of the call.
    /// After a [`snapshot`](Self::snapshot) alone the entropy is that of `options`, and must differ from
    /// earlier owners', since nobody knows which ids they made.
    /// With [`Begin::Attach`] it attaches to the conversation in which it was suspended.
    pub fn resume(options: impl Into<CallOptions>, suspended: Suspended) -> Self {
        let CallOptions { mut session, reconnect } = options.into();
        session.config = *suspended.config;
        if !suspended.went_on {
            session.entropy = suspended.entropy;
        }
        let mut call = Self::new(CallOptions { session, reconnect });
        call.outputs.clear();
        call.serving = None;
        call.connections = suspended.connections;
        call.own_commands = suspended.own_commands;
        call.ended = suspended.is_over;
        call.resuming = true;
        call.was_ready = suspended.was_ready;
        call.attempts = suspended.attempts;
        call.asks = suspended.asks;
        call.rounds = suspended.rounds;
        call.owes = Owes { any: suspended.owes, unsent: suspended.owes_unsent };
        call.instructions = Instructions {
            told: suspended.told_instructions.map_or(Field::Absent, Field::Value),
            changed: suspended.instructions_changed,
        };
        call.seed_limit = SeedLimit::new(suspended.seed_limit);
        call.calls = Functions::resume(suspended.functions);
        call.commands = Commands::resume(suspended.commands);
        if suspended.in_turn {
            call.audio.begin_turn();
        }
        if call.ended {
            return call;
        }
        call.connect(0);
        if call.attaches() {
            for id in call.commands.take_arrived() {
                let outcome = Outcome::Closed { reason: CloseReason::Suspended };
                call.tell(Event::Settled { id, outcome });
            }
        }
        call
    }

    /// The configuration for the next owner. Of a call that attaches, it is that of the conversation, for a
    /// resumed call that configures its session.
    fn moved_config(&self) -> Box<SessionConfig> {
        let Some(connection) = self.serving.as_ref().filter(|_| self.attaches()) else {
            return Box::new(self.options.config.clone());
        };
        Box::new(SessionConfig {
            id: Field::Absent,
            object: Field::Absent,
            expires_at: Field::Absent,
            client_secret: Field::Absent,
            ..connection.session.config().clone()
        })
    }

    /// Returns whether each connection attaches to the same conversation.
    pub(super) fn attaches(&self) -> bool {
        self.options.begin == Begin::Attach
    }

    /// Tells the last events before the call goes on elsewhere. Returns whether it goes on elsewhere.
    fn leave(&mut self) -> bool {
        self.drop_successor();
        if let Some(mut connection) = self.serving.take() {
            let how = DisconnectReason::Lost { reason: "suspended".into() };
            if let Some(reason) = connection.session.closing_reason().cloned() {
                let rest = self.rest_of(&mut connection, how);
                self.pass_on(rest);
                self.settle_waiting(&reason);
                self.finish(reason);
                return false;
            }
            self.outputs.push_back(Output::Close(connection.id));
            connection.session.suspend();
            let rest = self.rest_of(&mut connection, how);
            self.carry(rest);
        }
        for id in self.rotation.take().into_iter().flat_map(|rotation| rotation.waiters) {
            let outcome = Outcome::Closed { reason: CloseReason::Suspended };
            self.tell(Event::Settled { id, outcome });
        }
        let (format, _) = self.held_bounds();
        let lost = self.audio.drop_all(format);
        if lost > MediaTime::ZERO {
            self.tell(Event::Warning(Warning::InputAudioDropped { lost }));
        }
        self.tell(Event::Connection(ConnectionEvent::Suspended {}));
        self.ended = true;
        true
    }
}
