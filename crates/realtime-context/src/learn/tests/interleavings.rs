//! The same facts in any order give the same conversation.

use super::*;

fn typed(id: &str) -> Value {
    json!({ "id": id, "type": "message", "role": "user", "content": [{ "type": "input_text", "text": id }] })
}

/// Calls `check` after every order of the events in which each stream keeps its own.
fn every_interleaving(
    streams: &[Vec<Event>],
    context: &Conversation,
    taken: &mut Vec<usize>,
    check: &mut dyn FnMut(&Conversation),
) {
    let mut whole = true;
    for stream in 0..streams.len() {
        if let Some(event) = streams[stream].get(taken[stream]) {
            whole = false;
            let next = context.fork();
            next.observe(event);
            taken[stream] += 1;
            every_interleaving(streams, &next, taken, check);
            taken[stream] -= 1;
        }
    }
    if whole {
        check(context);
    }
}

fn check(streams: &[Vec<Event>], expected: &[&str], orders: usize) {
    let mut checked = 0;
    every_interleaving(streams, &Conversation::new(), &mut vec![0; streams.len()], &mut |context| {
        assert_eq!(texts(context), expected);
        checked += 1;
    });
    assert_eq!(checked, orders);
}

#[test]
fn transcripts_and_replies_may_come_in_any_order() {
    let streams = [
        vec![Event::Committed { item_id: "u1".into() }, placed(speech("u1"), None)],
        vec![transcript("u1", "One?")],
        vec![placed(reply("a1"), Some("u1")), text("r1", "a1", "O"), text("r1", "a1", "ne.")],
        vec![placed(speech("u2"), Some("a1")), transcript("u2", "Two?")],
        vec![placed(reply("a2"), Some("u2"))],
        vec![text("r2", "a2", "Two.")],
    ];
    let expected = ["user: One?", "assistant: One.", "user: Two?", "assistant: Two."];
    check(&streams, &expected, 151_200);
}

#[test]
fn an_interruption_and_what_the_user_says_may_come_in_any_order() {
    let streams = [
        vec![
            placed(reply("a1"), None),
            text("r1", "a1", "Hi there."),
            interrupted(None, &[("a1", "Hi", CUT)]),
        ],
        vec![placed(speech("u1"), Some("a1")), transcript("u1", "Wait!")],
        vec![Event::Committed { item_id: "u1".into() }],
    ];
    check(&streams, &["assistant: Hi", "user: Wait!"], 60);
}

#[test]
fn calls_and_outputs_stand_in_the_servers_order_whatever_is_told_first() {
    let streams = [
        vec![placed(typed("u1"), None)],
        vec![placed(call_item("f1", "c1", r#"{"city":"Oslo"}"#), Some("u1"))],
        vec![calls("r1", &[("c1", Some("f1"))])],
        vec![placed(output_item("o1", "c1", "1"), Some("f1"))],
        vec![placed(reply("a1"), Some("o1")), text("r2", "a1", "Done.")],
    ];
    check(&streams, &["user: u1", "assistant: ", "tool: 1", "assistant: Done."], 360);
}

#[test]
fn three_turns_told_in_any_of_many_orders_are_the_same_three_turns() {
    let mut events = Vec::new();
    let mut expected = Vec::new();
    for turn in 0..3 {
        let (user, assistant) = (format!("u{turn}"), format!("a{turn}"));
        let before = (turn > 0).then(|| format!("a{}", turn - 1));
        events.extend([
            Event::Committed { item_id: user.as_str().into() },
            placed(speech(&user), before.as_deref()),
            transcript(&user, &user),
            placed(reply(&assistant), Some(&user)),
            text("r", &assistant, &assistant),
            done_reply(&assistant, "completed", &assistant),
        ]);
        expected.extend([format!("user: {user}"), format!("assistant: {assistant}")]);
    }
    // A fixed sequence of shuffles: the same orders in every run.
    let mut state = 1_u64;
    for _ in 0..5_000 {
        for index in (1..events.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            events.swap(index, (state >> 33) as usize % (index + 1));
        }
        assert_eq!(said(events.clone()), expected);
    }
}
