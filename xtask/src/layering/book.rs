//! Whether the book holds together: its summary names every page, and every link between pages leads
//! somewhere.

use std::path::Path;

use crate::Error;

/// Where the pages are.
const FOLDER: &str = "docs";
/// The page that names the others.
const SUMMARY: &str = "SUMMARY.md";

/// A page by its name in the folder, with its text.
type Page = (String, String);

/// What is broken in the book below the root of the workspace.
pub(super) fn broken_book(root: &Path) -> Result<Vec<String>, Error> {
    let folder = root.join(FOLDER);
    let mut pages = Vec::new();
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            let text = super::read(&folder.join(&name))?;
            pages.push((name, text));
        }
    }
    pages.sort();
    Ok(broken_pages(&pages))
}

fn broken_pages(pages: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in pages {
        for (line, target) in links(text) {
            if let Some(why) = broken_link(pages, name, &target) {
                broken.push(format!("{FOLDER}/{name}:{line}: the link to `{target}` {why}"));
            }
        }
    }
    let summary = pages.iter().find(|(name, _)| name == SUMMARY).map_or("", |(_, text)| text);
    let named = links(summary);
    for (name, _) in pages.iter().filter(|(name, _)| name != SUMMARY) {
        match named.iter().filter(|(_, target)| target == name).count() {
            1 => {}
            0 => broken.push(format!("{FOLDER}/{SUMMARY} does not name {name}: add it")),
            more => broken.push(format!("{FOLDER}/{SUMMARY} names {name} {more} times: once is enough")),
        }
    }
    broken
}

/// Why a link leads nowhere; `None`: it does not, or it is not ours.
fn broken_link(pages: &[Page], from: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") {
        return None;
    }
    let (page, anchor) = target.split_once('#').unwrap_or((target, ""));
    let page = if page.is_empty() { from } else { page };
    let Some((_, text)) = pages.iter().find(|(name, _)| name == page) else {
        return Some("leads to no page of the book: a file elsewhere is named as `code`");
    };
    let has_anchor = anchor.is_empty() || headings(text).any(|heading| heading == anchor);
    (!has_anchor).then_some("leads to no heading of that page")
}

/// The targets of the links in a text, each with the number of its line. Code has none.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, number) in prose(text) {
        // Every second piece is code.
        for piece in line.split('`').step_by(2) {
            let targets = piece.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| (number, target.to_owned())));
        }
    }
    found
}

/// The headings of a text, as links name them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(line, _)| line.starts_with('#')).map(|(line, _)| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    })
}

/// The lines outside of fenced code, each with its number.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut in_code = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: Vec<Page> =
            pages.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        broken_pages(&pages)
    }

    #[test]
    fn every_page_is_named_once() {
        assert_eq!(check(&[(SUMMARY, "- [A](a.md)\n- [B](b.md)"), ("a.md", ""), ("b.md", "")]), [""; 0]);
        assert_eq!(check(&[(SUMMARY, ""), ("a.md", "")]), ["docs/SUMMARY.md does not name a.md: add it"]);
        assert_eq!(
            check(&[(SUMMARY, "- [A](a.md)\n- [A](a.md)"), ("a.md", "")]),
            ["docs/SUMMARY.md names a.md 2 times: once is enough"]
        );
    }

    #[test]
    fn links_lead_to_pages_and_headings() {
        let summary = (SUMMARY, "[A](a.md)");
        for (text, is_broken) in [
            ("see [this](a.md) and [that](https://example.org/b.md)", false),
            ("see [this](#what-it-does)\n## What it *does*", false),
            ("see [this](a.md#nothing)", true),
            ("see [this](b.md)", true),
            ("see [this](../README.md)", true),
            ("see [this](a.md), [that](b.md)", true),
            ("`[this](b.md)`", false),
            ("```text\n[this](b.md)\n```", false),
        ] {
            assert_eq!(!check(&[summary, ("a.md", text)]).is_empty(), is_broken, "{text}");
        }
        assert_eq!(
            check(&[(SUMMARY, "\n[B](b.md)")]),
            [
                "docs/SUMMARY.md:2: the link to `b.md` leads to no page of the book: a file elsewhere is named as `code`"
            ]
        );
    }
}
