//! The demo's agent: a weather assistant with one tool, as anyone would assemble it from the crates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint, Events, FileLog, Handle};
use realtime_context::{Conversation, Message, ToolError, Toolbox};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options, Profile, serve_stream};
use realtime_pipeline::wav::{WavInput, WavLayout, WavOutput};
use realtime_pipeline::{Pipeline, PipelineOptions, Playout, RealtimeService};
use realtime_protocol::call::Command;
use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::log::{Filter, LogContent};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, Transcription};
use realtime_protocol::time::UnixTime;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use crate::demo::report::{Files, Report};
use crate::demo::timeline::{Books, Timeline};
use crate::demo::{Args, Recording};
use crate::{Error, workspace_root};

/// The time of day in virtual time: the same in every run, so that logs are the same too.
const VIRTUAL_NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// The longest conversation beyond its input.
const LONGEST: Duration = Duration::from_secs(180);

/// How long what still comes may take once the conversation is over.
const DRAIN: Duration = Duration::from_secs(2);

const INSTRUCTIONS: &str = "You are a friendly weather assistant. Greet the user, answer briefly, and look the \
    weather up with the tool; never guess it.";

/// The arguments of the weather tool.
#[derive(Debug, Deserialize, JsonSchema)]
struct WeatherArgs {
    /// The city, such as "Paris"
    city: String,
}

/// The agent's one tool: a Rust function. It knows the weather everywhere, and never leaves the room for it.
fn toolbox() -> Toolbox {
    Toolbox::new().tool("get_weather", "Looks up today's weather in a city", |args: WeatherArgs| async move {
        if args.city.trim().is_empty() {
            return Err(ToolError::new("expected the name of a city, got nothing"));
        }
        Ok(json!({ "city": args.city, "sky": "sunny", "celsius": 21, "wind": "light" }))
    })
}

/// Holds the conversation, writes its files to `folder`, and reports the results.
pub(crate) async fn converse(args: &Args, folder: &Path, log: Recording) -> Result<Report, Error> {
    let files = Files {
        audio: folder.join("conversation.wav"),
        transcript: folder.join("transcript.json"),
        log: log.path,
    };
    let built_in = workspace_root().join("xtask/fixtures/demo.wav");
    let input = WavInput::open(args.input.as_deref().unwrap_or(&built_in))?.after_first_bot_turn();
    let longest = input.duration() + LONGEST;

    let instructions = args.instructions.as_deref().unwrap_or(INSTRUCTIONS);
    let conversation = Conversation::from_messages([Message::system(instructions)]);
    let config = session_config(args);
    let session = SessionOptions::default().config(config).entropy(1);
    let options = ClientOptions::new(session).conversation(conversation.clone()).toolbox(toolbox());

    let (handle, events) = connect(args, options, &files.log, log.content).await?;
    // The agent speaks first. The request waits until the session is ready.
    drop(handle.send(Command::CreateResponse { params: None, protected: false })?);

    let output = WavOutput::create(&files.audio, WavLayout::UserAndAgent)?;
    let session = handle.clone();
    let service = RealtimeService::new(handle, events).conversation(conversation.clone());
    let options = PipelineOptions::default().drain_limit(DRAIN);
    let mut task = Pipeline::new()
        .options(options)
        .then(input)
        .then(service)
        .then(Playout::new())
        .then(output)
        .into_task();
    let books = Books::default();
    task.observe(Timeline::new(books.clone()));
    let pipeline = task.handle();
    let hang_up = async {
        let in_time = timeout(longest, silence(&books)).await.is_ok();
        pipeline.end();
        // The run now ends by itself, and this future with it.
        if in_time { std::future::pending().await } else { longest }
    };
    let finished: Result<(), Error> = tokio::select! {
        finished = task.run() => finished.map(drop).map_err(Error::from),
        late = hang_up => Err(format!("the conversation did not end within {} s", late.as_secs()).into()),
    };

    // A failed conversation is written as far as it went, so that no older transcript stays beside its log.
    let transcript = conversation.transcript();
    let written = std::fs::write(&files.transcript, serde_json::to_string_pretty(&transcript)?);
    // The first error is the one that the user needs.
    finished?;
    written.map_err(|error| format!("cannot write {}: {error}", files.transcript.display()))?;
    if session.counters().log_failed {
        return Err(format!("cannot write {}: the log is not whole", files.log.display()).into());
    }
    say!("\n{}", transcript.to_string().trim_end());
    let mut report = books.with(|state| std::mem::take(&mut state.report));
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

/// Connects to the server of the command line, or to an emulator in this process.
async fn connect(
    args: &Args,
    options: ClientOptions,
    log: &Path,
    content: LogContent,
) -> Result<(Handle, Events), Error> {
    let file = if args.fast { FileLog::direct(log) } else { FileLog::create(log) };
    let file = file.and_then(|file| file.filter(Filter::new(content)));
    let options = options.log(file.map_err(|error| format!("cannot write {}: {error}", log.display()))?);
    if args.fast {
        let (near, far) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve_stream(far, emulator(args).wall_clock(|| VIRTUAL_NOW)));
        let endpoint = in_dialect(args, Endpoint::new("ws://emulator", &args.model)?);
        return Ok(Client::over(near, &endpoint, options.wall(|| VIRTUAL_NOW)).await?.split());
    }
    let endpoint = match &args.url {
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
    Ok(Client::connect(in_dialect(args, endpoint), options).await?.split())
}

/// The endpoint, in the dialect of the command line or the profile.
fn in_dialect(args: &Args, endpoint: Endpoint) -> Endpoint {
    match args.dialect.map(Dialect::from).or_else(|| profile(args).dialect()) {
        Some(Dialect::Beta) => endpoint.beta(),
        _ => endpoint,
    }
}

fn profile(args: &Args) -> Profile {
    Profile::named(&args.profile).unwrap_or_default()
}

/// The server. It knows the words of the built-in user only.
fn emulator(args: &Args) -> Options {
    let known = args.input.is_none();
    Options::default()
        .profile(profile(args))
        .brain(move || if known { Script::demo() } else { Script::demo().without_transcripts() })
}

/// Waits until the conversation is over: the input is spoken, and nobody has anything left to say. What a
/// server tells meanwhile of other things does not keep it alive.
async fn silence(books: &Books) {
    let mut before = books.with(|state| state.activity.clone());
    let mut since = Instant::now();
    loop {
        let now = books.with(|state| state.activity.clone());
        if now != before {
            (before, since) = (now, Instant::now());
        }
        match before.patience() {
            Some(patience) if timeout_at(since + patience, books.changed()).await.is_err() => return,
            Some(_) => {}
            None => books.changed().await,
        }
    }
}
