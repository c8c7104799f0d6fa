//! What the next owner needs, kept in the journal while a client serves the call: [`Keep`] hears the call,
//! and [`Keeping`] writes.
//!
//! The rule kept here: the client never waits for the journal. It is heard in the client's task and written
//! from another one, where of several snapshots the last counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use realtime_client::Keeper;
use realtime_context::Conversation;
use realtime_protocol::call::{
    CommandError, CommandId, ConnectionEvent, Event, FunctionCall, Listener, Origin, Out,
};
use realtime_protocol::id::ResponseId;
use realtime_protocol::item::Item;
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::drive::gap::Gap;
use crate::drive::served::ServedCall;
use crate::drive::voice::Voice;
use crate::line::Why;
use crate::pace::Pace;
use crate::snapshot::Snapshot;

/// What happens within this time is in one snapshot.
const TOGETHER: Duration = Duration::from_millis(50);
/// A pause that counts as the end of a turn.
const PAUSE: Duration = Duration::from_millis(300);
/// When a call that may move is offered again.
const AGAIN: Duration = Duration::from_secs(1);

/// Hears a client's call.
pub(crate) struct Keep {
    conversation: Conversation,
    changed: Arc<Notify>,
    delivered: mpsc::UnboundedSender<String>,
    attached: Arc<Notify>,
    quiet: watch::Sender<bool>,
    /// The keys of functions without an output, by their ids on the wire.
    open: BTreeMap<String, String>,
    /// Those whose output is on its way.
    sent: BTreeMap<String, String>,
    /// Responses that run.
    responses: BTreeSet<ResponseId>,
    /// Whether the user speaks.
    speaks: bool,
    missed: Missed,
    heard: watch::Sender<bool>,
    silent: Arc<Notify>,
}

/// What is lost with an owner, and so is watched or looked for.
pub(crate) enum Missed {
    /// What happened in a session that went on meanwhile.
    Gap(Gap),
    /// What of the assistant's voice was still to be heard.
    Voice(Voice),
}

/// What [`Keep`] has to tell.
pub(crate) struct Kept {
    changed: Arc<Notify>,
    delivered: mpsc::UnboundedReceiver<String>,
    /// The call goes on here.
    attached: Arc<Notify>,
    /// Whether nobody speaks, and no function runs.
    quiet: watch::Receiver<bool>,
    /// Whether the assistant is being heard through this process.
    heard: watch::Receiver<bool>,
    /// The assistant has been heard to the end: a next owner that did not know would answer again.
    silent: Arc<Notify>,
}

impl Keep {
    pub(crate) fn new(
        conversation: Conversation,
        inherited: &[FunctionCall],
        missed: Missed,
    ) -> (Self, Kept) {
        let changed = Arc::new(Notify::new());
        let attached = Arc::new(Notify::new());
        let silent = Arc::new(Notify::new());
        let (sender, delivered) = mpsc::unbounded_channel();
        let (tell_quiet, quiet) = watch::channel(false);
        let (tell_heard, heard) = watch::channel(false);
        let open = inherited.iter().map(|call| (call.call_id.as_str().to_owned(), call.key.clone()));
        let keep = Self {
            conversation,
            changed: Arc::clone(&changed),
            delivered: sender,
            attached: Arc::clone(&attached),
            quiet: tell_quiet,
            open: open.collect(),
            sent: BTreeMap::new(),
            responses: BTreeSet::new(),
            speaks: false,
            missed,
            heard: tell_heard,
            silent: Arc::clone(&silent),
        };
        (keep, Kept { changed, delivered, attached, quiet, heard, silent })
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::FunctionCalls { calls, out_of_band: false, .. } => {
                let open = calls.iter().map(|call| (call.call_id.as_str().to_owned(), call.key.clone()));
                self.open.extend(open);
            }
            Event::ResponseStarted { response_id, .. } => drop(self.responses.insert(response_id.clone())),
            Event::ResponseFinished(report) => drop(self.responses.remove(&report.response_id)),
            Event::SpeechStarted { .. } => self.speaks = true,
            Event::SpeechStopped { .. } => self.speaks = false,
            Event::Connection(ConnectionEvent::Resumed { .. }) => {
                (self.responses, self.speaks) = (BTreeSet::new(), false);
                self.sent.clear(); // nobody will tell
                self.attached.notify_one();
            }
            Event::FunctionEnded { call, end } if end.is_answered() => {
                self.sent.extend(self.open.remove_entry(call.call_id.as_str()));
            }
            // The server has it: whoever is next need not tell it again.
            Event::ItemPlaced { item, origin: Origin::Client, .. } => {
                if let Item::FunctionCallOutput(output) = &**item
                    && let Some(call_id) = output.call_id.value()
                    && let Some(key) = self.sent.remove(call_id.as_str())
                {
                    let _ = self.delivered.send(key); // the call is over
                }
            }
            _ => {}
        }
        if is_worth_keeping(event) {
            self.changed.notify_one();
        }
        self.tell_quiet();
    }

    fn tell_quiet(&self) {
        let is_idle = self.responses.is_empty() && self.open.is_empty() && !self.speaks;
        self.quiet.send_replace(is_idle && !*self.heard.borrow());
    }

    /// The assistant begins or ceases to be heard: the next owner would begin otherwise.
    fn note_voice(&mut self) {
        let Missed::Voice(voice) = &self.missed else { return };
        let is_heard = voice.is_heard();
        self.heard.send_replace(is_heard);
        if is_heard {
            self.changed.notify_one()
        } else {
            self.silent.notify_one()
        }
        self.tell_quiet();
    }
}

impl Listener for Keep {
    fn on_event(&mut self, now: Timestamp, _: UnixTime, event: &Event, out: &mut Out<'_>) {
        self.note(event);
        match &mut self.missed {
            Missed::Gap(gap) => gap.handle_event(now, event, &self.open, &self.conversation, out),
            Missed::Voice(voice) => {
                if voice.handle_event(now, event) {
                    self.note_voice();
                }
            }
        }
    }

    fn on_refused(&mut self, _: Timestamp, id: CommandId, _: &CommandError, _: &mut Out<'_>) {
        if let Missed::Gap(gap) = &mut self.missed {
            gap.handle_refused(id);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.missed {
            Missed::Gap(gap) => gap.poll_timeout(),
            Missed::Voice(voice) => voice.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        match &mut self.missed {
            Missed::Gap(gap) => gap.handle_timeout(now, &self.open, out),
            Missed::Voice(voice) => {
                if voice.handle_timeout(now) {
                    self.note_voice();
                }
            }
        }
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

/// Writes what is heard, and moves the call away between two turns where its worker drains, until the call is
/// over or another worker's.
pub(crate) struct Keeping {
    pub(crate) call: ServedCall,
    pub(crate) keeper: Keeper,
    pub(crate) conversation: Conversation,
    pub(crate) kept: Kept,
}

impl Keeping {
    pub(crate) async fn run(mut self) {
        // They are made when they can be written: one holds the whole conversation.
        let (clock, mut pace) = (self.call.permit.clock, Pace::new(self.call.pace));
        let mut due = None;
        let mut next_move = Instant::now();
        let mut remembered = self.call.remembered.subscribe();
        loop {
            let quiet = &mut self.kept.quiet;
            let may_move = async {
                self.call.draining().await;
                sleep_until(next_move).await;
                let _ = quiet.wait_for(|is_quiet| *is_quiet).await; // an error: the client's call is over
                sleep(PAUSE).await; // what has just been said may have an answer
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
                () = self.kept.attached.notified() => {
                    if self.call.placed().why == Why::Moved {
                        let _ = self.call.ready().await; // an error: it is stopped
                    }
                }
                Ok(()) = remembered.changed() => {
                    if !self.snap_at_once().await {
                        return;
                    }
                }
                () = self.kept.silent.notified() => {
                    if !self.snap_at_once().await {
                        return;
                    }
                }
                () = self.kept.changed.notified(), if due.is_none() => {
                    due = Some(pace.next().max(clock.now() + TOGETHER));
                }
                () = clock.wait(due), if due.is_some() => {
                    due = None;
                    pace.take(clock.now());
                    if !self.snap().await {
                        return;
                    }
                }
                () = may_move => {
                    next_move = Instant::now() + AGAIN;
                    if *self.kept.quiet.borrow() {
                        if !self.snap().await {
                            return;
                        }
                        let _ = self.call.give_away().await; // an error: it is stopped
                    }
                }
            }
        }
    }

    /// Keeps what the next owner would go on with. Returns whether the client's call goes on.
    async fn snap(&self) -> bool {
        let Some(snapshot) = self.snapshot().await else { return false };
        let _ = self.call.snap(snapshot).await; // an error: it is stopped
        true
    }

    /// The same, whatever the pace.
    async fn snap_at_once(&self) -> bool {
        let Some(snapshot) = self.snapshot().await else { return false };
        let _ = self.call.snap_at_once(snapshot).await; // an error: it is stopped
        true
    }

    /// What the next owner would go on with. `None`: the client's call is over.
    async fn snapshot(&self) -> Option<Snapshot> {
        let suspended = self.keeper.snapshot().await.filter(|suspended| !suspended.is_over())?;
        let snapshot = Snapshot::new().suspended(suspended).conversation(self.conversation.save());
        let is_heard = *self.kept.heard.borrow();
        Some(snapshot.app(self.call.remembered()).speaking(is_heard))
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::{FunctionEnd, Listeners, Place};
    use realtime_protocol::time::MediaTime;
    use serde_json::json;

    use super::*;
    use crate::samples::{at, function_call};

    #[test]
    fn a_call_is_quiet_once_its_functions_are_answered_and_their_outputs_count_once_the_server_has_them() {
        let (keep, mut kept) =
            Keep::new(Conversation::new(), &[function_call("c")], Missed::Gap(Gap::new(7)));
        let mut listeners = Listeners::default();
        listeners.add(Box::new(keep));
        let mut hear = |event: &Event| listeners.hear(at(0), UnixTime::default(), event);
        hear(&Event::SpeechStopped { item_id: None, at: Some(MediaTime::ZERO) });
        assert!(!*kept.quiet.borrow(), "a function runs");

        let placed = |call_id: &str| {
            let output =
                json!({ "type": "function_call_output", "id": "o", "call_id": call_id, "output": "1" });
            let item = Box::new(serde_json::from_value(output).unwrap());
            Event::ItemPlaced { item, place: Place::Untold, origin: Origin::Client }
        };
        let end = FunctionEnd::Result(json!(1));
        hear(&Event::FunctionEnded { call: Arc::new(function_call("c")), end });
        assert!(*kept.quiet.borrow());
        hear(&placed("another"));
        assert!(kept.delivered.try_recv().is_err());
        hear(&placed("c"));
        assert_eq!(kept.delivered.try_recv().as_deref(), Ok("key"));
    }
}
