//! `realtime talk`: the agent speaks with who sits at this machine, by its microphone and loudspeaker.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | the command line |
//! | `screen` | what of a talk is shown, as texts, and what is counted |
//! | `terminal` | writes it, on a thread that may wait |

mod options;
mod screen;
mod terminal;

use std::sync::Arc;
use std::time::Instant;

use realtime_pipeline::chain::Ended;
use realtime_pipeline::echo::EchoOptions;
use realtime_pipeline::edges::local::{LocalAudio, LocalAudioError, LocalCounts, LocalTransport, devices};
use realtime_pipeline::task::{Finished, StopSignals};
use tokio::runtime::Builder;

use crate::agent::{LoadedAgent, Reach};
use crate::environment::Environment;
use crate::figures::{Counted, Figure, Outcome};
use crate::model::Model;
use crate::talk::screen::{Screen, Tally};
use crate::talk::terminal::Terminal;
use crate::telemetry::Telemetry;
use crate::{Error, logging, one_line, say};

pub(crate) use options::{AFTER_HELP, Args};

/// How the other end is reached, in metrics.
const KIND: &str = "talk";

/// `realtime talk`.
pub(crate) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    if args.list_devices {
        return list();
    }
    let telemetry = Telemetry::begin(&args.telemetry, environment)?;
    logging::begin(&args.log, &telemetry)?;
    // One thread: the call is one task, and the audio has threads of its own.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let talked = runtime.block_on(talk(args, environment, &telemetry));
    telemetry.end();
    talked
}

fn list() -> Result<(), Error> {
    let devices = devices()?;
    if devices.is_empty() {
        return Err("this machine has no audio devices: connect a microphone and a loudspeaker".into());
    }
    devices.into_iter().for_each(say);
    Ok(())
}

/// Holds the talk, to its end.
///
/// # Errors
/// It could not begin, or it ended for another reason than somebody's wish.
async fn talk(args: &Args, environment: &Environment, telemetry: &Telemetry) -> Result<(), Error> {
    let agent = LoadedAgent::load(args.agent.as_deref(), environment).await?;
    let transport = open(args)?;
    let model = Model::chosen(args.url.as_deref(), args.model.as_deref(), &agent, environment).await?;
    introduction(args, &agent, &model, &transport).into_iter().for_each(say);

    let (terminal, tally, counts) = (Terminal::new()?, Tally::default(), transport.counts().clone());
    let screen = Screen::new(terminal.writer(), tally.clone());
    let call = agent
        .agent(Reach::Other, args.voice.as_deref())
        .client(|client| {
            let client = client.listener(agent.budget(None));
            if args.telemetry.otlp_content { client.trace_content() } else { client }
        })
        .observe(screen);
    let meters = telemetry.meters();
    let call = match &meters {
        Some(meters) => call.observe(Counted(Arc::clone(meters))),
        None => call,
    };
    let (task, _conversation) = call.task(model.endpoint()?, transport)?;
    let (handle, began) = (task.handle().clone(), Instant::now());
    let count = |figure| meters.iter().for_each(|meters| meters.count(&figure));
    count(Figure::Began { kind: KIND });

    let mut signals = StopSignals::new()?;
    let run = task.run();
    tokio::pin!(run);
    let mut is_wanted = false;
    let finished = loop {
        tokio::select! {
            finished = &mut run => {
                break finished.map_err(Error::from).and_then(|end| Ok(end.into_result()?));
            }
            () = signals.next() => {
                if std::mem::replace(&mut is_wanted, true) {
                    break Err("interrupted before the talk was over".into());
                }
                // If it is over, it ends anyway.
                let _ = handle.cancel("you ended the talk");
            }
        }
    };
    terminal.close();
    let outcome = if finished.is_ok() { Outcome::Completed } else { Outcome::Failed };
    count(Figure::Ended { kind: KIND, outcome, length: began.elapsed() });
    let ended = reason(finished, is_wanted);
    if let Ok(reason) = &ended {
        say(format!("ended: {reason}"));
    }
    say(format!("{:.0} s, {}", began.elapsed().as_secs_f64(), tally.summary()));
    losses(&counts).into_iter().for_each(say);
    ended.map(drop)
}

/// Why the talk ended, if that was somebody's wish.
fn reason(finished: Result<Finished, Error>, is_wanted: bool) -> Result<String, Error> {
    match finished {
        Ok(Finished { ended: Ended::Ended { reason }, .. }) => Ok(reason.to_string()),
        Ok(Finished { ended: Ended::Cancelled { reason }, .. }) if is_wanted => Ok(reason.to_string()),
        Ok(Finished { ended: Ended::Cancelled { reason }, .. }) => Err(reason.to_string().into()),
        Ok(_) => Ok("the run is over".to_owned()),
        Err(error) => Err(one_line(&*error).into()),
    }
}

fn open(args: &Args) -> Result<LocalTransport, Error> {
    let mut audio = LocalAudio::new();
    if let Some(input) = &args.input {
        audio = audio.input(input);
    }
    if let Some(output) = &args.output {
        audio = audio.output(output);
    }
    if !args.no_echo_cancellation {
        audio = audio.echo_cancellation(EchoOptions::default());
    }
    audio.open().map_err(|error| match error {
        LocalAudioError::Unknown { .. } => format!("{error}: `realtime talk --list-devices`").into(),
        error => error.into(),
    })
}

/// What a person is told at the start.
fn introduction(args: &Args, agent: &LoadedAgent, model: &Model, transport: &LocalTransport) -> Vec<String> {
    let mut lines = vec!["talking (end with Ctrl-C)".to_owned()];
    let mut say = |name: &str, text: String| lines.push(format!("  {name:<11} {text}"));
    say("model", model.introduction());
    say("agent", agent.introduction());
    let device = |name: &Option<String>, rate: u32| {
        format!("{} ({rate} Hz)", name.as_deref().unwrap_or("the system's choice"))
    };
    say("microphone", device(&args.input, transport.microphone.device_rate()));
    say("loudspeaker", device(&args.output, transport.loudspeaker.rate()));
    if args.no_echo_cancellation {
        say("echo", "is not cancelled: wear headphones".to_owned());
    }
    lines
}

/// What was lost between the talk and its devices, in words.
fn losses(counts: &LocalCounts) -> Option<String> {
    let dropped = counts.dropped_input().as_millis();
    let parts = [
        (dropped > 0).then(|| format!("{dropped} ms of yours were dropped")),
        (counts.gaps() > 0).then(|| format!("the agent's voice had {} gaps", counts.gaps())),
        (counts.late_input() + counts.late_output() > 0)
            .then(|| format!("the system was too late {} times", counts.late_input() + counts.late_output())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("audio: {}", parts.join(", ")))
}
