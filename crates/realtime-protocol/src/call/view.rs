//! Commands and media by subject: `call.conversation().delete(now, id, item)` in place of
//! `call.handle_command(now, id, Command::DeleteItem { item_id: item })`.
//!
//! A view is borrowed for one method call, and is only another spelling: [`Command`] and [`Media`] say what
//! each method does. Poll the outputs afterwards.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::call::{
    Call, Command, CommandError, CommandId, FunctionOutput, HoldId, Media, MediaError, PlaybackPosition,
    PlaybackReport, StopId,
};
use crate::event::ClientEvent;
use crate::id::{CallId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::ResponseParams;
use crate::session_config::SessionConfig;
use crate::time::Timestamp;

/// Declares views: each method is a command, or media.
macro_rules! views {
    ($(
        $(#[$doc:meta])* $view:ident by $getter:ident {
            $([ $( $(#[$media_doc:meta])* $media_method:ident($($media_arg:ident: $media_type:ty),*) => $media:expr; )* ])?
            $( $(#[$method_doc:meta])* $method:ident($($arg:ident: $type:ty),*) => $command:expr; )*
        }
    )*) => {
        impl Call {
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
            pub struct $view<'a>(&'a mut Call);

            impl $view<'_> {
                $($(
                    $(#[$media_doc])*
                    ///
                    /// # Errors
                    /// [`MediaError`] if its shape can't be right. It had no effect, and is handed back.
                    pub fn $media_method(
                        &mut self, now: Timestamp $(, $media_arg: $media_type)*
                    ) -> Result<(), MediaError> {
                        self.0.handle_media(now, $media)
                    }
                )*)?
                $(
                    $(#[$method_doc])*
                    ///
                    /// # Errors
                    /// [`CommandError`] if the command can't be right. It had no effect, and is handed back.
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
        [
            /// Adds audio in the session's input format: [`Media::Append`].
            append(audio: impl Into<Bytes>) => Media::Append(audio.into());
            /// Push-to-talk: the user speaks from here on. [`Media::BeginTurn`].
            begin_turn() => Media::BeginTurn;
        ]
        /// Makes a user item of the input buffer, and may ask for an answer to it: [`Command::CommitAudio`].
        commit(respond: bool) => Command::CommitAudio { respond };
        /// Empties the input buffer: [`Command::ClearAudio`].
        clear() => Command::ClearAudio {};
    }

    /// The conversation's items.
    ConversationView by conversation {
        /// Adds an item at the end, and may ask for an answer to it: [`Command::CreateItem`].
        create(item: Item, respond: bool) => Command::CreateItem { item: Box::new(item), after: None, respond };
        /// Adds an item after another: [`Command::CreateItem`].
        create_after(after: ItemId, item: Item, respond: bool) =>
            Command::CreateItem { item: Box::new(item), after: Some(after), respond };
        /// Removes an item: [`Command::DeleteItem`].
        delete(item_id: ItemId) => Command::DeleteItem { item_id };
        /// Asks for an item as the server has it: [`Command::RetrieveItem`].
        retrieve(item_id: ItemId) => Command::RetrieveItem { item_id };
    }

    /// The model's responses.
    ResponsesView by responses {
        /// Asks for a response; merges with waiting requests. [`Command::CreateResponse`].
        create() => Command::CreateResponse { params: None, protected: false };
        /// Asks for a response that the user's speech does not interrupt: [`Command::CreateResponse`].
        create_protected() => Command::CreateResponse { params: None, protected: true };
        /// Asks for a response that differs from the session's configuration: [`Command::CreateResponse`].
        create_with(params: ResponseParams) =>
            Command::CreateResponse { params: Some(Box::new(params)), protected: false };
        /// Cancels the response in the conversation: [`Command::CancelResponse`].
        cancel() => Command::CancelResponse { response_id: None };
        /// Cancels this response: [`Command::CancelResponse`].
        cancel_one(response_id: ResponseId) => Command::CancelResponse { response_id: Some(response_id) };
        /// The user speaks over the assistant: [`Command::Interrupt`].
        interrupt() => Command::Interrupt {};
        /// The same, unless what is said is protected: [`Command::BargeIn`].
        barge_in() => Command::BargeIn {};
    }

    /// The model's function calls.
    FunctionCallsView by function_calls {
        /// Answers a function call, and may ask the model to go on: [`Command::AnswerFunction`].
        answer(call_id: CallId, output: FunctionOutput, respond: bool) =>
            Command::AnswerFunction { call_id, output, respond };
    }

    /// What was played of the model's audio: [`Media::Report`].
    PlaybackView by playback {
        [
            /// This much of a part has been played: [`PlaybackReport::Played`].
            played(at: PlaybackPosition) => Media::Report(PlaybackReport::Played(at));
            /// All audio up to the end of this chunk has been played: [`PlaybackReport::Mark`].
            mark(mark: u64) => Media::Report(PlaybackReport::Mark(mark));
            /// Playback stands still: [`PlaybackReport::Stopped`].
            stopped(stop: StopId, at: Option<PlaybackPosition>) =>
                Media::Report(PlaybackReport::Stopped { id: stop, at });
            /// Playback is held: [`PlaybackReport::Held`].
            held(hold: HoldId, at: Option<PlaybackPosition>) => Media::Report(PlaybackReport::Held { id: hold, at });
        ]
    }

    /// The call itself.
    ControlView by control {
        /// Changes the configuration: [`Command::UpdateConfig`].
        update_config(config: SessionConfig) => Command::UpdateConfig { config: Box::new(config) };
        /// Sends an event as it is: [`Command::SendEvent`].
        send(event: ClientEvent) => Command::SendEvent { event: Box::new(event) };
        /// Ends the call: [`Command::Close`].
        close() => Command::Close {};
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ConnectionId, MediaRefusal, Output, Refusal};
    use crate::session::SessionOptions;
    use crate::time::UnixTime;

    #[test]
    fn a_view_is_another_spelling_of_its_command() {
        let now = Timestamp::ZERO;
        let mut call = Call::new(SessionOptions::default());
        call.handle_connected(now, ConnectionId(0), UnixTime::from_secs(1));
        for text in ["session.created", "session.updated"] {
            call.handle_text(now, ConnectionId(0), &alloc::format!(r#"{{"type":"{text}","session":{{}}}}"#));
        }
        while call.poll_output().is_some() {}
        call.responses().create(now, CommandId(1)).unwrap();
        call.input_audio().append(now, Bytes::from_static(&[0; 960])).unwrap();
        let sent = core::iter::from_fn(|| call.poll_output()).filter_map(|output| match output {
            Output::Send { event, .. } => Some(event.kind().into()),
            _ => None,
        });
        let sent: alloc::vec::Vec<alloc::string::String> = sent.collect();
        assert_eq!(sent, ["response.create", "input_audio_buffer.append"]);
        let split = call.input_audio().append(now, Bytes::from_static(&[0; 3])).unwrap_err();
        assert_eq!(split.reason, MediaRefusal::SplitSample { bytes: 3, sample_bytes: 2 });
        let error = call
            .function_calls()
            .answer(now, CommandId(3), "c".into(), FunctionOutput::Cancelled, false)
            .unwrap_err();
        assert_eq!(error.reason, Refusal::UnknownFunction { call_id: "c".into() });
    }
}
