//! Documents: what was saved is loaded, and chat JSON goes in and comes out without loss.

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_context::{Conversation, Message};
use serde_json::{Value, json};

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

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        (".{0,12}", json_value()).prop_map(|(text, x)| json!({ "type": "text", "text": text, "x": x })),
        ".{0,12}"
            .prop_map(|url| json!({ "type": "image_url", "image_url": { "url": url, "detail": "low" } })),
        ".{0,12}".prop_map(
            |data| json!({ "type": "input_audio", "input_audio": { "data": data, "format": "wav" } })
        ),
        json_value(),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop_oneof![
        Just("system"),
        Just("developer"),
        Just("user"),
        Just("assistant"),
        Just("tool"),
        Just("function"),
    ];
    let content = prop_oneof![
        ".{0,20}".prop_map(Value::from),
        vec(part(), 0..4).prop_map(Value::from),
        Just(Value::Null)
    ];
    let calls = prop_oneof![
        Just(None),
        vec(("[a-z0-9]{1,6}", ".{0,8}"), 0..3).prop_map(|calls| {
            let call = |(id, arguments): (String, String)| {
                let function = json!({ "name": "f", "arguments": arguments });
                json!({ "id": id, "type": "function", "function": function })
            };
            Some(Value::from(calls.into_iter().map(call).collect::<Vec<_>>()))
        })
    ];
    (role, content, calls, "[a-z0-9]{1,6}", json_value()).prop_map(|(role, content, calls, id, extra)| {
        let mut message = json!({ "role": role, "content": content, "extra": extra });
        if let Some(calls) = calls {
            message["tool_calls"] = calls;
        }
        if role == "tool" {
            message["tool_call_id"] = id.into();
        }
        message
    })
}

proptest! {
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
