//! Documents: what was saved is loaded, and chat JSON goes in and comes out without loss.

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_context::{Conversation, Message};
use serde_json::Value;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A JSON object of members that are absent, or one of the values.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| prop::option::weighted(0.8, value).prop_map(move |value| Some((name, value?))))
        .collect();
    let object = |members: Vec<Option<(&str, Value)>>| {
        members.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    members.prop_map(object).prop_map(Value::Object).boxed()
}

fn text() -> BoxedStrategy<Value> {
    ".{0,12}".prop_map(Value::from).boxed()
}

/// A text, or nothing.
fn text_or_null() -> BoxedStrategy<Value> {
    prop_oneof![3 => text(), 1 => Just(Value::Null)].boxed()
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(texts).prop_map(Value::from).boxed()
}

/// Parts of every type, whole or not, and what is no part.
fn part() -> impl Strategy<Value = Value> {
    let kinds = one_of(&["text", "image_url", "input_audio", "refusal"]);
    let kinds = prop_oneof![8 => kinds, 1 => json_value(), 1 => (0..3).prop_map(Value::from)];
    let url = object(vec![("url", text()), ("detail", text_or_null()), ("x", json_value().boxed())]);
    let file =
        object(vec![("data", text()), ("format", one_of(&["wav", "mp3"])), ("x", json_value().boxed())]);
    let whole = object(vec![
        ("type", kinds.boxed()),
        ("text", text()),
        ("image_url", prop_oneof![url, text()].boxed()),
        ("input_audio", file),
        ("cache_control", json_value().boxed()),
    ]);
    prop_oneof![4 => whole, 1 => json_value()]
}

/// Calls of functions and others, whole or in pieces, with arguments as text or as JSON.
fn call() -> BoxedStrategy<Value> {
    let function = object(vec![
        ("name", text_or_null()),
        ("arguments", prop_oneof![text_or_null(), json_value()].boxed()),
        ("x", json_value().boxed()),
    ]);
    object(vec![
        ("id", text_or_null()),
        ("type", one_of(&["function", "custom", "other"])),
        ("function", prop_oneof![4 => function, 1 => Just(Value::Null)].boxed()),
        ("custom", json_value().boxed()),
        ("index", json_value().boxed()),
    ])
}

fn message() -> impl Strategy<Value = Value> {
    let roles = one_of(&["system", "developer", "user", "assistant", "tool", "function", ""]);
    let content = prop_oneof![text_or_null(), vec(part(), 0..4).prop_map(Value::from)].boxed();
    let calls = prop_oneof![4 => vec(call(), 0..3).prop_map(Value::from), 1 => Just(Value::Null)].boxed();
    let members = object(vec![
        ("content", content),
        ("tool_calls", calls),
        ("tool_call_id", text_or_null()),
        ("name", json_value().boxed()),
        ("refusal", text_or_null()),
        ("audio", object(vec![("id", text()), ("expires_at", json_value().boxed())])),
        ("extra", json_value().boxed()),
    ]);
    (roles, members).prop_map(|(role, mut message)| {
        message["role"] = role;
        message
    })
}

/// A message of which one member, at any depth, has another value: it may be none.
fn spoilt() -> impl Strategy<Value = Value> {
    (message(), any::<prop::sample::Index>(), json_value()).prop_map(|(mut message, at, value)| {
        let places = places(&message);
        if let Some(member) = message.pointer_mut(at.get(places.as_slice()).as_str()) {
            *member = value;
        }
        message
    })
}

/// The paths of all members and elements.
fn places(value: &Value) -> Vec<String> {
    let under = |name: String, inner: &Value| {
        let inner = places(inner).into_iter().map(|path| format!("/{name}{path}")).collect::<Vec<_>>();
        std::iter::once(format!("/{name}")).chain(inner)
    };
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, inner)| under(name.clone(), inner)).collect()
        }
        Value::Array(elements) => {
            elements.iter().enumerate().flat_map(|(index, inner)| under(index.to_string(), inner)).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn what_reads_as_a_message_is_written_as_it_came(json in spoilt()) {
        if let Ok(message) = serde_json::from_value::<Message>(json.clone()) {
            prop_assert_eq!(serde_json::to_value(&message).unwrap(), json.clone());
            let again: Message = serde_json::from_str(&json.to_string()).unwrap();
            prop_assert_eq!(again, message, "read from text");
        }
    }

    #[test]
    fn chat_json_goes_in_and_comes_out_without_loss(chat in vec(message(), 0..8)) {
        let messages: Vec<Message> = serde_json::from_value(Value::from(chat.clone())).unwrap();
        let conversation = Conversation::from_messages(messages);
        prop_assert_eq!(serde_json::to_value(conversation.messages()).unwrap(), Value::from(chat));
    }

    #[test]
    fn what_was_saved_is_loaded(chat in vec(message(), 0..8)) {
        let messages: Vec<Message> = serde_json::from_value(Value::from(chat)).unwrap();
        let conversation = Conversation::from_messages(messages);
        let loaded = Conversation::load(&conversation.save()).unwrap();
        prop_assert_eq!(loaded.messages(), conversation.messages());
        prop_assert_eq!(loaded.save(), conversation.save());
        prop_assert_eq!(loaded.seed(), conversation.seed());
    }
}
