//! What a history becomes, case by case.

use serde_json::{Value, json};

use realtime_protocol::call::{Event, Origin, Place, Reseed, Seed};
use realtime_protocol::id::CallId;
use realtime_protocol::item::{self, FunctionCallItem};

use super::packed::{EPILOGUE, PREAMBLE};
use super::*;
use crate::conversation::Conversation;

fn seed(strategy: History, messages: Value) -> Seed {
    let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
    Conversation::from_messages(messages).history(strategy).seed()
}

/// The items without their ids.
fn items(seed: &Seed) -> Value {
    let mut items = serde_json::to_value(&seed.items).unwrap();
    for item in items.as_array_mut().unwrap() {
        assert!(item.as_object_mut().unwrap().remove("id").is_some());
    }
    items
}

fn input(text: &str) -> Value {
    json!([{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] }])
}

/// Checks a history of one item that is not packed, or of none.
fn plain(messages: Value, instructions: Option<&str>, expected: Value) {
    for strategy in [History::PackedMessage, History::NativeItems] {
        let seed = seed(strategy, messages.clone());
        assert_eq!(seed.instructions.as_deref(), instructions, "{messages}");
        assert_eq!(items(&seed), expected, "{messages}");
        assert_eq!(seed.omitted, 0, "{messages}");
    }
}

/// Checks that the history is packed whole.
fn packs(messages: Value, instructions: Option<&str>, history: Value) {
    let seed = seed(History::PackedMessage, messages);
    assert_eq!(seed.instructions.as_deref(), instructions);
    let [item] = seed.items.as_slice() else { panic!("expected one item, got {:?}", seed.items) };
    let message = item.as_message().unwrap();
    assert_eq!(message.role.value(), Some(&item::Role::User));
    assert_eq!(unpack(message.parts()[0].words().unwrap()), history);
}

/// The history in the text of a packed message.
fn unpack(text: &str) -> Value {
    let text = text.strip_prefix(PREAMBLE).and_then(|text| text.strip_suffix(EPILOGUE)).unwrap();
    serde_json::from_str(text).unwrap()
}

#[test]
fn nothing_becomes_nothing() {
    plain(json!([]), None, json!([]));
}

#[test]
fn a_system_message_alone_becomes_instructions() {
    plain(json!([{ "role": "system", "content": "Be brief." }]), Some("Be brief."), json!([]));
    plain(json!([{ "role": "developer", "content": "Be brief." }]), Some("Be brief."), json!([]));
}

#[test]
fn all_text_parts_of_a_system_message_become_instructions() {
    plain(
        json!([{ "role": "system", "content": [
            { "type": "text", "text": "Be brief." },
            { "type": "text", "text": "Be kind." },
        ] }]),
        Some("Be brief.\nBe kind."),
        json!([]),
    );
}

#[test]
fn one_user_message_goes_as_it_is() {
    plain(json!([{ "role": "user", "content": "Say hello." }]), None, input("Say hello."));
    plain(
        json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Say hello." }]),
        Some("Be brief."),
        input("Say hello."),
    );
}

#[test]
fn the_text_parts_of_one_user_message_are_joined() {
    plain(
        json!([{ "role": "user", "content": [{ "type": "text", "text": "One." }, { "type": "text", "text": "Two." }] }]),
        None,
        input("One.\nTwo."),
    );
}

#[test]
fn an_image_of_one_user_message_goes_along() {
    plain(
        json!([{ "role": "user", "content": [
            { "type": "text", "text": "What is this?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } },
        ] }]),
        None,
        json!([{ "type": "message", "role": "user", "content": [
            { "type": "input_text", "text": "What is this?" },
            { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low" },
        ] }]),
    );
}

#[test]
fn anything_else_is_packed_whole() {
    let dialogue = json!([
        { "role": "user", "content": "My name is Zoë." },
        { "role": "assistant", "content": "Noted." },
        { "role": "user", "content": "What is my name?" },
    ]);
    packs(dialogue.clone(), None, dialogue);

    let calls = json!([
        { "role": "user", "content": "Weather in Oslo?" },
        { "role": "assistant", "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"city\":\"Oslo\"}" } },
        ] },
        { "role": "tool", "tool_call_id": "c1", "content": "{\"t\":3}" },
        { "role": "assistant", "content": "Three degrees." },
    ]);
    packs(calls.clone(), None, calls);

    let greeting = json!([{ "role": "assistant", "content": "How can I help?" }]);
    packs(greeting.clone(), None, greeting);

    packs(
        json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Hi" },
            { "role": "system", "content": "The user left." },
        ]),
        Some("Be brief."),
        json!([{ "role": "user", "content": "Hi" }, { "role": "system", "content": "The user left." }]),
    );
}

#[test]
fn data_has_no_place_in_a_packed_text() {
    let messages = json!([
        { "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
            { "type": "image_url", "image_url": { "url": "https://example.com/1.png" } },
            { "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } },
        ] },
        { "role": "assistant", "content": "A cat." },
    ]);
    let seed = seed(History::PackedMessage, messages);
    let text = seed.items[0].as_message().unwrap().parts()[0].words().unwrap();
    assert!(!text.contains("AAAA"));
    assert!(text.contains("https://example.com/1.png"));
    assert_eq!(seed.omitted, 2);
}

#[test]
fn native_items_have_the_content_types_of_their_roles() {
    let seed = seed(
        History::NativeItems,
        json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Weather in Oslo?" },
            { "role": "assistant", "content": "Let me see.", "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
                { "id": "c2", "type": "function", "function": { "name": "g", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "3" },
            { "role": "tool", "tool_call_id": "c2", "content": [{ "type": "text", "text": "4" }] },
            { "role": "tool", "tool_call_id": "c9", "content": "of no call" },
            { "role": "developer", "content": "Hurry." },
            { "role": "assistant", "content": "Three degrees." },
            { "role": "assistant", "content": "" },
        ]),
    );
    assert_eq!(seed.instructions.as_deref(), Some("Be brief."));
    assert_eq!(seed.omitted, 1);
    assert_eq!(
        items(&seed),
        json!([
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Weather in Oslo?" }] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Let me see." }] },
            { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}" },
            { "type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": "3" },
            { "type": "function_call_output", "call_id": "c2", "output": "4" },
            { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "Hurry." }] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Three degrees." }] },
        ])
    );
}

#[test]
fn every_item_has_an_id_that_no_other_seed_has() {
    let dialogue = [Message::user("Hi"), Message::assistant("Hello."), Message::user("Bye")];
    let context = Conversation::from_messages(dialogue);
    let mut ids = Vec::new();
    for strategy in [History::NativeItems, History::PackedMessage, History::NativeItems] {
        ids.extend(
            context.clone().history(strategy).seed().items.iter().map(|item| item.id().unwrap().clone()),
        );
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((all, ids.len()), (7, 7));
    assert!(ids.iter().all(|id| id.as_str().len() <= 32));
}

#[test]
fn a_seed_says_which_items_on_their_way_it_holds() {
    for strategy in [History::PackedMessage, History::NativeItems] {
        let context = Conversation::from_messages([Message::user("One"), Message::assistant("Two")]);
        let first = context.clone().history(strategy).seed();
        context.observe(&Event::Created { session_id: None });
        let own = ItemId::from("own");
        let mut item = Item::user_text("Three");
        item.set_id(own.clone());
        context.observe(&Event::ItemSent { item: Box::new(item), after: None });
        let mut carried: Vec<ItemId> = first.items.iter().filter_map(Item::id).collect();
        carried.extend([own.clone(), "unknown".into()]);
        let next = context.clone().reseed(&carried, None);
        assert_eq!(next.replaces.len(), carried.len() - 1, "{strategy:?}: not the unknown one");
        let ids: Vec<_> = next.items.iter().filter_map(Item::id).collect();
        assert!(next.replaces.values().all(|by| ids.contains(by)), "{strategy:?}");
        assert_eq!(next.replaces.get(&own), ids.last(), "{strategy:?}");
    }
}

#[test]
fn calls_of_an_earlier_conversation_get_ids_of_their_own() {
    use realtime_protocol::item::FunctionCallOutputItem;
    let context = Conversation::new();
    let call =
        FunctionCallItem::default().id(ItemId::from("item")).call_id(CallId::from("call_old")).name("f");
    let output = FunctionCallOutputItem::default()
        .id(ItemId::from("output"))
        .call_id(CallId::from("call_old"))
        .output("3");
    context.observe(&Event::Created { session_id: None });
    for item in [Item::from(call), Item::from(output)] {
        context.observe(&Event::ItemPlaced {
            item: item.into(),
            place: Place::First,
            origin: Origin::Server,
        });
    }
    let seed = context.history(History::NativeItems).reseed(&[], None);
    let items = serde_json::to_value(&seed.items).unwrap();
    assert_eq!(items.as_array().unwrap().len(), 2);
    assert_eq!(items[0]["call_id"], items[1]["call_id"]);
    assert!(!items.to_string().contains("call_old"), "{items}");
}
