//! What a connection died of is not sent again.

use super::*;
use crate::call::{CloseReason, Event, FunctionOutput, Outcome, Refusal, Warning};
use crate::event::Dialect;

const TOO_BIG: [u16; 3] = [1003, 1007, 1009];

/// A call whose connections end with a code, each as soon as it has sent what is asked for, and how often
/// that was.
fn sent(call: &mut Driven, code: u16, kind: &str) -> usize {
    let mut times = 0;
    for conn in 0..12 {
        let outputs = call.drain();
        assert!(!outputs.iter().any(|output| output.starts_with("closed")), "{outputs:?}");
        if !outputs.contains(&format!("{conn}> {kind}")) {
            break;
        }
        times += 1;
        call.cut(conn, Some(code), "");
        call.wait(20_000);
        call.open(conn + 1);
        call.seed(conn + 1, Seed::default());
    }
    times
}

fn refusals(call: &mut Driven) -> Vec<String> {
    call.outputs()
        .into_iter()
        .filter_map(|output| match output {
            Output::Event(Event::Settled { outcome: Outcome::Declined { reason }, .. }) => {
                Some(reason.to_string())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_a_server_can_not_take_is_not_sent_again_and_the_call_goes_on() {
    for code in TOO_BIG {
        let mut call = Driven::ready(reconnect());
        call.create(1, None, true);
        let config = Box::new(SessionConfig::default().instructions("Sing."));
        call.command(2, Command::UpdateConfig { config }).unwrap();
        call.drain();
        call.cut(0, Some(code), "");
        let told = refusals(&mut call);
        assert_eq!(told.len(), 2, "{told:?}");
        for message in told {
            assert!(
                message.contains(&format!("with code {code}")) && message.contains("smaller"),
                "{message}"
            );
        }
        call.wait(1000);
        call.open(1);
        call.seed(1, Seed::default());
        let outputs = call.outputs();
        let text = texts(&outputs);
        assert!(!text.contains("Sing.") && !text.contains("item.create"), "{text}");
        assert!(!text.contains("response.create"), "without the item there is nothing to reply to: {text}");
        call.create(4, None, false);
        assert!(call.drain().contains(&"1> conversation.item.create".to_string()));
    }
}

#[test]
fn what_had_not_been_sent_is_not_to_blame() {
    let mut call = Driven::ready(reconnect());
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.command(1, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.create(2, None, false);
    call.drain();
    call.cut(0, Some(1009), "");
    assert!(!call.drain().contains(&"settled 1 refused".to_string()), "it waited for the response that runs");
    call.wait(1000);
    call.open(1);
    call.seed(1, Seed::default());
    assert_eq!(call.drain().last().map(String::as_str), Some("1> response.create"));
}

#[test]
fn anything_is_sent_on_two_connections_at_most() {
    for (code, times) in [(1006, 2), (1011, 2), (1008, 2), (1009, 1), (1007, 1)] {
        let mut call = Driven::ready(reconnect());
        call.create(1, None, false);
        assert_eq!(sent(&mut call, code, "conversation.item.create"), times, "{code}");
        let mut call = Driven::ready(reconnect());
        let config = Box::new(SessionConfig::default().instructions("Sing."));
        call.command(1, Command::UpdateConfig { config }).unwrap();
        call.drain();
        let again = (0..4).filter(|conn| {
            call.cut(*conn, Some(code), "");
            call.wait(20_000);
            call.open(conn + 1);
            call.drain();
            call.seed(conn + 1, Seed::default());
            texts(&call.outputs()).contains("Sing.")
        });
        assert_eq!(again.count() + 1, times, "{code}");
    }
}

#[test]
fn a_reply_that_ends_each_connection_is_given_up() {
    let mut call = Driven::ready(reconnect());
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    call.cut(0, Some(1011), "");
    call.wait(1000);
    call.open(1);
    call.drain();
    call.seed(1, Seed::default());
    assert_eq!(sent_from_1(&mut call), 2);
    assert!(!call.call.is_ended());
}

/// How often a response is asked for, if that ends each connection from the second one on.
fn sent_from_1(call: &mut Driven) -> usize {
    let mut times = 0;
    for conn in 1..8 {
        let outputs = call.outputs();
        let given_up = Output::Event(Event::Warning(Warning::ReplyGivenUp));
        if outputs.contains(&given_up) {
            return times;
        }
        times += usize::from(texts(&outputs).contains("response.create"));
        call.cut(conn, Some(1011), "");
        call.wait(20_000);
        call.open(conn + 1);
        call.seed(conn + 1, Seed::default());
    }
    panic!("asked for {times} times");
}

#[test]
fn an_output_that_ends_its_connection_is_not_sent_again_and_its_function_does_not_run_again() {
    for (code, times) in [(1009, 1), (1011, 2)] {
        let mut call = Driven::ready(reconnect());
        let mut outputs_sent = 0;
        for conn in 0..=times {
            let item = json!({"type": "function_call", "id": format!("i{conn}"), "call_id": format!("c{conn}"),
                "name": "book", "arguments": "{}", "status": "completed"});
            let response = json!({"id": format!("r{conn}"), "status": "completed", "output": [item]});
            call.hear(conn, json!({"type": "response.created", "response": {"id": format!("r{conn}")}}));
            call.hear(conn, json!({"type": "response.done", "response": response}));
            if conn == 0 {
                let output = FunctionOutput::Result(json!("a large one"));
                let answer = Command::AnswerFunction { call_id: "c0".into(), output, respond: true };
                call.drain();
                call.command(1, answer).unwrap();
            }
            let outputs = call.outputs();
            let text = texts(&outputs);
            outputs_sent += usize::from(text.contains("a large one"));
            assert!(!text.contains("function_calls"), "it runs once: {text}");
            if conn == times {
                assert!(text.contains("could not be sent"), "{text}");
                break;
            }
            call.cut(conn, Some(code), "");
            call.wait(20_000);
            let given_up =
                Output::Event(Event::Warning(Warning::FunctionOutputGivenUp { call_id: "c0".into() }));
            assert_eq!(call.outputs().contains(&given_up), conn + 1 == times);
            call.open(conn + 1);
            call.seed(conn + 1, Seed::default());
            call.drain();
        }
        assert_eq!(outputs_sent, times as usize);
    }
}

#[test]
fn a_configuration_that_ends_each_connection_ends_the_call_and_says_so() {
    for (code, connections) in [(1009, 1), (1003, 1), (1011, 2)] {
        let mut call = Driven::new(reconnect());
        for conn in 0..connections {
            call.call.handle_connected(at(call.now), ConnectionId(conn), UnixTime::from_secs(1_000_000));
            call.hear(conn, json!({"type": "session.created", "session": {}}));
            call.drain();
            call.cut(conn, Some(code), "");
            call.wait(if conn + 1 < connections { 20_000 } else { 0 });
        }
        let outputs = call.outputs();
        let Some(Output::Event(Event::Closed { reason: CloseReason::ConfigRefused { message } })) =
            outputs.last()
        else {
            panic!("{code}: {outputs:?}");
        };
        assert!(message.contains(&format!("with code {code}")), "{message}");
    }
}

#[test]
fn a_configuration_that_one_endpoint_does_not_take_goes_to_the_next() {
    let mut call = Driven::new(Reconnect { endpoints: alloc::vec![Dialect::Ga; 2], ..reconnect() });
    call.call.handle_connected(at(0), ConnectionId(0), UnixTime::from_secs(1_000_000));
    call.hear(0, json!({"type": "session.created", "session": {}}));
    call.create(1, None, false);
    call.drain();
    call.cut(0, Some(1009), "");
    let outputs = call.drain();
    assert_eq!(outputs, ["lost configuration retry Some(0)", "retrying 1 to 1", "connect 1 to 1"]);
    call.open(1);
    call.seed(1, Seed::default());
    assert!(call.drain().contains(&"1> conversation.item.create".to_string()), "it had not been sent");
}

#[test]
fn a_seed_that_a_server_does_not_take_is_cut_until_it_does() {
    for code in TOO_BIG {
        let mut call = Driven::ready(reconnect());
        call.cut(0, None, "");
        let history = || Seed {
            items: [Item::user_text("x".repeat(5000)), Item::user_text("small")].into(),
            ..Seed::default()
        };
        call.wait(20_000);
        call.open(1);
        call.drain();
        call.seed(1, history());
        assert_eq!(call.drain().iter().filter(|output| output.contains("item.create")).count(), 2);
        call.cut(1, Some(code), "");
        call.wait(20_000);
        call.open(2);
        let asked = call.outputs().into_iter().find_map(|output| match output {
            Output::Seed { largest, .. } => largest,
            _ => None,
        });
        assert!(asked.is_some_and(|largest| (2500..2700).contains(&largest)), "{asked:?}");
        call.seed(2, history());
        let outputs = call.outputs();
        assert!(matches!(&outputs[0], Output::Event(Event::Warning(Warning::SeedCut { omitted: 1, .. }))));
        assert!(texts(&outputs).contains("small") && !texts(&outputs).contains("xxx"));
    }
}

#[test]
fn an_item_that_was_too_large_is_in_no_seed() {
    let mut call = Driven::ready(reconnect());
    let item = || Item::user_text("x".repeat(50_000));
    call.command(1, Command::CreateItem { item: item().into(), after: None, respond: false }).unwrap();
    call.cut(0, Some(1009), "");
    call.wait(1000);
    call.open(1);
    call.drain();
    call.seed(1, Seed { items: [item(), Item::user_text("small")].into(), ..Seed::default() });
    let text = texts(&call.outputs());
    assert!(text.contains("small") && !text.contains("xxx"), "{}", text.len());
}

#[test]
fn what_waits_for_a_connection_is_bounded_by_its_bytes() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, None, "");
    let large = || Command::CreateItem {
        item: Item::user_text("x".repeat(15 << 20)).into(),
        after: None,
        respond: false,
    };
    call.command(1, large()).unwrap();
    call.command(2, large()).unwrap();
    let refused = call.command(3, large()).unwrap_err();
    assert!(matches!(refused.reason, Refusal::TooLarge { unit: "bytes", .. }), "{}", refused.reason);
    call.create(4, None, false);
}
