//! Checks "What always holds" in ARCHITECTURE.md: each point names a test that fails without it, and the test
//! exists.
//!
//! A point ends with its tests: `` (`FILE`: `TEST`, `TEST`; `FILE`: `TEST`) ``, files from the root of the
//! workspace.

use std::path::Path;

/// The document, and its section with the points.
pub(super) const DOCUMENT: &str = "ARCHITECTURE.md";
const SECTION: &str = "## What always holds";

/// A test that a point names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Named<'a> {
    file: &'a str,
    test: &'a str,
}

/// The points without a test, and the tests that do not exist, as sentences. `read`: a file's text, if there
/// is one.
pub(super) fn broken_promises(document: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let points = points(document);
    if points.is_empty() {
        broken.push(format!("{DOCUMENT} has no points under `{SECTION}`"));
    }
    for (line, point) in points {
        let tests = tests(&point);
        if tests.is_empty() {
            broken.push(format!("{DOCUMENT}:{line} names no test: expected (`FILE`: `TEST`) in the point"));
        }
        for Named { file, test } in tests {
            match read(Path::new(file)) {
                None => broken.push(format!("{DOCUMENT}:{line} names {file}, which cannot be read")),
                Some(source) if !has_test(&source, test) => {
                    broken.push(format!(
                        "{DOCUMENT}:{line} names the test `{test}`, which {file} does not have"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    broken
}

/// The points of the section, each in one line, with the number of its first.
fn points(document: &str) -> Vec<(usize, String)> {
    let lines = document.lines().zip(1..).skip_while(|(line, _)| *line != SECTION).skip(1);
    let mut points: Vec<(usize, String)> = Vec::new();
    for (line, number) in lines.take_while(|(line, _)| !line.starts_with("## ")) {
        if let Some(text) = line.strip_prefix("- ") {
            points.push((number, text.to_owned()));
        } else if line.starts_with(' ')
            && let Some((_, point)) = points.last_mut()
        {
            point.push(' ');
            point.push_str(line.trim());
        }
    }
    points
}

/// The files and tests in brackets.
fn tests(point: &str) -> Vec<Named<'_>> {
    let groups = point.split("(`").skip(1).filter_map(|rest| rest.split_once("`)").map(|(group, _)| group));
    let mut named = Vec::new();
    for (file, tests) in groups.flat_map(|group| group.split("`; `")).filter_map(|one| one.split_once("`: `"))
    {
        named.extend(tests.split("`, `").map(|test| Named { file, test }));
    }
    named
}

/// Returns whether a source has a function of that name under an attribute of a test.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        name.and_then(|name| name.strip_prefix(test)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(index, _)| {
        let before = lines[..index].iter().rev();
        let attributes = before.take_while(|line| line.starts_with('#') || line.starts_with("//"));
        attributes.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        proptest! {
            /// Why.
            #[test]
            fn one_holds(steps in steps()) { }
        }
        #[tokio::test(start_paused = true)]
        #[expect(clippy::unwrap_used, reason = \"a test\")]
        async fn two_holds() { }
        fn helps() { }
    ";

    fn check(points: &str) -> Vec<String> {
        let document = format!("# A\n- none\n{SECTION}\nEach has a test.\n\n{points}\n## Next\n- no point\n");
        broken_promises(&document, |file| (file == Path::new("a/b.rs")).then(|| SOURCE.to_owned()))
    }

    #[test]
    fn a_point_may_name_several_tests_over_several_lines() {
        assert_eq!(check("- One (in `words`), always\n  (`a/b.rs`: `one_holds`, `two_holds`)."), [""; 0]);
        assert_eq!(
            check("- One (`a/b.rs`: `one_holds`; `a/b.rs`: `two_holds`).\n- Two (`a/b.rs`: `two_holds`)."),
            [""; 0]
        );
    }

    #[test]
    fn a_point_without_a_test_is_found_with_its_line() {
        let missing = "ARCHITECTURE.md:7 names no test: expected (`FILE`: `TEST`) in the point";
        assert_eq!(check("- One (`a/b.rs`: `one_holds`).\n- Two, `somehow` (see above)."), [missing]);
        assert_eq!(check("No points."), ["ARCHITECTURE.md has no points under `## What always holds`"]);
    }

    #[test]
    fn a_test_must_exist_and_be_one() {
        let broken = check("- One (`a/b.rs`: `one`, `helps`, `one_holds`; `a/c.rs`: `one_holds`).");
        assert_eq!(
            broken,
            [
                "ARCHITECTURE.md:6 names the test `one`, which a/b.rs does not have",
                "ARCHITECTURE.md:6 names the test `helps`, which a/b.rs does not have",
                "ARCHITECTURE.md:6 names a/c.rs, which cannot be read",
            ]
        );
    }
}
