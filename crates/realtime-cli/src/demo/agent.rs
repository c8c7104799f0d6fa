//! The demo's call: its agent ([`demo`]), the server, the recording, as anyone would assemble them from the
//! crates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint, FileLog};
use realtime_context::{Conversation, Message};
use realtime_emulator::brain::Script;
use realtime_emulator::voice::VoiceKind;
use realtime_emulator::{Emulator, Options, serve_stream};
use realtime_pipeline::Agent;
use realtime_pipeline::agent::demo;
use realtime_pipeline::edges::{Discard, Recorder, Recording, WavSource};
use realtime_pipeline::task::Finished;
use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::log::{Filter, LogContent};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, Transcription};
use realtime_protocol::time::UnixTime;
use tokio::io::DuplexStream;
use tokio::time::timeout;

use crate::Error;
use crate::demo::report::{Files, Report};
use crate::demo::timeline::{Books, Timeline};
use crate::demo::{Args, Recording as Recorded};
use crate::profile::profile_of;

/// What the built-in user says.
const BUILT_IN: &[u8] = include_bytes!("../../fixtures/demo.wav");

/// The time of day in virtual time: the same in every run, so that logs are the same too.
const VIRTUAL_NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// The longest conversation beyond its input.
const LONGEST: Duration = Duration::from_secs(180);

/// Holds the conversation, writes its files to `folder`, and reports the results.
pub(crate) async fn converse(args: &Args, folder: &Path, log: Recorded) -> Result<Report, Error> {
    let files = Files {
        audio: folder.join("conversation.wav"),
        transcript: folder.join("transcript.json"),
        log: log.path,
    };
    let input = match &args.input {
        Some(file) => WavSource::open(file)?,
        None => WavSource::from_bytes("demo.wav", BUILT_IN)?,
    };
    let input = input.after_first_bot_turn();
    let (said, longest) = (input.duration(), input.duration() + LONGEST);
    let endpoint = endpoint(args).await?;

    let books = Books::default();
    let session = SessionOptions::default().config(session_config(args)).entropy(1);
    let options = ClientOptions::new(session).log(session_log(args, &files.log, log.content)?);
    let (near, wall) = in_virtual_time(args);
    let mut spec = demo::spec();
    if let Some(instructions) = &args.instructions {
        spec.instructions.clone_from(instructions);
    }
    let conversation = Conversation::from_messages([Message::system(&*spec.instructions)]);
    let mut agent = Agent::from_spec(spec)
        .library(demo::tools())
        .conversation(conversation)
        .client(|_| match wall {
            Some(wall) => options.wall(move || wall),
            None => options,
        })
        .speak(Recorder::to_file(&files.audio, Recording::stereo())?)
        .observe(Timeline::new(books.clone(), said));
    if let Some(near) = near {
        agent = agent.service(|service| {
            service
                .connect_with(|endpoint, options| async move { Client::over(near, &endpoint, options).await })
        });
    }
    let (task, conversation) = agent.task(endpoint, (input, Discard::new()))?;
    let finished = match timeout(longest, task.run()).await {
        Ok(finished) => finished.and_then(Finished::into_result).map_err(Error::from),
        Err(_) => Err(format!("the conversation did not end within {} s", longest.as_secs()).into()),
    };

    // A failed conversation is written as far as it went, so that no older transcript stays beside its log.
    let transcript = conversation.transcript();
    let written = std::fs::write(&files.transcript, serde_json::to_string_pretty(&transcript)?);
    // The first error is the one that the user needs.
    finished?;
    written.map_err(|error| format!("cannot write {}: {error}", files.transcript.display()))?;
    let (mut report, log_failed) =
        books.with(|state| (std::mem::take(&mut state.report), state.log_failed.take()));
    if let Some(reason) = log_failed {
        return Err(format!("cannot write {}: {reason}", files.log.display()).into());
    }
    say!("\n{}", transcript.to_string().trim_end());
    report.files = files;
    if report.latencies_ms.is_empty() {
        return Err("the agent never spoke".into());
    }
    Ok(report)
}

fn session_config(args: &Args) -> SessionConfig {
    let mut config = SessionConfig::realtime();
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    if let Some(voice) = &args.voice {
        config.output_mut().voice = Field::from(voice.as_str());
    }
    config
}

fn session_log(args: &Args, log: &Path, content: LogContent) -> Result<FileLog, Error> {
    let file = if args.fast { FileLog::direct(log) } else { FileLog::create(log) };
    let file = file.and_then(|file| file.filter(Filter::new(content)));
    Ok(file.map_err(|error| format!("cannot write {}: {error}", log.display()))?)
}

/// With `--fast`: a stream to an emulator in memory, and the time of day.
fn in_virtual_time(args: &Args) -> (Option<DuplexStream>, Option<UnixTime>) {
    if !args.fast {
        return (None, None);
    }
    let (near, far) = tokio::io::duplex(1 << 20);
    tokio::spawn(serve_stream(far, emulator(args).wall_clock(|| VIRTUAL_NOW)));
    (Some(near), Some(VIRTUAL_NOW))
}

/// The server of the command line, or an emulator in this process.
async fn endpoint(args: &Args) -> Result<Endpoint, Error> {
    let endpoint = match &args.url {
        _ if args.fast => Endpoint::new("ws://emulator", &args.model)?,
        Some(url) => {
            let endpoint = Endpoint::new(url, &args.model)?;
            match std::env::var("OPENAI_API_KEY") {
                Ok(key) if !key.is_empty() => endpoint.key(key),
                _ => endpoint,
            }
        }
        None => {
            let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let emulator = Emulator::bind(here, emulator(args)).await?;
            let url = emulator.url();
            say!("the emulator listens on {url}");
            tokio::spawn(emulator.serve(std::future::pending::<()>()));
            Endpoint::new(&url, &args.model)?
        }
    };
    Ok(in_dialect(args, endpoint))
}

/// The endpoint, in the dialect of the command line or the profile.
fn in_dialect(args: &Args, endpoint: Endpoint) -> Endpoint {
    match args.dialect.map(Dialect::from).or_else(|| profile_of(&args.profile).dialect()) {
        Some(Dialect::Beta) => endpoint.beta(),
        _ => endpoint,
    }
}

/// The server. It knows the words of the built-in user only. Its own words are recorded, so that they are
/// heard everywhere and are the same in every run.
fn emulator(args: &Args) -> Options {
    let known = args.input.is_none();
    Options::default()
        .profile(profile_of(&args.profile))
        .voice(VoiceKind::demo(VoiceKind::Tones))
        .brain(move || if known { Script::demo() } else { Script::demo().without_transcripts() })
}
