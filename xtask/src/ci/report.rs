//! How checks ended, and how that is told.

use std::time::Duration;

use crate::Error;

/// How one check ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// Not run; the text says what is missing.
    Skipped(String),
    /// The text says what failed, in a few words: the details were printed as they came.
    Failed(String),
}

/// A check that ran, and how long it took.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
}

pub(super) fn outcome(result: Result<(), Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Every check with its result and time, in columns.
pub(super) fn table(records: &[Record]) -> String {
    let rows = records.iter().map(|record| {
        let result = match &record.outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Failed(_) => "FAILED".to_owned(),
        };
        (record.name.as_str(), seconds(record.elapsed), result)
    });
    let mut text = format!("{:<11}  {:>8}  result\n", "check", "time");
    for (name, time, result) in rows {
        text.push_str(&format!("{name:<11}  {time:>8}  {result}\n"));
    }
    text
}

pub(super) fn verdict(records: &[Record]) -> Result<(), Error> {
    let failed: Vec<&str> = records
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Failed(_)))
        .map(|record| record.name.as_str())
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed checks: {}", failed.join(", ")).into()) }
}

pub(super) fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_every_failed_check_and_no_skipped_one() {
        let records = [
            record("fmt", Outcome::Failed("exit status: 1".to_owned())),
            record("test", Outcome::Passed),
            record("deny", Outcome::Skipped("cargo-deny is not installed".to_owned())),
            record("doc", Outcome::Failed("exit status: 101".to_owned())),
        ];
        assert_eq!(verdict(&records).unwrap_err().to_string(), "failed checks: fmt, doc");
        assert!(verdict(&records[1..3]).is_ok());
        assert_eq!(
            table(&records),
            "\
check            time  result
fmt             1.5 s  FAILED
test            1.5 s  ok
deny            1.5 s  skipped: cargo-deny is not installed
doc             1.5 s  FAILED
"
        );
    }

    fn record(name: &str, outcome: Outcome) -> Record {
        Record { name: name.to_owned(), outcome, elapsed: Duration::from_millis(1500) }
    }
}
