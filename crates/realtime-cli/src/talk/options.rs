//! The command line of `realtime talk`: [`Args`].

use std::path::PathBuf;

use crate::telemetry::TelemetryArgs;

/// Who speaks, and by which devices.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "talk")]
pub(crate) struct Args {
    /// Lists the microphones and loudspeakers of this machine, and ends
    #[arg(long, help_heading = "Devices")]
    pub(super) list_devices: bool,
    /// The microphone: its id, its name, or a part that no other has. Default: the system's choice
    #[arg(long, value_name = "NAME", help_heading = "Devices")]
    pub(super) input: Option<String>,
    /// The loudspeaker: its id, its name, or a part that no other has. Default: the system's choice
    #[arg(long, value_name = "NAME", help_heading = "Devices")]
    pub(super) output: Option<String>,
    /// Leaves what the microphone hears as it is, with echo and noise. For headphones, and for devices that
    /// cancel echoes themselves
    #[arg(long, help_heading = "Devices")]
    pub(super) no_echo_cancellation: bool,
    /// The agent: a TOML or JSON file with instructions, tools, greeting and voice. Default: the demo's
    #[arg(long, value_name = "FILE", help_heading = "Who speaks")]
    pub(super) agent: Option<PathBuf>,
    /// The server of the model, such as `https://api.openai.com/v1`; its key is read from OPENAI_API_KEY.
    /// Default: the emulator inside, without network or key
    #[arg(long, value_name = "URL", help_heading = "Who speaks")]
    pub(super) url: Option<String>,
    /// The model. Default: the agent's, or gpt-realtime
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    pub(super) model: Option<String>,
    /// The agent's voice, instead of the one in its file
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    pub(super) voice: Option<String>,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArgs,
    /// What is logged to standard error: a level, or levels by target, as in `info,realtime_client=debug`
    #[arg(long, default_value = "warn", value_name = "LEVELS")]
    pub(super) log: String,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime talk
      The demo's agent and the emulator, by the devices that the system has chosen. No key, no network.
  OPENAI_API_KEY=sk-… realtime talk --url https://api.openai.com/v1 --agent hotel.toml
      Your agent on a real model.
  realtime talk --input headset --output headset --no-echo-cancellation
      A headset.

Variables:
  OPENAI_API_KEY           the key of the model";
