//! Tests of the playout in virtual time, and properties of random runs.

mod cutting;
mod hearing;
mod own_audio;
mod phone;
mod properties;
mod timing;

use std::sync::Arc;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{Event, HoldId, PlaybackPosition, PlaybackReport, StopId};
use realtime_protocol::time::Timestamp;

use crate::chain::{
    Audio, AudioSource, BotSpeech, Category, Chain, ChainOptions, ClearId, Direction, Ended, Fault,
    FrameKind, Message, Output, OutputAudio, SinkPosition, SinkReport, Stages, WorkId,
};
use crate::playout::Playout;

const FORMAT: AudioFormat = AudioFormat::PCM16_24K;

/// A playout in a chain of its own, and what came out of it.
struct Bench {
    chain: Chain,
    now: Timestamp,
    /// What came out, with its time in milliseconds.
    told: Vec<(u64, String)>,
    played: Vec<(Timestamp, OutputAudio)>,
    faults: Vec<Arc<Fault>>,
    cleared: Vec<ClearId>,
    reports: Vec<PlaybackReport>,
    works: Vec<WorkId>,
    ended: Option<Ended>,
}

impl Bench {
    fn new(playout: Playout) -> Self {
        let options = ChainOptions::new().drain_limit(std::time::Duration::from_secs(3_600));
        let chain = Chain::with(Stages::new().then(playout), options).unwrap();
        let (told, played, faults, cleared, reports) = (vec![], vec![], vec![], vec![], vec![]);
        let (works, ended) = (vec![], None);
        let now = Timestamp::ZERO;
        let mut bench = Self { chain, now, told, played, faults, cleared, reports, works, ended };
        bench.chain.start(now);
        bench.drain();
        bench
    }

    fn down(&mut self, kind: FrameKind) {
        self.input(Direction::Downstream, kind);
    }

    fn up(&mut self, kind: FrameKind) {
        self.input(Direction::Upstream, kind);
    }

    fn input(&mut self, direction: Direction, kind: FrameKind) {
        self.chain.handle_input(self.now, direction, kind);
        self.drain();
    }

    fn event(&mut self, event: Event) {
        self.down(FrameKind::Event(Arc::new(event)));
    }

    /// So many milliseconds of an item's audio, in one piece.
    fn send(&mut self, item: &str, from_ms: u64, ms: u64) {
        self.down(FrameKind::OutputAudio(part(item, from_ms * 24, ms * 24)));
    }

    fn done(&mut self, item: &str) {
        self.down(FrameKind::OutputFinished { source: source(item), total: 0 });
    }

    fn clip(&mut self, name: &str, from_ms: u64, ms: u64) {
        let clip = AudioSource::Clip(name.into());
        self.down(FrameKind::OutputAudio(OutputAudio {
            response_id: None,
            source: clip,
            ..part(name, from_ms * 24, ms * 24)
        }));
    }

    fn message(&mut self, urgent: bool) {
        self.down(FrameKind::Message(Message { body: Arc::new(serde_json::json!({})), urgent }));
    }

    fn stop(&mut self, id: u64) {
        self.down(FrameKind::Interruption { response_id: None, stop: Some(StopId(id)) });
    }

    fn hold(&mut self, id: u64) {
        self.event(Event::HoldPlayback { id: HoldId(id) });
    }

    fn resume(&mut self, id: u64) {
        self.event(Event::ResumePlayback { id: HoldId(id) });
    }

    fn sink(&mut self, report: SinkReport) {
        self.up(FrameKind::Sink(report));
    }

    fn heard(&mut self, item: &str, ms: u64) {
        self.sink(SinkReport::Heard(SinkPosition { source: source(item), samples: ms * 24 }));
    }

    fn end(&mut self) {
        self.down(FrameKind::End { reason: "enough".into() });
    }

    /// Time passes up to so many milliseconds, and what is due happens.
    fn pass(&mut self, ms: u64) {
        self.pass_to(Timestamp::from_millis(ms));
    }

    fn pass_to(&mut self, until: Timestamp) {
        let mut turns = 0;
        while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= until) {
            turns = if due > self.now { 0 } else { turns + 1 };
            assert!(turns < 100, "time stands still at {due}");
            self.now = self.now.max(due);
            self.chain.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(until);
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(direction, frame) => self.take(direction, frame.into_kind()),
                Output::Fault(fault) => self.faults.push(fault),
                Output::Ended(ended) => self.ended = Some(ended),
                Output::SpawnBlocking(work, run) => {
                    let done = run();
                    self.works.push(work);
                    self.chain.handle_work(self.now, work, Ok(done));
                }
                other => panic!("expected nothing else, got {other:?}"),
            }
        }
    }

    fn take(&mut self, direction: Direction, kind: FrameKind) {
        let told = match (kind, direction) {
            (FrameKind::PlayedAudio(chunk), Direction::Downstream) => {
                let told = format!("{} +{}", name(&chunk.source), chunk.audio.duration().as_millis());
                self.played.push((self.now, chunk));
                told
            }
            (FrameKind::Playback(report), Direction::Upstream) => {
                self.reports.push(report.clone());
                match report {
                    PlaybackReport::Played(at) => format!("played {}", at_ms(Some(at))),
                    PlaybackReport::Stopped { id, at } => format!("stopped {} {}", id.0, at_ms(at)),
                    PlaybackReport::Held { id, at } => format!("held {} {}", id.0, at_ms(at)),
                    report => panic!("expected no {report:?}"),
                }
            }
            (FrameKind::Bot(speech), Direction::Downstream) => match speech {
                BotSpeech::Started => "started".to_owned(),
                BotSpeech::Speaking => "speaking".to_owned(),
                BotSpeech::Stopped => "fell silent".to_owned(),
            },
            (FrameKind::ClearSink(id), Direction::Downstream) => {
                self.cleared.push(id);
                format!("clear {}", id.0)
            }
            (FrameKind::OutputFinished { source, .. }, Direction::Downstream) => {
                format!("finished {}", name(&source))
            }
            (FrameKind::Start | FrameKind::Bot(_) | FrameKind::Fault(_) | FrameKind::Event(_), _) => return,
            (kind, _) => kind.name().to_owned(),
        };
        self.told.push((self.now.as_micros() / 1000, told));
    }

    /// What was told that begins with a word, and when (ms).
    fn of(&self, word: &str) -> Vec<(u64, String)> {
        self.told.iter().filter(|(_, told)| told.starts_with(word)).cloned().collect()
    }

    /// What was told since the last look, without times.
    fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told).into_iter().map(|(_, told)| told).collect()
    }

    fn categories(&self) -> Vec<Category> {
        self.faults.iter().map(|fault| fault.category).collect()
    }

    /// All samples of a source that were handed out, in order.
    fn samples(&self, of: &str) -> Vec<i16> {
        let of = self.played.iter().filter(|(_, chunk)| name(&chunk.source) == of);
        of.flat_map(|(_, chunk)| chunk.audio.pcm().unwrap().as_slice().to_vec()).collect()
    }
}

fn source(item: &str) -> AudioSource {
    AudioSource::Part { item_id: item.into(), content_index: 0 }
}

fn name(source: &AudioSource) -> String {
    match source {
        AudioSource::Part { item_id, .. } => item_id.to_string(),
        AudioSource::Clip(name) => name.to_string(),
    }
}

fn at_ms(at: Option<PlaybackPosition>) -> String {
    match at {
        None => "nowhere".to_owned(),
        Some(at) if at.played % 24 == 0 => format!("{} {}", at.item_id, at.played / 24),
        Some(at) => format!("{} {} samples", at.item_id, at.played),
    }
}

/// A sample that tells its position.
const fn sample(position: u64) -> i16 {
    (position % 20_000) as i16 + 1
}

/// Audio of an item, of the response of the same name.
fn part(item: &str, start: u64, samples: u64) -> OutputAudio {
    let samples: Vec<i16> = (start..start + samples).map(sample).collect();
    OutputAudio {
        response_id: Some(item.into()),
        source: source(item),
        start,
        mark: None,
        audio: Audio::coded(FORMAT, crate::pcm::to_bytes(&samples)),
    }
}

fn lines<const N: usize>(lines: [(u64, &str); N]) -> Vec<(u64, String)> {
    lines.map(|(ms, line)| (ms, line.to_owned())).into()
}
