//! What came of a scenario: [`Outcome`], for a person in lines, and as JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use realtime_pipeline::testing::{HeldCall, Mismatch};
use serde::Serialize;

use crate::colour::bad;
use crate::eval::scenario::Ending;
use crate::eval::voices::Sound;
use crate::story::printable;

/// What came of a scenario.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// How long it took (ms of this machine's time).
    pub(super) took_ms: u64,
    /// What does not hold.
    pub(super) failures: Vec<Failure>,
    /// Why it could not be held at all.
    pub(super) error: Option<String>,
    pub(super) call: Option<CallReport>,
    pub(super) log: Option<PathBuf>,
    pub(super) page: Option<PathBuf>,
    /// What else went wrong, and does not count.
    #[serde(skip)]
    pub(super) note: Option<String>,
}

/// A call that was held.
#[derive(Debug, Serialize)]
pub(super) struct CallReport {
    pub(super) ended: Ending,
    pub(super) reason: String,
    /// In the call's own time.
    pub(super) lasted_ms: u64,
    /// In the currency of the agent's prices, if it has some.
    pub(super) cost: Option<f64>,
    #[serde(flatten)]
    pub(super) call: HeldCall,
    /// What is known by its sound, at a phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sound: Option<Sound>,
}

/// Something that does not hold.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    /// Where it is expected: the file, the line and the column.
    place: String,
    expected: String,
    got: String,
}

impl Failure {
    pub(super) fn new(place: impl fmt::Display, mismatch: Mismatch) -> Self {
        Self { place: place.to_string(), expected: mismatch.expected, got: mismatch.got }
    }
}

impl Outcome {
    pub(super) fn new(name: &str, file: &Path) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            took_ms: 0,
            failures: Vec::new(),
            error: None,
            call: None,
            log: None,
            page: None,
            note: None,
        }
    }

    pub(super) fn is_passed(&self) -> bool {
        self.failures.is_empty() && self.error.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.place, self.expected, self.got)
    }
}

/// One line, and below it what does not hold.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_passed() {
            true => write!(f, "ok    {}", printable(&self.name))?,
            false => write!(f, "{}  {}", bad("FAIL"), printable(&self.name))?,
        }
        let took = self.took_ms as f64 / 1e3;
        match &self.call {
            Some(call) => write!(f, " ({:.1} s of call, in {took:.1} s)", call.lasted_ms as f64 / 1e3)?,
            None => write!(f, " (in {took:.1} s)")?,
        }
        let mut line = |text: &str| write!(f, "\n      {}", printable(text));
        self.failures.iter().try_for_each(|failure| line(&failure.to_string()))?;
        self.error.iter().try_for_each(|error| line(error))?;
        self.page.iter().try_for_each(|page| line(&format!("page: {}", page.display())))?;
        self.note.iter().try_for_each(|note| line(&format!("note: {note}")))
    }
}
