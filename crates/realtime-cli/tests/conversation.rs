//! The commands as a user runs them: the demo over loopback and in virtual time, and replays of its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs a command; the one place that touches the binary.
fn realtime(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_realtime"))
        .args(arguments)
        .output()
        .expect("the binary was built for this test")
}

/// A folder of one test's own.
fn folder(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("commands print text")
}

/// Runs a demo that must succeed, and gives back the JSON of its last line.
fn demo(folder: &str, arguments: &[&str]) -> Value {
    let output = realtime(&[&["demo", "--json", "--out", folder], arguments].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let last = out.lines().last().expect("a report");
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

fn file(report: &Value, name: &str) -> PathBuf {
    report["files"][name].as_str().expect("a path").into()
}

/// A failing command says why in one line, and exits with 1.
fn failure(arguments: &[&str]) -> String {
    let output = realtime(arguments);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("error: "), "{err}");
    err.to_owned()
}

fn assert_whole(report: &Value) {
    assert_eq!(report["turns"], 2, "{report}");
    assert_eq!(report["tool_calls"], 1, "{report}");
    assert_eq!(report["interruptions"], 1, "{report}");
    assert_eq!(
        report["latencies_ms"].as_array().map(Vec::len),
        Some(3),
        "greeting and two answers: {report}"
    );
    let log = fs::read_to_string(file(report, "log")).expect("the session log");
    let cut = log
        .lines()
        .find(|line| line.contains("conversation.item.truncate\""))
        .expect("the interrupted answer is truncated");
    let cut: Value = serde_json::from_str(cut).expect("a line of JSON");
    assert_eq!(cut["event"]["audio_end_ms"], report["heard_ms"], "at what was heard");
    let transcript: Value =
        serde_json::from_slice(&fs::read(file(report, "transcript")).expect("the transcript")).expect("JSON");
    let roles: Vec<&str> =
        transcript.as_array().expect("lines").iter().filter_map(|l| l["role"].as_str()).collect();
    assert_eq!(roles, ["system", "assistant", "user", "tool", "assistant", "user", "assistant"]);
    let recording = hound::WavReader::open(file(report, "audio")).expect("a WAV file");
    assert_eq!((recording.spec().channels, recording.spec().sample_rate), (2, 24_000));
    let loudest = |channel| {
        let samples =
            hound::WavReader::open(file(report, "audio")).expect("a WAV file").into_samples::<i16>();
        samples.skip(channel).step_by(2).map(|s| s.expect("a sample").unsigned_abs()).max()
    };
    assert!(loudest(0) > Some(3000) && loudest(1) > Some(3000), "both are heard");
}

#[test]
fn the_demo_holds_its_conversation_and_the_log_replays() {
    let folder = &folder("demo");
    // Over a real socket, in real time.
    let report = demo(folder, &[]);
    assert_whole(&report);
    let log = file(&report, "log");
    let log = log.to_str().expect("a path of text");
    let output = realtime(&["replay", log]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).lines().last().is_some_and(|line| line.starts_with("identical")));

    // In virtual time, twice: the same log to the byte.
    let report = demo(folder, &["--fast"]);
    assert_whole(&report);
    let first = fs::read(file(&report, "log")).expect("the session log");
    demo(folder, &["--fast"]);
    assert!(first == fs::read(file(&report, "log")).expect("the session log"), "two logs differ");

    damaged_logs(&String::from_utf8(first).expect("a log is text"), Path::new(log));

    // Another user: any rate, stereo, one turn.
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/one-turn-44k1-stereo.wav");
    let report = demo(folder, &["--fast", "--input", input]);
    assert_eq!(report["turns"], 1, "{report}");
    let transcript = fs::read_to_string(file(&report, "transcript")).expect("the transcript");
    assert!(transcript.contains("speech, "), "nobody knows what was said: {transcript}");
}

#[test]
fn the_demo_talks_to_servers_that_do_not_do_all_of_it() {
    let folder = &folder("profiles");
    for profile in ["azure-preview", "minimal", "speaches"] {
        let report = demo(folder, &["--fast", "--profile", profile]);
        assert_whole(&report);
        let log = file(&report, "log");
        let output = realtime(&["replay", log.to_str().expect("a path of text")]);
        assert!(output.status.success(), "{profile}: {}", text(&output.stderr));
        conforms(&log, profile);
        let log = fs::read_to_string(log).expect("the session log");
        let has = |kind: &str| log.contains(&format!("\"type\":\"{kind}\""));
        assert_eq!(has("response.created"), profile != "minimal");
        assert_eq!(has("conversation.item.truncated"), profile == "azure-preview", "{profile}");
    }
}

/// All of a log can be read, and is what the schemas of the wire's types say, which describe GA.
fn conforms(log: &Path, profile: &str) {
    let (folder, log) = (log.with_file_name("schemas"), log.to_str().expect("a path of text"));
    let mut arguments = vec!["conformance".to_owned(), log.to_owned()];
    if profile == "minimal" {
        let output = realtime(&["schema", folder.to_str().expect("a path of text")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for name in ["ClientEvent.json", "ServerEvent.json"] {
            arguments.extend(["--schema".into(), folder.join(name).display().to_string()]);
        }
    }
    let output = realtime(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{profile}: {out}\n{err}");
    assert!(out.lines().last().is_some_and(|line| line.ends_with(" 0 failed")), "{out}");
}

fn damaged_logs(log: &str, path: &Path) {
    let damaged = path.with_file_name("damaged.jsonl");
    let name = damaged.to_str().expect("a path of text");
    let replay = |text: &str| {
        fs::write(&damaged, text).expect("the folder is there");
        failure(&["replay", name])
    };
    let lines: Vec<&str> = log.lines().collect();
    let changed = log.replacen("\"audio_end_ms\":", "\"audio_end_ms\":1", 1);
    assert!(replay(&changed).contains("differs at line"), "a changed log");
    let cut = lines.iter().position(|line| line.contains("speech_started")).expect("the user speaks");
    let mut broken = lines.clone();
    broken[cut] = &lines[cut][..40];
    assert!(replay(&broken.join("\n")).contains(&format!("line {}", cut + 1)), "a broken line");
    assert!(replay("").contains("empty"));
    assert!(replay("{\"format\":\"something-else\",\"version\":1}").contains("something-else"));
    fs::remove_file(&damaged).expect("it was written above");
    assert!(failure(&["replay", name]).contains("cannot read"));
}

#[test]
fn bad_input_gives_one_clear_line() {
    let folder = folder("bad-input");
    let fails = |arguments: &[&str]| failure(&[&["demo", "--out", &folder], arguments].concat());
    let no_wav = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(fails(&["--fast", "--input", "/no/such.wav"]).contains("/no/such.wav"));
    assert!(fails(&["--fast", "--input", no_wav]).contains("expected a WAV file"));
    assert!(fails(&["--url", "nonsense"]).contains("nonsense"));
    // Port 9 of this machine: nobody listens there.
    assert!(fails(&["--url", "ws://127.0.0.1:9"]).contains("cannot reach 127.0.0.1:9"));
    // The last folder counts.
    assert!(fails(&["--fast", "--out", "/dev/null/x"]).contains("cannot make /dev/null/x"));
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_realtime"))
        .args(["emulator", "--listen", "127.0.0.1:0"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("the binary was built for this test");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_is_told_at_the_end() {
    let folder = folder("full");
    let log = Path::new(&folder).join("session.jsonl");
    fs::create_dir_all(&folder).expect("the folder");
    drop(fs::remove_file(&log));
    std::os::unix::fs::symlink("/dev/full", &log).expect("a link");
    let output = realtime(&["demo", "--fast", "--out", &folder]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("session.jsonl"), "{}", text(&output.stderr));
}
