//! What the driver could not pass on.

use super::*;
use crate::call::{PlaybackReport, Refusal};

fn lost(bench: &Bench) -> Vec<u64> {
    let lost = bench.told().filter_map(|event| match event {
        Event::Warning(Warning::InputAudioDropped { lost } | Warning::AudioDropped { lost, .. }) => {
            Some(lost)
        }
        _ => None,
    });
    lost.map(|lost| lost.as_millis()).collect()
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
        start: MediaTime::from_millis(start),
        lost: MediaTime::from_millis(100),
    };
    for start in [200, 300, 600] {
        bench.falls_short(unread(start));
        assert_eq!(lost(&bench), [100]);
    }
    // Of 250 ms that sounded, 50 stood behind the first gap.
    let bytes = PlaybackReport::PlayedBytes { item_id: "i1".into(), content_index: 0, bytes: 250 * 48 };
    bench.app(Command::ReportPlayback { report: bytes });
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
