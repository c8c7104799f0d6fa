//! What nobody heard, because a call had no worker for some seconds: [`Gap`].
//!
//! A server tells a side channel what happens, and not what has happened. It tells of each new item which one
//! stands before it. So once a call is quiet, an item is put at its end and taken out again, and that tells
//! the last one before it:
//!
//! | the last item | then |
//! |---|---|
//! | known | nothing is missing at the end |
//! | words | they are noted |
//! | a function call | it never ran, and the model waits for it: the model is told so, and answers |
//! | what the user said | nobody answers it: the model is asked to |
//!
//! What is missing before the last item stays unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_context::Conversation;
use realtime_protocol::call::{Command, CommandId, ConnectionEvent, Event, Origin, Out, Outcome, Place};
use realtime_protocol::content::ContentPart;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::{Item, Role};
use realtime_protocol::time::Timestamp;

/// How long nothing happens before the end is looked for.
const QUIET: Duration = Duration::from_secs(2);
/// What the model reads of a function call that nobody heard.
const NOT_RUN: &str = concat!(
    r#"{"error":"this call was lost on its way, and nothing was done: "#,
    r#"call it again if that is still wanted"}"#,
);

/// Looks for what was missed, each time when a call has attached again.
#[derive(Debug)]
pub(crate) struct Gap {
    /// Makes ids that no other owner makes.
    seed: u64,
    probes: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is missing, as far as that can be known.
    Closed,
    /// It is looked for once nothing has happened until then.
    Waiting { at: Timestamp },
    /// An item is put at the end.
    Probing { command: CommandId, item: ItemId },
    /// The last item before it is asked for.
    Asking { command: CommandId },
}

impl Gap {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, probes: 0, state: State::Closed }
    }

    /// Hears an event after the conversation has. `open`: the functions without an output, by their ids on
    /// the wire.
    pub(crate) fn handle_event(
        &mut self,
        now: Timestamp,
        event: &Event,
        open: &BTreeMap<String, String>,
        conversation: &Conversation,
        out: &mut Out<'_>,
    ) {
        match (event, &self.state) {
            (Event::Connection(ConnectionEvent::Resumed { .. }), _) => {
                self.state = State::Waiting { at: now + QUIET };
            }
            (Event::Connection(ConnectionEvent::Lost { .. }) | Event::Closed { .. }, _) => {
                self.state = State::Closed;
            }
            (event, State::Waiting { .. }) if is_action(event) => {
                self.state = State::Waiting { at: now + QUIET };
            }
            (
                Event::ItemPlaced { item: placed, place, origin: Origin::Client },
                State::Probing { item, .. },
            ) if placed.id().as_ref() == Some(item) => {
                out.ask(Command::DeleteItem { item_id: item.clone() });
                self.state = match place {
                    Place::After(last) => {
                        let command = out.ask(Command::RetrieveItem { item_id: last.clone() });
                        State::Asking { command }
                    }
                    Place::First | Place::Untold => State::Closed,
                };
            }
            (Event::Settled { id, outcome }, State::Probing { command, .. })
                if id == command && !outcome.is_ok() =>
            {
                self.state = State::Closed; // the server takes none: nothing can be known
            }
            (Event::Settled { id, outcome }, State::Asking { command }) if id == command => {
                self.state = State::Closed;
                if let Outcome::Retrieved { item } = outcome {
                    handle_last(item, open, conversation, out);
                }
            }
            _ => {}
        }
    }

    /// A command was refused.
    pub(crate) fn handle_refused(&mut self, id: CommandId) {
        if let State::Probing { command, .. } | State::Asking { command } = &self.state
            && *command == id
        {
            self.state = State::Closed;
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Waiting { at } => Some(*at),
            State::Closed | State::Probing { .. } | State::Asking { .. } => None,
        }
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Timestamp,
        open: &BTreeMap<String, String>,
        out: &mut Out<'_>,
    ) {
        let State::Waiting { at } = &self.state else { return };
        if *at > now {
            return;
        }
        if !open.is_empty() {
            self.state = State::Waiting { at: now + QUIET };
            return;
        }
        self.probes += 1;
        let item = ItemId::from(format!("gap_{:x}_{}", self.seed, self.probes));
        let mut probe = Item::system_text("…");
        probe.set_id(item.clone());
        let command = out.ask(Command::CreateItem { item: Box::new(probe), after: None, respond: false });
        self.state = State::Probing { command, item };
    }
}

/// The last item of the conversation, before the probe.
fn handle_last(item: &Item, open: &BTreeMap<String, String>, conversation: &Conversation, out: &mut Out<'_>) {
    let Some(id) = item.id() else { return };
    let is_known = conversation.mirror().item_ids().any(|known| *known == id);
    if !is_known {
        let place = conversation.mirror().item_ids().last().cloned().map_or(Place::Untold, Place::After);
        let (placed, origin) = (Box::new(item.clone()), Origin::Server);
        conversation.observe(&Event::ItemPlaced { item: placed, place, origin });
        conversation.observe(&Event::ItemDone { item: Box::new(item.clone()) });
    }
    match item {
        Item::FunctionCall(call) => {
            let Some(call_id) = call.call_id.value() else { return };
            if !open.contains_key(call_id.as_str()) {
                let item = Box::new(Item::function_call_output(call_id.clone(), NOT_RUN));
                out.ask(Command::CreateItem { item, after: None, respond: true });
            }
        }
        Item::Message(message) if message.role.value() == Some(&Role::User) => {
            let is_spoken = |part: &ContentPart| matches!(part, ContentPart::InputAudio(_));
            if message.parts().iter().any(is_spoken) {
                out.ask(Command::CreateResponse { params: None, protected: false });
            }
        }
        _ => {}
    }
}

/// Whether somebody says or does something.
const fn is_action(event: &Event) -> bool {
    matches!(
        event,
        Event::ResponseStarted { .. }
            | Event::ResponseFinished(_)
            | Event::Text { .. }
            | Event::Audio(_)
            | Event::FunctionCalls { .. }
            | Event::FunctionEnded { .. }
            | Event::ItemPlaced { .. }
            | Event::SpeechStarted { .. }
            | Event::SpeechStopped { .. }
            | Event::Committed { .. }
    )
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::{Asked, Listeners};
    use realtime_protocol::time::{MediaTime, UnixTime};
    use serde_json::{Value, json};

    use super::*;
    use crate::drive::keep::{Keep, Missed};
    use crate::samples::{at, function_call};

    #[test]
    fn a_call_in_which_something_happens_is_left_alone() {
        let mut call = Attached::new(None);
        call.hear(1000, &resumed());
        call.hear(2500, &Event::SpeechStarted { item_id: None, at: Some(MediaTime::ZERO) });
        assert!(call.wait(4000).is_empty());
        assert!(matches!(call.wait(4500)[..], [Command::CreateItem { respond: false, .. }]));
    }

    #[test]
    fn a_function_call_that_nobody_heard_is_answered_and_noted() {
        let mut call = Attached::new(None);
        let last = json!({ "type": "function_call", "id": "i9", "call_id": "c9", "name": "book",
            "arguments": "{}", "status": "completed" });
        let asked = call.find(last);
        let [Command::CreateItem { item, respond: true, .. }] = &asked[..] else { panic!("{asked:?}") };
        assert!(serde_json::to_string(item).unwrap().contains("nothing was done"));
        assert_eq!(call.conversation.transcript().lines.len(), 1);
        // One that is known to wait is somebody's already.
        let mut call = Attached::new(Some("c9"));
        call.hear(1000, &resumed());
        assert!(call.wait(9000).is_empty(), "it is not quiet while a function runs");
    }

    #[test]
    fn what_was_said_is_noted_and_a_user_without_an_answer_gets_one() {
        let mut call = Attached::new(None);
        let part = json!({ "type": "output_audio", "transcript": "Well." });
        let said = json!({ "type": "message", "id": "i1", "role": "assistant", "status": "completed",
            "content": [part] });
        assert!(call.find(said).is_empty());
        assert_eq!(call.conversation.transcript().to_string(), "assistant: Well.\n");
        let part = json!({ "type": "input_audio", "transcript": "Hello?" });
        let asked = json!({ "type": "message", "id": "i2", "role": "user", "status": "completed",
            "content": [part] });
        assert!(matches!(call.find(asked)[..], [Command::CreateResponse { params: None, .. }]));
    }

    #[test]
    fn a_server_that_takes_no_probe_is_asked_nothing_more() {
        let mut call = Attached::new(None);
        call.hear(0, &resumed());
        call.wait(5000);
        let id = call.last_id.unwrap();
        call.hear(5000, &Event::Settled { id, outcome: Outcome::TimedOut });
        assert!(call.listeners.poll_timeout().is_none());
    }

    fn resumed() -> Event {
        let (gap, audio_lost) = (Duration::ZERO, MediaTime::ZERO);
        Event::Connection(ConnectionEvent::Resumed { gap, audio_lost })
    }

    /// A call that attaches, and what is asked of it.
    struct Attached {
        conversation: Conversation,
        listeners: Listeners,
        last_id: Option<CommandId>,
    }

    impl Attached {
        /// With a function that waits, if it is named.
        fn new(open: Option<&str>) -> Self {
            let conversation = Conversation::new();
            let open: Vec<_> = open.into_iter().map(function_call).collect();
            let mut listeners = Listeners::default();
            let (keep, _) = Keep::new(conversation.clone(), &open, Missed::Gap(Gap::new(7)));
            listeners.add(Box::new(keep));
            Self { conversation, listeners, last_id: None }
        }

        fn hear(&mut self, ms: u64, event: &Event) -> Vec<Command> {
            self.listeners.hear(at(ms), UnixTime::default(), event);
            self.asked()
        }

        fn wait(&mut self, ms: u64) -> Vec<Command> {
            self.listeners.handle_timeout(at(ms));
            self.asked()
        }

        fn asked(&mut self) -> Vec<Command> {
            let mut commands = Vec::new();
            while let Some(Asked::Command(id, command)) = self.listeners.poll_asked() {
                self.last_id = Some(id);
                commands.push(command);
            }
            commands
        }

        /// The call is quiet, and this is its last item. Returns what is asked then.
        fn find(&mut self, last: Value) -> Vec<Command> {
            let last: Box<Item> = serde_json::from_value(last).unwrap();
            self.hear(0, &resumed());
            let Some(Command::CreateItem { item, .. }) = self.wait(2000).pop() else { panic!("no probe") };
            let probe = item.id().unwrap();
            let place = Place::After(last.id().unwrap());
            let asked = self.hear(2001, &Event::ItemPlaced { item, place, origin: Origin::Client });
            let expected = [
                Command::DeleteItem { item_id: probe },
                Command::RetrieveItem { item_id: last.id().unwrap() },
            ];
            assert_eq!(asked, expected);
            let id = self.last_id.unwrap();
            self.hear(2002, &Event::Settled { id, outcome: Outcome::Retrieved { item: last } })
        }
    }
}
