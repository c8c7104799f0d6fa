//! What the next owner needs, kept in the journal while a client serves the call: [`Keep`] hears the call,
//! and [`Keeping`] writes.
//!
//! The rule kept here: the client never waits for the journal. It is heard in the client's task and written
//! from another one, where of several snapshots the last counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use realtime_client::Keeper;
use realtime_context::Conversation;
use realtime_protocol::call::{
    CommandError, CommandId, ConnectionEvent, Event, FunctionCall, Listener, Origin, Out,
};
use realtime_protocol::item::Item;
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::drive::gap::Gap;
use crate::drive::served::ServedCall;
use crate::snapshot::Snapshot;

/// Snapshots are made no closer together than this: one holds the whole conversation.
const PACE: Duration = Duration::from_millis(250);

/// Hears a client's call.
pub(crate) struct Keep {
    conversation: Conversation,
    changed: Arc<Notify>,
    delivered: mpsc::UnboundedSender<String>,
    /// The keys of functions without an output, by their ids on the wire.
    open: BTreeMap<String, String>,
    gap: Gap,
}

/// What [`Keep`] has to tell.
pub(crate) struct Kept {
    changed: Arc<Notify>,
    delivered: mpsc::UnboundedReceiver<String>,
}

impl Keep {
    pub(crate) fn new(conversation: Conversation, inherited: &[FunctionCall], seed: u64) -> (Self, Kept) {
        let changed = Arc::new(Notify::new());
        let (sender, delivered) = mpsc::unbounded_channel();
        let open = inherited.iter().map(|call| (call.call_id.as_str().to_owned(), call.key.clone()));
        let keep = Self {
            conversation,
            changed: Arc::clone(&changed),
            delivered: sender,
            open: open.collect(),
            gap: Gap::new(seed),
        };
        (keep, Kept { changed, delivered })
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::FunctionCalls { calls, out_of_band: false, .. } => {
                let open = calls.iter().map(|call| (call.call_id.as_str().to_owned(), call.key.clone()));
                self.open.extend(open);
            }
            // The server has it: whoever is next need not tell it again.
            Event::ItemPlaced { item, origin: Origin::Client, .. } => {
                let Item::FunctionCallOutput(output) = &**item else { return };
                let key = output.call_id.value().and_then(|call_id| self.open.remove(call_id.as_str()));
                if let Some(key) = key {
                    let _ = self.delivered.send(key); // the call is over
                }
            }
            _ => {}
        }
        if is_worth_keeping(event) {
            self.changed.notify_one();
        }
    }
}

impl Listener for Keep {
    fn on_event(&mut self, now: Timestamp, _: UnixTime, event: &Event, out: &mut Out<'_>) {
        self.note(event);
        self.gap.handle_event(now, event, &self.open, &self.conversation, out);
    }

    fn on_refused(&mut self, _: Timestamp, id: CommandId, _: &CommandError, _: &mut Out<'_>) {
        self.gap.handle_refused(id);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.gap.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        self.gap.handle_timeout(now, &self.open, out);
    }
}

/// Whether the next owner would begin otherwise.
const fn is_worth_keeping(event: &Event) -> bool {
    matches!(
        event,
        Event::Ready { .. }
            | Event::ConfigUpdated { .. }
            | Event::Connection(ConnectionEvent::Resumed { .. } | ConnectionEvent::Rotated { .. })
            | Event::ResponseStarted { .. }
            | Event::ResponseFinished(_)
            | Event::FunctionCalls { .. }
            | Event::FunctionEnded { .. }
            | Event::ItemPlaced { .. }
            | Event::ItemDone { .. }
            | Event::ItemRemoved { .. }
            | Event::UserTranscript { .. }
            | Event::Interrupted(_)
    )
}

/// Writes what is heard, until the call is over or another worker's.
pub(crate) struct Keeping {
    pub(crate) call: ServedCall,
    pub(crate) keeper: Keeper,
    pub(crate) conversation: Conversation,
    pub(crate) kept: Kept,
}

impl Keeping {
    pub(crate) async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            let changed = async {
                sleep_until(next).await;
                self.kept.changed.notified().await;
            };
            tokio::select! {
                () = self.call.stopped() => {
                    // Another worker has it: this one says nothing more, and changes nothing.
                    self.keeper.suspend().await;
                    return;
                }
                key = self.kept.delivered.recv() => match key {
                    Some(key) => {
                        let _ = self.call.delivered(key).await; // an error: it is stopped
                    }
                    None => return, // the client's call is over
                },
                () = changed => {
                    next = Instant::now() + PACE;
                    let Some(suspended) = self.keeper.snapshot().await else { return };
                    if suspended.is_over() {
                        return;
                    }
                    let saved = self.conversation.save();
                    let snapshot = Snapshot::new().suspended(suspended).conversation(saved);
                    let _ = self.call.snap(snapshot).await; // an error: it is stopped
                }
            }
        }
    }
}
