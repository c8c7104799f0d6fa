//! What can't be held is told before, in one line.

use crate::{eval, folder, root, text};

#[test]
fn a_scenario_that_can_not_be_held_says_why_in_one_line() {
    let with = |member: &str| {
        format!("name: a\nvoice: tones\ncaller: [hang_up]\nexpect:\n  - ends: caller\n{member}\n")
    };
    let hotel = root().join("crates/realtime-cli/evals/bakery.toml");
    let virtually = with(&format!("agent: {}\ntime: virtual", hotel.display()));
    for (name, scenario, arguments, expected) in [
        (
            "unknown",
            with("agnet: x"),
            &[][..],
            "error: case.yaml:6:1: unknown field `agnet`, expected one of name",
        ),
        (
            "twice",
            format!("{0}---\n{0}", with("")),
            &[],
            "error: case.yaml: the name `a` is there twice: rename one",
        ),
        ("match", with(""), &["--match", "b"], "error: no scenario has a name with `b`"),
        ("agent", with("agent: none.toml"), &[], "cannot read none.toml: "),
        ("script", with("script: none.json"), &[], "cannot read none.json: "),
        (
            "tool",
            with("tools: { get_wether: 1 }"),
            &[],
            "expected a tool of the agent (get_weather), got `get_wether`",
        ),
        (
            "judge",
            with("  - judge: Was it good?"),
            &[],
            "case.yaml:6:5: expected who judges: give `judge: { url, model }`",
        ),
        (
            "price",
            with("  - cost_at_most: { price: 1 }"),
            &[],
            "case.yaml:6:5: `price` needs the member `prices`",
        ),
        ("url", with("url: nonsense"), &[], "nonsense"),
        ("virtual", virtually, &[], "`time: virtual` needs answers under `tools` for order_status"),
    ] {
        let folder = folder(name, &scenario.replace("\n\n", "\n"));
        let output = eval(&folder, &[&["case.yaml"], arguments].concat());
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{name}: {out}{err}");
        assert!(err.starts_with(expected) || out.contains(expected), "{name}: {out}{err}");
    }
}
