//! After what the application changes has been told, the server's items are what the log says, whenever that
//! happens: before a connection, in a call, after a loss, after a change of connections, in both dialects.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use realtime_context::{Conversation, EntryId, History, Message};
use realtime_protocol::call::Command;
use realtime_protocol::event::Dialect;
use realtime_protocol::item::{Item, Role};

use crate::line::Line;

/// Something that the application does, or that happens to it. Numbers choose an entry.
#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Pair,
    Ask,
    Replace(u8),
    KeepNewest(usize),
    Summarise(u8, u8),
    AudioToText(usize),
    Remove(u8),
    Change(u8),
    Instruct,
    Cut,
    Rotate,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Append),
        2 => Just(Step::Pair),
        3 => Just(Step::Ask),
        1 => (0..5_u8).prop_map(Step::Replace),
        1 => (1..6_usize).prop_map(Step::KeepNewest),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(first, last)| Step::Summarise(first, last)),
        1 => (0..2_usize).prop_map(Step::AudioToText),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => any::<u8>().prop_map(Step::Change),
        1 => Just(Step::Instruct),
        1 => Just(Step::Cut),
        1 => Just(Step::Rotate),
        4 => prop_oneof![Just(0), Just(50), Just(500), Just(5000)].prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_servers_items_are_what_the_log_says(
        before in vec(step(), 0..6),
        steps in vec(step(), 1..20),
        packed in any::<bool>(),
        ga in any::<bool>(),
    ) {
        check(&before, &steps, packed, if ga { Dialect::Ga } else { Dialect::Beta });
    }
}

/// The same cases in every run, unless the environment says otherwise.
fn config() -> ProptestConfig {
    let config = ProptestConfig { cases: 150, ..ProptestConfig::default() };
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed => fixed,
    };
    ProptestConfig { rng_seed, failure_persistence: None, ..config }
}

fn check(before: &[Step], steps: &[Step], packed: bool, dialect: Dialect) {
    let history = if packed { History::PackedMessage } else { History::NativeItems };
    let conversation = Conversation::new().history(history);
    for step in before {
        apply(&conversation, step);
    }
    let mut line = Line::new(conversation, dialect);
    for step in steps {
        match step {
            Step::Cut => line.cut(),
            Step::Rotate => line.command(Command::Rotate { endpoint: None, urgent: false }),
            Step::Wait(ms) => line.wait(Duration::from_millis(*ms)),
            step => apply(&line.conversation, step),
        }
    }
    line.wait(Duration::from_secs(60));
    assert_eq!(told(&line.items()), said(&line.conversation), "notices: {:?}", line.notices);
    // And once more after a loss: the same is told to a session that knows nothing.
    line.cut();
    line.wait(Duration::from_secs(60));
    assert_eq!(told(&line.items()), said(&line.conversation), "after a loss: {:?}", line.notices);
}

fn apply(conversation: &Conversation, step: &Step) {
    let entry = |number: u8| -> Option<EntryId> {
        conversation.with(|log| {
            let first = usize::from(log.instructions().is_some());
            let entries = log.entries().get(first..)?;
            Some(entries.get(usize::from(number).checked_rem(entries.len())?)?.id())
        })
    };
    let number = conversation.with(|log| log.entries().last().map_or(0, |entry| entry.id().number()));
    let text = format!("text {number}");
    match step {
        Step::Append(role) => {
            conversation.append(match role % 3 {
                0 => Message::user(text),
                1 => Message::assistant(text),
                _ if conversation.is_empty() => Message::user(text), // else it would be instructions
                _ => Message::system(text),
            });
        }
        Step::Pair => conversation.edit(|log| {
            log.append(Message::tool_call(format!("call {number}"), "count", r#"{"to":3}"#));
            log.append(Message::tool(format!("call {number}"), "1, 2, 3"));
        }),
        Step::Ask => drop(conversation.append_and_respond(Message::user(text))),
        Step::Replace(count) => {
            let messages = (0..*count).map(|index| Message::user(format!("new {number} {index}")));
            conversation.replace([Message::system("Be kind.")].into_iter().chain(messages));
        }
        Step::KeepNewest(count) => drop(conversation.keep_newest(*count)),
        Step::Summarise(first, last) => {
            if let (Some(first), Some(last)) = (entry(*first), entry(*last)) {
                let words = |messages: &[Message]| format!("summary of {} messages", messages.len());
                conversation.summarise(first, last, words);
            }
        }
        Step::AudioToText(keep) => drop(conversation.audio_to_text(*keep)),
        Step::Remove(number) => {
            if let Some(entry) = entry(*number) {
                conversation.remove(entry);
            }
        }
        Step::Change(number) => {
            if let Some(id) = entry(*number) {
                let is_text = conversation.with(|log| {
                    log.get(id).is_some_and(|entry| {
                        entry.function().is_none()
                            && entry
                                .messages()
                                .iter()
                                .all(|message| message.calls().is_empty() && message.role.as_str() != "tool")
                    })
                });
                if is_text {
                    conversation.edit(|log| log.change(id, Message::user(format!("changed {text}"))));
                }
            }
        }
        Step::Instruct => {
            let first =
                conversation.with(|log| log.instructions().and_then(|_| Some(log.entries().first()?.id())));
            if let Some(first) = first {
                conversation.edit(|log| log.change(first, Message::system(format!("Rule {number}."))));
            }
        }
        Step::Cut | Step::Rotate | Step::Wait(_) => {}
    }
}

/// The items, each as a line.
fn told(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .map(|item| match item {
            Item::Message(message) => {
                let words: Vec<&str> = message.parts().iter().filter_map(|part| part.words()).collect();
                format!("{}: {}", message.role.value().map_or("", Role::as_str), words.join("\n"))
            }
            Item::FunctionCall(call) => format!("call {:?} {:?}", call.name.value(), call.arguments.value()),
            Item::FunctionCallOutput(output) => format!("output {:?}", output.output.value()),
            other => format!("{}", other.kind()),
        })
        .map(|line| if line.starts_with("user: What follows is the record") { unpacked(&line) } else { line })
        .collect()
}

/// The messages of a packed history.
fn unpacked(line: &str) -> String {
    let (from, to) = line.find("\n[\n").zip(line.rfind("\n]\n")).expect("a list");
    let messages: Vec<Message> = serde_json::from_str(&line[from..to + 3]).expect("messages");
    format!("packed {}", lines(&messages).join(" | "))
}

/// What the log says, in the same form.
fn said(conversation: &Conversation) -> Vec<String> {
    let mirror = conversation.mirror();
    let log = conversation.snapshot();
    let first = usize::from(log.instructions().is_some());
    let mut said = Vec::new();
    let mut entries = log.entries()[first..].iter().peekable();
    while let Some(entry) = entries.next() {
        let mut messages = entry.messages();
        let item = mirror.items_of(entry.id()).next();
        let same = |other: EntryId| item.is_some_and(|item| mirror.items_of(other).next() == Some(item));
        let mut packed = false;
        while let Some(other) = entries.next_if(|other| same(other.id())) {
            packed = true;
            messages.extend(other.messages());
        }
        let is_alone_packed = messages.len() == 1
            && messages[0].role.as_str() != "user"
            && item.is_some_and(|item| mirror.is_packed(item));
        if packed || is_alone_packed {
            said.push(format!("packed {}", lines(&messages).join(" | ")));
        } else {
            said.extend(lines(&messages));
        }
    }
    said
}

fn lines(messages: &[Message]) -> Vec<String> {
    let mut lines = Vec::new();
    for message in messages {
        if message.role.as_str() == "tool" {
            lines.push(format!("output {:?}", Some(message.text())));
        } else if message.calls().is_empty() {
            lines.push(format!("{}: {}", message.role.as_str(), message.text()));
        }
        for call in message.calls() {
            let (name, arguments) = (Some(call.name()), Some(call.arguments()));
            lines.push(format!("call {name:?} {arguments:?}"));
        }
    }
    lines
}
