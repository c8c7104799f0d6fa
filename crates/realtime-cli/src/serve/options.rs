//! The command line of `realtime serve`: [`Args`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use realtime_telephony::CarrierKind;
use tokio::net::TcpListener;

use crate::Error;
use crate::listening::{bind, listen};
use crate::recorded_content::RecordedContent;
use crate::serve::address::Address;
use crate::serve::recordings::Recordings;
use crate::serve::tls::{self, Acceptor};
use crate::telemetry::TelemetryArgs;

/// How the server listens, and who speaks.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct Args {
    /// Where it is.
    #[command(flatten)]
    pub reached: ReachArgs,
    /// Lets pages of this origin hold calls, such as `https://app.example.com`; `*`: all. The server's own page
    /// may always. Can be given more than once
    #[arg(long, value_name = "ORIGIN", help_heading = "Who reaches it")]
    pub allow_origin: Vec<String>,
    /// Believes this carrier without a secret. Anybody can pretend to be it then. Can be given more than once
    #[arg(long, value_name = "CARRIER", value_parser = carrier, help_heading = "Who reaches it")]
    pub unverified: Vec<CarrierKind>,
    /// The agent: a TOML or JSON file with instructions, tools, greeting and voice. Default: the demo's
    #[arg(long, value_name = "FILE", help_heading = "Who speaks")]
    pub agent: Option<PathBuf>,
    /// The server of the model, such as `https://api.openai.com/v1`; its key is read from OPENAI_API_KEY.
    /// Default: the emulator inside, without network or key
    #[arg(long, value_name = "URL", help_heading = "Who speaks")]
    pub url: Option<String>,
    /// The model. Default: the agent's, or gpt-realtime
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    pub model: Option<String>,
    /// The agent's voice, instead of the one in its file
    #[arg(long, value_name = "NAME", help_heading = "Who speaks")]
    pub voice: Option<String>,
    /// Shows pages what tools are given. It may be nothing for the eyes of a user
    #[arg(long, help_heading = "Who speaks")]
    pub show_arguments: bool,
    /// The most calls at once. Others are answered as busy (status 503)
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000),
        help_heading = "Limits")]
    pub most_calls: u32,
    /// The longest call (minutes). The agent's file may set less
    #[arg(long, default_value_t = 60, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=1_440),
        help_heading = "Limits")]
    pub longest_call: u32,
    /// How long calls may go on once the server is told to end (s)
    #[arg(long, default_value_t = 30, value_name = "SECONDS", help_heading = "Limits")]
    pub drain: u64,
    /// Threads that calls run on. Default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024), help_heading = "Limits")]
    pub threads: Option<u16>,
    /// Session logs.
    #[command(flatten)]
    pub recording: RecordingArgs,
    /// Where traces and metrics go.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// What is logged to standard error: a level, or levels by target, as in `info,realtime_client=debug`
    #[arg(long, default_value = "info", value_name = "LEVELS")]
    pub log: String,
}

impl Args {
    /// The longest call.
    pub(super) const fn longest(&self) -> Duration {
        Duration::from_secs(self.longest_call as u64 * 60)
    }

    /// How many threads calls run on.
    pub(super) fn thread_count(&self) -> usize {
        thread_count(self.threads)
    }
}

/// This many threads, or one for each core.
pub(super) fn thread_count(wanted: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.map_or_else(cores, usize::from)
}

/// Where a server listens, and under which address others reach it.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct ReachArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = listen)]
    pub listen: SocketAddr,
    /// The address under which others reach this server, such as `https://voice.example.com`. Carriers are told
    /// it, and their signatures are checked against it
    #[arg(long, value_name = "URL", help_heading = "Who reaches it")]
    pub public_url: Option<String>,
    /// The certificate and its chain (PEM). Without it the server speaks plain HTTP, as behind a proxy
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Who reaches it")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Who reaches it")]
    pub tls_key: Option<PathBuf>,
}

/// Session logs of calls, on disk.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct RecordingArgs {
    /// Writes a session log of each call to this folder: `realtime view` and `replay` read it
    #[arg(long, value_name = "FOLDER", help_heading = "Recording")]
    pub record: Option<PathBuf>,
    /// How much of a call its log holds
    #[arg(
        long,
        value_enum,
        default_value = "full",
        value_name = "CONTENT",
        requires = "record",
        help_heading = "Recording"
    )]
    pub record_content: RecordedContent,
    /// How long logs are kept (days); then they are deleted. Default: for ever
    #[arg(long, value_name = "DAYS", requires = "record", value_parser = clap::value_parser!(u32).range(1..=36_500),
        help_heading = "Recording")]
    pub keep: Option<u32>,
    /// What agents say first where words are recorded; an empty text if callers are told in another way
    #[arg(long, value_name = "TEXT", default_value = "This call is recorded.", help_heading = "Recording")]
    pub record_notice: String,
}

impl ReachArgs {
    /// What accepts TLS, if there is a certificate.
    pub(super) fn tls(&self) -> Result<Option<Acceptor>, Error> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => tls::acceptor(certificate, key).map(Some),
            _ => Ok(None),
        }
    }

    /// The address of a server that listens there.
    pub(super) fn address(&self, at: SocketAddr, has_tls: bool) -> Result<Address, Error> {
        Address::new(self.public_url.as_deref(), at, has_tls)
    }

    pub(super) async fn bind(&self) -> Result<TcpListener, Error> {
        bind(self.listen).await
    }
}

impl RecordingArgs {
    /// Where session logs go, if anywhere.
    pub(super) fn recordings(&self) -> Result<Option<Recordings>, Error> {
        let keep = self.keep.map(|days| Duration::from_secs(u64::from(days) * 86_400));
        let folder = self.record.as_deref();
        let open = |folder| Recordings::new(folder, self.record_content, keep, &self.record_notice);
        folder.map(open).transpose()
    }
}

/// Reads a carrier's name.
pub(super) fn carrier(name: &str) -> Result<CarrierKind, String> {
    CarrierKind::of_name(&name.to_ascii_lowercase()).ok_or_else(|| {
        let names: Vec<&str> = CarrierKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// What stands below the options in the long help.
pub const AFTER_HELP: &str = "\
Paths:
  /               a page: call the agent from the browser
  /ws             the page's socket
  /rtvi           RTVI clients (WebSocket); POST answers where to connect, for `startBotAndConnect`
  /twilio         a carrier's media stream (WebSocket); POST answers a call with this stream. Also
                  /telnyx /plivo /exotel /vonage /genesys /jambonz /signalwire
  /openai         webhook of incoming SIP calls at OpenAI
  /tokens         POST: a short-lived token for a page of yours
  /calls          calls as JSON; /calls/ID one of them, which DELETE ends; DELETE /calls/ID/log
                  deletes its session log
  /metrics        what is counted over all calls, for Prometheus
  /healthz        whether the server takes calls, and how many it has

Examples:
  realtime serve
      The demo's agent and the emulator, for the browser of this machine. No key, no network.
  OPENAI_API_KEY=sk-… realtime serve --url https://api.openai.com/v1 --agent hotel.toml
      Your agent on a real model.
  realtime serve --listen 127.0.0.1:0 --json
      On a free port, which a script reads.
  TWILIO_AUTH_TOKEN=… realtime serve --public-url https://voice.example.com …
      Calls by Twilio. Enter https://voice.example.com/twilio as the voice webhook of your number.
  REALTIME_PAGE_TOKEN=… realtime serve --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem …
      A page for others: https://voice.example.com/?token=…

Variables:
  OPENAI_API_KEY           the key of the model
  OPENAI_WEBHOOK_SECRET    verifies /openai (whsec_…)
  REALTIME_PAGE_TOKEN      what pages must show; needed where other machines reach the server
  REALTIME_ADMIN_TOKEN     what /calls and /metrics must be shown (`Authorization: Bearer …`)
  TWILIO_AUTH_TOKEN        verifies Twilio
  TELNYX_PUBLIC_KEY        verifies Telnyx; TELNYX_STREAM_TOKEN its streams (default: drawn)
  PLIVO_AUTH_TOKEN         verifies Plivo
  VONAGE_SIGNATURE_SECRET  verifies Vonage; VONAGE_APPLICATION_ID also
  GENESYS_API_KEY          verifies Genesys; GENESYS_CLIENT_SECRET also
  SIGNALWIRE_SIGNING_KEY   verifies SignalWire; SIGNALWIRE_STREAM_TOKEN its streams (default: drawn)
  EXOTEL_STREAM_USER       verifies Exotel, with EXOTEL_STREAM_PASSWORD
  JAMBONZ_STREAM_USER      verifies jambonz, with JAMBONZ_STREAM_PASSWORD
A carrier without its secret is believed on this machine only, unless --unverified names it.";
