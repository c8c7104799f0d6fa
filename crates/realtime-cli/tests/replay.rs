//! What `replay` and `view` do with logs as people have them: cut off by a crash, edited, moved, of any
//! content.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use realtime_client::{Client, ClientOptions, Endpoint, FileLog, Keeper};
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::Command as Wish;
use realtime_protocol::session::SessionOptions;
use serde_json::Value;

/// Runs a command; the one place that touches the binary.
fn realtime(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_realtime"))
        .args(arguments)
        .output()
        .expect("the binary was built for this test")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("commands print text")
}

/// What a command that succeeds prints.
fn printed(arguments: &[&str]) -> String {
    let output = realtime(arguments);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// What a command that fails prints, and the one line that says why.
fn failed(arguments: &[&str]) -> (String, String) {
    let output = realtime(arguments);
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    (text(&output.stdout).to_owned(), error.to_owned())
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Writes a log and gives its path.
fn written(file: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = scratch(file);
    fs::write(&path, bytes).expect("the folder is there");
    path
}

/// Records a log of this content, and gives what was printed.
fn record(log: &Path, content: &str) -> String {
    let folder = log.with_extension("demo");
    printed(&["record", name(log), "--fast", "--content", content, "--out", name(&folder)])
}

/// What the demo printed, and its log.
fn demo() -> &'static (String, String) {
    static DEMO: OnceLock<(String, String)> = OnceLock::new();
    DEMO.get_or_init(|| {
        let log = scratch("demo.jsonl");
        (record(&log, "full"), fs::read_to_string(log).expect("the log"))
    })
}

fn log() -> &'static str {
    &demo().1
}

/// The lines of a story: times (ms) and what happens.
fn story(printed: &str) -> Vec<(i64, &str)> {
    printed
        .lines()
        .filter_map(|line| {
            let (time, what) = line.split_once(" s  ")?;
            let time: f64 = time.trim().parse().ok()?;
            Some(((time * 1000.0).round() as i64, what))
        })
        .collect()
}

#[test]
fn a_log_tells_what_the_demo_told_while_it_happened() {
    let (told, _) = demo();
    let replayed = printed(&["replay", name(&written("same.jsonl", log()))]);
    let (told, mut replayed_story) = (story(told), story(&replayed));
    // The demo no longer listens when its call is closed.
    assert!(replayed_story.pop().expect("an end").1.contains("closed by the application"));
    assert_eq!(told.len(), replayed_story.len(), "{told:#?}\n{replayed_story:#?}");
    for (live, logged) in told.iter().zip(&replayed_story) {
        assert_eq!(live.1, logged.1);
        assert!((live.0 - logged.0).abs() <= 2, "{live:?} {logged:?}");
    }
    assert!(replayed.lines().last().expect("a verdict").starts_with("identical: "), "{replayed}");
}

#[test]
fn a_log_that_a_crash_cut_off_replays_to_there() {
    let bytes = log().as_bytes();
    for share in [3, 5, 7, 9] {
        // In the middle of a line, and of a character if there is one.
        let mut end = bytes.len() * share / 10;
        while bytes[end - 1] == b'\n' {
            end -= 1;
        }
        let path = written("crashed.jsonl", &bytes[..end]);
        let number = bytes[..end].iter().filter(|byte| **byte == b'\n').count() + 1;
        let told = printed(&["replay", name(&path)]);
        assert!(told.contains(&format!("the log ends in the middle of line {number}")), "{told}");
        assert!(told.lines().last().expect("a verdict").starts_with("identical until there: "), "{told}");
    }
}

#[test]
fn marks_carriage_returns_and_blank_lines_change_nothing() {
    let windows = format!("\u{feff}{}\r\n \r\n", log().trim_end().replace('\n', "\r\n\r\n"));
    let told = printed(&["replay", name(&written("windows.jsonl", windows))]);
    assert!(told.lines().last().expect("a verdict").starts_with("identical: "), "{told}");
}

#[test]
fn a_difference_names_the_member() {
    let cut = log().lines().find(|line| line.contains("conversation.item.truncate\"")).expect("a cut");
    let changed = log().replacen(cut, &cut.replace("\"audio_end_ms\":", "\"audio_end_ms\":1"), 1);
    let (told, error) = failed(&["replay", name(&written("changed.jsonl", changed))]);
    assert!(error.contains("differs at line "), "{error}");
    assert!(
        told.contains("client conversation.item.truncate\n  event.audio_end_ms\n    logged:   1"),
        "{told}"
    );
    // In audio, the place and not all of it.
    let line = log().lines().find(|line| line.contains("input_audio_buffer.append")).expect("audio");
    let changed = log().replacen(line, &line.replacen("AAAA", "BAAA", 1), 1);
    let (told, _) = failed(&["replay", name(&written("audio.jsonl", changed))]);
    let difference = told.split("first difference").nth(1).expect("a difference");
    assert!(difference.len() < 600 && difference.contains("event.audio\n"), "{difference}");
}

#[test]
fn a_log_without_words_has_its_story_and_is_not_replayed() {
    let path = scratch("metadata.jsonl");
    record(&path, "metadata");
    let (told, error) = failed(&["replay", name(&path)]);
    assert!(told.contains("agent     starts to speak, after 440 ms"), "{told}");
    assert!(error.contains("one that holds metadata") && error.contains("`--story`"), "{error}");
    let told = printed(&["replay", "--story", name(&path)]);
    assert!(told.contains("tool      get_weather([16 bytes])"), "{told}");
    assert!(told.contains("note: the log has no words and no sound"), "{told}");
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let path = written("parts.jsonl", log());
    let all = printed(&["replay", "--story", name(&path)]);
    let part = printed(&["replay", "--story", "--from", "5", "--to", "0:10.5", name(&path)]);
    let (all, part) = (story(&all), story(&part));
    let expected: Vec<_> = all.iter().filter(|(at, _)| (5000..=10_500).contains(at)).copied().collect();
    assert!(!part.is_empty() && part.len() < all.len());
    assert_eq!(part, expected);

    let events = printed(&["replay", "--events", name(&path)]);
    assert!(events.lines().count() < log().lines().count() / 2, "audio is folded");
    assert!(events.contains("client   conversation.item.truncate"), "{events}");
    let appended = events.lines().find(|line| line.contains(" append ")).expect("audio");
    assert!(appended.contains(" lines, until ") && appended.ends_with(" bytes of audio"), "{appended}");

    let stats = printed(&["replay", "--stats", name(&path)]);
    let number = |name: &str| {
        let line =
            stats.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {stats}"));
        line[name.len()..].trim().to_owned()
    };
    assert_eq!(number("turns of the user"), "2");
    assert_eq!(number("  median wait"), "200 ms");
    assert_eq!(number("  longest"), "440 ms");
    assert!(number("tokens made").parse::<u64>().expect("a number") > 100);
}

#[test]
fn a_script_reads_one_object_in_the_last_line() {
    let json = |arguments: &[&str]| {
        let output = realtime(arguments);
        let last = text(&output.stdout).lines().last().expect("a line").to_owned();
        serde_json::from_str::<Value>(&last).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {last}"))
    };
    let path = written("scripts.jsonl", log());
    let path = name(&path);
    let stats = json(&["replay", "--stats", "--json", path]);
    assert_eq!((&stats["user_turns"], &stats["wait_ms"]["longest"]), (&2.into(), &440.into()), "{stats}");
    assert!(stats["tokens"]["output"].as_u64() > Some(100), "{stats}");
    let verdict = json(&["replay", "--json", path]);
    assert_eq!((&verdict["identical"], &verdict["difference"]), (&true.into(), &Value::Null), "{verdict}");
    assert!(verdict["inputs"].as_u64() > Some(100) && verdict["outputs"].as_u64() > Some(100), "{verdict}");
    let page = json(&["view", "--json", path, "--out", name(&scratch("scripts.html"))]);
    assert!(page["bytes"].as_u64() > Some(10_000) && page["notes"].is_array(), "{page}");
    let report = json(&["conformance", "--json", path]);
    assert_eq!((&report["failed"], &report["files"]), (&0.into(), &1.into()), "{report}");

    let wrong = log().replacen("\"audio_end_ms\":", "\"audio_end_ms\":1", 1);
    let verdict = json(&["replay", "--json", name(&written("scripts-wrong.jsonl", wrong))]);
    assert_eq!(verdict["identical"], false, "{verdict}");
    assert!(verdict["difference"]["line"].as_u64() > Some(1), "{verdict}");
    let report = json(&["conformance", "--json", name(&written("scripts-wrong.json", r#"{"type":"ping"}"#))]);
    assert_eq!(
        (&report["findings"][0]["kind"], &report["failed"]),
        (&"unknown".into(), &1.into()),
        "{report}"
    );
}

#[test]
fn a_call_becomes_a_page() {
    let path = written("page.jsonl", log());
    let out = scratch("page.html");
    drop(fs::remove_file(&out));
    printed(&["view", name(&path)]);
    let page = fs::read(&out).expect("the page stands beside the log");
    printed(&["replay", "--html", name(&scratch("again.html")), name(&path)]);
    assert!(page == fs::read(scratch("again.html")).expect("the same page"), "two pages differ");
    let small = scratch("small.html");
    printed(&["view", name(&path), name(&path), "--out", name(&small), "--audio", "0"]);
    let small = fs::read_to_string(small).expect("the page of two");
    assert!(small.contains("id=\"model-1\"") && small.len() < page.len() / 2);
    let prices = written("prices.json", r#"{"output_audio": 64.0}"#);
    let told = printed(&["view", name(&path), "--prices", name(&prices)]);
    assert!(told.starts_with("page        "), "{told}");
    assert!(fs::read_to_string(&out).expect("the page").contains("\"cost\":0.0"));
    assert!(failed(&["view", name(&path), "--out", name(&path)]).1.contains("expected another file"));
    assert!(failed(&["view", name(&path), "--prices", name(&path)]).1.contains("expected a price table"));
}

#[test]
fn an_audio_file_that_is_too_short_is_told_as_that() {
    let path = scratch("aside.jsonl");
    record(&path, "audio-aside");
    assert!(printed(&["replay", name(&path)]).contains("identical: "));
    let audio = scratch("aside.jsonl.audio");
    let bytes = fs::read(&audio).expect("the audio");
    fs::write(&audio, &bytes[..bytes.len() / 2]).expect("a shorter one");
    let (_, error) = failed(&["replay", name(&path)]);
    assert!(error.contains("aside.jsonl.audio: expected the audio of line "), "{error}");
    assert!(error.contains("cut short, or belongs to another log"), "{error}");
}

#[test]
fn what_is_no_log_is_refused_in_one_way() {
    let folder = scratch("folder");
    fs::create_dir_all(&folder).expect("a folder");
    assert!(failed(&["replay", name(&folder)]).1.contains(": cannot read "));
    let wav = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo.wav");
    assert!(failed(&["replay", wav]).1.contains("expected a session log"));
    assert!(failed(&["view", "/no/such.jsonl"]).1.contains("cannot read /no/such.jsonl"));
    assert!(failed(&["replay", name(&written("empty.jsonl", ""))]).1.contains("got an empty file"));
}

/// A call of two processes: the first one lets go of it after an answer, the second one hears the next.
/// Returns both logs.
fn call_that_moves() -> [PathBuf; 2] {
    let logs = ["owner-1.jsonl", "owner-2.jsonl"].map(scratch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let emulator = Emulator::spawn(Options::default()).await.expect("a port");
        let endpoint = || Endpoint::new(emulator.url(), "gpt-realtime").expect("a URL");
        let logged = |log: &Path| {
            let session = SessionOptions::default();
            ClientOptions::new(session).log(FileLog::create(log).expect("the folder is there"))
        };
        let keeper = Keeper::new();
        let begin = |options: ClientOptions| async {
            let (handle, mut events) = Client::connect(endpoint(), options).await.expect("a call").split();
            let hears = tokio::spawn(async move { while events.next().await.is_some() {} });
            (handle, hears)
        };
        let (handle, hears) = begin(logged(&logs[0]).keeper(&keeper)).await;
        let answer = handle.ask("Hello?").await.expect("a call");
        assert!(!answer.into_result().expect("an answer").text.is_empty());
        let suspended = keeper.suspend().await.expect("a call");
        hears.await.expect("its log is written");
        let (handle, hears) = begin(logged(&logs[1]).resume(suspended)).await;
        let answer = handle.ask("Who are you?").await.expect("a call");
        assert!(!answer.into_result().expect("an answer").text.is_empty());
        handle.send(Wish::Close {}).expect("it goes on");
        hears.await.expect("its log is written");
    });
    logs
}

#[test]
fn the_logs_of_a_call_that_moved_are_told_and_checked_as_one() {
    let [first, second] = call_that_moves();
    let told = printed(&["replay", name(&first), name(&second)]);
    let place = |words: &str| told.find(words).unwrap_or_else(|| panic!("no {words}: {told}"));
    assert!(place("Hello?") < place("another process goes on with the call"));
    assert!(place("another process goes on with the call") < place("Who are you?"));
    assert_eq!(told.matches("identical: ").count(), 2, "{told}");
    // Since the first log began, by the clocks of both processes, which differ by milliseconds.
    let at = |words: &str| {
        let found = story(&told).into_iter().find(|(_, what)| what.contains(words));
        found.unwrap_or_else(|| panic!("no {words}: {told}")).0
    };
    let moved = at("another process goes on with the call");
    assert!(at("starts to speak, after") < moved && moved <= at("writes \"Who are you?\""), "{told}");

    let json = printed(&["replay", "--json", name(&first), name(&second)]);
    let verdicts: Value = serde_json::from_str(json.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&verdicts[0]["identical"], &verdicts[1]["identical"]),
        (&Value::Bool(true), &Value::Bool(true))
    );

    let (_, error) = failed(&["replay", name(&second), name(&first)]);
    assert!(error.contains("begins a call of its own"), "{error}");

    // One that can't be replayed keeps no other from it.
    let text = fs::read_to_string(&first).expect("a log").replacen("\"from\"", "\"form\"", 1);
    fs::write(&first, text).expect("the folder is there");
    let (told, error) = failed(&["replay", "--json", name(&first), name(&second)]);
    assert!(error.contains(name(&first)) && !error.contains(name(&second)), "{error}");
    let of_each: Value = serde_json::from_str(told.lines().last().expect("a line")).expect("JSON");
    assert!(of_each[0]["error"].is_string() && of_each[1]["identical"] == true, "{of_each}");
}
