//! What a user reads of a scenario that fails: lines, JUnit, the page; and of one that is interrupted.

use std::fs;

use crate::{command, eval, folder, text};

/// The demo's agent is asked for the weather in Paris, and another city is expected.
const FAILS: &str = r#"name: Rome <or> "Paris"
voice: tones
caller:
  - wait_for_answer
  - say: What is the weather in Paris today?
  - wait_for_answer
  - hang_up
expect:
  - calls:
      - { name: get_weather, arguments: { city: Rome } }
  - user_says: { contains: Paris }
  - interruptions: 1
  - ends: agent
---
name: No answer to speak over
voice: tones
caller:
  - wait_for_answer
  - interrupt: { say: "Stop!", after_ms: 100 }
expect:
  - interruptions: 0
---
name: Passes
voice: tones
caller: [wait_for_answer]
expect:
  - turns: [agent]
"#;

/// The text with all times of this machine, and those of calls, as `T`.
pub(crate) fn timeless(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let end =
            rest[at..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |end| at + end);
        let number = rest[at..end].trim_end_matches('.');
        out.push_str(&rest[..at]);
        out.push_str(if number.contains('.') && number.len() > 2 { "T" } else { number });
        rest = &rest[at + number.len()..];
    }
    out + rest
}

#[test]
fn what_fails_is_told_as_expected_and_got_and_has_a_page() {
    let folder = folder("fails", FAILS);
    let output = eval(&folder, &["case.yaml", "--junit", "report.xml", "--html", "pages"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "error: 2 of 3 scenarios failed\n");
    assert_eq!(
        timeless(text(&output.stdout)),
        r#"FAIL  Rome <or> "Paris" (T s of call, in T s)
      case.yaml:9:5: expected a call of get_weather with {"city":"Rome"}, got get_weather {"city":"Paris"}
      case.yaml:12:5: expected 1 interruption, got 0
      case.yaml:13:5: expected the call to end by agent, got caller (the caller hung up)
      page: pages/rome-or-paris.html
FAIL  No answer to speak over (T s of call, in T s)
      case.yaml:19:5: expected 100 ms of an answer, to speak over it, got none
      page: pages/no-answer-to-speak-over.html
ok    Passes (T s of call, in T s)
3 scenarios: 1 passed, 2 failed in T s
"#
    );
    let xml = fs::read_to_string(folder.join("report.xml")).expect("the report");
    let xml = timeless(&xml.replace("version=\"1.0\"", "version=\"1\""));
    assert_eq!(
        xml,
        r#"<?xml version="1" encoding="UTF-8"?>
<testsuites tests="3" failures="2" errors="0" time="T">
  <testsuite name="realtime eval" tests="3" failures="2" errors="0" time="T">
    <testcase name="Rome &lt;or&gt; &quot;Paris&quot;" classname="case.yaml" time="T">
      <failure message="case.yaml:9:5: expected a call of get_weather with {&quot;city&quot;:&quot;Rome&quot;}, got get_weather {&quot;city&quot;:&quot;Paris&quot;}"/>
      <failure message="case.yaml:12:5: expected 1 interruption, got 0"/>
      <failure message="case.yaml:13:5: expected the call to end by agent, got caller (the caller hung up)"/>
      <system-out>pages/rome-or-paris.html</system-out>
    </testcase>
    <testcase name="No answer to speak over" classname="case.yaml" time="T">
      <failure message="case.yaml:19:5: expected 100 ms of an answer, to speak over it, got none"/>
      <system-out>pages/no-answer-to-speak-over.html</system-out>
    </testcase>
    <testcase name="Passes" classname="case.yaml" time="T"/>
  </testsuite>
</testsuites>
"#
    );
    let page = fs::read_to_string(folder.join("pages/rome-or-paris.html")).expect("the page");
    assert!(page.contains("get_weather"), "the call is in its page");
    let mut left: Vec<String> = fs::read_dir(folder.join("pages"))
        .expect("the folder of pages")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    let failed = ["no-answer-to-speak-over", "rome-or-paris"];
    let expected: Vec<String> =
        failed.iter().flat_map(|name| [format!("{name}.html"), format!("{name}.jsonl")]).collect();
    assert_eq!(left, expected, "a call that passes leaves nothing");
}

#[test]
fn failures_are_red_where_colours_are_shown() {
    let folder = folder("colours", FAILS);
    let told = |variables: &[(&str, &str)]| {
        let mut command = command(&folder, &["case.yaml", "--match", "rome", "--json"]);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").envs(variables.iter().copied());
        let output = command.output().expect("it was built for this test");
        let (out, err) = (text(&output.stdout).to_owned(), text(&output.stderr).to_owned());
        assert!(!out.lines().last().expect("a report").contains('\u{1b}'), "JSON has no colours");
        (out.contains('\u{1b}'), err.contains('\u{1b}'))
    };
    assert_eq!(told(&[]), (false, false), "a pipe shows none");
    assert_eq!(told(&[("CLICOLOR_FORCE", "1")]), (true, true));
    assert_eq!(told(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), (false, false));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_all_calls_and_what_is_done_is_reported() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let quick = "name: quick\nvoice: tones\ncaller: [wait_for_answer]\nexpect: [{ interruptions: 0 }]\n";
    let slow = "name: slow\ntime: real\ncaller: [{ silent_ms: 600000 }]\nexpect: [{ interruptions: 0 }]\nlimit_s: 600\n";
    let folder = folder("signal", &format!("{quick}---\n{slow}"));
    let mut run = command(&folder, &["case.yaml", "--jobs", "2", "--junit", "report.xml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let mut out = BufReader::new(run.stdout.take().expect("a pipe"));
    let mut first = String::new();
    out.read_line(&mut first).expect("a line");
    assert!(first.starts_with("ok    quick"), "{first}");
    let killed = std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    let output = run.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(rest.starts_with("2 scenarios: 1 passed, 0 failed, 1 not held in "), "{rest}");
    assert_eq!(text(&output.stderr), "error: interrupted: 1 of 2 scenarios not held\n");
    let xml = fs::read_to_string(folder.join("report.xml")).expect("the report");
    assert!(xml.contains("tests=\"1\""), "{xml}");
}
