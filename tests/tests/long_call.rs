//! A call of four hours over sessions of one hour each.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::call::{ConnectionEvent, Event, Reconnect};
use realtime_tests::world::World;

const MS: Duration = Duration::from_millis(1);

#[test]
fn four_hours_lose_no_audio_and_no_reply() {
    let mut world = World::new(World::options(Reconnect::default()), false);
    let (mut sent, mut turn, mut turns) = (0_u64, 0_u8, 0);
    let mut sizes = Vec::new();
    world.wait(500 * MS);
    // Every 20 s the user speaks for 2 s; the microphone is always open.
    for tick in 0..4 * 18_000 {
        let in_turn = tick % 100;
        if in_turn == 0 {
            turn = turn.wrapping_add(1);
            turns += 1;
        }
        world.speak(200, (in_turn < 10).then_some(turn));
        sent += 1600;
        world.wait(200 * MS);
        if tick % 18_000 == 9_000 {
            sizes.push(format!("{:?}", world.call).len());
        }
    }
    world.wait(Duration::from_secs(5));

    let heard: u64 = world.far.values().map(|far| far.heard).sum();
    assert_eq!(heard, sent, "all audio reached a server, once");
    let rotated: Vec<_> = world
        .told
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Connection(ConnectionEvent::Rotated { gap, audio_lost, .. }) => {
                Some((*gap, audio_lost.as_millis()))
            }
            Event::Connection(ConnectionEvent::Lost { .. }) => panic!("{event:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(rotated.len(), 4, "before the 1st, 2nd, 3rd and 4th hour are over");
    assert!(rotated.iter().all(|(gap, lost)| *gap <= 300 * MS && *lost == 0), "{rotated:?}");

    let mut replies: BTreeMap<String, u32> = BTreeMap::new();
    for (_, event) in &world.told {
        if let Event::Text { delta, .. } = event {
            *replies.entry(delta.clone()).or_default() += 1;
        }
    }
    // Turn numbers are bytes, so each is used several times.
    assert_eq!(replies.values().sum::<u32>(), turns);
    let words: Vec<String> = world.context.messages().iter().map(|message| message.text()).collect();
    assert_eq!(words.len(), 2 * turns as usize, "each turn and each reply once, over all sessions");
    for (index, pair) in words.chunks(2).enumerate() {
        let turn = (index + 1) % 256;
        assert_eq!(pair, [format!("turn {turn}"), format!("re: turn {turn}")]);
    }
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(most - least < 2000, "what the machines hold grows: {sizes:?}");
}

#[test]
fn a_session_that_ends_before_its_turn_does_is_replaced_after_the_fact() {
    let mut world = World::new(World::options(Reconnect::default()), true);
    world.life = 660;
    world.wait(500 * MS);
    // The user speaks without end, past the age limit.
    for _ in 0..3400 {
        world.speak(200, Some(1));
        world.wait(200 * MS);
    }
    world.speak(200, None);
    world.wait(Duration::from_secs(5));
    let kinds: Vec<&str> = world
        .told
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Connection(ConnectionEvent::Lost { .. }) => Some("disconnected"),
            Event::Connection(ConnectionEvent::Resumed { audio_lost, .. }) if audio_lost.as_millis() == 0 => {
                Some("reconnected")
            }
            Event::Connection(ConnectionEvent::Resumed { .. })
            | Event::Connection(ConnectionEvent::Rotated { .. }) => Some("odd"),
            Event::Text { .. } => Some("reply"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["disconnected", "reconnected", "reply"]);
    world.replay();
}
