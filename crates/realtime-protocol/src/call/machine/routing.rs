//! Where a command goes: to the session that serves, or to wait for the next one.

use alloc::boxed::Box;

use crate::call::machine::commands::can_be_carried;
use crate::call::machine::functions::Completed;
use crate::call::machine::succession::{Rotation, Successor};
use crate::call::{
    Call, CloseReason, Command, CommandError, CommandId, DisconnectReason, Event, FunctionOutput, Media,
    MediaError, MediaRefusal, Outcome, Output, Refusal,
};
use crate::flow::Shortfall;
use crate::id::CallId;

impl Call {
    pub(super) fn route(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        if self.ended {
            return Err(refuse(command, Refusal::Ended));
        }
        match command {
            Command::Close {} => self.on_close(id),
            Command::Rotate { endpoint, urgent } => self.on_rotate(id, endpoint, urgent),
            Command::AnswerFunction { call_id, output, respond } => {
                self.on_complete_call(id, call_id, output, respond)
            }
            command if self.serving.is_none() => self.without_session(id, command),
            command if self.is_holding() => self.while_holding(id, command),
            command => self.pass(id, command),
        }
    }

    /// Hands a command to the session that serves.
    fn pass(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        let Some(connection) = &mut self.serving else { return Err(refuse(command, Refusal::NotConnected)) };
        let kept = can_be_carried(&command).then(|| command.clone());
        connection.session.handle_command(self.now, id, command)?;
        if let Some(command) = kept {
            self.commands.sent(id, command);
        }
        Ok(())
    }

    /// There is no session at the moment.
    fn without_session(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        match command {
            Command::CancelResponse { .. } | Command::Interrupt {} | Command::BargeIn {} => {
                self.tell(Event::Settled { id, outcome: Outcome::Done });
                Ok(())
            }
            command if can_be_carried(&command) => self.wait(id, command),
            command => {
                if matches!(command, Command::CommitAudio { .. } | Command::ClearAudio {}) {
                    self.audio.end_turn();
                }
                Err(refuse(command, Refusal::NotConnected))
            }
        }
    }

    /// The session that serves is about to be replaced.
    fn while_holding(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        match command {
            command if can_be_carried(&command) => self.wait(id, command),
            command => {
                // It is about what only this session has.
                if !self.is_urgent() {
                    self.abort_cut_over();
                }
                self.pass(id, command)
            }
        }
    }

    fn wait(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        if let Some(reason) = self.commands.refuses(&command) {
            return Err(refuse(command, reason));
        }
        self.commands.wait(id, command);
        Ok(())
    }

    /// Where media goes: to the session that serves, or to wait for the next one.
    pub(super) fn route_media(&mut self, media: Media) -> Result<(), MediaError> {
        let audio = match media {
            Media::Append(audio) => audio,
            Media::BeginTurn if !self.ended && self.serving.is_none() => {
                self.audio.begin_turn();
                return Ok(());
            }
            Media::BeginTurn if !self.ended && self.is_holding() && !self.is_urgent() => {
                self.abort_cut_over(); // the turn belongs to the session that serves
                return self.pass_media(Media::BeginTurn);
            }
            media @ (Media::BeginTurn | Media::Report(_)) => return self.pass_media(media),
        };
        if self.ended || self.serving.is_some() && !self.is_holding() {
            return self.pass_media(Media::Append(audio));
        }
        let (format, oldest) = self.held_bounds();
        let media = Media::Append(audio.clone());
        if let Err(reason) = media.check(format) {
            return Err(MediaError { media, reason });
        }
        self.audio.push(self.now, audio, format, oldest);
        Ok(())
    }

    fn pass_media(&mut self, media: Media) -> Result<(), MediaError> {
        match &mut self.serving {
            Some(connection) if !self.ended => connection.session.handle_media(self.now, media),
            _ if matches!(media, Media::Report(_)) => Ok(()), // nobody needs it any more
            _ => Err(MediaError { media, reason: MediaRefusal::Ended }),
        }
    }

    fn on_close(&mut self, id: CommandId) -> Result<(), CommandError> {
        if self.stays_last() {
            return self.pass(id, Command::Close {});
        }
        self.settle_waiting(&CloseReason::Requested);
        self.tell(Event::Settled { id, outcome: Outcome::Done });
        self.finish(CloseReason::Requested);
        Ok(())
    }

    /// Shortfalls go to the serving session, if there is one.
    pub(super) fn fall_short(&mut self, shortfall: Shortfall) {
        if self.ended {
            return;
        }
        if let Some(reason) = shortfall.end()
            && !self.stays_last()
        {
            self.settle_waiting(&reason);
            return self.finish(reason);
        }
        match &mut self.serving {
            Some(connection) => connection.session.handle_shortfall(self.now, shortfall),
            None => {
                let (input, _) = self.held_bounds();
                let warning = shortfall.warning(input);
                self.outputs.extend(warning.map(Output::Event));
            }
        }
    }

    /// Cancels a pending change-over. Returns whether a session serves.
    fn stays_last(&mut self) -> bool {
        let serves = self.serving.is_some();
        if serves {
            self.abort_cut_over();
            self.drop_successor();
        }
        serves
    }

    fn on_rotate(&mut self, id: CommandId, endpoint: Option<u32>, urgent: bool) -> Result<(), CommandError> {
        let command = Command::Rotate { endpoint, urgent };
        if self.reconnect.is_none() {
            return Err(refuse(command, Refusal::OneConnection));
        }
        let endpoints = self.endpoints.count();
        if let Some(endpoint) = endpoint.filter(|endpoint| *endpoint >= endpoints) {
            return Err(refuse(command, Refusal::NoSuchEndpoint { endpoint, endpoints }));
        }
        if self.serving.as_ref().is_some_and(|connection| connection.session.closing_reason().is_some()) {
            return Err(refuse(command, Refusal::Ended));
        }
        let rotation = self.rotation.get_or_insert_with(Rotation::default);
        rotation.urgent |= urgent;
        rotation.waiters.push(id);
        if let Some(endpoint) = endpoint {
            rotation.endpoint = Some(endpoint);
            if self.serving.is_some() && self.successor.endpoint() != Some(endpoint) {
                self.abort_cut_over();
                self.drop_successor();
            }
        }
        Ok(())
    }

    fn on_complete_call(
        &mut self,
        id: CommandId,
        call_id: CallId,
        output: FunctionOutput,
        respond: bool,
    ) -> Result<(), CommandError> {
        match self.calls.complete(id, &call_id, &output, respond) {
            Completed::Deliver(current) => {
                let command = Command::AnswerFunction { call_id: current, output, respond };
                let taken = match self.serving {
                    Some(_) if self.is_holding() => self.while_holding(id, command),
                    _ => self.pass(id, command),
                };
                taken.map_err(|mut error| {
                    self.calls.refused(id);
                    // The command is handed back as the application gave it.
                    if let Command::AnswerFunction { call_id: current, .. } = &mut *error.command {
                        *current = call_id.clone();
                    }
                    if matches!(error.reason, Refusal::NotConnected | Refusal::UnknownFunction { .. }) {
                        error.reason = Refusal::UnknownFunction { call_id };
                    }
                    error
                })
            }
            Completed::Kept => {
                let reason = CloseReason::Disconnected(DisconnectReason::Lost {
                    reason: "the call's connection ended".into(),
                });
                self.tell(Event::Settled { id, outcome: Outcome::Closed { reason } });
                Ok(())
            }
            Completed::Known => {
                let command = Command::AnswerFunction { call_id: call_id.clone(), output, respond };
                Err(refuse(command, Refusal::UnknownFunction { call_id }))
            }
        }
    }

    /// Gives up the connection that is being made ready, if there is one.
    pub(super) fn drop_successor(&mut self) {
        if let Some(connection) = self.successor.connection() {
            self.outputs.push_back(Output::Close(connection.id));
        }
        self.successor = Successor::None;
    }
}

fn refuse(command: Command, reason: Refusal) -> CommandError {
    CommandError { command: Box::new(command), reason }
}
