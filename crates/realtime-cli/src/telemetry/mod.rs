//! Traces and metrics of calls for a collector, by OTLP over HTTP: [`TelemetryArgs`] (feature `otlp`).
//!
//! A trace is a call: its session, in it turns, in these responses, in these functions. Names and members are
//! those of OpenTelemetry's conventions for generative AI; `realtime_client` makes the spans. The metrics are
//! the figures of the server's `/metrics`. What can't be sent is told once, and no call waits for it.
//!
//! | file | what is in it |
//! |---|---|
//! | `otlp` | the exporters: what is sent, when, and to whom |
//! | `meters` | the figures as instruments |
//! | `post` | HTTP, by the client's own way there |
//! | `none` | what stands in their place without the feature |

#[cfg(feature = "otlp")]
mod meters;
#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod post;

#[cfg(not(feature = "otlp"))]
pub(crate) use none::Telemetry;
#[cfg(feature = "otlp")]
pub(crate) use otlp::Telemetry;

/// Where traces and metrics go. The commands do it; a program that has the server as a library traces by its
/// own subscriber of `tracing`.
#[derive(Clone, Debug, Default, clap::Args)]
#[non_exhaustive]
pub struct TelemetryArgs {
    /// Sends traces and metrics of calls to this collector, by OTLP over HTTP, such as
    /// `http://127.0.0.1:4318`. Default: what OTEL_EXPORTER_OTLP_ENDPOINT names, or none. It needs a build with
    /// the feature `otlp`
    #[arg(long, value_name = "URL", help_heading = "Telemetry")]
    pub otlp: Option<String>,
    /// Traces hold what was said, too, and what functions were given
    #[arg(long, help_heading = "Telemetry")]
    pub otlp_content: bool,
}
