//! Golden sessions against their snapshots.

use std::fs;
use std::path::PathBuf;

use realtime_protocol::call::Event;
use realtime_protocol::session::Output;
use realtime_tests::golden::Golden;
use realtime_tests::invariants::Invariants;

fn goldens() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of golden sessions")
        .map(|entry| entry.expect("its entries").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 6, "the golden sessions are missing");
    paths
}

#[test]
fn golden_sessions_come_out_as_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in goldens() {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            insta::assert_snapshot!(stem, Golden::read(&path).render());
        }
    });
}

#[test]
fn golden_sessions_keep_the_invariants() {
    use realtime_protocol::event::ServerEvent;
    use realtime_protocol::log::Input;
    for path in goldens() {
        let mut invariants = Invariants::late();
        let mut ended = false;
        Golden::read(&path).replay(|_, input, outputs| {
            let Ok(outputs) = outputs else { return };
            match input {
                Some(Input::Command(id, _)) => invariants.command(*id),
                Some(Input::Text(_, text)) => {
                    if let ServerEvent::ErrorEvent(error) = ServerEvent::decode(text, Default::default())
                        && let Some(id) = error.error.value().and_then(|error| error.event_id.value())
                    {
                        invariants.refused(id);
                    }
                }
                Some(Input::Disconnected(..)) => ended = true,
                _ => {}
            }
            outputs.iter().for_each(|output: &Output| invariants.output(output));
        });
        assert!(ended, "{} has no end", path.display());
        invariants.end();
    }
}

#[test]
fn golden_sessions_raise_no_alarm() {
    for path in goldens() {
        Golden::read(&path).replay(|at, _, outputs| {
            for output in outputs.unwrap_or_default() {
                let alarm = matches!(output, Output::Event(Event::Overdue { .. }));
                assert!(!alarm, "{} at {at}: {output:?}", path.display());
            }
        });
    }
}
