//! The server that the examples connect to.

use std::error::Error;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use realtime_client::Endpoint;
use realtime_emulator::{Emulator, Options};

/// The server that the command line names (`-- wss://api.openai.com`, with its key in `OPENAI_API_KEY`), or
/// an emulator in this process. An empty model is left out.
pub(crate) async fn endpoint(model: &str) -> Result<Endpoint, Box<dyn Error>> {
    let Some(url) = std::env::args().nth(1) else {
        let emulator = Emulator::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Options::default()).await?;
        let url = emulator.url();
        tokio::spawn(emulator.serve(pending::<()>()));
        return Ok(Endpoint::new(&url, model)?);
    };
    let endpoint = Endpoint::new(&url, model)?;
    Ok(match std::env::var("OPENAI_API_KEY") {
        Ok(key) if !key.is_empty() => endpoint.key(key),
        _ => endpoint,
    })
}
