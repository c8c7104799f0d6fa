//! Where the model of an example is, and how an example is run.
//!
//! With `OPENAI_API_KEY` in the environment it is OpenAI, or the server that `OPENAI_BASE_URL` names, in real
//! time. Else it is the emulator, over a stream in memory and in virtual time: the example ends at once.

use std::error::Error;
use std::path::PathBuf;

use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::client::{Client, ConnectError};
use realtime_pipeline::{Agent, Endpoint};
use tokio::runtime::Builder;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs an example to its end.
pub(crate) fn run(example: impl Future<Output = Result<()>>) -> Result<()> {
    Builder::new_current_thread().enable_all().start_paused(!is_real()).build()?.block_on(example)
}

/// The agent with its model's address. An emulator follows this script.
pub(crate) fn model(agent: Agent, script: &str) -> Result<(Agent, Endpoint)> {
    Ok(model_or(agent, Options::default().script(Script::parse(script)?))?)
}

/// The agent with its model's address. An emulator has these options.
pub(crate) fn model_or(
    agent: Agent,
    options: Options,
) -> std::result::Result<(Agent, Endpoint), ConnectError> {
    if is_real() {
        return Ok((agent, Endpoint::openai_from_env("gpt-realtime")?));
    }
    let agent = agent.service(|service| {
        service.connect_with(|endpoint, client| async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            tokio::spawn(serve_stream(far, options));
            Client::over(near, &endpoint, client).await
        })
    });
    Ok((agent, Endpoint::new("ws://emulator", "gpt-realtime")?))
}

/// A recording of a user.
pub(crate) fn recording(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../realtime-cli/fixtures").join(name)
}

fn is_real() -> bool {
    !cfg!(test) && std::env::var_os("OPENAI_API_KEY").is_some_and(|key| !key.is_empty())
}
