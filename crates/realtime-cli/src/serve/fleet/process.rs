//! A process that places calls, from its first line to its last: [`run`].

use serde_json::json;
use tokio::runtime::Builder;

use crate::environment::Environment;
use crate::telemetry::{Telemetry, TelemetryArgs};
use crate::{Error, logging, say};

/// Runs it to its end, and says so. `log`: what is logged to standard error. `json`: for a script.
///
/// # Errors
/// Those of `served`, and what keeps it from beginning.
pub(super) fn run(
    log: &str,
    json: bool,
    environment: &Environment,
    runtime: &mut Builder,
    served: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let telemetry = Telemetry::begin(&TelemetryArgs::default(), environment)?;
    logging::begin(log, &telemetry)?;
    let served = runtime.enable_all().build()?.block_on(served);
    telemetry.end();
    served?;
    match json {
        true => say(json!({ "state": "stopped" })),
        false => say("stopped"),
    }
    Ok(())
}
