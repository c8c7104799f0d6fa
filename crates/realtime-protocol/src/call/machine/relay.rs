//! From the sessions' outputs to the call's outputs: what is passed on, kept back or translated.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::call::machine::functions::{Reopened, Surfaced};
use crate::call::machine::is_own;
use crate::call::machine::succession::{Rotation, Successor};
use crate::call::{
    Call, CloseReason, Command, CommandId, DisconnectReason, ErrorClass, Event, FunctionCall, FunctionOutput,
    Outcome, Output, RefusedMember, ResponseEnd,
};
use crate::error::ApiError;
use crate::id::ResponseId;
use crate::session;
use crate::session_config::SessionConfig;

impl Call {
    /// Passes on what the session that serves has to say.
    pub(super) fn relay_serving(&mut self) {
        while let Some(connection) = &mut self.serving
            && let Some(output) = connection.session.poll_output()
        {
            let (id, dialect) = (connection.id, connection.dialect);
            match output {
                session::Output::Send(event) => {
                    self.outputs.push_back(Output::Send { connection: id, dialect, event });
                }
                session::Output::Event(event) => self.relay(event),
                session::Output::Close => {
                    let requested = connection.session.closing_reason() == Some(&CloseReason::Requested);
                    self.outputs.push_back(Output::Close(id));
                    if !self.reconnect.is_none() && !requested {
                        self.lose_serving(no_reason(), None);
                    }
                }
            }
        }
        if let Some(reason) = self.leave_because.take()
            && let Some(connection) = &self.serving
        {
            self.outputs.push_back(Output::Close(connection.id));
            self.lose_serving(no_reason(), Some(reason));
        }
    }

    /// Passes on what the session that is to serve sends. What it tells is kept until it serves.
    pub(super) fn relay_successor(&mut self) {
        while let Some(connection) = self.successor.connection_mut()
            && let Some(output) = connection.session.poll_output()
        {
            let (id, dialect) = (connection.id, connection.dialect);
            match output {
                session::Output::Send(event) => {
                    self.outputs.push_back(Output::Send { connection: id, dialect, event });
                }
                session::Output::Close => {
                    self.outputs.push_back(Output::Close(id));
                    self.lose_successor(no_reason());
                }
                session::Output::Event(Event::Settled { id, outcome }) => self.successor.settled(id, outcome),
                session::Output::Event(event @ (Event::ServerError { .. } | Event::Warning(_))) => {
                    self.tell(event);
                }
                session::Output::Event(event) => connection.buffer.push(event),
            }
        }
        if let Successor::Opening(connection) = &mut self.successor
            && connection.session.is_ready()
        {
            self.config_deaths.configured();
            let Successor::Opening(connection) = core::mem::take(&mut self.successor) else { return };
            self.successor = Successor::Standby(connection);
        }
    }

    /// Passes on what the session that serves, or has just ended, tells.
    pub(super) fn relay(&mut self, event: Event) {
        match event {
            Event::Settled { id, outcome } => self.on_settled(id, outcome),
            Event::Ready { config, refused } => self.on_ready(config, refused),
            Event::ConfigUpdated { config, refused } => {
                self.input_format = config.input_format();
                self.tell(Event::ConfigUpdated { config, refused });
            }
            // Calls of an out-of-band response take no output, and no other session makes them again.
            Event::FunctionCalls { response_id, calls, out_of_band: false } => {
                self.on_calls(response_id, calls);
            }
            Event::Overdue { answer, rotate: true } => {
                self.tell(Event::Overdue { answer, rotate: true });
                if !self.reconnect.is_none() {
                    self.rotation.get_or_insert_with(Rotation::default).urgent = true;
                }
            }
            Event::FunctionEnded { call, end } => {
                let call = self.calls.as_shown(call);
                self.tell(Event::FunctionEnded { call, end });
            }
            Event::ResponseFinished(report) => {
                if let ResponseEnd::Failed { error, .. } = &report.end {
                    self.on_response_failed(error);
                }
                self.tell(Event::ResponseFinished(report));
            }
            event => self.tell(event),
        }
    }

    fn on_settled(&mut self, id: CommandId, outcome: Outcome) {
        let command = self.commands.take(id);
        // The server may have applied it without saying so. The next session is told what was asked for last.
        if let Some(Command::UpdateConfig { config }) = command
            && (outcome.is_ok() || outcome == Outcome::TimedOut)
        {
            self.instructions.changed |= !config.instructions.is_absent();
            self.options.config.merge(*config);
            self.config_version += 1;
        }
        if self.asked == Some(id) {
            self.asked = None;
            // A reply that was cut off before it said anything is still due.
            let lost = matches!(outcome, Outcome::Responded { end: ResponseEnd::Lost, .. });
            self.asks = if lost { self.asks } else { 0 };
        }
        self.calls.settled(id, &outcome);
        if !is_own(id) {
            self.tell(Event::Settled { id, outcome });
        }
    }

    /// The application is told once that the call is ready.
    fn on_ready(&mut self, config: Box<SessionConfig>, refused: Vec<RefusedMember>) {
        if let Some(connection) = &mut self.serving {
            connection.serves_since = Some(self.now);
        }
        self.config_deaths.configured();
        self.input_format = config.input_format();
        let event = if self.was_ready {
            Event::ConfigUpdated { config, refused }
        } else {
            Event::Ready { config, refused }
        };
        self.was_ready = true;
        self.tell(event);
    }

    /// Shows the application those calls that it does not know.
    fn on_calls(&mut self, response_id: ResponseId, calls: Vec<Arc<FunctionCall>>) {
        let kept = self.reconnect.functions_kept;
        let mut shown = Vec::new();
        let mut answers: Vec<(Arc<FunctionCall>, FunctionOutput, bool)> = Vec::new();
        for mut call in calls {
            match self.calls.surface(self.now, &mut call, kept) {
                Surfaced::Show => shown.push(call),
                Surfaced::Adopted => {}
                Surfaced::Answer(output, respond) => answers.push((call, output, respond)),
            }
        }
        if !shown.is_empty() {
            self.tell(Event::FunctionCalls { response_id, calls: shown, out_of_band: false });
        }
        self.deliver(answers);
    }

    /// Hands outputs that are known to the session that serves.
    fn deliver(&mut self, answers: Vec<(Arc<FunctionCall>, FunctionOutput, bool)>) {
        for (call, output, respond) in answers {
            let call_id = call.call_id.clone();
            let id = self.own_command();
            self.calls.delivering(id, &call_id);
            let command = Command::AnswerFunction { call_id, output, respond };
            let taken = self
                .serving
                .as_mut()
                .map(|connection| connection.session.handle_command(self.now, id, command));
            if !matches!(taken, Some(Ok(()))) {
                // The session has ended meanwhile; the output stays known.
                self.calls.settled(id, &Outcome::Closed { reason: CloseReason::Requested });
            }
        }
    }

    /// The serving session has attached to the conversation of the session before it. The calls of that
    /// session wait there.
    pub(super) fn reopen_functions(&mut self) {
        if !self.attaches() {
            return;
        }
        let reopened = self.calls.reopen();
        if let Some(connection) = &mut self.serving {
            let calls = reopened.iter().map(|reopened| Arc::clone(&reopened.call));
            connection.session.reopen_calls(calls.collect());
        }
        let known = |Reopened { call, output }| output.map(|(output, respond)| (call, output, respond));
        self.deliver(reopened.into_iter().filter_map(known).collect());
    }

    /// A response failed because the quota is exhausted: the next one should come from another endpoint.
    fn on_response_failed(&mut self, error: &ApiError) {
        let Some(connection) = &self.serving else { return };
        if ErrorClass::of(error) == ErrorClass::Account
            && self.endpoints.has_other(self.now, connection.endpoint)
        {
            let (code, message) = (error.code_str().into(), error.message_str().into());
            self.leave_because = Some(CloseReason::Fatal { code, message });
        }
    }
}

/// For a session that knows by itself why it ends.
fn no_reason() -> DisconnectReason {
    DisconnectReason::Lost { reason: "given up".into() }
}
