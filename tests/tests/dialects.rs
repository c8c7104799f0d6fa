//! The golden sessions in the beta dialect: the same conversation gives the same call events.

use realtime_protocol::call::Event;
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::log::Input;
use realtime_protocol::session::Output;
use realtime_tests::golden::Golden;

/// What a session tells, as JSON. Events that are kept without a meaning carry the dialect's spelling, and do
/// not count here.
fn told(golden: &Golden) -> Vec<String> {
    let mut told = Vec::new();
    golden.replay(|_, _, outputs| {
        for output in outputs.into_iter().flatten() {
            if let Output::Event(event) = output
                && !matches!(event, Event::Warning(_))
            {
                told.push(serde_json::to_string(&event).expect("call events are JSON"));
            }
        }
    });
    told
}

/// The same conversation as a beta server would have held it.
fn in_beta(mut golden: Golden) -> Golden {
    golden.header.options.dialect = Dialect::Beta;
    golden.inputs.retain_mut(|(_, input)| {
        let Input::Text(_, text) = input else { return true };
        let event = ServerEvent::decode(text, Dialect::Ga);
        if matches!(event, ServerEvent::ConversationItemDone(_)) {
            return false; // beta tells of an item once
        }
        *text = event.encode(Dialect::Beta);
        true
    });
    golden
}

#[test]
fn the_same_conversation_in_beta_gives_the_same_session_events() {
    for (name, golden) in Golden::all() {
        let ga = told(&golden);
        let beta = told(&in_beta(golden));
        for (ga, beta) in ga.iter().zip(&beta) {
            assert_eq!(ga, beta, "{}", name);
        }
        assert_eq!(ga.len(), beta.len(), "{}", name);
    }
}
