//! Compares the table in a file's docs with what the code does, for all states and steps.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A table's cell: where a step leads, and what else it does.
pub(in crate::session) fn cell(to: Option<String>, does: Option<&str>) -> String {
    let parts: Vec<String> = to.into_iter().chain(does.map(ToString::to_string)).collect();
    parts.join(", ")
}

/// Checks the one table in a file's module docs. `row`: the cells of a state.
pub(in crate::session) fn check(
    source: &str,
    columns: &[&str],
    states: &[&str],
    row: impl Fn(&str) -> Vec<String>,
) {
    let mut lines = Vec::from([
        format!("//! | | {} |", columns.join(" | ")),
        format!("//! |{}", "---|".repeat(columns.len() + 1)),
    ]);
    lines.extend(states.iter().map(|state| format!("//! | `{state}` | {} |", row(state).join(" | "))));
    let documented: Vec<&str> = source.lines().filter(|line| line.starts_with("//! |")).collect();
    assert_eq!(documented, lines, "the table must be:\n{}\n", lines.join("\n"));
}
