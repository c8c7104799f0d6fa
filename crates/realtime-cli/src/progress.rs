//! How far a command is, for a person who waits: one line on standard error, as long as that is a terminal.
//!
//! What is over within [`PATIENCE`] shows nothing, and so does a command that was asked for JSON. One thing
//! is shown at a time: what is part of something that is shown already shows nothing of its own.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is shown: there is one terminal.
static SHOWN: Mutex<Shown> = Mutex::new(Shown::Nothing);

enum Shown {
    Nothing,
    Bar(ProgressBar),
    /// Nothing may be.
    Silenced,
}

/// How far something is. The line goes away with it.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nobody is told.
    Untold,
    Told(Bar),
}

/// A line that is shown once it has taken long enough.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    patience: Duration,
    to: fn() -> ProgressDrawTarget,
}

/// Shows nothing from now on: somebody reads by a program.
pub(crate) fn silence() {
    *shown() = Shown::Silenced;
}

/// Runs this while the line is away, so that it can write to the same terminal.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    match &*shown() {
        Shown::Bar(bar) => bar.suspend(write),
        Shown::Nothing | Shown::Silenced => write(),
    }
}

impl Progress {
    /// Something begins whose whole length is this, in any unit.
    pub(crate) fn begin(what: impl Into<String>, length: u64) -> Self {
        let mut shown = shown();
        if !matches!(*shown, Shown::Nothing) || !stderr().is_terminal() {
            return Self::Untold;
        }
        let told = Bar::new(what.into(), length, PATIENCE, ProgressDrawTarget::stderr);
        *shown = Shown::Bar(told.bar.clone());
        Self::Told(told)
    }

    /// It is this far.
    pub(crate) fn at(&self, position: u64) {
        if let Self::Told(told) = self {
            told.at(position);
        }
    }

    /// Its whole length is known better.
    pub(crate) fn of(&self, length: u64) {
        if let Self::Told(told) = self {
            told.bar.set_length(length);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Told(told) = self {
            told.bar.finish_and_clear();
            let mut shown = shown();
            if matches!(*shown, Shown::Bar(_)) {
                *shown = Shown::Nothing;
            }
        }
    }
}

impl Bar {
    fn new(what: String, length: u64, patience: Duration, to: fn() -> ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
        Self { bar: bar.with_style(style).with_message(what), patience, to }
    }

    fn at(&self, position: u64) {
        if self.bar.length().is_some_and(|length| length < position) {
            self.bar.set_length(position);
        }
        self.bar.set_position(position);
        if self.bar.is_hidden() && self.bar.elapsed() >= self.patience {
            self.bar.set_draw_target((self.to)());
            self.bar.tick();
        }
    }
}

fn shown() -> MutexGuard<'static, Shown> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;

    use indicatif::TermLike;

    use super::*;

    static DRAWN: Mutex<String> = Mutex::new(String::new());

    /// A terminal that keeps what is drawn on it.
    #[derive(Debug)]
    struct Paper;

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            DRAWN.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.write_str("|")
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn bar(patience: Duration) -> Bar {
        let paper = || ProgressDrawTarget::term_like(Box::new(Paper));
        Bar::new("reads a.jsonl".to_owned(), 200, patience, paper)
    }

    #[test]
    fn what_takes_its_time_is_shown_and_goes_away() {
        let told = bar(Duration::MAX);
        told.at(50);
        drop(Progress::Told(told));
        assert_eq!(*DRAWN.lock().unwrap(), "", "it was over soon");

        let told = bar(Duration::ZERO);
        told.at(50);
        let drawn = std::mem::take(&mut *DRAWN.lock().unwrap());
        assert!(drawn.contains("=====> ") && drawn.contains(" 25 %  reads a.jsonl"), "{drawn}");
        told.at(400);
        assert!(std::mem::take(&mut *DRAWN.lock().unwrap()).contains("100 %"), "longer than it was told");
        told.bar.suspend(|| DRAWN.lock().unwrap().push('!'));
        let drawn = std::mem::take(&mut *DRAWN.lock().unwrap());
        assert!(drawn.starts_with("|!") && drawn.contains("reads a.jsonl"), "{drawn}");
        drop(Progress::Told(told));
        assert!(DRAWN.lock().unwrap().starts_with('|'), "it is gone");
    }

    #[test]
    fn a_pipe_is_told_nothing() {
        if !stderr().is_terminal() {
            assert!(matches!(Progress::begin("reads", 1), Progress::Untold));
        }
    }
}
