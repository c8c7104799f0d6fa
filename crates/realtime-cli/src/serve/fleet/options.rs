//! What the commands of a fleet have in common: where the engine is, and who speaks.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use realtime_fleet::Tenant;
use realtime_fleet::drive::NatsOptions;

use crate::Error;
use crate::agent::LoadedAgent;
use crate::environment::Environment;
use crate::model::Model;

/// The variable that holds the servers.
const SERVERS: &str = "NATS_URL";

/// Which fleet. All workers and gateways of a fleet say the same.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EngineArgs {
    #[command(flatten)]
    servers: ServersArgs,
    /// The fleet's name. Fleets with different names see nothing of each other
    #[arg(long, default_value = "voice", value_name = "NAME", value_parser = name, help_heading = "Fleet")]
    fleet: String,
}

/// Where the engine is, and how it keeps things.
#[derive(Clone, clap::Args)]
pub(super) struct ServersArgs {
    /// The NATS servers, by commas, such as `nats://127.0.0.1:4222`. Default: what NATS_URL names
    #[arg(long, value_name = "URL", help_heading = "Fleet")]
    nats: Option<String>,
    /// On how many servers everything is kept: 1, or 3 for a cluster
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5),
        help_heading = "Fleet")]
    replicas: u8,
    /// How long a worker may be silent until its calls go on elsewhere (s)
    #[arg(long, default_value_t = 3, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(2..=60), help_heading = "Fleet")]
    lease: u64,
}

/// Who speaks.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SpeakerArgs {
    /// The agent: a TOML or JSON file with instructions, tools, greeting and voice. Workers and gateways have
    /// the same one. Default: the demo's
    #[arg(long, value_name = "FILE", help_heading = "Who speaks")]
    agent: Option<PathBuf>,
    /// The server of the model, which holds the calls. Its key is read from OPENAI_API_KEY
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://api.openai.com/v1",
        help_heading = "Who speaks"
    )]
    url: String,
    /// The model. Default: the agent's, or gpt-realtime
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    model: Option<String>,
    /// The agent's voice, instead of the one in its file
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    pub(super) voice: Option<String>,
}

impl EngineArgs {
    /// The fleet's name.
    pub(super) fn fleet(&self) -> &str {
        &self.fleet
    }

    /// How long a worker may be silent.
    pub(super) const fn lease(&self) -> Duration {
        self.servers.lease()
    }

    /// Where the engine is, and how it keeps things.
    ///
    /// # Errors
    /// No server is named.
    pub(super) fn nats(&self, environment: &Environment) -> Result<NatsOptions, Error> {
        self.servers.nats(environment, &self.fleet)
    }
}

impl ServersArgs {
    /// How long a worker may be silent.
    pub(super) const fn lease(&self) -> Duration {
        Duration::from_secs(self.lease)
    }

    /// The same for another process: a password among them is not seen in the list of processes.
    pub(super) fn pass_on(&self, command: &mut Command) {
        if let Some(servers) = &self.nats {
            command.env(SERVERS, servers);
        }
        command.args(["--replicas", &self.replicas.to_string(), "--lease", &self.lease.to_string()]);
    }

    /// Where the engine is, and how it keeps things of this fleet.
    ///
    /// # Errors
    /// No server is named.
    pub(super) fn nats(&self, environment: &Environment, fleet: &str) -> Result<NatsOptions, Error> {
        let servers = match &self.nats {
            Some(servers) => servers.clone(),
            None => environment
                .get(SERVERS)
                .ok_or_else(|| {
                    format!("expected the NATS servers, such as --nats nats://127.0.0.1:4222, or {SERVERS}")
                })?
                .to_owned(),
        };
        let options = NatsOptions::new(servers, fleet).replicas(usize::from(self.replicas));
        Ok(options.ttl(self.lease()))
    }
}

impl SpeakerArgs {
    /// The agent, and where its model is.
    ///
    /// # Errors
    /// The file says something that cannot be, or the address cannot be used: the error says what to do.
    pub(super) async fn load(&self, environment: &Environment) -> Result<(LoadedAgent, Model), Error> {
        let agent = LoadedAgent::load(self.agent.as_deref(), environment).await?;
        let model = Model::at(&self.url, self.model.as_deref().or_else(|| agent.model()), environment)?;
        Ok((agent, model))
    }
}

impl std::fmt::Debug for ServersArgs {
    /// Without the servers: a password may stand there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nats: _, replicas, lease } = self;
        f.debug_struct("ServersArgs")
            .field("replicas", replicas)
            .field("lease", lease)
            .finish_non_exhaustive()
    }
}

/// Reads a name that an engine takes.
pub(super) fn name(text: &str) -> Result<String, String> {
    Tenant::new(text).map(|name| name.to_string()).map_err(|error| error.to_string())
}

/// Reads a label: `zone=a`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a label such as zone=a".to_owned()),
    }
}

/// Reads an amount of money, as millionths.
pub(super) fn amount(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount <= 1e12 => Ok((amount * 1e6).round() as u64),
        _ => Err("expected an amount above 0, such as 50 or 12.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        engine: EngineArgs,
    }

    #[test]
    fn servers_come_by_an_option_or_a_variable_and_do_not_show() {
        let none = Cli::try_parse_from(["fleet"]).unwrap().engine;
        let error = none.nats(&Environment::default()).unwrap_err();
        assert!(error.to_string().contains("--nats nats://127.0.0.1:4222, or NATS_URL"), "{error}");
        let environment = Environment::of([("NATS_URL", "nats://me:canary@h")]);
        assert_eq!(none.nats(&environment).unwrap().servers, "nats://me:canary@h");
        let words = ["fleet", "--nats", "nats://canary@h", "--lease", "5", "--replicas", "3"];
        let cli = Cli::try_parse_from(words).unwrap();
        let nats = cli.engine.nats(&environment).unwrap();
        assert_eq!((nats.servers.as_str(), nats.replicas, nats.ttl.as_secs()), ("nats://canary@h", 3, 5));
        assert!(!format!("{cli:?}").contains("canary"));
    }

    #[test]
    fn names_and_labels_are_those_that_an_engine_takes() {
        assert_eq!((amount("12.5"), amount("0.000001")), (Ok(12_500_000), Ok(1)));
        for wrong in ["0", "-1", "NaN", "1e13", "five", ""] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
        assert!(name("voice").is_ok() && name("a.b").unwrap_err().contains("'.'"));
        assert_eq!(label("zone=a=b"), Ok(("zone".to_owned(), "a=b".to_owned())));
        for wrong in ["zone", "=a", ""] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
