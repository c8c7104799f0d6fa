//! A call by its side channel: a client attaches to it by its id, and what the next owner needs is kept.
//!
//! The rules kept here: a call that was another worker's goes on from its last snapshot, with what the
//! journal knows of its functions. Once it is another worker's, nothing more is said to the model.

use std::sync::Arc;

use realtime_client::{ActiveCall, Client, ClientOptions, ConnectError, Endpoint, Keeper};
use realtime_context::{Conversation, LoadError};
use realtime_protocol::call::{Call, Event, FunctionCall, Reconnect, Suspended};
use realtime_protocol::id::ResponseId;
use realtime_protocol::session::{Begin, PlaybackSource};

use crate::drive::gap::Gap;
use crate::drive::keep::{Keep, Keeping, Kept, Missed};
use crate::drive::served::ServedCall;
use crate::snapshot::Resume;

/// A side channel that can't be attached to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The conversation in the snapshot can't be read: it was written by another release.
    #[error("the snapshot's conversation is unreadable")]
    Conversation(#[from] LoadError),
    /// The model's server can't be reached, or there is no such call any more: end the call.
    #[error("no side channel")]
    Connect(#[from] ConnectError),
}

impl ServedCall {
    /// Attaches to the call at `endpoint`, its side channel there, and serves it: see
    /// [`client`](Self::client). The toolbox of the options is [claimed](Self::tools), and their conversation
    /// is used by the first owner; each next one goes on with what the snapshot has of it.
    ///
    /// When the call becomes another worker's, its events end. What happened while nobody was attached is not
    /// told by the server: the end of the conversation is looked for, and so nothing that waits for an answer
    /// is forgotten, but words that were said before that may be missing.
    ///
    /// # Errors
    /// [`AttachError`].
    pub async fn attach(
        &self,
        endpoint: Endpoint,
        mut options: ClientOptions,
    ) -> Result<ActiveCall, AttachError> {
        let conversation = match (self.saved_conversation(), options.conversation.take()) {
            (Some(saved), _) => Conversation::resume(saved)?,
            (None, given) => given.unwrap_or_default(),
        };
        if let Some(toolbox) = options.toolbox.take() {
            options.toolbox = Some(self.tools(&toolbox));
        }
        if options.fallbacks.is_empty() {
            // A server that is away for a moment is tried again.
            options = options.fallback(endpoint.clone());
        }
        let options = self.client(options, &conversation).conversation(conversation);
        Ok(Client::connect(endpoint, options).await?)
    }

    /// The conversation to go on with: that of the snapshot, or a new one.
    ///
    /// # Errors
    /// [`LoadError`]: it was written by another release.
    pub fn conversation(&self) -> Result<Conversation, LoadError> {
        self.saved_conversation().map_or_else(|| Ok(Conversation::new()), Conversation::resume)
    }

    /// The options with which a client serves the call, for who makes the client itself, such as an agent:
    /// give it the same `conversation`, and its [`tools`](Self::tools). The client attaches, goes on with the
    /// snapshot if there is one, and connects again after a loss. What the next owner needs is kept in the
    /// journal, and when the call is another worker's, the client's call is suspended.
    ///
    /// Must be called within a tokio runtime.
    pub fn client(&self, mut options: ClientOptions, conversation: &Conversation) -> ClientOptions {
        options.session.begin = Begin::Attach;
        options.session.playback = PlaybackSource::Server;
        options.session.entropy = rand::random(); // each owner makes ids of its own
        options.reconnect.get_or_insert_with(Reconnect::default);
        let mut inherited = Vec::new();
        if let Some(resume) = &self.placed().resume {
            let suspended = suspended(&options, resume);
            inherited = suspended.functions().cloned().collect();
            note_missing(conversation, &inherited);
            options = options.resume(suspended);
        }
        let keeper = Keeper::new();
        let gap = Missed::Gap(Gap::new(options.session.entropy));
        let (keep, kept) = Keep::new(conversation.clone(), &inherited, gap);
        self.keep(&keeper, conversation, kept);
        options.keeper(&keeper).listener(keep)
    }

    /// Writes what the next owner needs, as long as the client serves.
    pub(super) fn keep(&self, keeper: &Keeper, conversation: &Conversation, kept: Kept) {
        let (call, keeper, conversation) = (self.clone(), keeper.clone(), conversation.clone());
        tokio::spawn(Keeping { call, keeper, conversation, kept }.run());
    }

    fn saved_conversation(&self) -> Option<&str> {
        self.placed().resume.as_ref()?.snapshot.as_ref()?.conversation.as_deref()
    }
}

/// Notes the functions that the conversation in the snapshot does not know yet, or not to the end.
pub(super) fn note_missing(conversation: &Conversation, functions: &[FunctionCall]) {
    let calls: Vec<Arc<FunctionCall>> = functions.iter().cloned().map(Arc::new).collect();
    if !calls.is_empty() {
        let response_id = ResponseId::from("");
        conversation.observe(&Event::FunctionCalls { response_id, calls, out_of_band: false });
    }
}

/// The suspended call, with the functions that the model waits for.
pub(super) fn suspended(options: &ClientOptions, resume: &Resume) -> Suspended {
    let snapshot = resume.snapshot.as_ref().and_then(|snapshot| snapshot.suspended.clone());
    let suspended = snapshot.unwrap_or_else(|| Call::new(options.session.clone()).snapshot());
    let functions = waiting(&suspended, resume);
    suspended.with_functions(functions)
}

/// The functions that the model waits for: those that the snapshot knows, but for those that ended since, and
/// those that were claimed since.
fn waiting(suspended: &Suspended, resume: &Resume) -> Vec<FunctionCall> {
    let known = suspended.functions().filter(|call| !resume.delivered.contains(&call.key));
    let mut waiting: Vec<FunctionCall> = known.cloned().collect();
    for call in resume.functions.iter().filter_map(|claim| claim.call.as_ref()) {
        if waiting.iter().all(|known| known.key != call.key) {
            waiting.push(FunctionCall::clone(call));
        }
    }
    waiting
}
