//! What stands around the code of the book while it runs: an emulator in place of a model, and a folder with
//! a recording of a user.

use std::error::Error;
use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use realtime_emulator::brain::Script;
use realtime_emulator::disaster::Disaster;
use realtime_emulator::{Emulator, Options, serve_stream};
use realtime_pipeline::client::Client;
use realtime_pipeline::{Agent, Endpoint};
use tokio::runtime::Builder;

/// What code of the book returns.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs code of the book, in virtual time, in a folder of its own where `question.wav` is what a user says.
///
/// # Errors
/// The code's own, and those of the folder.
pub fn run(code: impl Future<Output = Result<()>>) -> Result<()> {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/realtime-cli/fixtures/one-turn-44k1-stereo.wav");
    let folder = std::env::temp_dir().join(format!("realtime-book-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::copy(recording, folder.join("question.wav"))?;
    std::env::set_current_dir(&folder)?;
    let ended = Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(code);
    fs::remove_dir_all(&folder)?;
    ended
}

/// The agent, with an emulator as its model that follows this script.
///
/// # Errors
/// The script can't be read.
pub fn model(agent: Agent, script: &str) -> Result<(Agent, Endpoint)> {
    model_that_fails(agent, script, [])
}

/// As [`model`], and this happens to the first connection.
///
/// # Errors
/// The script can't be read.
pub fn model_that_fails(
    agent: Agent,
    script: &str,
    disasters: impl IntoIterator<Item = Disaster>,
) -> Result<(Agent, Endpoint)> {
    let later = Options::default().script(Script::parse(script)?);
    let mut first = Some(later.clone().disasters(disasters));
    let open = move || {
        let options = first.take().unwrap_or_else(|| later.clone());
        async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            tokio::spawn(serve_stream(far, options));
            Ok(near)
        }
    };
    let agent = agent.service(|service| {
        service.connect_with(|endpoint, client| Client::over_streams(open, endpoint, client))
    });
    Ok((agent, Endpoint::new("ws://emulator", "gpt-realtime")?))
}

/// The address of an emulator that follows this script, over a socket and in real time.
///
/// # Errors
/// The script can't be read, or there is no port.
pub async fn server(script: &str) -> Result<Endpoint> {
    let options = Options::default().script(Script::parse(script)?);
    let emulator = Emulator::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let endpoint = Endpoint::new(&emulator.url(), "gpt-realtime")?;
    tokio::spawn(emulator.serve(pending::<()>()));
    Ok(endpoint)
}
