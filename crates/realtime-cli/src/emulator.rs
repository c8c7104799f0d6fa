//! `realtime emulator`: a Realtime server on this machine, for agents in any language.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use realtime_emulator::brain::{Parrot, Script};
use realtime_emulator::disaster::Rehearsal;
use realtime_emulator::voice::VoiceKind;
use realtime_emulator::{Emulator, Options};
use realtime_pipeline::task::StopSignals;
use serde_json::json;
use tokio::runtime::Builder;

use crate::Error;
use crate::listening::listen;
use crate::profile::{profile, profile_of};

/// How the emulator listens and what it answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8765", value_name = "ADDRESS:PORT", value_parser = listen)]
    listen: SocketAddr,
    /// Answers by a script (JSON) instead of repeating what it hears, with the script's disasters
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    script: Option<PathBuf>,
    /// Answers by the demo's script
    #[arg(long)]
    demo: bool,
    /// The server to imitate: others do less than OpenAI's
    #[arg(long, default_value = "openai", value_parser = profile())]
    profile: String,
    /// Rehearses a fault of a server met in the field; can be given more than once. The docs of
    /// `realtime_emulator::disaster::Rehearsal` say what each does
    #[arg(long, value_name = "NAME", value_parser = rehearsal())]
    rehearse: Vec<String>,
    /// Lets clients ask for disasters, by events of type `emulator.disaster`
    #[arg(long)]
    control: bool,
    /// The only accepted API key; default: any key, or none
    #[arg(long)]
    key: Option<String>,
    /// A key that is answered with HTTP status 403
    #[arg(long, value_name = "KEY")]
    forbidden_key: Option<String>,
    /// Lets pages of this origin use it from a browser, such as `https://app.example`; `*`: all. Other pages
    /// are refused, except those of this machine. Can be given more than once
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// The seed of ids and random choices: the same seed gives the same ids. Default 0, but then short-lived
    /// keys cannot be guessed
    #[arg(long)]
    seed: Option<u64>,
    /// How much faster than real time answers are sent; 0: all at once
    #[arg(long, default_value_t = 10.0, value_name = "FACTOR")]
    pace: f64,
    /// How much audio is sent at once (ms)
    #[arg(long, default_value_t = 400, value_name = "MS")]
    burst: u64,
    /// Audio in one delta (ms)
    #[arg(long, default_value_t = 100, value_name = "MS")]
    delta: u64,
    /// From a response's start to its first item (ms)
    #[arg(long, default_value_t = 200, value_name = "MS")]
    latency: u64,
    /// Tokens that the model can read; default: as documented for the model
    #[arg(long, value_name = "TOKENS")]
    context_tokens: Option<u64>,
    /// How long a session lives (s)
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    session_length: u64,
    /// Refuses the beta dialect, as OpenAI does since the beta's end
    #[arg(long)]
    no_beta: bool,
    /// Which voice speaks
    #[arg(long, value_enum, default_value_t = VoiceArg::Auto)]
    voice: VoiceArg,
    /// Writes a log of each session into this folder
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Tells where it listens as a JSON object in one line (url, page, voice), and nothing else
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime emulator
      Says back what it hears, at ws://127.0.0.1:8765. Its page is at http://127.0.0.1:8765/
  realtime emulator --script shop.json --rehearse arguments_object
      Answers by a script, and imitates a fault of a server met in the field.
  realtime emulator --listen 127.0.0.1:0 --profile minimal --seed 7 --json
      On a free port, which a script reads, as a small server that does the same every time.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VoiceArg {
    /// Speech if `espeak-ng` is installed and no seed is given, else tones. With `--demo`, its recorded lines
    Auto,
    /// Tones with the rhythm of words, the same everywhere
    Tones,
    /// Speech from `espeak-ng`
    Espeak,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let voice = Chosen::by(args, VoiceKind::best)?;
    let options = options(args)?.voice(voice.kind.clone());
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let emulator = Emulator::bind(args.listen, options)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        let (url, page, mut signals) = (emulator.url(), emulator.page_url(), StopSignals::new()?);
        if args.json {
            say!("{}", json!({ "url": url, "page": page, "voice": voice.kind.to_string() }));
        } else {
            say!("listening on {url}?model=gpt-realtime (end with Ctrl-C)");
            say!("voice: {voice}");
            say!("watch and talk at {page}");
        }
        emulator.serve(async move { signals.next().await }).await;
        if !args.json {
            say!("stopped");
        }
        Ok(())
    })
}

/// Reads a rehearsal's name.
fn rehearsal() -> PossibleValuesParser {
    PossibleValuesParser::new(Rehearsal::ALL.iter().map(Rehearsal::name))
}

fn options(args: &Args) -> Result<Options, Error> {
    let mut options = Options::default()
        .pace(args.pace)
        .burst(Duration::from_millis(args.burst))
        .audio_delta(Duration::from_millis(args.delta))
        .latency(Duration::from_millis(args.latency))
        .session_length(Duration::from_secs(args.session_length))
        .beta(!args.no_beta)
        .control(args.control)
        .profile(profile_of(&args.profile));
    if let Some(seed) = args.seed {
        options = options.seed(seed);
    }
    if let Some(tokens) = args.context_tokens {
        options = options.context_tokens(tokens);
    }
    if let Some(key) = &args.key {
        options = options.api_key(key.as_str());
    }
    if let Some(key) = &args.forbidden_key {
        options = options.forbidden_key(key.as_str());
    }
    for rehearsal in args.rehearse.iter().filter_map(|name| Rehearsal::named(name)) {
        options = options.rehearse(rehearsal);
    }
    for origin in &args.allow_origin {
        options = options.allow_origin(origin.as_str());
    }
    if let Some(directory) = &args.log {
        options = options.log_directory(directory);
    }
    Ok(match &args.script {
        Some(path) => options.script(read_script(path)?),
        None if args.demo => options.brain(Script::demo),
        None => options.brain(Parrot::new),
    })
}

/// The voice, and why it is no better one.
#[derive(Debug)]
struct Chosen {
    kind: VoiceKind,
    note: &'static str,
}

impl Chosen {
    /// The voice of the command line. `best` looks for a program that speaks.
    fn by(args: &Args, best: impl FnOnce() -> VoiceKind) -> Result<Self, Error> {
        let wanted = match args.voice {
            VoiceArg::Auto if args.seed.is_some() => {
                Self { kind: VoiceKind::Tones, note: " (the same everywhere, as --seed asks for)" }
            }
            VoiceArg::Auto => Self::spoken(best()),
            VoiceArg::Tones => Self { kind: VoiceKind::Tones, note: "" },
            VoiceArg::Espeak => match best() {
                VoiceKind::Tones => {
                    return Err("cannot run `espeak-ng`: install it, or choose another --voice".into());
                }
                kind => Self { kind, note: "" },
            },
        };
        Ok(match (args.demo, args.voice) {
            (true, VoiceArg::Auto) => Self { kind: VoiceKind::demo(wanted.kind), ..wanted },
            _ => wanted,
        })
    }

    fn spoken(kind: VoiceKind) -> Self {
        let note = match kind {
            VoiceKind::Tones => " (`espeak-ng` is not installed: with it, answers are spoken words)",
            _ => "",
        };
        Self { kind, note }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.note)
    }
}

fn read_script(path: &Path) -> Result<Script, Error> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    Ok(Script::parse(&text).map_err(|error| format!("{name}: {error}"))?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::{Cli, Command};

    use super::*;

    /// The voice's line where no program speaks.
    fn voice(arguments: &[&str]) -> Result<String, String> {
        let command = [&["realtime", "emulator"], arguments].concat();
        let Command::Emulator(args) = Cli::try_parse_from(command).unwrap().command else {
            panic!("another command")
        };
        let chosen = Chosen::by(&args, || VoiceKind::Tones);
        chosen.map(|voice| voice.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_voice_that_does_not_speak_says_why() {
        let why = "(`espeak-ng` is not installed: with it, answers are spoken words)";
        assert_eq!(voice(&[]), Ok(format!("tones {why}")));
        assert_eq!(voice(&["--demo"]), Ok(format!("recorded lines, else tones {why}")));
        let seeded = Ok("tones (the same everywhere, as --seed asks for)".to_owned());
        assert_eq!(voice(&["--seed", "7"]), seeded);
        assert_eq!(voice(&["--voice", "tones"]), Ok("tones".into()));
        assert_eq!(voice(&["--voice", "tones", "--demo"]), Ok("tones".into()));
        assert!(voice(&["--voice", "espeak"]).is_err_and(|error| error.contains("install it")));
    }
}
