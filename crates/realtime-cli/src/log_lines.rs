//! The lines of a session log's file, which may have been edited, moved between systems, or cut off by a
//! crash: a byte order mark, carriage returns and blank lines are passed over.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::Error;
use crate::progress::Progress;

/// The longest line that is read (bytes). The protocol's largest event has 15 MiB of base64.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Reads lines, each with its number in the file, counted from 1.
#[derive(Debug)]
pub(crate) struct LogLines<R> {
    file: R,
    line: Vec<u8>,
    number: usize,
    ends: bool,
    progress: Progress,
    /// How much was read (bytes).
    read: u64,
}

/// Opens a log. Returns its first line, which is its header, and the lines after it.
///
/// # Errors
/// The file cannot be read, is empty, or is no text.
pub(crate) fn open(log: &Path) -> Result<(String, LogLines<BufReader<File>>), Error> {
    let file = File::open(log).map_err(|error| cannot_read(log, &error))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let mut lines = LogLines::new(BufReader::new(file));
    lines.progress = Progress::begin(format!("reads {}", log.display()), bytes);
    match lines.next() {
        Ok(Some((_, first))) => Ok((first.to_owned(), lines)),
        Ok(None) => Err(format!("{}: expected a session log, got an empty file", log.display()).into()),
        Err(error) => Err(cannot_read(log, &error)),
    }
}

/// What is told of a log whose lines end with this error.
pub(crate) fn cannot_read(log: &Path, error: &io::Error) -> Error {
    let name = log.display();
    match error.kind() {
        io::ErrorKind::InvalidData => format!("{name}: expected a session log: {error}").into(),
        _ => format!("cannot read {name}: {error}").into(),
    }
}

impl<R: BufRead> LogLines<R> {
    const fn new(file: R) -> Self {
        Self { file, line: Vec::new(), number: 0, ends: true, progress: Progress::Untold, read: 0 }
    }

    /// The next line that is not blank, without its end.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not UTF-8 or too long.
    pub(crate) fn next(&mut self) -> io::Result<Option<(usize, &str)>> {
        loop {
            self.line.clear();
            let bytes = self.file.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)?;
            if bytes == 0 {
                return Ok(None);
            }
            self.read += bytes as u64;
            self.progress.at(self.read);
            self.number += 1;
            self.ends = self.line.ends_with(b"\n");
            if !self.ends && self.line.len() as u64 == LONGEST {
                return Err(self.wrong(&format!("expected at most {LONGEST} bytes in a line, got more")));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        match std::str::from_utf8(self.line.trim_ascii()) {
            Ok(line) => Ok(Some((self.number, line))),
            Err(_) => Err(self.wrong("expected UTF-8 text, got other bytes")),
        }
    }

    /// Returns whether the line that was read last has no end: it is the file's last one, and may be only
    /// the beginning of a line.
    pub(crate) const fn is_open(&self) -> bool {
        !self.ends
    }

    /// The number of the line that was read last.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    fn wrong(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {what}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = LogLines::new(bytes);
        let mut read = Vec::new();
        loop {
            match lines.next() {
                Ok(Some((number, line))) => read.push(format!("{number} {line}")),
                Ok(None) => break,
                Err(error) => read.push(format!("! {error}")),
            }
        }
        if lines.is_open() {
            read.push("open".into());
        }
        read
    }

    #[test]
    fn marks_carriage_returns_and_blank_lines_are_passed_over() {
        assert_eq!(lines(b"\xef\xbb\xbf{}\r\n\r\n \n{\"a\":1}\n\n"), ["1 {}", "4 {\"a\":1}"]);
    }

    #[test]
    fn a_last_line_without_an_end_is_open() {
        assert_eq!(lines(b"{}\n{\"a\""), ["1 {}", "2 {\"a\"", "open"]);
        assert_eq!(lines(b""), [""; 0]);
    }

    #[test]
    fn bytes_that_are_no_text_cost_their_line() {
        assert_eq!(
            lines(b"{}\n\xff\n{}\n"),
            ["1 {}", "! line 2: expected UTF-8 text, got other bytes", "3 {}"]
        );
    }
}
