//! In place of telemetry: nothing is sent.

use std::sync::Arc;

use tracing_subscriber::layer::Identity;

use crate::Error;
use crate::environment::Environment;
use crate::figures::Count;
use crate::telemetry::TelemetryArgs;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Telemetry;

impl Telemetry {
    /// # Errors
    /// Somebody wants it.
    pub(crate) fn begin(args: &TelemetryArgs, _: &Environment) -> Result<Self, Error> {
        match &args.otlp {
            Some(_) => {
                Err("cannot send traces and metrics: this build is without the feature `otlp`: install \
                            realtime-cli with `--features otlp`"
                    .into())
            }
            None => Ok(Self),
        }
    }

    /// What makes a trace of spans.
    pub(crate) const fn layer(&self) -> Option<Identity> {
        None
    }

    /// Who counts figures.
    pub(crate) fn meters(&self) -> Option<Arc<dyn Count>> {
        None
    }

    /// Sends what is left.
    pub(crate) fn end(self) {}
}
