//! What is written to standard error while a command runs.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::Error;

/// Crates that log what is said, and the emulator inside, which is of no interest.
const TALKATIVE: &[&str] =
    &["tungstenite", "tokio_tungstenite", "rmcp", "reqwest", "hyper", "hyper_util", "realtime_emulator"];

/// Writes events of these levels to standard error: a level, or levels by target, as in
/// `info,realtime_client=debug`.
///
/// # Errors
/// The levels cannot be read.
pub(crate) fn begin(levels: &str) -> Result<(), Error> {
    let targets = targets(levels)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).compact();
    // A program that has this one as a library may log by itself.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
    Ok(())
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

    #[test]
    fn crates_that_log_what_is_said_are_quiet_unless_they_are_named() {
        let usual = targets("debug").unwrap();
        assert!(usual.would_enable("realtime_client", &Level::DEBUG));
        assert!(!usual.would_enable("rmcp::service", &Level::INFO));
        assert!(targets("info,rmcp=debug").unwrap().would_enable("rmcp::service", &Level::DEBUG));
        let error = targets("info,x=loud").unwrap_err();
        assert!(error.to_string().contains("got `info,x=loud`"), "{error}");
    }
}
