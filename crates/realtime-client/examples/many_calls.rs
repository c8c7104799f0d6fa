//! Many calls in one process: one current-thread runtime for each core, and each call on one of them for
//! life. A work-stealing runtime would move calls between cores, and carry fewer.
//!
//! ```sh
//! cargo run --release -p realtime-client --example many_calls
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::thread;

use realtime_client::{Client, Endpoint};
use realtime_protocol::call::ResponseEnd;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const CALLS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    // The server runs on its own thread.
    let far = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let endpoint = far.block_on(support::endpoint("gpt-realtime"))?;

    let cores = thread::available_parallelism()?.get();
    let threads: Vec<_> = (0..cores)
        .map(|core| {
            let endpoint = endpoint.clone();
            let calls = (CALLS + core) / cores;
            thread::spawn(move || hold(calls, &endpoint).map_err(|error| error.to_string()))
        })
        .collect();
    let mut held = 0;
    for thread in threads {
        held += thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("{held} calls on {cores} threads");
    if held == CALLS { Ok(()) } else { Err(format!("expected {CALLS} calls").into()) }
}

/// Holds this many calls at once on this thread.
fn hold(calls: usize, endpoint: &Endpoint) -> Result<usize, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..calls {
            let endpoint = endpoint.clone();
            // Tasks of a current-thread runtime stay on its thread, and so does each client's.
            tasks.spawn(async move { call(endpoint).await.map_err(|error| error.to_string()) });
        }
        let mut held = 0;
        while let Some(ended) = tasks.join_next().await {
            ended??;
            held += 1;
        }
        Ok(held)
    })
}

async fn call(endpoint: Endpoint) -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let options = SessionOptions::default().config(config);
    let (handle, events) = Client::connect(endpoint, options).await?.split();
    // This call reads no events: the outcomes of its commands are enough.
    drop(events);
    handle.send_text("Hello!", false).await?;
    let end = handle.create_response(None).await?.end;
    handle.close().await?;
    if end == ResponseEnd::Completed {
        Ok(())
    } else {
        Err(format!("expected an answer, got {end:?}").into())
    }
}
