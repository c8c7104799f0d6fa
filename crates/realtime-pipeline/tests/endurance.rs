//! Long calls and many interruptions leave nothing behind: service, playout and recorder in one chain.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use realtime_pipeline::chain::{Audio, Chain, Direction, FrameKind, Output, Stages};
use realtime_pipeline::{Endpoint, Playout, RealtimeService, Recorder, Recording};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{AudioChunk, Event, Interruption, Origin, ResponseEnd, ResponseReport, StopId};
use realtime_protocol::time::Timestamp;

/// What may be added to a call's memory, however long it lasts (bytes).
const MOST_GROWTH: i64 = 32 * 1024;

struct Run {
    chain: Chain,
    now: Timestamp,
    played: u64,
}

impl Run {
    fn new() -> Self {
        let endpoint = Endpoint::new("ws://nowhere", "model").unwrap();
        let core = RealtimeService::new(endpoint).core();
        let playout = Playout::new().chunk(Duration::from_millis(100));
        let recorder = Recorder::to(Recording::stereo(), |_| ());
        let chain = Chain::new(Stages::new().then(core).then(playout).then(recorder)).unwrap();
        Self { chain, now: Timestamp::ZERO, played: 0 }
    }

    fn event(&mut self, event: Event) {
        self.chain.handle_event(self.now, &Arc::new(event));
        self.drain();
    }

    /// 200 ms pass, with audio of the user.
    fn pass(&mut self) {
        let audio = Audio::coded(AudioFormat::PCM16_24K, vec![0; 9_600].into());
        self.chain.handle_input(self.now, Direction::Downstream, FrameKind::InputAudio(audio));
        self.drain();
        let until = self.now + Duration::from_millis(200);
        while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.chain.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(_, frame) if matches!(frame.kind(), FrameKind::PlayedAudio(_)) => {
                    self.played += 1
                }
                Output::SpawnBlocking(work, act) => self.chain.handle_work(self.now, work, Ok(act())),
                Output::Fault(fault) => panic!("{fault}"),
                Output::Ended(ended) => panic!("{ended:?}"),
                _ => {}
            }
        }
    }

    /// A response of so many deltas of 100 ms.
    fn respond(&mut self, number: u64, deltas: u64) {
        self.event(Event::ResponseStarted {
            response_id: format!("r{number}").into(),
            origin: Origin::Server,
            out_of_band: false,
            metadata: Default::default(),
        });
        for delta in 0..deltas {
            self.event(Event::Audio(AudioChunk {
                response_id: format!("r{number}").into(),
                item_id: format!("i{number}").into(),
                content_index: 0,
                out_of_band: false,
                start: delta * 2_400,
                mark: number * 100 + delta,
                format: AudioFormat::PCM16_24K,
                audio: vec![1; 4_800].into(),
            }));
        }
    }

    fn finish(&mut self, number: u64) {
        self.event(Event::ResponseFinished(Box::new(ResponseReport {
            response_id: format!("r{number}").into(),
            end: ResponseEnd::Completed,
            usage: None,
            totals: Default::default(),
            timeline: Default::default(),
            dropped_bytes: 0,
        })));
    }

    fn interrupted_turn(&mut self, number: u64) {
        self.respond(number, 4);
        self.pass();
        self.event(Event::StopPlayback { id: StopId(number) });
        self.event(Event::Interrupted(Interruption::default()));
        self.finish(number);
    }
}

fn growth(act: impl FnOnce()) -> i64 {
    allocation_counter::measure(act).bytes_current
}

#[test]
fn ten_thousand_interruptions_leave_nothing_behind() {
    let mut run = Run::new();
    (0..500).for_each(|number| run.interrupted_turn(number));
    let grown = growth(|| (500..10_000).for_each(|number| run.interrupted_turn(number)));
    assert!(grown <= MOST_GROWTH, "{grown} bytes");
    assert!(run.played >= 10_000, "something was heard each time: {}", run.played);
}

#[test]
fn four_hours_are_as_small_as_four_minutes() {
    let mut run = Run::new();
    let minute = |run: &mut Run, number: u64| {
        run.respond(number, 50);
        run.event(Event::AudioDone {
            response_id: format!("r{number}").into(),
            item_id: format!("i{number}").into(),
            content_index: 0,
            total: 50 * 2_400,
        });
        run.finish(number);
        (0..300).for_each(|_| run.pass());
    };
    (0..4).for_each(|number| minute(&mut run, number));
    let grown = growth(|| (4..240).for_each(|number| minute(&mut run, number)));
    assert!(grown <= MOST_GROWTH, "{grown} bytes");
    assert_eq!(run.played, 240 * 50);
}
