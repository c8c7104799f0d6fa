//! Tests of chains: each rule of the module's docs, and properties of random chains in virtual time.

mod ending;
mod failures;
mod idle;
mod intents;
mod order;
mod parallel;
mod plans;
mod properties;
mod switch;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use realtime_protocol::time::Timestamp;

use crate::chain::{
    Answer, Category, Chain, ChainOptions, CustomFrame, Cx, Direction, Done, Ended, Fault, Frame, FrameKind,
    Intent, Output, Processor, Shape, Stages, Ticket, WorkFuture, WorkId,
};

/// Milliseconds after the origin.
fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A numbered frame.
#[derive(Debug)]
struct Numbered(u64);

impl CustomFrame for Numbered {
    fn name(&self) -> &'static str {
        "numbered"
    }

    fn survives_interruption(&self) -> bool {
        self.0.is_multiple_of(2)
    }
}

fn n(number: u64) -> FrameKind {
    FrameKind::custom(Numbered(number))
}

fn interruption() -> FrameKind {
    FrameKind::Interruption { response_id: None, stop: None }
}

fn end() -> FrameKind {
    FrameKind::End { reason: "enough".into() }
}

fn cancel() -> FrameKind {
    FrameKind::Cancel { reason: "now".into() }
}

/// A frame as a word: its number, or its kind.
fn word(frame: &Frame) -> String {
    match frame.kind().as_custom::<Numbered>() {
        Some(Numbered(number)) => number.to_string(),
        None => frame.kind().name().to_owned(),
    }
}

/// What stages have seen, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl fmt::Display) {
        self.0.lock().unwrap().push(line.to_string());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

type OnFrame = Box<dyn FnMut(Frame, &mut Cx<'_>) + Send>;
type OnIntent = Box<dyn FnMut(Ticket, &Intent, &mut Cx<'_>) + Send>;

/// A stage that logs what it sees, and does what a test says.
struct Probe {
    name: &'static str,
    log: Log,
    shape: Shape,
    due: Option<Timestamp>,
    is_idle: bool,
    frame: OnFrame,
    intent: OnIntent,
}

impl Probe {
    fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
            shape: Shape::default(),
            due: None,
            is_idle: true,
            frame: Box::new(|frame, cx| cx.forward(frame)),
            intent: Box::new(|_, _, _| {}),
        }
    }

    /// Does this with each frame, after it was logged.
    fn frame(mut self, frame: impl FnMut(Frame, &mut Cx<'_>) + Send + 'static) -> Self {
        self.frame = Box::new(frame);
        self
    }

    fn service(mut self, intent: impl FnMut(Ticket, &Intent, &mut Cx<'_>) + Send + 'static) -> Self {
        self.intent = Box::new(intent);
        Self { shape: Shape::service(false), ..self }
    }

    fn on_number(&mut self, number: Result<u64, super::WorkFailed>, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} work {number:?}", self.name));
        if let Ok(number) = number {
            cx.push(n(number));
        }
    }
}

impl Processor for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} {}", self.name, word(&frame)));
        (self.frame)(frame, cx);
    }

    fn handle_answer(&mut self, _: Ticket, answer: &Answer, _: &mut Cx<'_>) {
        self.log.add(format_args!("{} {answer:?}", self.name));
    }

    fn handle_work(&mut self, _: WorkId, done: Done, _: &mut Cx<'_>) {
        let number = done.map(|value| value.downcast_ref::<u64>().copied());
        self.log.add(format_args!("{} work {number:?}", self.name));
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} timeout {}", self.name, cx.now()));
        self.due = None;
        self.is_idle = true;
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.due
    }

    fn is_idle(&self) -> bool {
        self.is_idle
    }

    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} stop", self.name));
        cx.push(n(999));
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn handle_event(&mut self, event: &Arc<realtime_protocol::call::Event>, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} event", self.name));
        cx.push(FrameKind::Event(Arc::clone(event)));
    }

    fn handle_intent(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        self.log.add(format_args!("{} {}", self.name, intent.name()));
        (self.intent)(ticket, &intent, cx);
    }
}

/// A chain, and what came out of it.
struct Run {
    chain: Chain,
    down: Vec<String>,
    up: Vec<String>,
    works: BTreeMap<WorkId, Option<WorkFuture>>,
    dropped: Vec<WorkId>,
    answers: Vec<(Ticket, Answer)>,
    faults: Vec<Arc<Fault>>,
    ended: Vec<Ended>,
}

impl Run {
    fn new(stages: Stages) -> Self {
        Self::with(stages, ChainOptions::new())
    }

    fn with(stages: Stages, options: ChainOptions) -> Self {
        let chain = Chain::with(stages, options).unwrap();
        Self {
            chain,
            down: vec![],
            up: vec![],
            works: BTreeMap::new(),
            dropped: vec![],
            answers: vec![],
            faults: vec![],
            ended: vec![],
        }
    }

    fn down(&mut self, ms: u64, kind: FrameKind) {
        self.input(ms, Direction::Downstream, kind);
    }

    fn input(&mut self, ms: u64, direction: Direction, kind: FrameKind) {
        self.chain.handle_input(at(ms), direction, kind);
        self.drain();
    }

    /// The oldest work that runs ends with this number.
    fn work_ends(&mut self, ms: u64, number: u64) {
        let (work, _) = self.works.pop_first().unwrap();
        self.chain.handle_work(at(ms), work, Ok(Box::new(number)));
        self.drain();
    }

    /// Time passes up to `ms`, and what is due happens.
    fn pass(&mut self, ms: u64) {
        let mut turns = 0;
        while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= at(ms)) {
            self.chain.handle_timeout(due);
            self.drain();
            turns += 1;
            assert!(turns < 10_000, "time stands still at {due}");
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            assert!(self.ended.is_empty(), "after the end came {output:?}");
            match output {
                Output::Frame(Direction::Downstream, frame) => self.down.push(word(&frame)),
                Output::Frame(Direction::Upstream, frame) => self.up.push(word(&frame)),
                Output::Spawn(work, future) => drop(self.works.insert(work, Some(future))),
                Output::SpawnBlocking(work, _) => drop(self.works.insert(work, None)),
                Output::Drop(work) => {
                    self.works.remove(&work);
                    self.dropped.push(work);
                }
                Output::Answer(ticket, answer) => self.answers.push((ticket, answer)),
                Output::Fault(fault) => self.faults.push(fault),
                Output::Ended(ended) => self.ended.push(ended),
                Output::Command(..) | Output::Media(_) => {}
            }
        }
    }

    fn categories(&self) -> Vec<Category> {
        self.faults.iter().map(|fault| fault.category).collect()
    }
}
