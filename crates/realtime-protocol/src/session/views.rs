//! Commands by subject: `session.input_audio().append(now, id, pcm)` in place of
//! `session.handle_command(now, id, Command::AppendAudio { audio: pcm.into() })`.
//!
//! Borrowed for one call, and no more than another spelling: [`Command`] says what each does and which are answered.
//! Every method hands its command to [`Session::handle_command`], so all fail as that does: with a [`CommandError`]
//! when the command can't be right. After it, poll the outputs.

use alloc::boxed::Box;

use crate::audio::Audio;
use crate::call::{
    Command, CommandError, CommandId, FunctionOutput, PlaybackPosition, PlaybackReport, StopId,
};
use crate::event::ClientEvent;
use crate::id::{CallId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::ResponseParams;
use crate::session::Session;
use crate::session_config::SessionConfig;
use crate::time::Timestamp;

/// Declares views: each method is a command.
macro_rules! views {
    ($(
        $(#[$doc:meta])* $view:ident by $getter:ident {
            $( $(#[$method_doc:meta])* $method:ident($($arg:ident: $type:ty),*) => $command:expr; )*
        }
    )*) => {
        impl Session {
            $(
                $(#[$doc])*
                pub const fn $getter(&mut self) -> $view<'_> {
                    $view(self)
                }
            )*
        }
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $view<'a>(&'a mut Session);

            impl $view<'_> {
                $(
                    $(#[$method_doc])*
                    ///
                    /// # Errors
                    /// [`CommandError`] when the command can't be right; nothing happened, and it is handed back.
                    pub fn $method(
                        &mut self, now: Timestamp, id: CommandId $(, $arg: $type)*
                    ) -> Result<(), CommandError> {
                        self.0.handle_command(now, id, $command)
                    }
                )*
            }
        )*
    };
}

views! {
    /// The user's audio.
    InputAudioView by input_audio {
        /// Adds audio in the session's input format: [`Command::AppendAudio`].
        append(audio: impl Into<Audio>) => Command::AppendAudio { audio: audio.into() };
        /// Push-to-talk: the user speaks from here on. [`Command::BeginTurn`].
        begin_turn() => Command::BeginTurn {};
        /// Makes a user item of the input buffer, and may ask for an answer to it: [`Command::CommitAudio`].
        commit(respond: bool) => Command::CommitAudio { respond };
        /// Empties the input buffer: [`Command::ClearAudio`].
        clear() => Command::ClearAudio {};
    }

    /// The conversation's items.
    ConversationView by conversation {
        /// Adds an item at the end, and may ask for an answer to it: [`Command::CreateItem`].
        create(item: Item, respond: bool) => Command::CreateItem { item: Box::new(item), after: None, respond };
        /// Adds an item behind another: [`Command::CreateItem`].
        create_after(after: ItemId, item: Item, respond: bool) =>
            Command::CreateItem { item: Box::new(item), after: Some(after), respond };
        /// Removes an item: [`Command::DeleteItem`].
        delete(item_id: ItemId) => Command::DeleteItem { item_id };
        /// Asks for an item as the server has it: [`Command::RetrieveItem`].
        retrieve(item_id: ItemId) => Command::RetrieveItem { item_id };
    }

    /// The model's responses.
    ResponsesView by responses {
        /// Asks for a response; merges with others that wait. [`Command::CreateResponse`].
        create() => Command::CreateResponse { params: None };
        /// Asks for a response that differs from the session's configuration: [`Command::CreateResponse`].
        create_with(params: ResponseParams) => Command::CreateResponse { params: Some(Box::new(params)) };
        /// Cancels the response in the conversation: [`Command::CancelResponse`].
        cancel() => Command::CancelResponse { response_id: None };
        /// Cancels this response: [`Command::CancelResponse`].
        cancel_one(response_id: ResponseId) => Command::CancelResponse { response_id: Some(response_id) };
        /// The user speaks over the assistant: [`Command::Interrupt`].
        interrupt() => Command::Interrupt {};
    }

    /// The model's function calls.
    FunctionCallsView by function_calls {
        /// Answers a call, and may ask the model to go on: [`Command::AnswerFunction`].
        complete(call_id: CallId, output: FunctionOutput, respond: bool) =>
            Command::AnswerFunction { call_id, output, respond };
    }

    /// What was played of the model's audio: [`Command::ReportPlayback`].
    PlaybackView by playback {
        /// So much of a part has been played: [`PlaybackReport::Played`].
        played(at: PlaybackPosition) => Command::ReportPlayback { report: PlaybackReport::Played(at) };
        /// All audio up to the end of this chunk has been played: [`PlaybackReport::Mark`].
        mark(mark: u64) => Command::ReportPlayback { report: PlaybackReport::Mark(mark) };
        /// Playback stands still: [`PlaybackReport::Stopped`].
        stopped(stop: StopId, at: Option<PlaybackPosition>) =>
            Command::ReportPlayback { report: PlaybackReport::Stopped { id: stop, at } };
    }

    /// The session itself. [`Session::config`] tells its configuration.
    ConnectionView by connection {
        /// Changes the configuration: [`Command::UpdateConfig`].
        update_config(config: SessionConfig) => Command::UpdateConfig { config: Box::new(config) };
        /// Sends an event as it is: [`Command::SendEvent`].
        send(event: ClientEvent) => Command::SendEvent { event: Box::new(event) };
        /// Ends the session: [`Command::Close`].
        close() => Command::Close {};
    }
}
