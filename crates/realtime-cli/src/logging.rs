//! What is written to standard error while a command runs.

use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Error;
use crate::telemetry::Telemetry;

/// Crates that log what is said, and those whose news are told otherwise.
const TALKATIVE: &[&str] = &[
    "async_nats",
    "tungstenite",
    "tokio_tungstenite",
    "rmcp",
    "reqwest",
    "hyper",
    "hyper_util",
    "realtime_emulator",
];

/// Writes events of these levels to standard error: a level, or levels by target, as in
/// `info,realtime_client=debug`. Spans become traces, if telemetry wants them.
///
/// # Errors
/// The levels cannot be read.
pub(crate) fn begin(levels: &str, telemetry: &Telemetry) -> Result<(), Error> {
    // A program that has this one as a library may log by itself.
    let _ = subscriber(levels, telemetry)?.try_init();
    Ok(())
}

fn subscriber(levels: &str, telemetry: &Telemetry) -> Result<impl Subscriber + Send + Sync + use<>, Error> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).compact();
    // What was said is for traces alone, if anybody asks for it: its events have a name of the conventions.
    // The hint says that this filter by itself lets every level pass.
    let unsaid = filter_fn(|it| it.fields().field("event.name").is_none());
    let shown = targets(levels)?.and(unsaid.with_max_level_hint(LevelFilter::TRACE));
    Ok(tracing_subscriber::registry().with(lines.with_filter(shown)).with(telemetry.layer()))
}

fn targets(levels: &str) -> Result<Targets, Error> {
    let wanted: Targets = levels.parse().map_err(|error| {
        format!(
            "expected a level such as `info`, or levels by target such as `info,realtime_client=debug`, \
             got `{levels}`: {error}"
        )
    })?;
    let quiet = TALKATIVE.iter().filter(|name| !levels.contains(*name));
    Ok(wanted.with_targets(quiet.map(|name| (*name, LevelFilter::WARN))))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::environment::Environment;
    use crate::telemetry::TelemetryArgs;

    #[test]
    fn crates_that_log_what_is_said_are_quiet_unless_they_are_named() {
        let usual = targets("debug").unwrap();
        assert!(usual.would_enable("realtime_client", &Level::DEBUG));
        assert!(!usual.would_enable("rmcp::service", &Level::INFO));
        assert!(targets("info,rmcp=debug").unwrap().would_enable("rmcp::service", &Level::DEBUG));
        let error = targets("info,x=loud").unwrap_err();
        assert!(error.to_string().contains("got `info,x=loud`"), "{error}");
    }

    /// What nobody sees is not even put together: calls have many events below these levels.
    #[test]
    fn only_the_levels_that_somebody_sees_are_enabled() {
        let telemetry = Telemetry::begin(&TelemetryArgs::default(), &Environment::default()).unwrap();
        for (levels, hint) in [("warn", LevelFilter::WARN), ("info,x=debug", LevelFilter::DEBUG)] {
            assert_eq!(subscriber(levels, &telemetry).unwrap().max_level_hint(), Some(hint), "{levels}");
        }
    }
}
