//! What an application says to a call and hears of it, and the state machine of a call: [`Call`].
//!
//! Said: [`Command`]. Heard: [`Event`], with [`Outcome`]s, [`Warning`]s and [`CloseReason`]s.

mod close;
mod command;
mod error_class;
mod event;
mod function;
mod listener;
mod machine;
mod media;
mod notice;
mod options;
mod outcome;
mod playback;
mod seed;
mod shown;
mod suspended;
mod timeline;
mod usage_totals;
mod view;
mod warning;

pub use close::{CloseReason, ConnectFailure, DisconnectClass, DisconnectReason};
pub use command::{Command, CommandError, CommandId, Refusal};
pub use error_class::{Advice, ErrorClass};
pub(crate) use error_class::{says_response_runs, says_server_fault};
pub use event::{ConnectionEvent, Event, Origin, Place};
pub use function::{FunctionCall, FunctionEnd, FunctionOutput};
pub use listener::{Asked, Listener, Listeners, MOST_ASKED, Out};
pub use machine::{Call, ConnectionId, Output};
pub use media::{Media, MediaError, MediaRefusal};
pub use notice::Notice;
pub(crate) use options::none_or_policy;
pub use options::{Backoff, CallOptions, Reconnect};
pub use outcome::{Outcome, RefusedMember, ResponseEnd, ResponseReport, Updated};
pub use playback::{
    AudioChunk, Cut, HeardPart, HoldId, Interruption, PlaybackPosition, PlaybackReport, StopId,
};
pub use seed::{Reseed, Seed};
pub use suspended::Suspended;
pub use timeline::{SpeechEnd, Timeline};
pub use usage_totals::UsageTotals;
pub use view::{
    ControlView, ConversationView, FunctionCallsView, InputAudioView, PlaybackView, ResponsesView,
};
pub use warning::Warning;
