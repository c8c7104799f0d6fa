//! Scenarios that nobody has traced: those of the fixtures with steps left out, doubled, swapped and put
//! together. What must hold of anything holds of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::{driver, read, scenarios};

/// The scenarios that are made of one.
fn variants(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let Some((header, steps)) = lines.split_first() else { return Vec::new() };
    let made = |steps: Vec<String>| format!("{header}\n{}\n", steps.join("\n"));
    let owned = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    let mut all = Vec::new();
    for n in [2, 3, 5, 7] {
        let kept = steps.iter().enumerate().filter(|(index, _)| index % n != n - 1).map(|(_, step)| *step);
        all.push(made(owned(&kept.collect::<Vec<_>>())));
        let doubled =
            steps.iter().enumerate().flat_map(|(index, step)| vec![*step; 1 + usize::from(index % n == 0)]);
        all.push(made(owned(&doubled.collect::<Vec<_>>())));
        let mut swapped = owned(steps);
        (0..swapped.len().saturating_sub(1))
            .filter(|index| index % n == 1)
            .for_each(|index| swapped.swap(index, index + 1));
        all.push(made(swapped));
    }
    // The connection goes, is reset, or the run ends, in the middle of each.
    for cut in [
        r#"{"server_abort": true}"#,
        r#"{"server_close": {"code": 1001, "reason": "later"}}"#,
        r#"{"call": "reset_conversation"}"#,
        r#"{"frame": {"type": "EndFrame"}}"#,
        r#"{"frame": {"type": "LLMMessagesUpdateFrame", "messages": [{"role": "user", "content": "Anew."}], "run_llm": true}}"#,
        r#"{"frame": {"type": "StartInterruptionFrame"}}"#,
    ] {
        for part in [3, 2] {
            let mut cut_in = owned(steps);
            cut_in.insert(steps.len() / part, cut.to_owned());
            cut_in.push(r#"{"clock_ms": 60000}"#.to_owned());
            all.push(made(cut_in));
        }
    }
    all.push(made(vec![format!(r#"{{"together": [{}]}}"#, steps.join(", "))]));
    all
}

/// What holds of any trace, or what does not.
fn problem(trace: &Trace) -> Option<String> {
    let mut open: BTreeSet<u64> = BTreeSet::new();
    let mut functions: BTreeMap<&str, i32> = BTreeMap::new();
    let mut outputs: BTreeSet<(u64, &str)> = BTreeSet::new();
    let (mut answers, mut brackets, mut newest) = (0, 0, 0);
    for record in &trace.records {
        let text = |name: &str| record.members.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        match record.channel.as_str() {
            "conn" => {
                let number = record.members.get("n").and_then(serde_json::Value::as_u64).unwrap_or_default();
                if text("ev") == "open" {
                    newest = newest.max(number);
                }
                let fits = match text("ev") {
                    "open" => open.insert(number),
                    "closed" => open.remove(&number),
                    _ => true,
                };
                if !fits {
                    return Some(format!("step {}: connection {number} {}", record.step, text("ev")));
                }
            }
            "client" if open.is_empty() => {
                return Some(format!("step {}: an event without a connection", record.step));
            }
            "client" => {
                let call = record.event()["item"]["call_id"].as_str();
                if let Some(call) = call.filter(|_| record.kind() == "conversation.item.create") {
                    answers += 1;
                    if !outputs.insert((newest, call)) {
                        return Some(format!("step {}: two outputs of {call}", record.step));
                    }
                }
            }
            "client_lost" => return Some(format!("step {}: an event into a dead connection", record.step)),
            "down" => match text("frame") {
                "LLMFullResponseStartFrame" => brackets += 1,
                "LLMFullResponseEndFrame" => brackets -= 1,
                // Nothing follows the end of a run.
                "CancelFrame" | "EndFrame" => brackets = 0,
                _ => {}
            },
            "function" => {
                *functions.entry(text("call_id")).or_default() +=
                    if text("phase") == "called" { 1 } else { -1 };
            }
            _ => {}
        }
        if !(0..=8).contains(&brackets) {
            return Some(format!("step {}: an end without a start", record.step));
        }
    }
    let last = trace.records.last().map_or(0, |record| record.step);
    let unanswered = trace.records.iter().any(|record| {
        record.channel == "final"
            && record.members["pending_calls"].as_array().is_some_and(|all| !all.is_empty())
    });
    let runs = functions.iter().find(|(_, count)| **count != 0);
    match runs {
        Some((call, _)) => Some(format!("the function of {call} never ended, of {answers} answers")),
        None if !open.is_empty() => Some(format!("step {last}: connections stay open: {open:?}")),
        None => unanswered.then(|| "someone still waits".to_owned()),
    }
}

#[test]
fn whatever_happens_everything_that_begins_ends_once() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let dir = std::env::var_os("ORACLE_DIR").map_or(fixtures, PathBuf::from);
    let (mut problems, mut count) = (Vec::new(), 0);
    for path in scenarios(&dir).unwrap() {
        for (index, text) in variants(&read(&path).unwrap()).into_iter().enumerate() {
            let scenario = Scenario::read(&text).unwrap();
            count += 1;
            let said = match driver::run(&scenario) {
                Ok(trace) => problem(&trace),
                // A reference to something that is left out is the scenario's own mistake.
                Err(error) if error.to_string().contains("there is no context") => None,
                Err(error) if error.to_string().contains("hold no others") => None,
                Err(error) if error.to_string().contains("refers to none") => None,
                Err(error) => Some(error.to_string()),
            };
            problems.extend(said.map(|said| format!("{} variant {index}: {said}", path.display())));
        }
    }
    assert!(count > 500);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
