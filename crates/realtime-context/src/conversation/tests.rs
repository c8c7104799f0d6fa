//! What a conversation asks of its call, and what it tells the application.

use realtime_protocol::call::{
    Asked, Command, CommandId, ConnectionEvent, Event, Listeners, Notice, Origin, Outcome, Place, Updated,
};
use realtime_protocol::error::ApiError;
use realtime_protocol::item::Item;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};

use super::*;
use crate::learn::tests::finished;

/// A conversation that listens, and what it asks.
struct Call(Listeners);

impl Call {
    fn of(conversation: &Conversation) -> Self {
        let mut listeners = Listeners::default();
        listeners.add(Box::new(conversation.clone()));
        Self(listeners)
    }

    fn hear(&mut self, event: Event) -> Vec<(CommandId, Command)> {
        self.0.begin();
        self.0.hear(Timestamp::ZERO, UnixTime::from_secs(1), &event);
        self.asked()
    }

    fn wake(&mut self) -> Vec<(CommandId, Command)> {
        self.0.begin();
        self.0.handle_timeout(Timestamp::ZERO);
        self.asked()
    }

    fn asked(&mut self) -> Vec<(CommandId, Command)> {
        let asked = std::iter::from_fn(|| self.0.poll_asked());
        let command = |asked| match asked {
            Asked::Command(id, command) => Some((id, command)),
            Asked::Media(_) => None,
        };
        asked.filter_map(command).collect()
    }
}

fn created() -> Event {
    Event::Created { session_id: None }
}

fn config(instructions: &str) -> Event {
    let config = Box::new(SessionConfig::realtime().instructions(instructions));
    Event::ConfigUpdated { config, refused: Vec::new() }
}

/// The application has changed the instructions.
fn updated(instructions: &str) -> Event {
    let updated = Updated { instructions: Some(instructions.into()), ..Updated::default() };
    Event::Settled { id: CommandId(1), outcome: Outcome::Updated(updated) }
}

fn own_text(id: &str, text: &str) -> Box<Item> {
    let mut item = Item::user_text(text);
    item.set_id(id.into());
    Box::new(item)
}

#[test]
fn what_is_asked_before_a_session_is_not_asked_again() {
    let conversation = Conversation::from_messages([Message::user("Hi")]);
    let mut call = Call::of(&conversation);
    assert_eq!(call.wake().len(), 1);
    assert!(call.wake().is_empty());
    assert!(call.hear(created()).is_empty());
    conversation.append_and_respond(Message::user("And now?"));
    let asked = call.wake();
    assert!(matches!(asked.as_slice(), [(_, Command::CreateItem { respond: true, .. })]));
}

#[test]
fn what_is_being_told_need_not_be_answered_to_be_told() {
    let conversation = Conversation::new();
    let mut call = Call::of(&conversation);
    assert!(!conversation.is_told(), "no session serves");
    call.hear(created());
    assert!(conversation.is_told() && conversation.is_in_step());
    conversation.append(Message::user("Hi"));
    assert!(!conversation.is_told(), "it waits on this side");
    let asked = call.wake();
    assert!(conversation.is_told() && !conversation.is_in_step(), "the server has not answered");
    call.hear(Event::Settled { id: asked[0].0, outcome: Outcome::Done });
    assert!(conversation.is_in_step());
}

#[test]
fn an_id_that_another_conversation_has_made_is_made_again() {
    let conversation = Conversation::new();
    let mut call = Call::of(&conversation);
    call.hear(created());
    conversation.append(Message::user("Hi"));
    let [(id, Command::CreateItem { item, .. })] = &call.wake()[..] else { panic!("expected an item") };
    let error = Box::new(ApiError::default().code("item_create_duplicate_id"));
    let asked = call.hear(Event::Settled { id: *id, outcome: Outcome::Refused { error } });
    let [(_, Command::CreateItem { item: again, .. })] = &asked[..] else { panic!("expected an item") };
    assert_ne!(item.id(), again.id());
}

#[test]
fn what_the_server_refuses_is_told_and_not_sent_again() {
    let conversation = Conversation::new();
    let mut call = Call::of(&conversation);
    call.hear(created());
    let entry = conversation.append(Message::user("Hi"));
    let id = call.wake()[0].0;
    let error = Box::new(ApiError::default().message("no"));
    assert!(call.hear(Event::Settled { id, outcome: Outcome::Refused { error } }).is_empty());
    let expected = Notice::NotSynced { entry: entry.number(), reason: "no".into() };
    assert_eq!(call.0.poll_notice(), Some(expected));
    conversation.append(Message::user("Ho"));
    assert_eq!(call.wake().len(), 1);
}

#[test]
fn instructions_follow_whoever_changed_them_last() {
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = Call::of(&conversation);
    call.hear(created());
    assert!(call.hear(config("One.")).is_empty());
    call.hear(updated("Two."));
    assert_eq!(conversation.instructions().as_deref(), Some("Two."));
    assert_eq!(conversation.seed().instructions.as_deref(), Some("Two."));
    conversation.replace([Message::system("Three.")]);
    let asked = call.wake();
    let [(_, Command::UpdateConfig { config })] = &asked[..] else { panic!("expected an update: {asked:?}") };
    assert_eq!(config.instructions.value().map(String::as_str), Some("Three."));

    let conversation = Conversation::from_messages([Message::system("One.")]);
    let conversation = conversation.instructions_of(Instructions::Session);
    assert_eq!(conversation.seed().instructions, None);
}

#[test]
fn instructions_that_a_server_rewrites_stay_as_they_were_asked_for() {
    let conversation = Conversation::from_messages([Message::system("  One. ")]);
    let _ = conversation.session_config(SessionConfig::realtime());
    let mut call = Call::of(&conversation);
    call.hear(created());
    for _ in 0..2 {
        assert!(call.hear(config("One.")).is_empty(), "they were asked for already");
    }
    assert_eq!(conversation.instructions().as_deref(), Some("  One. "));
    conversation.replace([Message::system(" Two. ")]);
    let [(id, Command::UpdateConfig { .. })] = call.wake()[..] else { panic!("expected an update") };
    let outcome = Outcome::Updated(Updated { instructions: Some(" Two. ".into()), ..Updated::default() });
    assert!(call.hear(Event::Settled { id, outcome }).is_empty());
    assert!(call.hear(config("Two.")).is_empty());
    assert_eq!(conversation.instructions().as_deref(), Some(" Two. "));
    call.hear(updated(" Three. "));
    assert!(call.hear(config("Three.")).is_empty());
    assert_eq!(conversation.instructions().as_deref(), Some(" Three. "));
}

fn ready(instructions: &str) -> Event {
    let config = Box::new(SessionConfig::realtime().instructions(instructions));
    Event::Ready { config, refused: Vec::new() }
}

fn resumed() -> Event {
    let (gap, audio_lost) = Default::default();
    Event::Connection(ConnectionEvent::Resumed { gap, audio_lost })
}

/// The instructions that are asked for.
fn instructions(asked: &[(CommandId, Command)]) -> Option<String> {
    let [(_, Command::UpdateConfig { config })] = asked else {
        assert!(asked.is_empty(), "{asked:?}");
        return None;
    };
    config.instructions.value().cloned()
}

/// A call that serves with `One.`, which the server reports as `1`.
fn rewriting(conversation: &Conversation) -> Call {
    let _ = conversation.session_config(SessionConfig::realtime());
    let mut call = Call::of(conversation);
    call.hear(created());
    call.hear(ready("1"));
    call
}

#[test]
fn instructions_of_a_raw_update_hold_from_then_on() {
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = rewriting(&conversation);
    assert_eq!(instructions(&call.hear(config("1"))), None, "another member changed");
    // The call is told, so that every later session has them.
    let asked = call.hear(config("Raw."));
    assert_eq!(instructions(&asked).as_deref(), Some("Raw."));
    assert_eq!(conversation.seed().instructions.as_deref(), Some("Raw."));
    let outcome = Outcome::Updated(Updated { instructions: Some("Raw.".into()), ..Updated::default() });
    call.hear(Event::Settled { id: asked[0].0, outcome });
    assert_eq!(instructions(&call.hear(config("Raw."))), None);

    // Without instructions of its own, the conversation has the call keep the session's.
    let conversation = Conversation::new();
    let mut call = rewriting(&conversation);
    assert_eq!(instructions(&call.hear(config("Raw."))).as_deref(), Some("Raw."));
    assert_eq!(conversation.instructions(), None);

    for conversation in [
        Conversation::from_messages([Message::system("One.")]).instructions_of(Instructions::Session),
        Conversation::from_messages([Message::system("One.")]),
    ] {
        conversation.leave_instructions();
        let mut call = rewriting(&conversation);
        assert_eq!(instructions(&call.hear(config("Raw."))), None, "they are another's business");
        assert_eq!(conversation.instructions().as_deref(), Some("One."));
    }
}

#[test]
fn what_a_server_makes_of_an_update_is_not_taken_for_anothers() {
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = rewriting(&conversation);
    call.hear(updated("Two."));
    assert_eq!(instructions(&call.hear(config("2"))), None);
    assert_eq!(conversation.instructions().as_deref(), Some("Two."));
    // Nor what a session is told while it begins.
    call.hear(created());
    for reported in ["one", "two"] {
        assert_eq!(instructions(&call.hear(config(reported))), None);
    }
    assert_eq!(instructions(&call.hear(resumed())), None);
    assert_eq!(conversation.instructions().as_deref(), Some("Two."));
    assert_eq!(instructions(&call.hear(config("Raw."))).as_deref(), Some("Raw."), "this is");
}

#[test]
fn an_update_that_had_its_deadline_holds_once_the_server_acknowledges_it() {
    let timed_out = || Event::Settled { id: CommandId(1), outcome: Outcome::TimedOut };
    // Late.
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = rewriting(&conversation);
    call.hear(timed_out());
    assert_eq!(conversation.instructions().as_deref(), Some("One."));
    call.hear(config("Two."));
    assert_eq!(conversation.instructions().as_deref(), Some("Two."));

    // By the next session, which the call tells what was asked for last.
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = rewriting(&conversation);
    call.hear(timed_out());
    call.hear(created());
    call.hear(config("Two."));
    assert_eq!(instructions(&call.hear(resumed())), None, "the session has them");
    assert_eq!(conversation.instructions().as_deref(), Some("Two."));

    // Not if the server has not heard of it, nor if the conversation's were changed since.
    let conversation = Conversation::from_messages([Message::system("One.")]);
    let mut call = rewriting(&conversation);
    call.hear(timed_out());
    call.hear(created());
    call.hear(config("1"));
    call.hear(resumed());
    assert_eq!(conversation.instructions().as_deref(), Some("One."));
    call.hear(timed_out());
    call.hear(created());
    conversation.replace([Message::system("Three.")]);
    assert_eq!(instructions(&call.hear(config("Two."))).as_deref(), Some("Three."));
    call.hear(resumed());
    assert_eq!(conversation.instructions().as_deref(), Some("Three."));
}

#[test]
fn a_text_that_the_server_puts_first_does_not_pass_what_the_server_does_not_know() {
    let conversation = Conversation::from_messages([Message::user("A note.")]);
    conversation.observe(&created());
    conversation.observe(&Event::ItemSent { item: own_text("own", "Hello"), after: None });
    let item = own_text("own", "Hello");
    conversation.observe(&Event::ItemPlaced { item, place: Place::First, origin: Origin::Client });
    let said: Vec<String> = conversation.messages().iter().map(Message::text).collect();
    assert_eq!(said, ["A note.", "Hello"]);
}

#[test]
fn a_call_that_ended_with_commands_open_leaves_none_to_the_next_one() {
    let conversation = Conversation::from_messages([Message::user("One")]);
    let mut call = Call::of(&conversation);
    call.hear(created());
    call.hear(Event::Closed { reason: realtime_protocol::call::CloseReason::Requested });
    drop(call);
    conversation.append(Message::user("Two"));
    let mut call = Call::of(&conversation);
    assert!(call.wake().is_empty(), "there is no session yet");
    assert_eq!(call.hear(created()).len(), 1, "all of it is told, once");
    assert_eq!(conversation.lock().asked.len(), 1);
}

#[test]
fn a_server_that_calls_every_item_the_first_changes_no_order() {
    let conversation = Conversation::new();
    conversation.observe(&created());
    for id in ["1", "2", "3"] {
        conversation.observe(&Event::ItemSent { item: own_text(id, id), after: None });
        let item = own_text(id, id);
        conversation.observe(&Event::ItemPlaced { item, place: Place::First, origin: Origin::Client });
    }
    let root = Some(crate::sync::ROOT.into());
    conversation.observe(&Event::ItemSent { item: own_text("0", "0"), after: root });
    let said: Vec<String> = conversation.messages().iter().map(Message::text).collect();
    assert_eq!(said.concat(), "0123");
}

#[test]
fn an_answer_in_text_after_a_history_is_told_and_mended_once() {
    let history = [Message::user("Hi"), Message::assistant("Hello."), Message::user("Go on.")];
    let conversation =
        Conversation::from_messages(history).history(History::NativeItems).on_text_only(TextOnly::AskAgain);
    let mut call = Call::of(&conversation);
    assert_eq!(call.hear(created()).len(), 3);
    call.hear(config("Be brief."));
    for (response, again) in [("r1", true), ("r2", false)] {
        call.hear(Event::Text {
            response_id: response.into(),
            item_id: format!("item {response}").as_str().into(),
            content_index: 0,
            delta: "In text.".into(),
            spoken: false,
        });
        let asked = call.hear(finished(response));
        let notice = Notice::AnsweredInText { response_id: response.into(), asked_again: again };
        assert_eq!(call.0.poll_notice(), Some(notice));
        let names: Vec<&str> = asked.iter().map(|(_, command)| command.name()).collect();
        if again {
            assert_eq!(names, ["delete_item", "delete_item", "delete_item", "delete_item", "create_item"]);
            assert!(matches!(asked.last(), Some((_, Command::CreateItem { respond: true, .. }))));
        } else {
            assert!(names.is_empty(), "{names:?}");
        }
    }
}

#[test]
fn a_hook_may_use_the_conversation() {
    let conversation = Conversation::from_messages([Message::user("One"), Message::user("Two")]);
    let (seen, same) = (Arc::new(Mutex::new(0)), conversation.clone());
    let count = Arc::clone(&seen);
    conversation.on_change(move || *count.lock().unwrap() = same.messages().len());
    let ids = conversation.with(|log| log.entries().iter().map(|entry| entry.id()).collect::<Vec<_>>());
    let same = conversation.clone();
    conversation.summarise(ids[0], ids[1], |messages| {
        assert_eq!(messages.len(), same.messages().len());
        "Two numbers.".into()
    });
    assert_eq!(*seen.lock().unwrap(), 1);
    let same = conversation.clone();
    let conversation = conversation.history(History::Summary { keep: 0 }).summariser(move |messages| {
        assert_eq!(messages.len(), same.messages().len());
        "All.".into()
    });
    let seed = conversation.seed();
    assert_eq!(seed.items[0].as_message().unwrap().parts()[0].words(), Some("All."));
}

#[test]
fn a_budget_is_kept_after_each_response_and_told() {
    let conversation = Conversation::from_messages((0..20).map(|n| Message::user(format!("Number {n}"))))
        .budget(crate::budget::Policy::Summarise, 60)
        .summariser(|messages| format!("{} numbers", messages.len()));
    let mut call = Call::of(&conversation);
    call.hear(created());
    call.hear(finished("r1"));
    let Some(Notice::Pruned { dropped, summary: Some(_), .. }) = call.0.poll_notice() else {
        panic!("expected a notice")
    };
    assert!(conversation.tokens() <= 60);
    assert_eq!(conversation.messages()[0].text(), format!("{} numbers", dropped.len()));
    call.hear(finished("r2"));
    assert_eq!(call.0.poll_notice(), None);
}
