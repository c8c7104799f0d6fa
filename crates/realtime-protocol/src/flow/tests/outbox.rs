//! The way out: order, merging, age, bounds.

use core::time::Duration;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::at;
use crate::call::DisconnectReason;
use crate::event::{
    ClientEvent, ConversationItemDelete, Dialect, InputAudioBufferAppend, InputAudioBufferClear,
    SessionUpdate,
};
use crate::flow::{Outbox, OutboxBounds, Shortfall};
use crate::session_config::SessionConfig;
use crate::time::Timestamp;

#[test]
fn order_is_kept_and_audio_that_stands_together_is_one_append() {
    let mut outbox = Outbox::new(OutboxBounds::default());
    for event in [append(&[1]), append(&[2, 3]), delete(1), append(&[4]), delete(2), delete(3), append(&[5])]
    {
        outbox.push(at(0), &event);
    }
    assert_eq!(left(&mut outbox, at(1)), ["[1, 2, 3]", "1", "[4]", "2", "3", "[5]"]);
    assert_eq!((outbox.shed(at(1)), outbox.audio_bytes(), outbox.is_empty()), (None, 0, true));
}

#[test]
fn an_append_that_says_more_than_its_audio_stays_as_it_is() {
    let mut named = InputAudioBufferAppend { audio: vec![7].into(), ..Default::default() };
    named.event_id = "event_1".into();
    let broken: ClientEvent =
        InputAudioBufferAppend { audio: crate::audio::Audio::from_base64("???"), ..Default::default() }
            .into();
    let named = ClientEvent::from(named);
    let mut outbox = Outbox::new(OutboxBounds::default().audio_bytes(0));
    outbox.push(at(0), &named);
    outbox.push(at(0), &broken);
    assert_eq!(outbox.pop(at(0)), Some(named.encode(Dialect::Ga)));
    assert_eq!(outbox.pop(at(0)), Some(broken.encode(Dialect::Ga)));
    assert_eq!(outbox.shed(at(0)), None);
}

#[test]
fn an_append_holds_at_most_five_seconds() {
    let mut outbox = Outbox::new(OutboxBounds::default());
    for bytes in [100_000, 140_000, 1, 300_000, 2] {
        outbox.push(at(0), &append(&vec![0; bytes]));
    }
    let appends: Vec<usize> = audio(&mut outbox, at(0)).iter().map(Vec::len).collect();
    assert_eq!(appends, [240_000, 1, 300_000, 2]);
}

#[test]
fn audio_is_dropped_when_it_is_older_than_the_limit_and_told_once() {
    let mut outbox = Outbox::new(OutboxBounds::default().audio_age(Some(Duration::from_millis(100))));
    for (ms, bytes) in [(0, 1), (50, 2), (60, 4)] {
        outbox.push(at(ms), &append(&vec![0; bytes]));
    }
    assert_eq!(outbox.shed(at(100)), None);
    let due = outbox.poll_timeout().unwrap();
    assert_eq!(due, Timestamp::from_micros(100_001));
    assert_eq!(outbox.shed(due), Some(Shortfall::Unsent { bytes: 1 }));
    // An older time is the latest one.
    outbox.push(at(0), &append(&[0; 8]));
    assert_eq!(outbox.pop(at(155)).map(|text| text.len()), Some(outbox.encode(&append(&[0; 12])).len()));
    assert_eq!(outbox.poll_timeout(), Some(at(155)), "a loss is to be told");
    assert_eq!((outbox.shed(at(155)), outbox.shed(at(155))), (Some(Shortfall::Unsent { bytes: 2 }), None));
    assert_eq!(outbox.poll_timeout(), None);
}

#[test]
fn without_an_age_only_the_bound_drops_audio() {
    let mut outbox = Outbox::new(OutboxBounds::default().audio_age(None).audio_bytes(10));
    for n in 0..20 {
        outbox.push(at(1_000_000 * n), &append(&[0; 4]));
        assert!(outbox.audio_bytes() <= 10);
    }
    assert_eq!(outbox.shed(at(u64::MAX)), Some(Shortfall::Unsent { bytes: 72 }));
    outbox.push(at(u64::MAX), &append(&[0; 11]));
    assert_eq!(outbox.shed(at(u64::MAX)), Some(Shortfall::Unsent { bytes: 19 }), "not even the newest fits");
    assert_eq!((outbox.poll_timeout(), outbox.is_empty()), (None, true));
}

#[test]
fn texts_beyond_their_bound_end_the_connection_and_audio_does_not() {
    let mut outbox = Outbox::new(OutboxBounds::default().text_bytes(60));
    outbox.push(at(0), &append(&[0; 1000]));
    outbox.push(at(0), &InputAudioBufferClear::default().into());
    assert_eq!(outbox.overflow(), None);
    outbox.push(at(0), &InputAudioBufferClear::default().into());
    let reason = "more than 60 bytes wait to be sent".to_string();
    assert_eq!(outbox.overflow(), Some(DisconnectReason::Lost { reason }));
    assert_eq!(left(&mut outbox, at(0)).len(), 3);
    assert_eq!(outbox.overflow(), None);
}

#[test]
fn what_waits_is_written_in_the_dialect_of_the_server() {
    let update: ClientEvent =
        SessionUpdate { session: SessionConfig::realtime().instructions("Hi").into(), ..Default::default() }
            .into();
    let mut outbox = Outbox::new(OutboxBounds::default());
    outbox.speak(Dialect::Beta);
    outbox.push(at(0), &update);
    assert_ne!(update.encode(Dialect::Beta), update.encode(Dialect::Ga));
    assert_eq!(outbox.pop(at(0)), Some(update.encode(Dialect::Beta)));
    assert_eq!(outbox.encode(&update), update.encode(Dialect::Beta));
}

#[test]
fn the_most_appends_that_fit_the_bound_take_linear_time() {
    // A pass over all that waits for each of them would take minutes.
    let mut outbox = Outbox::new(OutboxBounds::default().audio_age(None).audio_bytes(400_000));
    let event = append(&[0; 2]);
    for n in 0..400_000 {
        outbox.push(at(n), &event);
        assert!(outbox.audio_bytes() <= 400_000);
    }
    assert_eq!(outbox.shed(at(400_000)), Some(Shortfall::Unsent { bytes: 400_000 }));
    assert_eq!(audio(&mut outbox, at(400_000)).iter().map(Vec::len).collect::<Vec<_>>(), [240_000, 160_000]);
}

proptest! {
    /// Any appends and events, at any times, taken or not: events all leave in order, audio leaves in order
    /// and no older than the limit, and what does not leave is told to the byte.
    #[test]
    fn nothing_is_lost_but_audio_and_its_sum_is_right(
        steps in prop::collection::vec((0_u64..40, prop_oneof![
            (1_usize..30).prop_map(Step::Append), Just(Step::Delete), Just(Step::Pop), Just(Step::Shed),
        ]), 0..200),
        age in prop::option::of(0_u64..200),
        most in 1_usize..200,
    ) {
        let bounds = OutboxBounds::default().audio_bytes(most).audio_age(age.map(Duration::from_millis));
        let mut outbox = Outbox::new(bounds);
        let (mut now, mut given, mut came, mut told) = (0, Vec::new(), Vec::new(), 0);
        let mut shed = |outbox: &mut Outbox, now| {
            if let Some(Shortfall::Unsent { bytes }) = outbox.shed(now) {
                told += bytes;
            }
        };
        let steps = steps.into_iter().chain((0..200).map(|_| (0, Step::Pop)));
        for (n, (later, step)) in (0_u64..).zip(steps) {
            now += later;
            match step {
                Step::Append(bytes) => {
                    // Its bytes name it, so that it is known where it leaves.
                    given.push(Given::Audio(n, now, bytes));
                    outbox.push(at(now), &append(&n.to_le_bytes().repeat(bytes)));
                }
                Step::Delete => {
                    given.push(Given::Event(n));
                    outbox.push(at(now), &delete(n));
                }
                Step::Pop => came.extend(outbox.pop(at(now)).map(|text| (now, text))),
                Step::Shed => shed(&mut outbox, at(now)),
            }
            prop_assert!(outbox.audio_bytes() <= most);
        }
        shed(&mut outbox, at(now));
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(outbox.poll_timeout(), None);

        let mut given = given.into_iter();
        let mut lost = 0;
        for (left_at, text) in came {
            let mut words = match decoded(&text) {
                ClientEvent::InputAudioBufferAppend(append) => words(append.audio.bytes().unwrap()),
                event => {
                    while let Some(Given::Audio(_, _, bytes)) = given.as_slice().first() {
                        lost += 8 * *bytes as u64;
                        given.next();
                    }
                    let Some(Given::Event(n)) = given.next() else { panic!("an event came from nowhere") };
                    prop_assert_eq!(event, delete(n));
                    continue;
                }
            };
            while let Some(first) = words.first().copied() {
                let Some(Given::Audio(n, since, bytes)) = given.next() else { panic!("audio crossed an event") };
                if n == first {
                    prop_assert!(age.is_none_or(|age| left_at - since <= age), "it is too old");
                    prop_assert!(words.drain(..bytes).all(|word| word == n));
                } else {
                    lost += 8 * bytes as u64;
                }
            }
        }
        for rest in given {
            let Given::Audio(_, _, bytes) = rest else { panic!("an event was lost") };
            lost += 8 * bytes as u64;
        }
        prop_assert_eq!(told, lost);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Delete,
    Pop,
    Shed,
}

enum Given {
    /// Its name, when it was given, and its length in words.
    Audio(u64, u64, usize),
    Event(u64),
}

/// Audio as the names in it.
fn words(audio: &[u8]) -> Vec<u64> {
    audio.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

fn append(audio: &[u8]) -> ClientEvent {
    InputAudioBufferAppend { audio: audio.to_vec().into(), ..Default::default() }.into()
}

fn delete(n: u64) -> ClientEvent {
    ConversationItemDelete { item_id: n.to_string().into(), ..Default::default() }.into()
}

fn decoded(text: &str) -> ClientEvent {
    ClientEvent::decode(text, Dialect::Ga)
}

/// All that waits: audio as its bytes, other events by what they delete.
fn left(outbox: &mut Outbox, now: Timestamp) -> Vec<String> {
    core::iter::from_fn(|| outbox.pop(now))
        .map(|text| match decoded(&text) {
            ClientEvent::InputAudioBufferAppend(append) => {
                std::format!("{:?}", append.audio.bytes().unwrap().to_vec())
            }
            ClientEvent::ConversationItemDelete(event) => event.item_id.as_str().to_string(),
            other => other.kind().to_string(),
        })
        .collect()
}

/// The audio of each append that waits.
fn audio(outbox: &mut Outbox, now: Timestamp) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| outbox.pop(now))
        .map(|text| match decoded(&text) {
            ClientEvent::InputAudioBufferAppend(append) => append.audio.bytes().unwrap().to_vec(),
            other => panic!("{other:?}"),
        })
        .collect()
}
