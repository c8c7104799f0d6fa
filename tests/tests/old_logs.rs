//! Session logs that earlier versions wrote stay readable: their inputs run, and texts that new rules changed
//! are counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use realtime_protocol::log::{Entry, Input, OldLog, Replay, read_header};

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("logs");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of old logs")
        .map(|entry| entry.expect("its entries").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    paths
}

/// The lines of a log, and the version that its header names.
fn read(path: &Path) -> (u32, String) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header = read_header(text.lines().next().unwrap_or_default());
    let version = header.unwrap_or_else(|error| panic!("{}: {error}", path.display())).version;
    (version, text)
}

#[test]
fn the_inputs_of_old_logs_run_and_what_changed_is_counted() {
    for path in logs() {
        let (_, text) = read(&path);
        let mut lines = text.lines().enumerate();
        let header = lines.next().map(|(_, line)| read_header(line).unwrap()).unwrap();
        let mut replay = Replay::new(&header);
        for (index, line) in lines {
            replay.line(index + 1, line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        assert!(replay.inputs() > 20 && replay.outputs() > 50, "{} is cut short", path.display());
        let changed = replay.changed().expect("a log of an older version");
        insta::assert_debug_snapshot!(path.file_stem().unwrap().to_str().unwrap(), changed);
        assert_eq!(replay.finish(), None, "{}", path.display());
    }
}

#[test]
fn there_are_old_logs_of_each_version_with_every_kind_of_input() {
    let (mut versions, mut inputs) = (Vec::new(), BTreeSet::new());
    for path in logs() {
        let (version, text) = read(&path);
        versions.push(version);
        let old = OldLog::of(&read_header(text.lines().next().unwrap()).unwrap()).unwrap();
        for (index, line) in text.lines().enumerate().skip(1) {
            if let Entry::Input { input, .. } = Entry::read(index + 1, &old.modernise(line)).unwrap() {
                inputs.insert(match input {
                    Input::Command(_, command) => command.name().to_owned(),
                    Input::Media(media) => media.name().to_owned(),
                    Input::Shortfall(_) => "(shortfall)".to_owned(),
                    Input::Seed(..) => "(seed)".to_owned(),
                    _ => continue,
                });
            }
        }
    }
    assert_eq!(versions, [1, 1, 2, 2]);
    // 16 commands, seeds and shortfalls.
    assert_eq!(inputs.len(), 18, "{inputs:?}");
}
