//! Many calls on several threads, and how they end together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_client::Endpoint;
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::chain::{ChainOptions, Ended, Fault, FrameKind, Hop, Intent, Observer};
use realtime_pipeline::edges::memory::pair;
use realtime_pipeline::task::{Runner, Task, TaskError};
use realtime_pipeline::{Playout, Processor, RealtimeService, Stages};
use realtime_protocol::call::CloseReason;
use realtime_protocol::time::Timestamp;
use tokio::time::timeout;

/// Real time, over real sockets: nothing here takes longer than this.
const LONGEST: Duration = Duration::from_secs(30);

async fn server() -> Endpoint {
    let script = r#"{ "turns": [{ "on": "request", "repeat": true, "reply": [{ "say": "Hi." }] }] }"#;
    let options = Options::default().script(Script::parse(script).unwrap());
    let emulator = Emulator::bind(("127.0.0.1", 0), options).await.unwrap();
    let endpoint = Endpoint::new(&emulator.url(), "gpt-realtime").unwrap();
    tokio::spawn(emulator.serve(std::future::pending::<()>()));
    endpoint
}

/// Tells when the agent has been heard.
struct Heard(tokio::sync::mpsc::UnboundedSender<()>);

impl Observer for Heard {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if **hop.to == *"sink" && matches!(hop.frame.kind(), FrameKind::PlayedAudio(_)) {
            // Nobody listens after the first one.
            let _ = self.0.send(());
        }
    }
}

#[tokio::test]
async fn calls_run_on_the_threads_of_a_runner_and_drain_together() {
    let endpoint = server().await;
    let runner = Runner::new(2).unwrap();
    let mut calls = Vec::new();
    for _ in 0..12 {
        let (transport, peer) = pair();
        let (to, heard) = tokio::sync::mpsc::unbounded_channel();
        let agent = Agent::new("You are a host.").greeting("Say hi.").hang_up(None).observe(Heard(to));
        let (task, _) = agent.task(endpoint.clone(), transport).unwrap();
        calls.push((runner.spawn(task), peer, heard));
    }
    for (_, _, heard) in &mut calls {
        timeout(LONGEST, heard.recv()).await.unwrap().expect("each agent is heard");
    }
    assert_eq!(runner.running(), 12);
    timeout(LONGEST, runner.drain(Duration::from_secs(10))).await.unwrap();
    for (call, ..) in calls {
        let finished = timeout(LONGEST, call.finished()).await.unwrap().unwrap();
        assert!(matches!(finished.ended, Ended::Ended { .. }), "{:?}", finished.ended);
        assert_eq!(finished.closed, Some(CloseReason::Requested));
    }
    tokio::task::spawn_blocking(|| runner.join()).await.unwrap();
}

/// It has always something left to do.
struct Busy;

impl Processor for Busy {
    fn name(&self) -> &str {
        "busy"
    }

    fn is_idle(&self) -> bool {
        false
    }
}

/// Tells when the run is asked to end.
struct Asked(tokio::sync::mpsc::UnboundedSender<()>);

impl Observer for Asked {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if matches!(hop.frame.kind(), FrameKind::End { .. }) {
            // Nobody listens after the first one.
            let _ = self.0.send(());
        }
    }
}

/// Sends this process the signal that asks it to end.
#[cfg(unix)]
fn terminate() {
    let this = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &this]).status().unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn the_first_signal_asks_calls_to_end_and_the_second_cancels_them() {
    let runner = Runner::new(1).unwrap();
    let (to, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let options = ChainOptions::new().drain_limit(LONGEST * 2);
    let task = Task::with(Stages::new().then(Busy), options).unwrap().observe(Asked(to));
    let call = runner.spawn(task);
    let mut drained = Box::pin(runner.drain_on_signal(LONGEST * 2));
    tokio::select! {
        biased;
        _ = &mut drained => panic!("there was no signal"),
        () = std::future::ready(()) => {}
    }

    terminate();
    tokio::select! {
        _ = &mut drained => panic!("a call is still busy"),
        asked = timeout(LONGEST, asked.recv()) => asked.unwrap().expect("the call is asked to end"),
    }
    terminate();
    timeout(LONGEST, drained).await.unwrap().unwrap();
    let finished = timeout(LONGEST, call.finished()).await.unwrap().unwrap();
    let Ended::Cancelled { reason } = finished.ended else { panic!("{:?}", finished.ended) };
    assert_eq!(&*reason, "a second signal came");
}

#[tokio::test]
async fn a_call_that_can_not_connect_says_so_and_the_others_go_on() {
    let runner = Runner::new(1).unwrap();
    let nowhere = Endpoint::new("ws://127.0.0.1:1", "gpt-realtime").unwrap();
    let (transport, _peer) = pair();
    let (task, _) = Agent::new("You are a host.").task(nowhere, transport).unwrap();
    let failed = timeout(LONGEST, runner.spawn(task).finished()).await.unwrap();
    assert!(matches!(failed, Err(TaskError::Connect(_))), "{failed:?}");
    assert_eq!(runner.running(), 0);
}

#[tokio::test]
async fn a_task_says_which_half_of_the_service_was_left_out() {
    let endpoint = Endpoint::new("ws://127.0.0.1:1", "gpt-realtime").unwrap();
    let mut service = RealtimeService::new(endpoint);
    let core = service.core();
    let task = Task::new(Stages::new().then(Playout::new())).unwrap().service(service);
    assert!(matches!(task.run().await, Err(TaskError::NoCore)));

    let faults = Faults::default();
    let task = Task::new(Stages::new().then(core).then(Playout::new())).unwrap().observe(faults.clone());
    let handle = task.handle().clone();
    let run = tokio::spawn(task.run());
    let answer = timeout(LONGEST, handle.ask(Intent::Interrupt)).await.unwrap().unwrap();
    assert!(!answer.is_ok(), "{answer:?}");
    handle.end("enough").unwrap();
    timeout(LONGEST, run).await.unwrap().unwrap().unwrap();
    let faults = faults.0.lock().unwrap().clone();
    assert!(faults.len() == 1 && faults[0].contains("Task::service"), "{faults:?}");
}

/// The faults that are told.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Vec<String>>>);

impl Observer for Faults {
    fn on_frame(&mut self, _: &Hop<'_>) {}

    fn on_fault(&mut self, _: Timestamp, fault: &Fault) {
        self.0.lock().unwrap().push(fault.to_string());
    }
}
