//! `cargo xtask emulator`: a Realtime server on this machine, for agents in any language.

use std::net::SocketAddr;
use std::path::PathBuf;

use realtime_emulator::brain::{Parrot, Script};
use realtime_emulator::{Emulator, Options};
use tokio::runtime::Builder;

use crate::Error;

/// How the emulator listens and what it answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8765")]
    listen: SocketAddr,
    /// Answers by a script (JSON) instead of repeating what it hears
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    script: Option<PathBuf>,
    /// Answers by the demo's script
    #[arg(long)]
    demo: bool,
    /// The only API key that is taken; any, or none, where it is not given
    #[arg(long)]
    key: Option<String>,
    /// What ids are made from: the same seed gives the same ids
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How much faster than real time answers are sent
    #[arg(long, default_value_t = 10.0)]
    pace: f64,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut options = Options::default().seed(args.seed).pace(args.pace);
    if let Some(key) = &args.key {
        options = options.api_key(key.as_str());
    }
    options = if let Some(path) = &args.script {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let script = Script::parse(&text).map_err(|error| format!("{name}: {error}"))?;
        options.brain(move || script.clone())
    } else if args.demo {
        options.brain(Script::demo)
    } else {
        options.brain(Parrot::new)
    };
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let emulator = Emulator::bind(args.listen, options)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        say!("listening on {}?model=gpt-realtime (end with Ctrl-C)", emulator.url());
        emulator
            .serve(async {
                // Without a signal handler there is no way to be told, so it runs until it is killed.
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        say!("stopped");
        Ok(())
    })
}
