//! Golden sessions against their snapshots.

use realtime_protocol::call::Event;
use realtime_protocol::session::Output;
use realtime_tests::golden::Golden;
use realtime_tests::invariants::Invariants;

#[test]
fn golden_sessions_come_out_as_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, golden) in Golden::all() {
            insta::assert_snapshot!(name.as_str(), golden.render());
        }
    });
}

#[test]
fn golden_sessions_keep_the_invariants() {
    use realtime_protocol::event::ServerEvent;
    use realtime_protocol::log::Input;
    for (name, golden) in Golden::all() {
        let mut invariants = Invariants::late();
        let mut ended = false;
        golden.replay(|_, input, outputs| {
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
        assert!(ended, "{} has no end", name);
        invariants.end();
    }
}

#[test]
fn golden_sessions_raise_no_alarm() {
    for (name, golden) in Golden::all() {
        golden.replay(|at, _, outputs| {
            for output in outputs.unwrap_or_default() {
                let alarm = matches!(output, Output::Event(Event::Overdue { .. }));
                assert!(!alarm, "{} at {at}: {output:?}", name);
            }
        });
    }
}
