//! The program in C, as a C compiler builds it, and the paper that shows it.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo has built for C, beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    test.with_file_name("librealtime_embedding.a")
}

#[test]
fn the_call_in_c_is_compiled_and_held() {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("skipped: the call in C: there is no C compiler ({compiler})");
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("call");
    let built = Command::new(&compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(here().join("call.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm"])
        .output()
        .expect("the compiler runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let held = Command::new(&program).output().expect("the program runs");
    let told = String::from_utf8_lossy(&held.stdout);
    assert_eq!(held.status.code(), Some(0), "{told}");
    let mut rest = &*told;
    for line in [
        "send  {\"type\":\"session.update\"",
        "event {\"ready\":",
        "send  {\"type\":\"response.create\"",
        "send  {\"type\":\"input_audio_buffer.append\"",
        "event {\"response_started\":",
        "audio 8 bytes",
        "event {\"response_finished\":",
        "close",
        "event {\"closed\":",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("`{line}` is missing, or too early, in:\n{told}"));
        rest = &rest[at + line.len()..];
    }
}

/// The blocks of C in the paper are parts of the files.
#[test]
fn the_paper_shows_what_is_compiled() {
    let read = |path: &Path| fs::read_to_string(path).expect("a file of this workspace");
    let paper = read(&here().join("../../docs/c.md"));
    let files = [read(&here().join("machine.h")), read(&here().join("call.c"))];
    let blocks: Vec<&str> =
        paper.split("```c\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "{}", blocks.len());
    for block in blocks {
        assert!(files.iter().any(|file| file.contains(block)), "no file has:\n{block}");
    }
}
