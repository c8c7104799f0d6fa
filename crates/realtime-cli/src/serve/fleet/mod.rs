//! `realtime fleet`: calls over many machines, placed and served by way of NATS.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | where the engine is, and who speaks |
//! | `placer`, `process` | finds workers for calls, and the process that does so |
//! | `gateway`, `desk` | a gateway: its command, and what it does with a call |
//! | `leg` | a leg: a process that has carriers' sockets, so that calls outlive their workers |
//! | `worker`, `call` | a worker: its command, and one of its calls |
//! | `phone_call`, `leg_socket` | a phone call of a worker, over a leg that it dials |
//! | `status`, `drain` | what is there, and a worker that is to end |
//! | `bench` | what a fleet does on these servers |
//! | `paths`, `metrics` | what is asked of gateways and workers by HTTP, and what is counted |
//!
//! The rules kept here: a call is rejected before it is accepted, or not at all. Of a call that another
//! worker has, this one says nothing more: it does not hang up.

mod bench;
mod call;
mod desk;
mod drain;
mod gateway;
mod leg;
mod leg_socket;
mod metrics;
mod options;
mod paths;
mod phone_call;
mod placer;
mod process;
mod status;
mod worker;

use crate::Error;
use crate::environment::Environment;

/// What of a fleet.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Holds calls that gateways place, and goes on with those of lost workers
    #[command(after_long_help = worker::AFTER_HELP)]
    Worker(Box<worker::Args>),
    /// Is told of incoming SIP calls, accepts them, and places them on workers
    #[command(after_long_help = gateway::AFTER_HELP)]
    Gateway(Box<gateway::Args>),
    /// Has carriers' sockets, so that phone calls outlive their workers, and places the calls
    #[command(after_long_help = leg::AFTER_HELP)]
    Leg(Box<leg::Args>),
    /// Shows the workers, tenants and calls of a fleet
    #[command(after_long_help = status::AFTER_HELP)]
    Status(status::Args),
    /// Has a worker give its calls to others and end, and waits for that
    #[command(after_long_help = drain::AFTER_HELP)]
    Drain(drain::Args),
    /// Measures a fleet on these servers: calls without a model over workers of which some are killed
    #[command(after_long_help = bench::AFTER_HELP)]
    Bench(bench::Args),
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Workers, gateways and legs meet at NATS servers with JetStream. The audio of a call by SIP goes from the
caller to the model's server, so a worker that is killed is not heard: another one goes on with its calls. A
leg has carriers' sockets, so that their calls go on in the same way, after some seconds of silence.

Examples, with `nats-server -js` on this machine:
  OPENAI_API_KEY=sk-… realtime fleet worker --nats nats://127.0.0.1:4222 --agent hotel.toml
  OPENAI_API_KEY=sk-… OPENAI_WEBHOOK_SECRET=whsec_… realtime fleet gateway --nats nats://127.0.0.1:4222 \\
    --agent hotel.toml --public-url https://voice.example.com
  TWILIO_AUTH_TOKEN=… realtime fleet leg --nats nats://127.0.0.1:4222 --public-url https://voice.example.com
  realtime fleet status --nats nats://127.0.0.1:4222
  realtime fleet drain w_0123456789abcdef_0 --nats nats://127.0.0.1:4222
  realtime fleet bench --nats nats://127.0.0.1:4222

Variables:
  NATS_URL                 the NATS servers, in place of --nats: a name and a password may stand in it
  OPENAI_API_KEY           the key of the model
  OPENAI_WEBHOOK_SECRET    verifies /openai (whsec_…)
  REALTIME_ADMIN_TOKEN     what /calls, /workers and /metrics must be shown (`Authorization: Bearer …`)";

/// `realtime fleet`.
pub(crate) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    match &args.command {
        Command::Worker(args) => worker::run(args, environment),
        Command::Gateway(args) => gateway::run(args, environment),
        Command::Leg(args) => leg::run(args, environment),
        Command::Status(args) => status::run(args, environment),
        Command::Drain(args) => drain::run(args, environment),
        Command::Bench(args) => bench::run(args, environment),
    }
}
