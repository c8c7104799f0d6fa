//! The server: pages, RTVI clients and phone carriers speak with an agent ([`Server`]).
//!
//! ```no_run
//! use clap::Parser;
//! use realtime_cli::environment::Environment;
//! use realtime_cli::serve::{Args, Server};
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     serve: Args,
//! }
//!
//! # async fn run() -> Result<(), realtime_cli::Error> {
//! let args = Cli::parse_from(["mine", "--listen", "127.0.0.1:0"]).serve;
//! let server = Server::bind(&args, &Environment::of_process()).await?;
//! println!("listening on {}", server.url());
//! server.serve().await
//! # }
//! ```
//!
//! # How a call comes to be
//! 1. The request is verified: a page by its origin and token (`access`), a carrier by its signature or
//!    secret (`trust`).
//! 2. It takes a place (`places`), or is answered with 503.
//! 3. Only now the socket is upgraded, and what is spoken on it says who is there.
//! 4. The agent gets a task, which runs on one of the threads for calls (`hold`). `calls` writes down what
//!    happens in it.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | the command line |
//! | `server`, `routes`, `listen`, `tls` | the server, its paths, its connections |
//! | `address`, `access`, `trust`, `places` | who may do what, and how many |
//! | `asking`, `answers` | what is read of requests, and what is answered |
//! | `page`, `rtvi`, `phone`, `webhook`, `sip` | the ways in |
//! | `host`, `hold`, `calls`, `metrics` | what calls are held with, a call, what is known and counted |
//! | `recordings` | session logs of calls on disk |
//! | `dial` | `realtime call`: the server dials out |
//! | `fleet` | `realtime fleet`: calls over many machines (feature `fleet`) |

mod access;
mod address;
mod answers;
mod asking;
mod calls;
pub(crate) mod dial;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
mod hold;
mod host;
mod listen;
mod metrics;
mod options;
mod page;
mod phone;
mod places;
mod recordings;
mod routes;
mod rtvi;
mod server;
mod sip;
mod tls;
mod trust;
mod upgrade;
mod webhook;

use realtime_pipeline::task::StopSignals;
use tokio::runtime::Builder;

use crate::environment::Environment;
use crate::telemetry::Telemetry;
use crate::{Error, logging, say};

pub use options::{AFTER_HELP, Args, ReachArgs, RecordingArgs};
pub use server::{Server, Stopper};

/// The command line of `realtime serve`, beside what every server has.
#[derive(Debug, clap::Args)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    serve: Args,
    /// Tells where it listens as a JSON object in one line (url, page, carriers, paths), and nothing else
    #[arg(long)]
    json: bool,
}

/// `realtime serve`.
pub(crate) fn run(
    CommandLine { serve: args, json }: &CommandLine,
    environment: &Environment,
) -> Result<(), Error> {
    let telemetry = Telemetry::begin(&args.telemetry, environment)?;
    logging::begin(&args.log, &telemetry)?;
    // Requests are answered here. Calls have threads of their own.
    let served = Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let server = Server::bind_for(args, environment, false, telemetry.meters()).await?;
        match json {
            true => say(server.readiness()),
            false => server.introduction().into_iter().for_each(say),
        }
        let (stopper, mut signals) = (server.stopper(), StopSignals::new()?);
        tokio::spawn(async move {
            signals.next().await;
            stopper.stop();
            signals.next().await;
            stopper.hurry();
        });
        server.serve().await?;
        if !json {
            say("stopped");
        }
        Ok(())
    });
    telemetry.end();
    served
}
