//! The application's end: [`Handle`] gives commands, [`Pending`] is the answer to one.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use realtime_protocol::call::{
    Command, CommandError, FunctionOutput, Media, MediaError, Outcome, PlaybackReport, ResponseEnd, Updated,
};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::id::{CallId, ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::response::ResponseParams;
use realtime_protocol::session::InterruptionPolicy;
use realtime_protocol::session_config::SessionConfig;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::counters::Counters;
use crate::error::{Error, SendError};
use crate::reply::Reply;
use crate::requests::{Asked, Request, Shared, Waiter};

/// Gives commands to a session. Clones share the session; when the last one is dropped, the session closes.
///
/// Methods that are not `async` hand their command over at once and never wait. The others hand it over when
/// first polled, or when there is room, and wait for its answer. Dropping such a future drops the answer, but
/// undoes nothing.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) const fn new(requests: mpsc::Sender<Request>, shared: Arc<Shared>) -> Self {
        Self { requests, shared }
    }

    /// Adds audio in the session's input format to the input buffer. Before the session is ready the newest
    /// audio is held for it. Give 20 ms to 100 ms at a time.
    ///
    /// # Errors
    /// [`SendError::Media`] for audio that is not whole samples, or too long for one append;
    /// [`SendError::Full`] if more waits than [`Bounds`](crate::Bounds) allow; [`SendError::Closed`] after
    /// the end.
    pub fn append_audio(&self, audio: impl Into<Bytes>) -> Result<(), SendError> {
        self.media(Media::Append(audio.into()))
    }

    /// Push-to-talk: the user speaks from here on, until [`commit_audio`](Self::commit_audio) or
    /// [`clear_audio`](Self::clear_audio).
    ///
    /// # Errors
    /// [`SendError`], as for [`append_audio`](Self::append_audio).
    pub fn begin_turn(&self) -> Result<(), SendError> {
        self.media(Media::BeginTurn)
    }

    /// Tells what was played, or answers [`Event::StopPlayback`] or [`Event::HoldPlayback`].
    ///
    /// # Errors
    /// [`SendError`], as for [`append_audio`](Self::append_audio).
    ///
    /// [`Event::HoldPlayback`]: realtime_protocol::call::Event::HoldPlayback
    /// [`Event::StopPlayback`]: realtime_protocol::call::Event::StopPlayback
    pub fn report_playback(&self, report: PlaybackReport) -> Result<(), SendError> {
        self.media(Media::Report(report))
    }

    /// The policy from the options: when speech interrupts the assistant. If it
    /// [holds](InterruptionPolicy::holds) playback, the player must be able to pause.
    pub fn interruption(&self) -> InterruptionPolicy {
        self.shared.interruption.get().copied().unwrap_or_default()
    }

    /// Gives any media: audio, the begin of a turn, or a report. It keeps its order among the commands.
    ///
    /// # Errors
    /// [`SendError`], as for [`append_audio`](Self::append_audio).
    pub fn media(&self, media: Media) -> Result<(), SendError> {
        if let Err(reason) = media.check(self.shared.input.get()) {
            return Err(MediaError { media, reason }.into());
        }
        self.give(Asked::Media(media))
    }

    /// Sends an event as it is, without any bookkeeping: for everything that has no command in this crate.
    ///
    /// # Errors
    /// [`SendError`], as for [`append_audio`](Self::append_audio).
    pub fn send_event(&self, event: impl Into<ClientEvent>) -> Result<(), SendError> {
        self.give(Asked::Command(Command::SendEvent { event: Box::new(event.into()) }, Waiter::None))
    }

    /// Gives any command. The answer may be waited for or dropped.
    ///
    /// # Errors
    /// [`SendError`], as for [`append_audio`](Self::append_audio); it hands the command back.
    pub fn send(&self, command: Command) -> Result<Pending, SendError> {
        let (reply, answer) = oneshot::channel();
        self.give(Asked::Command(command, Waiter::Outcome(reply)))?;
        Ok(Pending { answer, shared: Arc::clone(&self.shared) })
    }

    /// Makes a user item of the input buffer, for sessions without turn detection. With `respond`, the model
    /// answers it.
    ///
    /// # Errors
    /// [`Error`]; among them [`Refusal::TooShort`] for less than 100 ms of audio.
    ///
    /// [`Refusal::TooShort`]: realtime_protocol::call::Refusal::TooShort
    pub async fn commit_audio(&self, respond: bool) -> Result<ItemId, Error> {
        match self.run(Command::CommitAudio { respond }).await? {
            Outcome::Committed { item_id } => Ok(item_id),
            outcome => Err(unexpected(outcome)),
        }
    }

    /// Empties the input buffer.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn clear_audio(&self) -> Result<(), Error> {
        self.run(Command::ClearAudio {}).await.map(drop)
    }

    /// Adds a message from the user. With `respond`, the model answers it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send_text(&self, text: impl Into<String>, respond: bool) -> Result<ItemId, Error> {
        let command = Command::CreateItem { item: Box::new(Item::user_text(text)), after: None, respond };
        self.create(command).await
    }

    /// Adds an item at the end, without asking for a response.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Unexpected`] for an item of a type that this version does not know: it is sent,
    /// but its acknowledgement is not recognised.
    pub async fn create_item(&self, item: Item) -> Result<ItemId, Error> {
        let command = Command::CreateItem { item: Box::new(item), after: None, respond: false };
        self.create(command).await
    }

    /// Asks for an item as the server has it, audio included.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn retrieve_item(&self, item_id: impl Into<ItemId>) -> Result<Item, Error> {
        match self.run(Command::RetrieveItem { item_id: item_id.into() }).await? {
            Outcome::Retrieved { item } => Ok(*item),
            outcome => Err(unexpected(outcome)),
        }
    }

    /// Removes an item from the conversation.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete_item(&self, item_id: impl Into<ItemId>) -> Result<(), Error> {
        self.run(Command::DeleteItem { item_id: item_id.into() }).await.map(drop)
    }

    /// Adds a message from the user, and waits for the whole answer: its words, its voice and how it ended.
    /// If the model calls functions first, the answer is what it says with their outputs. Events tell the
    /// same while it is said.
    ///
    /// The message must be in the conversation before the answer is asked for, which takes one more round
    /// trip than [`send_text`](Self::send_text).
    ///
    /// A function that nobody answers keeps it waiting until the call ends: run functions by a toolbox, or
    /// answer those of the events, or put a deadline around this. A call that is
    /// [polled](crate::ClientOptions::polled) goes on only while its events are read: read them elsewhere
    /// meanwhile, or this waits for ever.
    ///
    /// # Errors
    /// [`Error`]. A failed response is not an error here: [`Reply::into_result`] makes it one.
    pub async fn ask(&self, text: impl Into<String>) -> Result<Reply, Error> {
        self.create_item(Item::user_text(text)).await?;
        self.reply(Command::CreateResponse { params: None, protected: false }).await
    }

    /// Lets the model speak these words, and waits until it has. They become part of the conversation. A
    /// model may still change a word.
    ///
    /// # Errors
    /// [`Error`], as for [`ask`](Self::ask).
    pub async fn say(&self, words: impl AsRef<str>) -> Result<Reply, Error> {
        let params = Some(Box::new(ResponseParams::saying(words.as_ref())));
        self.reply(Command::CreateResponse { params, protected: false }).await
    }

    /// Asks for a response and waits for its end, however it ends. Without parameters it merges with other
    /// waiting requests, and all of them get the same response. If the user speaks before it begins, this
    /// waits for the answer to the user instead.
    ///
    /// # Errors
    /// [`Error`]. A failed response is not an error here, but a [`ResponseEnd::Failed`].
    pub async fn create_response(&self, params: Option<ResponseParams>) -> Result<Responded, Error> {
        match self.run(Command::CreateResponse { params: params.map(Box::new), protected: false }).await? {
            Outcome::Responded { response_id, end } | Outcome::Superseded { response_id, end } => {
                Ok(Responded { response_id, end })
            }
            outcome => Err(unexpected(outcome)),
        }
    }

    /// Cancels the conversation's response and leaves what it has said. Does nothing if none runs.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn cancel_response(&self) -> Result<(), Error> {
        self.run(Command::CancelResponse { response_id: None }).await.map(drop)
    }

    /// The user speaks over the assistant: stops playback, cancels the response, truncates what was not
    /// heard. What was heard is told by [`Event::Interrupted`].
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// [`Event::Interrupted`]: realtime_protocol::call::Event::Interrupted
    pub async fn interrupt(&self) -> Result<(), Error> {
        self.run(Command::Interrupt {}).await.map(drop)
    }

    /// Changes the configuration. Members that are set replace the old ones, the others stay. Returns which
    /// members were not applied.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Refused`] if the server refused all of it.
    pub async fn update_config(&self, config: SessionConfig) -> Result<Updated, Error> {
        match self.run(Command::UpdateConfig { config: Box::new(config) }).await? {
            Outcome::Updated(updated) => Ok(updated),
            outcome => Err(unexpected(outcome)),
        }
    }

    /// Answers a function call. Once all calls of its response are answered, the model goes on. To answer
    /// without that, [`send`](Self::send) the command.
    ///
    /// # Errors
    /// [`Error`]; among them [`Refusal::UnknownFunction`] for a call that is answered already.
    ///
    /// [`Refusal::UnknownFunction`]: realtime_protocol::call::Refusal::UnknownFunction
    pub async fn answer_function(
        &self,
        call_id: impl Into<CallId>,
        output: FunctionOutput,
    ) -> Result<(), Error> {
        let command = Command::AnswerFunction { call_id: call_id.into(), output, respond: true };
        self.run(command).await.map(drop)
    }

    /// Ends the session and waits until the connection is closed, for at most 2 s. Everything else that waits
    /// is answered first.
    ///
    /// # Errors
    /// [`Error::Closed`] or [`SendError::Closed`] if it had ended before.
    pub async fn close(&self) -> Result<(), Error> {
        self.run(Command::Close {}).await.map(drop)
    }

    /// Returns whether the session has ended: all commands are refused.
    pub fn is_closed(&self) -> bool {
        self.shared.end.get().is_some() || self.requests.is_closed()
    }

    /// What the client has counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    /// Gives a command once there is room for it, and waits for its answer.
    async fn run(&self, command: Command) -> Result<Outcome, Error> {
        let (to, answer) = oneshot::channel();
        self.give_in_time(Asked::Command(command, Waiter::Outcome(to))).await?;
        Pending { answer, shared: Arc::clone(&self.shared) }.await
    }

    /// Gives a request for a response, and waits for what is said.
    async fn reply(&self, command: Command) -> Result<Reply, Error> {
        let (to, answer) = oneshot::channel();
        self.give_in_time(Asked::Command(command, Waiter::Reply(to))).await?;
        match answer.await {
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(outcome))) => {
                Err(self.shared.result(Ok(outcome)).map_or_else(|error| error, unexpected))
            }
            Ok(Err(error)) => Err(self.shared.result(Err(error)).map_or_else(|error| error, unexpected)),
            Err(_) => Err(Error::Closed { reason: self.shared.end.get().cloned() }),
        }
    }

    /// Gives something once there is room for it.
    async fn give_in_time(&self, asked: Asked) -> Result<(), SendError> {
        let Ok(room) = self.requests.reserve().await else { return Err(self.closed(asked)) };
        let Some(weight) = self.shared.reserve(&asked) else {
            return Err(SendError::Full { unsent: asked.into() });
        };
        room.send(Request { id: self.shared.next_id(), asked, weight });
        Ok(())
    }

    async fn create(&self, command: Command) -> Result<ItemId, Error> {
        match self.run(command).await? {
            Outcome::Added { item_id } => Ok(item_id),
            outcome => Err(unexpected(outcome)),
        }
    }

    fn give(&self, asked: Asked) -> Result<(), SendError> {
        let Some(weight) = self.shared.reserve(&asked) else {
            return Err(SendError::Full { unsent: asked.into() });
        };
        let id = self.shared.next_id();
        self.requests.try_send(Request { id, asked, weight }).map_err(|error| {
            let (TrySendError::Full(request) | TrySendError::Closed(request)) = &error;
            self.shared.taken(request);
            match error {
                TrySendError::Full(request) => SendError::Full { unsent: request.asked.into() },
                TrySendError::Closed(request) => self.closed(request.asked),
            }
        })
    }

    fn closed(&self, asked: Asked) -> SendError {
        SendError::Closed { unsent: asked.into(), reason: self.shared.end.get().cloned() }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("end", &self.shared.end.get()).finish_non_exhaustive()
    }
}

/// The pending answer to a command.
///
/// It resolves exactly once, at the session's end at the latest. Dropping it only drops the answer.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Result<Outcome, CommandError>>,
    shared: Arc<Shared>,
}

impl Future for Pending {
    /// An outcome for which [`is_ok`](Outcome::is_ok) holds.
    type Output = Result<Outcome, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| match answer {
            Ok(taken) => self.shared.result(taken),
            Err(_) => Err(Error::Closed { reason: self.shared.end.get().cloned() }),
        })
    }
}

/// How a requested response ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a response that failed is told here alone: see `into_result`"]
#[non_exhaustive]
pub struct Responded {
    /// The response.
    pub response_id: ResponseId,
    /// How it ended.
    pub end: ResponseEnd,
}

impl Responded {
    /// The response's id, if it was completed.
    ///
    /// # Errors
    /// [`Error::NotCompleted`] for one that failed, was cancelled or cut off.
    pub fn into_result(self) -> Result<ResponseId, Error> {
        match self.end {
            ResponseEnd::Completed => Ok(self.response_id),
            end => Err(Error::NotCompleted { response_id: self.response_id, end: Box::new(end) }),
        }
    }
}

fn unexpected(outcome: Outcome) -> Error {
    Error::Unexpected { outcome: Box::new(outcome) }
}
