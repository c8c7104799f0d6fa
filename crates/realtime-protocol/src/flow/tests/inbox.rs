//! The way in: order, bounds, turns, and the end.

use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use crate::audio::AudioFormat;
use crate::call::{AudioChunk, CloseReason, Event, Notice, StopId, Warning};
use crate::flow::{Inbox, InboxBounds, Shortfall};
use crate::time::MediaTime;

#[test]
fn order_is_kept_between_audio_and_the_rest() {
    let mut inbox = small();
    for event in [audio(1), other(0), audio(2), audio(3), other(1)] {
        inbox.push(event, 0);
        assert_eq!(inbox.shed(), None);
    }
    assert_eq!((inbox.len(), inbox.audio_bytes(), left(&mut inbox).as_str()), (5, 6, "1.23."));
}

#[test]
fn the_oldest_audio_gives_way_and_nothing_else_does() {
    let mut inbox = small();
    for event in [other(0), audio(4), audio(5), other(1), audio(6)] {
        inbox.push(event, 0);
    }
    assert_eq!(dropped(&mut inbox), [4, 5]);
    inbox.push(audio(11), 0);
    assert_eq!(dropped(&mut inbox), [6], "the newest stays whatever its size");
    assert_eq!(left(&mut inbox), "..b");
}

#[test]
fn one_turn_may_give_any_number_of_events() {
    let mut inbox = small();
    for id in 0..20_000 {
        inbox.push(other(id), 1000);
    }
    for id in 0..20_000 {
        assert_eq!(inbox.pop(), Some(other(id)));
    }
    assert_eq!((inbox.handle_turn(), inbox.is_empty()), (None, true));
}

#[test]
fn what_a_turn_left_unread_beyond_the_bounds_ends_the_call_once() {
    for (costs, expected) in [
        ([1, 1, 1], None),
        ([1, 1, 999], Some(Shortfall::TooSlow)),
        ([400, 400, 200], None),
        ([0, 0, 0], None),
    ] {
        let mut inbox = small();
        for cost in costs {
            inbox.push(other(0), cost);
        }
        assert_eq!(inbox.handle_turn(), expected, "{costs:?}");
    }
    let mut inbox = small();
    for id in 0..4 {
        inbox.push(other(id), 0);
    }
    assert_eq!((inbox.handle_turn(), inbox.handle_turn()), (Some(Shortfall::TooSlow), None));
}

#[test]
fn a_turn_is_wanted_after_many_events_and_after_each_while_much_waits() {
    let mut inbox = Inbox::new(InboxBounds::default());
    for id in 0..200 {
        assert_eq!(inbox.wants_turn(), id > 0 && id % 64 == 0);
        if inbox.wants_turn() {
            assert_eq!(inbox.handle_turn(), None);
        }
        inbox.push(other(id), 1);
    }
    for (bounds, event, cost) in [
        (InboxBounds::default().audio_bytes(100), audio(51), 0),
        (InboxBounds::default().events(1), other(0), 0),
        (InboxBounds::default().event_bytes(100), other(0), 51),
    ] {
        let mut inbox = Inbox::new(bounds);
        inbox.push(event, cost);
        assert!(inbox.wants_turn(), "{bounds:?}");
        assert_eq!(inbox.handle_turn(), None);
        assert!(!inbox.wants_turn(), "nothing came since");
    }
}

#[test]
fn the_end_is_told_last_and_what_found_no_room_before_it() {
    let mut inbox = small();
    for id in 0..5 {
        inbox.push(other(id), 0);
    }
    assert_eq!(inbox.handle_turn(), Some(Shortfall::TooSlow));
    for id in 5..20 {
        inbox.push(other(id), 0);
    }
    inbox.push(closed(), 0);
    inbox.push(other(20), 0);
    inbox.push(closed(), 0);
    let mut expected: Vec<Event> = (0..7).map(other).collect();
    expected.push(Event::Notice(Notice::EventsDropped { events: 13 }));
    expected.push(closed());
    assert_eq!(core::iter::from_fn(|| inbox.pop()).collect::<Vec<_>>(), expected);
}

#[test]
fn losses_that_follow_each_other_are_one_event() {
    let mut inbox = small();
    for _ in 0..100 {
        let lost = MediaTime::from_millis(20);
        inbox.push(Event::Warning(Warning::InputAudioDropped { lost }), 0);
    }
    inbox.push(other(0), 0);
    let lost = MediaTime::from_millis(2000);
    assert_eq!(inbox.pop(), Some(Event::Warning(Warning::InputAudioDropped { lost })));
    assert_eq!(left(&mut inbox), ".");
}

#[test]
fn a_loss_at_the_largest_position_that_can_be_written_is_told() {
    let loss = |start| {
        let (item_id, content_index, lost) = ("i".into(), 0, u64::MAX);
        Event::Warning(Warning::AudioDropped { item_id, content_index, start, lost })
    };
    let mut inbox = small();
    for start in [1, 0, u64::MAX] {
        inbox.push(loss(start), 0);
    }
    assert_eq!((inbox.pop(), inbox.pop(), inbox.pop()), (Some(loss(1)), Some(loss(0)), None));
}

#[test]
fn nobody_reading_is_no_slow_reader() {
    let mut inbox = small();
    inbox.push(other(0), 0);
    inbox.abandon();
    for _ in 0..100 {
        inbox.push(other(0), 1000);
        inbox.push(audio(100), 0);
        assert_eq!((inbox.shed(), inbox.handle_turn(), inbox.wants_turn()), (None, None, false));
    }
    assert_eq!((inbox.len(), inbox.audio_bytes(), inbox.pop()), (0, 0, None));
}

proptest! {
    /// Any events, read in any turns: all but audio is read in order or told as dropped, the sums are right,
    /// and `Closed` is last.
    #[test]
    fn nothing_is_lost_without_a_word(steps in prop::collection::vec(prop_oneof![
        (1_usize..9).prop_map(Step::Audio), (0_usize..400).prop_map(Step::Other), Just(Step::Pop), Just(Step::Turn),
    ], 0..300)) {
        let mut inbox = small();
        let (mut pushed, mut read, mut too_slow) = (Vec::new(), Vec::new(), 0);
        let mut unread = 0;
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::Audio(bytes) => {
                    let Event::Audio(chunk) = audio(bytes) else { panic!("expected audio") };
                    let event = Event::Audio(AudioChunk { mark: n, ..chunk });
                    pushed.push(event.clone());
                    inbox.push(event, 0);
                }
                Step::Other(cost) => {
                    pushed.push(other(n));
                    inbox.push(other(n), cost);
                }
                Step::Pop => read.extend(inbox.pop()),
                Step::Turn => too_slow += u32::from(inbox.handle_turn().is_some()),
            }
            unread += dropped(&mut inbox).iter().sum::<u64>();
            prop_assert!(inbox.audio_bytes() <= 10);
            prop_assert!(too_slow <= 1);
        }
        inbox.push(closed(), 0);
        read.extend(core::iter::from_fn(|| inbox.pop()));
        prop_assert_eq!(read.pop(), Some(closed()));
        let mut missing = 0;
        if let Some(Event::Notice(Notice::EventsDropped { events })) = read.last() {
            missing = *events;
            read.pop();
        }
        prop_assert!(missing == 0 || too_slow == 1);

        let mut read = read.into_iter().peekable();
        for event in pushed {
            if read.next_if_eq(&event).is_some() {
                continue;
            }
            match event {
                Event::Audio(chunk) => {
                    let bytes = chunk.audio.len() as u64;
                    prop_assert!(unread >= bytes);
                    unread -= bytes;
                }
                _ => {
                    prop_assert!(missing > 0);
                    missing -= 1;
                }
            }
        }
        prop_assert_eq!((read.next(), missing, unread), (None, 0, 0));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Audio(usize),
    Other(usize),
    Pop,
    Turn,
}

/// 10 bytes of audio, 3 events, 1,000 bytes of text.
fn small() -> Inbox {
    Inbox::new(InboxBounds::default().audio_bytes(10).events(3).event_bytes(1000))
}

/// The bytes of each chunk that gives way.
fn dropped(inbox: &mut Inbox) -> Vec<u64> {
    core::iter::from_fn(|| inbox.shed())
        .map(|shortfall| {
            let Shortfall::Unread { lost, .. } = shortfall else { panic!("{shortfall:?}") };
            lost
        })
        .collect()
}

fn left(inbox: &mut Inbox) -> String {
    core::iter::from_fn(|| inbox.pop())
        .map(|event| match event {
            Event::Audio(chunk) => std::format!("{:x}", chunk.audio.len()),
            _ => ".".into(),
        })
        .collect()
}

fn other(id: u64) -> Event {
    Event::StopPlayback { id: StopId(id) }
}

fn closed() -> Event {
    Event::Closed { reason: CloseReason::ConsumerTooSlow }
}

/// Of G.711: one byte is one sample.
fn audio(bytes: usize) -> Event {
    Event::Audio(AudioChunk {
        mark: 0,
        response_id: "r".into(),
        item_id: "i".into(),
        content_index: 0,
        out_of_band: false,
        start: 0,
        format: AudioFormat::Pcmu,
        audio: vec![0; bytes].into(),
    })
}
