//! Outcomes as JUnit has them: XML that the servers of continuous integration read.

use std::fmt::Write;

use crate::eval::outcome::Outcome;

/// The whole file.
pub(super) fn document(outcomes: &[Outcome]) -> String {
    let seconds = |ms: u64| format!("{:.3}", ms as f64 / 1e3);
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\"",
        outcomes.len(),
        count(|outcome| outcome.error.is_none() && !outcome.failures.is_empty()),
        count(|outcome| outcome.error.is_some()),
        seconds(outcomes.iter().map(|outcome| outcome.took_ms).sum()),
    );
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut line = |depth: usize, text: String| {
        let _ = writeln!(xml, "{:1$}{text}", "", depth * 2);
    };
    line(0, format!("<testsuites {totals}>"));
    line(1, format!("<testsuite name=\"realtime eval\" {totals}>"));
    for outcome in outcomes {
        let case = format!(
            "<testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
            escaped(&outcome.name),
            escaped(&outcome.file.display().to_string()),
            seconds(outcome.took_ms)
        );
        if outcome.is_passed() {
            line(2, format!("{case}/>"));
            continue;
        }
        line(2, format!("{case}>"));
        let element = |name: &str, text: &str| format!("<{name} message=\"{}\"/>", escaped(text));
        for failure in &outcome.failures {
            line(3, element("failure", &failure.to_string()));
        }
        if let Some(error) = &outcome.error {
            line(3, element("error", error));
        }
        if let Some(page) = &outcome.page {
            line(3, format!("<system-out>{}</system-out>", escaped(&page.display().to_string())));
        }
        line(2, "</testcase>".to_owned());
    }
    line(1, "</testsuite>".to_owned());
    line(0, "</testsuites>".to_owned());
    xml
}

/// A text as it may stand in an attribute or an element. What XML has no way to write is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use realtime_pipeline::testing::Mismatch;

    use super::*;
    use crate::eval::outcome::Failure;

    #[test]
    fn what_is_said_breaks_no_xml() {
        let mut failed = Outcome::new("a <b> & \"c\"\u{7}", Path::new("it's.yaml"));
        failed.failures.push(Failure::new("it's.yaml:3:5", Mismatch::new("\"x\"", "two\nlines")));
        let mut broken = Outcome::new("broken", Path::new("b.yaml"));
        (broken.error, broken.took_ms) = (Some("cannot read <x>".into()), 1_500);
        let passed = Outcome::new("passed", Path::new("b.yaml"));
        assert_eq!(
            document(&[failed, broken, passed]),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="1" time="1.500">
  <testsuite name="realtime eval" tests="3" failures="1" errors="1" time="1.500">
    <testcase name="a &lt;b&gt; &amp; &quot;c&quot;�" classname="it&apos;s.yaml" time="0.000">
      <failure message="it&apos;s.yaml:3:5: expected &quot;x&quot;, got two&#10;lines"/>
    </testcase>
    <testcase name="broken" classname="b.yaml" time="1.500">
      <error message="cannot read &lt;x&gt;"/>
    </testcase>
    <testcase name="passed" classname="b.yaml" time="0.000"/>
  </testsuite>
</testsuites>
"#
        );
    }
}
