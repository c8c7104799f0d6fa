//! Paths that the sources of the pure crates must not name, and the search for them.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::layering::{read, scan};

/// What the sources of a pure crate must not name, and why. A path is forbidden wherever it occurs inside a
/// longer one.
const FORBIDDEN_PATHS: &[(&[&str], &str)] = &[
    (&["Instant"], "a pure crate reads no clock: take `now: Timestamp` as an argument"),
    (&["SystemTime"], "a pure crate reads no clock: take the wall time as an argument"),
    (&["std", "net"], "a pure crate opens no socket: its driver hands it the text"),
    (&["std", "fs"], "a pure crate reads and writes no file: its driver hands it the text"),
    (&["std", "env"], "a pure crate reads no environment: take an option"),
    (&["std", "process"], "a pure crate starts and ends no process: return an error"),
    (&["std", "thread"], "a pure crate has no threads and never sleeps: ask for a time with `poll_timeout`"),
    (&["thread_local"], "a pure crate has no global state: keep it in the value"),
    (&["HashMap"], "its order differs from run to run, so a log would not replay: use `BTreeMap` or a `Vec`"),
    (&["HashSet"], "its order differs from run to run, so a log would not replay: use `BTreeSet` or a `Vec`"),
    (&["RandomState"], "it is seeded at random, so a log would not replay"),
];

/// What the sources of a pure folder must not name either. Nothing that a pure crate depends on has it; the
/// crate around a pure folder may.
const FORBIDDEN_IN_FOLDERS: &[(&[&str], &str)] = &[
    (&["tokio"], "a pure folder runs on any runtime, so it names none"),
    (&["realtime_client"], "a pure folder opens no connection: its driver does"),
    (&["hound"], "a pure folder reads and writes no file: its driver does"),
];

/// A forbidden path in a source file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) path: String,
    pub(super) reason: &'static str,
}

/// The forbidden paths that a source file names outside its comments, strings and tests.
pub(super) fn forbidden_paths(source: &str) -> Vec<Found> {
    named(source, FORBIDDEN_PATHS)
}

/// The paths that only a pure folder must not name, outside its comments, strings and tests.
pub(super) fn forbidden_in_folder(source: &str) -> Vec<Found> {
    named(source, FORBIDDEN_IN_FOLDERS)
}

fn named(source: &str, table: &[(&[&str], &'static str)]) -> Vec<Found> {
    let mut found = Vec::new();
    for path in scan::paths(source) {
        for (forbidden, reason) in table {
            if path.segments.windows(forbidden.len()).any(|window| window == *forbidden) {
                found.push(Found { line: path.line, path: path.segments.join("::"), reason });
            }
        }
    }
    found
}

/// The source files below a directory, without the modules that only a test build has.
pub(super) fn library_files(source: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut tests = Vec::new();
    let mut directories = vec![source.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory)
            .map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path)?;
                let modules = scan::test_modules(&text);
                tests.extend(modules.iter().map(|module| module_directory(&path).join(module)));
                files.push(path);
            }
        }
    }
    // `a/tests` stands for the file `a/tests.rs` and for everything in the directory `a/tests`.
    files.retain(|file| !tests.iter().any(|test| file.with_extension("").starts_with(test)));
    files.sort();
    Ok(files)
}

/// The directory in which the modules that a file declares are looked for.
fn module_directory(file: &Path) -> PathBuf {
    let is_root = file.file_stem().is_some_and(|stem| stem == "lib" || stem == "main" || stem == "mod");
    if is_root { file.with_file_name("") } else { file.with_extension("") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_sockets_threads_and_unordered_maps_are_found_with_their_line() {
        let source = "\
use std::time::{Duration, Instant};
use std::{collections::{BTreeMap, HashMap as Map}, net, thread as os_thread};
thread_local!(static X: u8 = const { 0 });
fn f() -> std::time::SystemTime { ::std::thread::sleep(D); std::collections::HashSet::<u8>::new(); todo!() }
";
        assert_eq!(
            check(source),
            [
                "1 std::time::Instant",
                "2 std::collections::HashMap",
                "2 std::net",
                "2 std::thread",
                "3 thread_local",
                "4 std::time::SystemTime",
                "4 std::thread::sleep",
                "4 std::collections::HashSet",
            ]
        );
    }

    #[test]
    fn a_pure_folder_names_no_runtime() {
        let source = "use tokio::sync::mpsc;\nfn f(wire: realtime_client::Wire) {}";
        let lines: Vec<usize> = forbidden_in_folder(source).iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 2]);
        assert_eq!(forbidden_paths(source), []);
    }

    #[test]
    fn each_finding_says_why() {
        let found = forbidden_paths("fn f(now: Instant) {}");
        let reason = "a pure crate reads no clock: take `now: Timestamp` as an argument";
        assert_eq!(found, [Found { line: 1, path: "Instant".to_owned(), reason }]);
    }

    #[test]
    fn comments_strings_and_tests_may_name_anything() {
        let source = r###"
//! Drive it with `std::time::Instant`.
/* std::net /* nested */ HashMap */
/// let clock = std::time::Instant::now();
const A: &str = "std::net \" HashMap";
const B: &str = r#"std::thread " HashSet"#;
const C: (char, char, u8) = ('"', '\'', b'"');
fn lifetime<'a>(x: &'a str) -> impl Sized + use<'a> { x }
#[cfg(test)]
use std::collections::HashMap;
#[cfg(all(test, feature = "std"))]
#[derive(Debug)]
struct Clock([std::time::Instant; 2]);
#[cfg(test)]
mod tests {
    use std::time::Instant;
    fn f() { let brace = '}'; std::thread::sleep(D) }
}
fn after() { std::env::args(); }
"###;
        assert_eq!(check(source), ["19 std::env::args"]);
    }

    #[test]
    fn code_for_other_builds_than_tests_is_checked() {
        assert_eq!(check("#[cfg(not(test))]\nuse std::net::TcpStream;"), ["2 std::net::TcpStream"]);
        assert_eq!(check("#[cfg(feature = \"std\")]\nuse std::fs;"), ["2 std::fs"]);
    }

    #[test]
    fn names_that_only_look_alike_are_allowed() {
        let source =
            "use core::time::Duration; fn instant(net: Net, thread: u8) -> HashMapLike { r#use::net() }";
        assert_eq!(check(source), [""; 0]);
    }

    #[test]
    fn text_that_is_no_rust_is_scanned_without_a_panic() {
        for source in [
            "use std::{",
            "use {{{",
            "/* ",
            "\"",
            "r#\"",
            "'",
            "'\\",
            "#[cfg(test)]",
            "b'",
            "ü'ü",
            "use ;use",
        ] {
            check(source);
        }
    }

    #[test]
    fn modules_of_a_test_build_are_left_out_with_their_files() {
        let root = std::env::temp_dir().join(format!("xtask-layering-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("lib.rs", "mod session;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod sim { }");
        write("session.rs", "#[cfg(test)]\npub(crate) mod clock;\nmod state;");
        write("session/clock.rs", "");
        write("session/clock/real.rs", "");
        write("session/state.rs", "");
        write("tests/mod.rs", "");
        write("testsuite.rs", "");
        write("notes.md", "");

        let files = library_files(&root).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(&root).unwrap().to_owned()).collect();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(names, ["lib.rs", "session/state.rs", "session.rs", "testsuite.rs"].map(PathBuf::from));
    }

    fn check(source: &str) -> Vec<String> {
        forbidden_paths(source).iter().map(|found| format!("{} {}", found.line, found.path)).collect()
    }
}
