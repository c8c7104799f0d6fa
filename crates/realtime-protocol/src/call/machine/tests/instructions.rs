//! Configurations that change during a call hold on each connection that follows.

use super::*;

/// A call of a configuration with instructions.
fn told_to_be(instructions: &str) -> Driven {
    let mut call = Driven::with(SessionConfig::realtime().instructions(instructions), reconnect());
    call.open(0);
    call.drain();
    call
}

fn update(call: &mut Driven, id: u64, instructions: &str) {
    let config = Box::new(SessionConfig::default().instructions(instructions));
    call.command(id, Command::UpdateConfig { config }).unwrap();
}

/// Loses a connection, or replaces it, and gives back the instructions that the next one was told last.
fn next(call: &mut Driven, conn: u32, cut: bool, seed: Option<&str>) -> String {
    if cut {
        call.cut(conn, None, "");
    } else {
        call.command(1000 + u64::from(conn), Command::Rotate { endpoint: None, urgent: true }).unwrap();
    }
    call.wait(20_000);
    call.open(conn + 1);
    call.seed(conn + 1, Seed { instructions: seed.map(String::from), ..Seed::default() });
    for _ in 0..2 {
        call.hear(conn + 1, json!({"type": "session.updated", "session": {}}));
    }
    let text = texts(&call.outputs());
    let told = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = told.filter_map(|event| event["session"]["instructions"].as_str().map(String::from));
    told.next_back().unwrap_or_default()
}

#[test]
fn an_update_outlives_every_connection_and_every_older_seed() {
    for cut in [true, false] {
        for acknowledged in [true, false] {
            let mut call = told_to_be("ONE");
            update(&mut call, 1, "TWO");
            if acknowledged {
                call.hear(0, json!({"type": "session.updated", "session": {}}));
            }
            for conn in 0..4 {
                let told = next(&mut call, conn, cut, Some("ONE"));
                assert_eq!(told, "TWO", "connection {}, cut: {cut}, acknowledged: {acknowledged}", conn + 1);
            }
        }
    }
}

#[test]
fn instructions_of_a_seed_hold_from_then_on_until_a_later_update() {
    let mut call = told_to_be("ONE");
    assert_eq!(next(&mut call, 0, true, Some("SEED")), "SEED", "news");
    assert_eq!(next(&mut call, 1, true, Some("SEED")), "SEED", "no news");
    assert_eq!(next(&mut call, 2, true, None), "SEED", "nobody says otherwise");
    update(&mut call, 1, "TWO");
    call.hear(3, json!({"type": "session.updated", "session": {}}));
    assert_eq!(next(&mut call, 3, true, Some("SEED")), "TWO", "the update is later");
    assert_eq!(next(&mut call, 4, true, Some("NEWER")), "NEWER", "the seed has changed since");
    assert_eq!(next(&mut call, 5, true, Some("NEWER")), "NEWER");
}

#[test]
fn an_update_that_is_never_acknowledged_is_what_the_next_connection_is_told() {
    let mut call = told_to_be("ONE");
    update(&mut call, 1, "TWO");
    call.wait(10_000);
    assert!(call.drain().contains(&"settled 1 timed_out".to_string()));
    assert_eq!(next(&mut call, 0, true, Some("ONE")), "TWO");
}

#[test]
fn an_update_during_a_change_of_connections_reaches_the_new_one_though_no_seed_comes() {
    let mut call = told_to_be("ONE");
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.command(9, Command::Rotate { endpoint: None, urgent: false }).unwrap();
    call.open(1);
    call.drain();
    update(&mut call, 1, "TWO");
    call.hear(0, json!({"type": "session.updated", "session": {}}));
    call.cut(0, None, "");
    call.wait(6000);
    assert!(texts(&call.outputs()).contains("TWO"));
}
