//! `realtime eval` as a user runs it: the examples, the paper's scenarios, and reports of what fails.

mod judged;
#[cfg(feature = "serve")]
mod phone;
mod report;
mod wrong;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `realtime eval`; the one place that touches the binary.
fn eval(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the binary was built for this test")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime"));
    command.arg("eval").args(arguments).current_dir(folder);
    for key in ["OPENAI_API_KEY", "REALTIME_JUDGE_KEY"] {
        command.env_remove(key);
    }
    command
}

/// A folder of one test's own, with this scenario in it.
fn folder(name: &str, scenario: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("eval").join(name);
    // It may be left of an earlier run.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("a folder for this test");
    fs::write(folder.join("case.yaml"), scenario).expect("the folder is there");
    folder
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("commands print text")
}

/// The output of a run in which all scenarios pass.
fn passes(folder: &Path, arguments: &[&str]) -> String {
    let output = eval(folder, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_examples_pass() {
    let out = passes(&root(), &["crates/realtime-cli/evals", "--json", "--jobs", "2"]);
    let report: Value = serde_json::from_str(out.lines().last().expect("a report")).expect("JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&3.into(), &0.into()), "{out}");
    let weather = &report["scenarios"][2];
    assert_eq!(weather["name"], "The weather in Paris, interrupted");
    assert_eq!(weather["call"]["tools"][0]["arguments"]["city"], "Paris");
    assert_eq!(weather["call"]["latencies_ms"].as_array().map(Vec::len), Some(3), "{weather}");
    let cut = &weather["call"]["cuts"][0];
    let heard = cut["heard"].as_str().expect("words");
    assert!(heard.ends_with("along the river,") || heard.ends_with("along the"), "{heard}");
    assert_eq!(report["scenarios"][0]["call"]["ended"], "agent");
    assert!(report["scenarios"][0]["call"]["cost"].as_f64().is_some_and(|cost| cost > 0.0));

    let one = passes(&root(), &["crates/realtime-cli/evals/weather.yaml", "--match", "PARIS"]);
    assert!(one.contains("1 scenario: 1 passed, 0 failed in "), "{one}");
}

#[test]
fn virtual_time_gives_the_same_log_every_time() {
    let example =
        fs::read_to_string(root().join("crates/realtime-cli/evals/weather.yaml")).expect("an example");
    let folder = folder("same", &example);
    let log = |to: &str| {
        passes(&folder, &["case.yaml", "--log", to]);
        let file = folder.join(to).join("the-weather-in-paris-interrupted.jsonl");
        fs::read(file).expect("the session log")
    };
    assert!(log("first") == log("second"), "two logs differ");
}

#[test]
fn the_scenarios_of_the_paper_pass() {
    let paper = fs::read_to_string(root().join("docs/evals.md")).expect("the paper");
    let blocks = |kind: &str| {
        let fence = format!("```{kind}\n");
        paper
            .split(&fence)
            .skip(1)
            .map(|block| block.split("```").next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let scenarios = blocks("yaml");
    assert!(scenarios.len() > 3, "{}", scenarios.len());
    let folder = folder("paper", &scenarios.join("---\n"));
    fs::write(folder.join("hotel.toml"), &blocks("toml")[0]).expect("the folder is there");
    let wav = root().join("crates/realtime-cli/fixtures/one-turn-44k1-stereo.wav");
    fs::copy(wav, folder.join("hello.wav")).expect("the folder is there");
    let out = passes(&folder, &["."]);
    assert!(out.contains(&format!("{0} scenarios: {0} passed", scenarios.len())), "{out}");

    let another = scenarios[0].replace("city: Paris", "city: Rome");
    fs::write(folder.join("weather.yaml"), another).expect("the folder is there");
    let output = eval(&folder, &["weather.yaml", "--html", "failed"]);
    let (out, told) = (report::timeless(text(&output.stdout)), report::timeless(&blocks("text")[0]));
    assert!(out.starts_with(&told), "{out}\n  and not\n{told}");
}
