//! How long a line of prose may be. Tables, code, a link that stands alone and addresses may be longer.

use std::path::{Path, PathBuf};

use crate::Error;

/// The longest line of prose (columns): as long as one of code.
const WIDEST: usize = 110;

/// The files that are held to it, by their extension. The prose of Rust is its comments.
const CHECKED: &[&str] = &["md", "rs"];

/// The files below the root of the workspace whose prose is checked.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory)
            .map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_ours = name != "target" && !name.to_string_lossy().starts_with('.');
            if is_ours && entry.file_type()?.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| CHECKED.iter().any(|checked| extension == *checked))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The lines of a file's prose that are too long, each with its number and its length (columns).
pub(super) fn long_lines(file: &Path, text: &str) -> Vec<(usize, usize)> {
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    let mut long = Vec::new();
    let mut in_code = false;
    for (line, number) in text.lines().zip(1..) {
        let prose = if is_rust { comment(line) } else { Some(line) };
        let Some(prose) = prose else { continue };
        if prose.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let width = width(line);
        if width > WIDEST && !in_code && !may_be_long(prose) {
            long.push((number, width));
        }
    }
    long
}

/// The text of a comment, if the line is one.
fn comment(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("//")?;
    let rest = rest.strip_prefix(['/', '!']).unwrap_or(rest);
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

/// The columns of a line without its addresses, which cannot be broken.
fn width(line: &str) -> usize {
    let mut columns = line.chars().count();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let scheme =
            rest[..at].rfind(|char: char| !char.is_ascii_alphabetic()).map_or(0, |before| before + 1);
        let address = &rest[scheme..];
        let end = address.find([' ', ')', '>', '`', '"']).unwrap_or(address.len());
        columns -= address[..end].chars().count();
        rest = &address[end..];
    }
    columns
}

/// Returns whether a line is a row of a table, code by its indentation, or nothing but a link.
fn may_be_long(prose: &str) -> bool {
    if prose.starts_with("    ") {
        return true;
    }
    let text = prose.trim().trim_start_matches(['-', '*', ' ']);
    let is_link = text.starts_with('[')
        && text.split_once(']').is_some_and(|(_, target)| {
            target.starts_with(": ") || target.starts_with('(') && target.trim_end_matches('.').ends_with(')')
        })
        && !text.trim_start_matches(|char| char != ']').contains(") ");
    text.starts_with('|') || is_link
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of 112 columns.
    fn words() -> String {
        format!("{}ab", "word ".repeat(22))
    }

    fn check(file: &str, text: &str) -> Vec<usize> {
        long_lines(Path::new(file), text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_long_line_of_prose_is_found_with_its_length() {
        let words = words();
        assert_eq!(long_lines(Path::new("a.md"), &format!("short\n{words}\n")), [(2, 112)]);
        assert_eq!(check("a.md", &words[..110]), [0; 0]);
        assert_eq!(check("a.md", &format!("- {words}\n  {words}")), [1, 2]);
        assert_eq!(check("a.md", &"ü".repeat(110)), [0; 0], "columns are counted, not bytes");
    }

    #[test]
    fn tables_code_and_links_may_be_long() {
        let words = words();
        let address = format!("https://example.org/{}", "a".repeat(100));
        for text in [
            format!("| {words} |"),
            format!("```sh\n{words}\n```"),
            format!("    {words}"),
            format!("[{words}](there)"),
            format!("- [a](there/{words})."),
            format!("[a]: {words}"),
            format!("see {address}, and <{address}>"),
            format!("see [this]({address}) and that"),
        ] {
            assert_eq!(check("a.md", &text), [0; 0], "{text}");
        }
        assert_eq!(check("a.md", &format!("```sh\n{words}\n```\n{words}")), [4]);
        assert_eq!(check("a.md", &format!("[a](b) {words}")), [1], "a link that does not stand alone");
        assert_eq!(check("a.md", &format!("{address} {words}")), [1]);
    }

    #[test]
    fn of_rust_the_comments_are_prose() {
        let words = words();
        let text = format!(
            "//! {words}\n    /// {words}\nlet a = \"{words}\";\n/// ```\n/// {words}\n/// ```\n// | {words} |"
        );
        assert_eq!(check("a.rs", &text), [1, 2]);
    }

    #[test]
    fn only_files_that_are_checked_are_looked_for() {
        let root = std::env::temp_dir().join(format!("xtask-prose-{}", std::process::id()));
        for name in ["a.md", "b/c.md", "b/d.txt", "target/e.md", ".git/f.md"] {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let found = files(&root).unwrap();
        let names: Vec<_> = found.iter().map(|file| file.strip_prefix(&root).unwrap().to_owned()).collect();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(names, ["a.md", "b/c.md"].map(PathBuf::from));
    }
}
