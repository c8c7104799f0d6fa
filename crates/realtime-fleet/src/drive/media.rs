//! A call whose audio comes through its worker, by a process that outlives it: the owner has a session of its
//! own with the model, and the next owner another one.
//!
//! The rules kept here: the next session is told what was said, as after a lost connection. An answer of
//! which the caller may not have heard the end counts as cut, and the model is told so and asked to go on.

use realtime_client::{ClientOptions, Keeper};
use realtime_context::{Conversation, Message};
use realtime_protocol::call::Reconnect;

use crate::drive::keep::{Keep, Missed};
use crate::drive::served::ServedCall;
use crate::drive::sideband::{note_missing, suspended};
use crate::drive::voice::Voice;

/// What the model reads where the owner was lost while the assistant was heard.
const CUT: &str = "The line was silent for some seconds while you were speaking, and the user may not have heard \
                   the end of your last answer. Say in one sentence that you are back, and then what may be \
                   missing.";

impl ServedCall {
    /// The options with which a client serves a call whose audio comes through this worker
    /// ([`Leg::Phone`](crate::Leg::Phone)), for who makes the client itself, such as an agent: give it the
    /// same `conversation`, and its [`tools`](Self::tools). The first owner begins a session. The next one
    /// begins another one, which is told what was said, answers what was owed, and does not greet again. What
    /// the next owner needs is kept in the journal, and when the call is another worker's, the client's call
    /// is suspended.
    ///
    /// Must be called within a tokio runtime.
    pub fn media_client(&self, mut options: ClientOptions, conversation: &Conversation) -> ClientOptions {
        options.session.entropy = rand::random(); // each owner makes ids of its own
        options.reconnect.get_or_insert_with(Reconnect::default);
        let mut inherited = Vec::new();
        // Without a snapshot, the owner before was lost before its session served: the call begins.
        if let Some(resume) = &self.placed().resume
            && let Some(snapshot) = &resume.snapshot
        {
            let mut suspended = suspended(&options, resume);
            inherited = suspended.functions().cloned().collect();
            note_missing(conversation, &inherited);
            if snapshot.speaking {
                conversation.append(Message::system(CUT));
                suspended = suspended.owing();
            }
            options = options.resume(suspended);
        }
        let keeper = Keeper::new();
        let (keep, kept) = Keep::new(conversation.clone(), &inherited, Missed::Voice(Voice::default()));
        self.keep(&keeper, conversation, kept);
        options.keeper(&keeper).listener(keep)
    }
}
