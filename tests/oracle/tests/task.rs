//! `cargo xtask oracle` as a user runs it, on scenarios of every kind in which this project behaves better
//! than the implementation that made the traces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the task: its report, and whether all agree.
fn oracle(dir: &Path, arguments: &[&str]) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-oracle"));
    let output = command.arg(dir).args(arguments).output().expect("the binary was built for this test");
    let report = String::from_utf8(output.stdout).expect("tasks print text");
    (report, output.status.success())
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The line of a scenario.
fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    report
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// A folder with one scenario and its trace, changed.
fn changed(name: &str, test: &str, change: impl Fn(&str, String) -> String) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    for kind in ["scenarios", "traces"] {
        let file = format!("{kind}/{name}.jsonl");
        let text = fs::read_to_string(fixtures().join(&file)).expect("a fixture");
        fs::create_dir_all(dir.join(kind)).expect("a folder to write in");
        fs::write(dir.join(&file), change(kind, text)).expect("a folder to write in");
    }
    dir
}

#[test]
fn what_differs_from_the_traces_is_explained() {
    let (report, agree) = oracle(&fixtures(), &[]);
    assert!(agree, "{report}");
    for (name, verdict) in [
        ("retrieve_invalid_id", "same"),
        ("audio_before_ready", "by design (nothing-before-ready)"),
        ("audio_other_rate", "by design (input-format)"),
    ] {
        assert_eq!(line(&report, name), verdict, "{name}");
    }
    for (name, rule) in [
        ("error_while_swallowed_then_context", "one-response-at-a-time"),
        ("playback_interrupt_while_generating", "heard"),
        ("response_text_modality", "session-modalities"),
        ("function_call_malformed_arguments", "call-answered"),
        ("context_after_ready", "told-at-start"),
        ("messages_update", "replaced-in-place"),
        ("server_close_1000", "nothing-into-the-void"),
        ("retrieve_pending_on_error", "waiters-resolved"),
        ("user_stopped_local_vad", "too-short"),
        ("vad_turn_no_context_frame", "what-was-said"),
    ] {
        assert!(line(&report, name).contains(rule), "{name}: {}", line(&report, name));
    }
    let last = report.lines().last().expect("a last line");
    assert!(last.starts_with("34 scenarios, ") && last.ends_with(" by design, 0 differ"), "{last}");
}

#[test]
fn scenarios_are_chosen_by_name_and_channels_by_list() {
    let (report, agree) = oracle(&fixtures(), &["--match", "retrieve_i*", "--match", "server_close_1000"]);
    assert_eq!((report.lines().count(), agree), (3, true), "{report}");
    let (report, agree) = oracle(&fixtures(), &["--match", "server_close_1000", "--channels", "conn,call"]);
    assert_eq!((line(&report, "server_close_1000"), agree), ("same", true));
}

#[test]
fn a_difference_that_no_rule_explains_fails_and_is_shown() {
    let dir = changed("retrieve_invalid_id", "oracle_difference", |kind, text| {
        if kind == "traces" { text.replace("rci_item_a", "rci_item_b") } else { text }
    });
    let (report, agree) = oracle(&dir, &[]);
    assert!(!agree);
    let difference = r#"differs: step 7 client[0] .event.event_id: expected "rci_item_b", got "rci_item_a""#;
    assert_eq!(line(&report, "retrieve_invalid_id"), difference);
    assert_eq!(report.lines().last(), Some("1 scenarios, 0 same, 0 by design, 1 differ"));
}

#[test]
fn a_step_that_nobody_knows_is_named() {
    let dir = changed("server_close_1000", "oracle_unknown_step", |kind, text| {
        if kind == "scenarios" { text + "{\"server_sings\": true}\n" } else { text }
    });
    let (report, agree) = oracle(&dir, &[]);
    assert!(!agree);
    assert!(line(&report, "server_close_1000").contains("unknown step `server_sings`"), "{report}");
}

#[test]
fn every_rule_has_a_reason() {
    let (rules, agree) = oracle(&fixtures(), &["--rules"]);
    assert!(agree);
    assert!(
        rules.lines().all(|rule| rule.split_once(": ").is_some_and(|(_, reason)| reason.len() > 20)),
        "{rules}"
    );
}
