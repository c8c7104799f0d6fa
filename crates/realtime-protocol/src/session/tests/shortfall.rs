//! What the driver could not pass on.

use super::*;
use crate::call::Refusal;

/// What was lost, in milliseconds.
fn lost(bench: &Bench) -> Vec<u64> {
    let lost = bench.told().filter_map(|event| match event {
        Event::Warning(Warning::InputAudioDropped { lost }) => Some(lost.as_millis()),
        Event::Warning(Warning::AudioDropped { lost, .. }) => Some(lost / samples(1)),
        _ => None,
    });
    lost.collect()
}

impl Bench {
    fn falls_short(&mut self, shortfall: Shortfall) -> Vec<String> {
        self.session.handle_shortfall(self.at(), shortfall);
        self.drain()
    }
}

#[test]
fn input_audio_that_was_never_sent_is_no_part_of_a_commit() {
    let mut bench = Bench::ready_with(manual());
    bench.app(append(120));
    bench.falls_short(Shortfall::Unsent { bytes: 40 * 48 });
    assert_eq!(lost(&bench), [40]);
    let refused = bench.try_app(Command::CommitAudio { respond: false }).unwrap_err();
    assert_eq!(refused.reason, Refusal::TooShort { buffered: MediaTime::from_millis(80) });
}

#[test]
fn audio_that_playback_never_got_is_counted_where_it_stood() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    for _ in 0..10 {
        bench.server(audio_delta("r1", "i1", 100));
    }
    let unread = |start| Shortfall::Unread {
        item_id: "i1".into(),
        content_index: 0,
        start: samples(start),
        lost: samples(100),
    };
    for start in [200, 300, 600] {
        bench.falls_short(unread(start));
        assert_eq!(lost(&bench), [100]);
    }
    // 250 ms sounded, 50 of them after the first gap: the position is that of the part.
    bench.app(played("i1", 450));
    bench.server(speech_started());
    bench.stopped(None);
    assert_eq!(bench.cuts(), [("i1".into(), 450)]);
}

#[test]
fn a_reader_that_is_too_slow_is_named_as_the_reason_of_the_end() {
    let mut bench = Bench::ready();
    bench.app(create());
    assert_eq!(bench.falls_short(Shortfall::TooSlow), ["> close"]);
    let outputs = bench.lose();
    assert_eq!(outputs.last().map(String::as_str), Some("closed"));
    let reasons = bench.told().filter_map(|event| match event {
        Event::Closed { reason } | Event::Settled { outcome: Outcome::Closed { reason }, .. } => {
            Some(reason.clone())
        }
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [CloseReason::ConsumerTooSlow, CloseReason::ConsumerTooSlow]);
}
