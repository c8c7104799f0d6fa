//! Each event of each dialect with all of its members: typed, without a member unknown or of a wrong shape,
//! and written as it came, in its own dialect's spelling.

use realtime_protocol::compare::first_difference;
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};

const GA_SERVER: &str = include_str!("fixtures/ga_server.jsonl");
const GA_CLIENT: &str = include_str!("fixtures/ga_client.jsonl");
const BETA_SERVER: &str = include_str!("fixtures/beta_server.jsonl");
const BETA_CLIENT: &str = include_str!("fixtures/beta_client.jsonl");

/// Checks one side's events and returns their types in GA, without repetition. The two enums share no trait.
macro_rules! check {
    ($event:ident, $text:expr, $dialect:expr) => {{
        let mut kinds = Vec::new();
        for text in $text.lines() {
            let event = $event::decode(text, $dialect);
            assert!(!matches!(event, $event::Unknown(_) | $event::Malformed(_)), "{text}");
            assert_eq!((event.mismatches(), event.unknown_members()), (vec![], vec![]), "{text}");
            assert_eq!(first_difference(text, &event.encode($dialect)), None, "{text}");
            // Read in the other dialect, it comes out as it came as well.
            let other = if $dialect == Dialect::Ga { Dialect::Beta } else { Dialect::Ga };
            assert_eq!(first_difference(text, &$event::decode(text, other).encode(other)), None, "{text}");
            kinds.push(event.kind().to_owned());
        }
        kinds.sort();
        kinds.dedup();
        kinds
    }};
}

fn all(kinds: &[&str]) -> Vec<String> {
    let mut kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    kinds.sort();
    kinds
}

#[test]
fn every_event_of_ga_is_typed_with_every_member() {
    assert_eq!(check!(ServerEvent, GA_SERVER, Dialect::Ga), all(ServerEvent::KINDS));
    assert_eq!(check!(ClientEvent, GA_CLIENT, Dialect::Ga), all(ClientEvent::KINDS));
}

#[test]
fn every_event_of_beta_is_typed_with_every_member() {
    let kinds = check!(ServerEvent, BETA_SERVER, Dialect::Beta);
    let sent: Vec<String> = all(ServerEvent::KINDS)
        .into_iter()
        .filter(|kind| {
            let text = format!(r#"{{"type":"{kind}","item_id":"","item":{{}},"response":{{}},"delta":""}}"#);
            // GA's *added* is beta's *created*, which is in the list itself.
            ServerEvent::decode(&text, Dialect::Ga).is_sent_in(Dialect::Beta)
                && kind != "conversation.item.added"
        })
        .collect();
    assert_eq!(kinds, sent);
    assert_eq!(check!(ClientEvent, BETA_CLIENT, Dialect::Beta), all(ClientEvent::KINDS));
}

#[test]
fn betas_own_spelling_reads_as_the_same_event_as_gas() {
    for text in BETA_SERVER.lines() {
        let beta = ServerEvent::decode(text, Dialect::Beta);
        let ga = beta.encode(Dialect::Ga);
        let again = ServerEvent::decode(&ga, Dialect::Ga);
        assert_eq!(again.kind(), beta.kind());
        assert_eq!(again.unknown_members(), Vec::<String>::new(), "{ga}");
        if !text.contains("temperature") {
            assert_eq!(again, beta, "{text}");
        }
    }
}

#[test]
fn members_that_are_not_known_are_named_by_their_paths() {
    let text = r#"{"type":"response.done","new":1,"response":{"id":"r","output":[{"type":"message","mood":"glad",
        "content":[{"type":"output_text","text":"x","tone":{"a":1}}]},{"type":"brand_new","x":1}],"usage":{"joules":2}}}"#;
    let mut found = ServerEvent::decode(text, Dialect::Ga).unknown_members();
    found.sort();
    assert_eq!(
        found,
        ["new", "response.output[0].content[0].tone", "response.output[0].mood", "response.usage.joules"]
    );
}
