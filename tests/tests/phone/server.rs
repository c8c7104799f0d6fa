//! The model of a call: the emulator, and what it saw of its client.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_client::{Client, Endpoint};
use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::agent::Agent;
use realtime_tests::seen::Seen;
use serde_json::Value;
use tokio::io::duplex;

/// An emulator that writes down what it sends and gets.
pub(crate) struct Server {
    directory: PathBuf,
}

impl Server {
    /// The agent on an emulator that follows this script, and where it is.
    pub(crate) fn new(agent: Agent, script: &Value) -> (Self, Agent, Endpoint) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("realtime-phone-{}-{number}", std::process::id()));
        let script = Script::parse(&script.to_string()).unwrap();
        let options = Options::default().script(script).log_directory(&directory);
        let agent = agent.service(move |service| {
            service.connect_with(move |endpoint, client| async move {
                let (near, far) = duplex(1 << 20);
                tokio::spawn(serve_stream(far, options));
                Client::over(near, &endpoint, client).await
            })
        });
        (Self { directory }, agent, Endpoint::new("ws://emulator", "gpt-realtime").unwrap())
    }

    /// What it has seen, once the call is over.
    pub(crate) fn seen(&self) -> Seen {
        Seen::read(&self.directory).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody needs it.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
