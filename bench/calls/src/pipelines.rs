//! Whole pipelines: a microphone, the service, and a sink that looks at the time, each call in one task.

use std::task::{Context, Poll};

use bytes::Bytes;
use realtime_client::{ClientOptions, Endpoint};
use realtime_context::{Conversation, Message, ToolError, Toolbox};
use realtime_pipeline::chain::{
    Audio, ClearId, Cx, Frame, FrameKind, Intent, Processor, Shape, SinkReport, Stages,
};
use realtime_pipeline::edges::{EdgeError, Recorder, Recording, Sink, Source};
use realtime_pipeline::playout::Playout;
use realtime_pipeline::service::RealtimeService;
use realtime_pipeline::task::{Task, TaskHandle};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::event::InputAudioBufferClear;
use realtime_protocol::session::SessionOptions;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::time::Interval;

use crate::clients::Kind;
use crate::gauge::resident_kib;
use crate::hold::{APPEND, Ended, heard_here};

pub(crate) async fn run(kind: Kind, address: &str, ticks: Interval) -> Ended {
    let microphone = Microphone { ticks, audio: Bytes::from(vec![7; APPEND]) };
    let mut service = service(address, "stream")?;
    let stages = Stages::new().then(service.core());
    let stages = match kind {
        Kind::Recorded => stages.then(Playout::new()).then(Recorder::to(Recording::stereo(), |_| ())),
        _ => stages.then(Through),
    };
    let sink = Clock { looks: kind == Kind::Pipeline };
    let task = Task::new(stages)?.service(service).source(microphone).sink(sink);
    let finished = task.run().await?;
    Err(format!("the run ended: {:?}", finished.closed).into())
}

fn service(address: &str, mode: &str) -> Result<RealtimeService, Box<dyn std::error::Error>> {
    let endpoint = Endpoint::new(&format!("ws://{address}"), mode)?;
    let clock = |_: Value| async { Ok::<_, ToolError>(Value::Null) };
    Ok(RealtimeService::new(endpoint)
        .client(ClientOptions::new(SessionOptions::default()))
        .conversation(Conversation::from_messages([Message::system("Be brief.")]))
        .toolbox(Toolbox::new().tool("clock", "Tells the time", clock)))
}

/// Resident memory of an agent (KiB) while nothing happens: service, playout and recorder, with a
/// conversation and tools.
pub(crate) fn memory(address: &str, agents: usize) -> Result<u64, Box<dyn std::error::Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // What the process needs once is not an agent's.
        let mut open = vec![idle(address).await?];
        let before = resident_kib()?;
        for _ in 0..agents {
            open.push(idle(address).await?);
        }
        Ok((resident_kib()? - before) / agents as u64)
    })
}

/// An agent whose session is ready.
async fn idle(address: &str) -> Result<TaskHandle, Box<dyn std::error::Error>> {
    let mut service = service(address, "quiet")?;
    let stages = Stages::new().then(service.core()).then(Playout::new());
    let stages = stages.then(Recorder::to(Recording::stereo(), |_| ()));
    let sink = Clock { looks: false };
    let task = Task::new(stages)?.service(service).sink(sink);
    let handle = task.handle().clone();
    tokio::spawn(task.run());
    // It is answered once the session is ready and it is sent.
    handle.ask(Intent::Raw(Box::new(InputAudioBufferClear::default().into()))).await?;
    Ok(handle)
}

/// 20 ms of audio at each tick.
struct Microphone {
    ticks: Interval,
    audio: Bytes,
}

impl Source for Microphone {
    fn name(&self) -> &str {
        "microphone"
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        let audio = Audio::coded(AudioFormat::PCM16_24K, self.audio.clone());
        self.ticks.poll_tick(cx).map(|_| Some(FrameKind::InputAudio(audio)))
    }
}

/// Plays each delta when it comes, as the clients do that have no playout.
struct Through;

impl Processor for Through {
    fn name(&self) -> &str {
        "through"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind() {
            FrameKind::OutputAudio(audio) => cx.push(FrameKind::PlayedAudio(audio.clone())),
            _ => cx.forward(frame),
        }
    }

    fn shape(&self) -> Shape {
        Shape::playout()
    }
}

/// Looks at the time that is written in the audio.
struct Clock {
    looks: bool,
}

impl Sink for Clock {
    fn name(&self) -> &str {
        "clock"
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        if let FrameKind::PlayedAudio(played) = frame
            && let Audio::Coded(coded) = &played.audio
            && self.looks
        {
            heard_here(&coded.bytes);
        }
        Ok(())
    }

    fn clear(&mut self, _: ClearId) {}

    fn poll_report(&mut self, _: &mut Context<'_>) -> Poll<SinkReport> {
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        Poll::Ready(Ok(()))
    }
}
