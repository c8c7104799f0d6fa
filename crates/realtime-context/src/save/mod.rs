//! A conversation as a JSON document, to continue another day or in another process.
//!
//! The rule kept here: a document has a version. Version 2 is written; version 1 is read, too; a document of
//! an unknown version is refused.

mod old;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::{Entry, Log};
use crate::mirror::{Ids, Mirror};

/// The version that is written.
const VERSION: u64 = 2;
/// The largest number of an entry or an item: each new one is larger.
const LAST: u64 = u64::MAX / 2;

#[derive(Serialize)]
struct Saved<'a> {
    version: u64,
    last_id: u64,
    entries: &'a [Entry],
    ids: &'a Ids,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<&'a Mirror>,
}

#[derive(Deserialize)]
struct Loaded {
    last_id: u64,
    entries: Vec<Entry>,
    #[serde(default)]
    ids: Ids,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    mirror: Option<Mirror>,
}

/// The document, which begins with `{"version":2`. `live`: whether the server's conversation goes on.
pub(crate) fn save(log: &Log, mirror: &Mirror, live: bool) -> String {
    let saved = Saved {
        version: VERSION,
        last_id: log.last_id,
        entries: &log.entries,
        ids: &mirror.ids,
        limit: log.own_limit(),
        mirror: live.then_some(mirror),
    };
    serde_json::to_string(&saved).expect("strings, numbers and JSON values are JSON")
}

/// Reads a document.
pub(crate) fn load(text: &str) -> Result<(Log, Mirror), LoadError> {
    let document: Value = serde_json::from_str(text)?;
    let mut log = Log::new();
    let mut mirror = Mirror::default();
    match document.get("version").and_then(Value::as_u64) {
        Some(1) => mirror.ids = old::load(document, &mut log)?,
        Some(VERSION) => {
            let loaded: Loaded = serde_json::from_value(document)?;
            let last = loaded.entries.iter().map(|entry| entry.id.0).max().unwrap_or(0);
            (log.entries, log.last_id) = (loaded.entries, loaded.last_id.max(last));
            if let Some(limit) = loaded.limit {
                log.limit(limit);
            }
            mirror = loaded.mirror.unwrap_or_default();
            mirror.ids = loaded.ids;
        }
        found => return Err(LoadError::Version { found }),
    }
    for number in [log.last_id, mirror.ids.last()] {
        if number > LAST {
            return Err(LoadError::Number { number });
        }
    }
    if !mirror.ids.is_valid() {
        return Err(LoadError::Prefix { prefix: mirror.ids.prefix().to_owned() });
    }
    log.make_room();
    Ok((log, mirror))
}

/// Why a document cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It does not have the shape of a saved conversation.
    #[error("not a saved conversation")]
    Shape(#[from] serde_json::Error),
    /// It is of another version.
    #[error("expected a saved conversation of version 1 or {VERSION}, got {}", or_none(*.found))]
    Version {
        /// The version in the document.
        found: Option<u64>,
    },
    /// A number of an entry or an item leaves no room for later ones: this crate did not write it.
    #[error("expected numbers up to {LAST} in a saved conversation, got {number}")]
    Number {
        /// The number.
        number: u64,
    },
    /// The ids of items would begin with something that this crate does not make.
    #[error(
        "expected at most 12 letters, digits, `_` and `-` as `ids.prefix` in a saved conversation, got `{prefix}`"
    )]
    Prefix {
        /// What the ids begin with.
        prefix: String,
    },
}

fn or_none(version: Option<u64>) -> String {
    version.map_or_else(|| "none".into(), |version| version.to_string())
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::Event;
    use serde_json::json;

    use crate::conversation::Conversation;
    use crate::message::Message;
    use crate::sync::History;

    use super::*;

    #[test]
    fn a_loaded_conversation_seeds_as_the_saved_one() {
        let messages = [
            json!({ "role": "system", "content": "Be brief." }),
            json!({ "role": "user", "content": [{ "type": "text", "text": "Hi", "x": [1.5, null] }], "name": "Z" }),
            json!({ "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] }),
            json!({ "role": "tool", "tool_call_id": "c1", "content": "3" }),
        ];
        let read = |json: Value| serde_json::from_value::<Message>(json).unwrap();
        let conversation = Conversation::from_messages(messages.map(read));
        conversation.append(Message::user("And now?"));
        for strategy in [History::PackedMessage, History::NativeItems] {
            let loaded = Conversation::load(&conversation.save()).unwrap().history(strategy);
            assert_eq!(loaded.messages(), conversation.messages());
            assert_eq!(loaded.seed(), conversation.clone().history(strategy).seed());
            assert_eq!(loaded.save(), conversation.save());
        }
    }

    #[test]
    fn other_versions_and_other_documents_are_refused() {
        let text = |text: &str| Conversation::load(text).unwrap_err().to_string();
        assert_eq!(
            text(r#"{"version":3,"entries":[]}"#),
            "expected a saved conversation of version 1 or 2, got 3"
        );
        assert_eq!(text("[]"), "expected a saved conversation of version 1 or 2, got none");
        assert_eq!(text(r#"{"version":1}"#), "not a saved conversation");
        assert_eq!(text(""), "not a saved conversation");
        for document in [
            r#"{"version":1,"next_id":18446744073709551615,"entries":[]}"#,
            r#"{"version":2,"last_id":18446744073709551615,"entries":[]}"#,
            r#"{"version":2,"last_id":1,"entries":[],"ids":{"prefix":"ctx","last":18446744073709551615}}"#,
        ] {
            assert!(text(document).contains("expected numbers up to"), "{document}");
        }
    }

    #[test]
    fn what_was_saved_is_loaded_whole_and_with_its_limit() {
        let many = || (0..10_050).map(|n| Message::user(n.to_string()));
        let conversation = Conversation::new().limit(20_000);
        conversation.replace(many());
        let loaded = Conversation::load(&conversation.save()).unwrap();
        assert_eq!(loaded.messages().len(), 10_050);
        loaded.append(Message::user("One more"));
        assert_eq!(loaded.messages().len(), 10_051);
        assert_eq!(loaded.save().matches("\"limit\":20000").count(), 1);
        // An older document has no limit.
        let older = conversation.save().replace("\"limit\":20000,", "");
        let older = older.replace(",\"limit\":20000", "");
        assert_eq!(Conversation::load(&older).unwrap().messages().len(), 10_050);
    }

    #[test]
    fn ids_that_this_crate_does_not_make_are_refused() {
        for prefix in ["x".repeat(13), "a b".into(), "é".into()] {
            let ids = json!({ "prefix": prefix, "last": 0 });
            let document = json!({ "version": 2, "last_id": 1, "entries": [], "ids": ids });
            let error = Conversation::load(&document.to_string()).unwrap_err();
            assert!(error.to_string().contains("ids.prefix"), "{error}");
        }
    }

    #[test]
    fn a_document_of_version_1_is_read() {
        let text = r#"{"version":1,"next_id":7,"entries":[
            {"message":{"role":"system","content":"Be brief."}},
            {"id":"u1","words":{"role":"user","parts":[{"index":0,"state":"final","spoken":true,"text":"Hi"}],"done":true}},
            {"id":"a1","words":{"role":"assistant","parts":[{"index":0,"state":"truncated","spoken":true,"text":"Hello there","heard":"Hello"}],"done":true}},
            {"id":"f1","call":{"call_id":"c1","name":"f","arguments":"{}","state":"final","output":"3"}},
            {"id":"f2","call":{"call_id":"c2","name":"f","arguments":"{}","state":"failed"}},
            {"id":"o9","output":{"call_id":"c9","text":"9","paired":false}}]}"#;
        let conversation = Conversation::load(text).unwrap();
        let transcript = conversation.transcript().to_string();
        assert_eq!(
            transcript,
            "system: Be brief.\nuser: Hi\nassistant: Hello [interrupted; unheard: there]\n\
             tool: f({}) -> 3\ntool: f({}) [never answered]\ntool: 9\n"
        );
        let seed = conversation.seed();
        assert_eq!(seed.items[0].id().unwrap().as_str(), "ctx_8");
    }

    #[test]
    fn ids_go_on_where_they_stopped() {
        let conversation = Conversation::from_messages([Message::user("One")]);
        let first = conversation.seed();
        let conversation = Conversation::load(&conversation.save()).unwrap();
        let two = conversation.append(Message::user("Two"));
        assert_eq!(two.to_string(), "entry 2");
        assert_ne!(conversation.seed().items[0].id(), first.items[0].id());
    }

    #[test]
    fn a_conversation_that_goes_on_keeps_what_the_server_has() {
        let conversation = Conversation::from_messages([Message::user("One")]);
        conversation.seed();
        conversation.observe(&Event::Created { session_id: None });
        let resumed = Conversation::resume(&conversation.save()).unwrap();
        resumed.observe(&Event::Created { session_id: None });
        let items =
            |conversation: &Conversation| conversation.mirror().item_ids().cloned().collect::<Vec<_>>();
        assert_eq!(items(&resumed), items(&conversation));
        assert_eq!(items(&resumed).len(), 1);
        assert!(items(&Conversation::load(&conversation.save()).unwrap()).is_empty());
    }
}
