//! What a pipeline promises: order, lanes, interruption, and a clean end in every case.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_pipeline::{
    AudioFrame, CustomFrame, Cx, Direction, Error, Fault, Finished, Frame, FrameKind, Lane, LaneCapacity,
    Observed, Observer, OutputAudio, Pipeline, PipelineError, PipelineOptions, Processor, Severity,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Frames of the tests' own: a name, and how they queue.
#[derive(Debug)]
struct Note {
    name: &'static str,
    survives: bool,
}

impl CustomFrame for Note {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lane(&self) -> Lane {
        Lane::Ordered
    }

    fn survives_interruption(&self) -> bool {
        self.survives
    }
}

fn note(name: &'static str) -> FrameKind {
    FrameKind::Custom(Arc::new(Note { name, survives: false }))
}

fn lasting(name: &'static str) -> FrameKind {
    FrameKind::Custom(Arc::new(Note { name, survives: true }))
}

fn microphone(sample: i16) -> FrameKind {
    FrameKind::InputAudio(AudioFrame::from_samples(8_000, &[sample]))
}

/// What happened at a processor, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Logs what comes by; waits for its gate before the first frame.
struct Probe {
    name: &'static str,
    log: Log,
    gate: Option<Arc<Notify>>,
}

impl Probe {
    fn new(name: &'static str, log: &Log) -> Self {
        Self { name, log: log.clone(), gate: None }
    }

    fn after(mut self, gate: &Arc<Notify>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }
}

impl Processor for Probe {
    fn name(&self) -> &str {
        self.name
    }

    async fn start(&mut self, cx: &mut Cx) -> Result<(), Error> {
        self.log.add(format!("{} start", self.name));
        cx.push(lasting(self.name), Direction::Downstream).await;
        if let Some(gate) = self.gate.take() {
            gate.notified().await;
        }
        Ok(())
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        match &frame.kind {
            FrameKind::InputAudio(audio) => {
                self.log.add(format!("{} audio {}", self.name, audio.samples().unwrap().next().unwrap()));
            }
            kind => self.log.add(format!("{} {}", self.name, kind.name())),
        }
        cx.forward(frame, direction).await;
        Ok(())
    }

    async fn end(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.log.add(format!("{} end", self.name));
        Ok(())
    }

    async fn stop(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.log.add(format!("{} stop", self.name));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn start_precedes_everything_and_stop_follows_it() {
    let log = Log::default();
    let task = Pipeline::new().then(Probe::new("a", &log)).then(Probe::new("b", &log)).into_task();
    let handle = task.handle();
    // Before the run, and urgent.
    handle.push(FrameKind::StopPlayback { id: None }).await;
    handle.push(note("early")).await;
    handle.end();
    assert_eq!(task.run().await.unwrap(), Finished::Ended);

    let lines = log.lines();
    let of = |name: &str| -> Vec<String> {
        lines.iter().filter_map(|line| line.strip_prefix(name)).map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(of("a "), ["start", "stop_playback", "early", "end", "stop"]);
    // What `a` pushed in its own start comes first of the ordered ones.
    assert_eq!(of("b "), ["start", "stop_playback", "a", "early", "end", "stop"]);
}

#[tokio::test(start_paused = true)]
async fn urgent_frames_overtake_and_audio_gives_way_to_the_newest() {
    let (log, gate) = (Log::default(), Arc::new(Notify::new()));
    let options = PipelineOptions::default().lanes(LaneCapacity { ordered: 16, media: 2 });
    let task = Pipeline::new().then(Probe::new("a", &log).after(&gate)).options(options).into_task();
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(1)).await;
        for sample in 1..=4 {
            handle.push(microphone(sample)).await;
        }
        handle.push(note("one")).await;
        handle.push(note("two")).await;
        handle.push(FrameKind::BotStartedSpeaking).await;
        handle.end();
        sleep(Duration::from_millis(1)).await;
        gate.notify_one();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
    let want = [
        "a start",
        "a bot_started_speaking",
        "a one",
        "a two",
        "a end",
        // End waits for the audio that is there.
        "a audio 3",
        "a audio 4",
        "a stop",
    ];
    assert_eq!(log.lines(), want);
}

#[tokio::test(start_paused = true)]
async fn an_interruption_drops_what_waits_and_keeps_what_survives() {
    let (log, gate) = (Log::default(), Arc::new(Notify::new()));
    let task = Pipeline::new().then(Probe::new("a", &log).after(&gate)).into_task();
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(1)).await;
        let audio = AudioFrame::from_samples(24_000, &[0; 480]);
        let start = 0;
        let audio = OutputAudio { item_id: "item".into(), content_index: 0, start, audio };
        handle.push(FrameKind::OutputAudio(audio)).await;
        handle.push(note("stale")).await;
        handle.push(lasting("lasting")).await;
        assert_eq!(handle.interrupt().count(), 1);
        handle.push(note("fresh")).await;
        handle.end();
        gate.notify_one();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    finished.unwrap();
    assert_eq!(log.lines(), ["a start", "a lasting", "a fresh", "a end", "a stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_waits_for_room_gives_up_when_it_is_interrupted() {
    let (log, gate) = (Log::default(), Arc::new(Notify::new()));
    let options = PipelineOptions::default().lanes(LaneCapacity { ordered: 1, media: 1 });
    let task = Pipeline::new().then(Probe::new("a", &log).after(&gate)).options(options).into_task();
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(1)).await;
        handle.push(lasting("first")).await;
        let other = handle.clone();
        let waiting = tokio::spawn(async move { other.push(note("waiting")).await });
        sleep(Duration::from_millis(1)).await;
        assert!(!waiting.is_finished());
        handle.interrupt();
        waiting.await.unwrap();
        gate.notify_one();
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    finished.unwrap();
    assert_eq!(log.lines(), ["a start", "a first", "a end", "a stop"]);
}

/// Busy for a second after each frame.
struct Slow {
    log: Log,
    busy_until: Option<Instant>,
}

impl Processor for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn process(&mut self, _frame: Frame, _direction: Direction, _cx: &mut Cx) -> Result<(), Error> {
        self.busy_until = Some(Instant::now() + Duration::from_secs(1));
        Ok(())
    }

    async fn ready(&mut self) {
        match self.busy_until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    async fn work(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.log.add("done");
        self.busy_until = None;
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.busy_until.is_none()
    }

    async fn stop(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.log.add("stop");
        Ok(())
    }
}

async fn slow(options: PipelineOptions) -> (Vec<String>, Duration) {
    let log = Log::default();
    let slow = Slow { log: log.clone(), busy_until: None };
    let task = Pipeline::new().then(slow).options(options).into_task();
    let handle = task.handle();
    handle.push(note("work")).await;
    handle.end();
    let began = Instant::now();
    assert_eq!(task.run().await.unwrap(), Finished::Ended);
    (log.lines(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn end_waits_for_what_is_under_way_within_its_limit() {
    let (log, took) = slow(PipelineOptions::default()).await;
    assert_eq!(log, ["done", "stop"]);
    assert_eq!(took.as_millis(), 1_000);
    let (log, took) = slow(PipelineOptions::default().drain_limit(Duration::from_millis(300))).await;
    assert_eq!(log, ["stop"]);
    assert_eq!(took.as_millis(), 300);
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_at_once_and_still_stops_every_processor() {
    let log = Log::default();
    let hang = Arc::new(Notify::new());
    let task =
        Pipeline::new().then(Probe::new("a", &log)).then(Probe::new("b", &log).after(&hang)).into_task();
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(5)).await;
        handle.cancel();
    };
    let began = Instant::now();
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Cancelled);
    assert_eq!(began.elapsed().as_millis(), 5);
    let lines = log.lines();
    assert!(lines.contains(&"a stop".to_owned()) && lines.contains(&"b stop".to_owned()), "{lines:?}");
}

/// Does something bad when a frame comes.
#[derive(Clone, Copy)]
enum Bad {
    Panics,
    Fails,
    Reports(Severity),
    Hangs,
    AsksForTheEnd,
}

impl Processor for Bad {
    fn name(&self) -> &str {
        "bad"
    }

    async fn process(&mut self, _frame: Frame, _direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        match self {
            Self::Panics => panic!("out of cheese"),
            Self::Fails => return Err(Error::new("expected cheese, got none")),
            Self::Reports(severity) => {
                let fault =
                    Fault { processor: "bad".into(), message: "no cheese".into(), severity: *severity };
                cx.push(FrameKind::Error(fault), Direction::Upstream).await;
            }
            Self::Hangs => std::future::pending().await,
            Self::AsksForTheEnd => cx.push(FrameKind::End, Direction::Upstream).await,
        }
        Ok(())
    }

    async fn stop(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        if matches!(self, Self::Hangs) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn bad(bad: Bad) -> (Result<Finished, PipelineError>, Vec<String>) {
    let log = Log::default();
    let task = Pipeline::new().then(Probe::new("good", &log)).then(bad).into_task();
    let handle = task.handle();
    handle.push(note("go")).await;
    let script = async {
        sleep(Duration::from_secs(1)).await;
        handle.end();
    };
    let (result, ()) = tokio::join!(task.run(), script);
    assert_eq!(log.lines().last().map(String::as_str), Some("good stop"));
    (result, log.lines())
}

#[tokio::test(start_paused = true)]
async fn what_a_processor_dies_of_ends_the_run_with_that_error() {
    for (how, want) in [
        (Bad::Panics, "bad panicked: out of cheese"),
        (Bad::Fails, "processor bad failed: expected cheese, got none"),
        (Bad::Reports(Severity::Fatal), "the pipeline cannot go on: bad: no cheese"),
        (Bad::Hangs, "expected every processor to stop within 30s, still running: bad"),
    ] {
        let (result, _) = bad(how).await;
        assert_eq!(result.unwrap_err().one_line(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_ends_nothing_ends_nothing() {
    let (result, log) = bad(Bad::Reports(Severity::Survivable)).await;
    assert_eq!(result.unwrap(), Finished::Ended);
    assert!(log.contains(&"good error".to_owned()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_processor_may_ask_for_the_end() {
    let (result, _) = bad(Bad::AsksForTheEnd).await;
    assert_eq!(result.unwrap(), Finished::Ended);
}

/// Sends each frame back where it came from, twice: a bounded chain must not lock up by that.
struct Echo;

impl Processor for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        if direction == Direction::Downstream {
            for _ in 0..2 {
                cx.push(lasting("echo"), Direction::Upstream).await;
            }
        }
        cx.forward(frame, direction).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn neighbours_with_tiny_lanes_never_wait_for_each_other() {
    let options = PipelineOptions::default().lanes(LaneCapacity { ordered: 1, media: 1 });
    let task = Pipeline::new().then(Echo).then(Echo).then(Echo).options(options).into_task();
    let handle = task.handle();
    let script = async {
        for _ in 0..500 {
            handle.push(lasting("down")).await;
        }
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
}

struct Count {
    hops: Arc<AtomicUsize>,
    seen: Log,
}

impl Observer for Count {
    fn on_frame(&mut self, seen: &Observed) {
        self.hops.fetch_add(1, Ordering::Relaxed);
        self.seen.add(format!("{} > {}: {}", seen.source, seen.destination, seen.frame.kind.name()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_each_hop_from_start_to_end() {
    let (log, hops) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let mut task = Pipeline::new().then(Echo).into_task();
    task.observe(Count { hops: Arc::clone(&hops), seen: log.clone() });
    let handle = task.handle();
    handle.push(note("go")).await;
    handle.end();
    task.run().await.unwrap();
    let want = [
        "source > echo: go",
        "source > echo: start",
        "source > echo: end",
        "echo > sink: start",
        "echo > source: echo",
        "echo > source: echo",
        "echo > sink: go",
        "echo > sink: end",
    ];
    let lines = log.lines();
    for line in want {
        assert!(lines.contains(&line.to_owned()), "{line} is not among {lines:?}");
    }
    assert_eq!(hops.load(Ordering::Relaxed), want.len());
}

struct Panicky;

impl Observer for Panicky {
    fn on_frame(&mut self, _seen: &Observed) {
        panic!("cannot look");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observers_panic_ends_the_run_too() {
    let log = Log::default();
    let mut task = Pipeline::new().then(Probe::new("good", &log)).into_task();
    task.observe(Panicky);
    let error = task.run().await.unwrap_err();
    assert_eq!(error.one_line(), "an observer panicked: cannot look");
    assert_eq!(log.lines().last().map(String::as_str), Some("good stop"));
}
