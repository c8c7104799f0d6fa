//! Replaying a session log through fresh machines.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use crate::call::{Call, Output, Suspended};
use crate::log::old::Texts;
use crate::log::{Changed, Entry, Header, Input, LogError, LogWriter, OldLog};
use crate::time::Timestamp;

/// A replay: fresh machines, fed with a log's inputs, whose outputs are compared with the log's.
///
/// ```
/// # use realtime_protocol::log::{Header, LogWriter, Replay};
/// # use realtime_protocol::session::SessionOptions;
/// # use realtime_protocol::call::{ConnectionId, Call};
/// # use realtime_protocol::time::{Timestamp, UnixTime};
/// // Record …
/// let header = Header::new(SessionOptions::default(), "gpt-realtime", UnixTime::from_secs(1_790_000_000));
/// let writer = LogWriter::default();
/// let mut call = Call::new(header.options.clone());
/// let (now, mut log) = (Timestamp::ZERO, String::new());
/// while let Some(output) = call.poll_output() {
///     writer.output(&mut log, now, &output);
/// }
/// writer.connected(&mut log, now, ConnectionId(0), header.started_us);
/// call.handle_connected(now, ConnectionId(0), header.started_us);
///
/// // … and replay.
/// let mut replay = Replay::new(&header);
/// for (index, line) in log.lines().enumerate() {
///     replay.line(index + 2, line)?;
/// }
/// assert_eq!(replay.finish(), None);
/// # Ok::<(), realtime_protocol::log::LogError>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    machines: Call,
    /// The suspended call, if the log suspends it.
    suspended: Option<Box<Suspended>>,
    writer: LogWriter,
    /// Outputs of the machines that the log has not confirmed yet.
    due: VecDeque<String>,
    difference: Option<Difference>,
    /// For a log of an older version: how to read it, and what changed.
    old: Option<(OldLog, Texts)>,
    now: Timestamp,
    inputs: usize,
    outputs: usize,
}

/// The first place where a log and its replay differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The log's line, counted from 1. One after the last line if the log ends too early.
    pub line: usize,
    /// What the log has there, if it is an output.
    pub logged: Option<String>,
    /// What came out now.
    pub replayed: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first difference at line {}:", self.line)?;
        writeln!(f, "  logged:   {}", self.logged.as_deref().unwrap_or("nothing"))?;
        write!(f, "  replayed: {}", self.replayed.as_deref().unwrap_or("nothing"))
    }
}

impl Replay {
    /// Machines as the header describes them.
    pub fn new(header: &Header) -> Self {
        let mut replay = Self {
            machines: match &header.resumed {
                Some(suspended) => Call::resume(header.machines(), (**suspended).clone()),
                None => Call::new(header.machines()),
            },
            suspended: None,
            writer: LogWriter::default(),
            due: VecDeque::new(),
            difference: None,
            old: OldLog::of(header).map(|old| (old, Texts::default())),
            now: Timestamp::ZERO,
            inputs: 0,
            outputs: 0,
        };
        replay.drain(Timestamp::ZERO);
        replay
    }

    /// Feeds a line after the header to the machines, and returns their outputs. After a difference the
    /// inputs are still used, so that the rest of the conversation can be seen.
    ///
    /// # Errors
    /// [`LogError`] when the line is damaged.
    pub fn line(&mut self, number: usize, text: &str) -> Result<Vec<Output>, LogError> {
        let entry = match &self.old {
            Some((old, _)) => Entry::read(number, &old.modernise(text))?,
            None => Entry::read(number, text)?,
        };
        match entry {
            Entry::Output => {
                self.outputs += 1;
                if let Some((_, texts)) = &mut self.old {
                    texts.logged(text);
                    return Ok(Vec::new());
                }
                let replayed = self.due.pop_front();
                if !replayed.as_deref().is_some_and(|line| same(line, text)) {
                    self.differ(number, Some(text.into()), replayed);
                }
                Ok(Vec::new())
            }
            Entry::Input { at, input } => {
                self.inputs += 1;
                self.now = at;
                if let Some((_, texts)) = &mut self.old {
                    texts.settle();
                } else if let Some(missing) = self.due.pop_front() {
                    self.differ(number, None, Some(missing));
                    self.due.clear();
                }
                self.feed(at, input);
                Ok(self.drain(at))
            }
        }
    }

    /// Ends the replay of an older version's log: the wire texts that changed since, by their `type`. Such a
    /// log is not compared byte for byte. `None` for a log of today's version.
    pub fn changed(&mut self) -> Option<BTreeMap<String, Changed>> {
        self.old.take().map(|(_, texts)| texts.into_changed())
    }

    /// Ends the replay: the first difference, if there was one.
    pub fn finish(mut self) -> Option<Difference> {
        if let Some(missing) = self.due.pop_front() {
            let after = self.inputs + self.outputs + 2;
            self.differ(after, None, Some(missing));
        }
        self.difference
    }

    /// The suspended call, if the log suspends it: the next owner's log begins with it.
    pub fn suspended(&self) -> Option<&Suspended> {
        self.suspended.as_deref()
    }

    /// When the latest input came.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Inputs so far.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs compared so far.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    fn feed(&mut self, at: Timestamp, input: Input) {
        match input {
            Input::Connected(connection, wall) => self.machines.handle_connected(at, connection, wall),
            Input::Text(connection, text) => self.machines.handle_text(at, connection, &text),
            Input::Disconnected(connection, reason) => {
                self.machines.handle_disconnected(at, connection, reason)
            }
            Input::Command(id, command) => {
                // A command that was refused then is refused now, and leaves no trace either way.
                let _refused = self.machines.handle_command(at, id, *command);
            }
            Input::Media(media) => {
                let _refused = self.machines.handle_media(at, media);
            }
            Input::Seed(connection, seed) => self.machines.handle_seed(at, connection, *seed),
            Input::Shortfall(shortfall) => self.machines.handle_shortfall(at, shortfall),
            Input::Suspend => self.suspended = Some(Box::new(self.machines.suspend(at))),
            Input::Timer => self.machines.handle_timeout(at),
        }
    }

    fn drain(&mut self, at: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.machines.poll_output() {
            let mut line = String::new();
            self.writer.output(&mut line, at, &output);
            line.truncate(line.trim_end().len());
            match &mut self.old {
                Some((_, texts)) => texts.replayed(&line),
                None => self.due.push_back(line),
            }
            outputs.push(output);
        }
        outputs
    }

    fn differ(&mut self, line: usize, logged: Option<String>, replayed: Option<String>) {
        self.difference.get_or_insert(Difference { line, logged, replayed });
    }
}

/// Returns whether two lines are equal, as text or as JSON.
fn same(replayed: &str, logged: &str) -> bool {
    let value = |line| serde_json::from_str::<Value>(line).ok();
    replayed == logged.trim_end() || value(replayed).is_some_and(|replayed| Some(replayed) == value(logged))
}
