//! Golden sessions: hand-written or recorded inputs, and how their outputs are rendered for a snapshot.
//!
//! A golden session is a file of JSON lines. The first says what it shows and under which options; each other
//! line is an input as the session log writes it. `{"$audio": MS}` in place of a text stands for that many
//! milliseconds of 24 kHz PCM silence as base64. The clock jumps to every deadline between two inputs, so
//! timers need no lines of their own. Nor do shortfalls: they come from sides that stand still for a while,
//! as the first line says.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use realtime_protocol::audio::{Audio, AudioFormat};
use realtime_protocol::event::ServerEvent;
use realtime_protocol::log::{Entry, Input};
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::{MediaTime, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::slow::{Passed, Sides, Slow};

/// A golden session's first line.
#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    /// What it shows.
    pub about: String,
    /// Where the behaviour is described, or when and with which model it was recorded.
    pub reference: String,
    /// The options that differ from the defaults.
    #[serde(default)]
    pub options: SessionOptions,
    /// Sides that stand still. Default: none does, and what the session puts out is not passed on.
    pub slow: Option<Slow>,
}

/// A golden session: what went in, and when.
#[derive(Debug)]
pub struct Golden {
    /// The first line.
    pub header: Header,
    /// The inputs, in order.
    pub inputs: Vec<(Timestamp, Input)>,
}

impl Golden {
    /// All golden sessions of this crate, each with the stem of its file, in the order of their names.
    ///
    /// # Panics
    /// When they are missing, or one is no golden session.
    pub fn all() -> Vec<(String, Self)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let entries = std::fs::read_dir(folder).expect("the folder of golden sessions");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("its entries").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        assert!(paths.len() >= 6, "the golden sessions are missing");
        let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
        paths.iter().map(|path| (name(path), Self::read(path))).collect()
    }

    /// Reads a file.
    ///
    /// # Panics
    /// When the file is not a golden session: this is test material.
    pub fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(&name, &text)
    }

    /// Reads the text of a file.
    ///
    /// # Panics
    /// When it is no golden session.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().unwrap_or_else(|| panic!("{name} is empty"));
        let header = serde_json::from_str(first).unwrap_or_else(|error| panic!("{name}:1: {error}"));
        let inputs = lines
            .map(|(index, line)| {
                let mut value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{name}:{}: {error}", index + 1));
                expand_audio(&mut value);
                match Entry::read(index + 1, &value.to_string()) {
                    Ok(Entry::Input { at, input }) => (at, input),
                    Ok(Entry::Output) => panic!("{name}:{}: expected an input", index + 1),
                    Err(error) => panic!("{name}: {error}"),
                }
            })
            .collect();
        Self { header, inputs }
    }

    /// Feeds the inputs to a fresh session; `step` gets each input, or `None` for a deadline, with the
    /// refusal or the outputs that it led to.
    pub fn replay(
        &self,
        mut step: impl FnMut(Timestamp, Option<&Input>, Result<Vec<Output>, Refused>),
    ) -> Session {
        self.drive(|at, input, outputs, _| step(at, input, outputs))
    }

    /// The same with slow sides: `step` also gets what they took.
    pub fn drive(
        &self,
        mut step: impl FnMut(Timestamp, Option<&Input>, Result<Vec<Output>, Refused>, Vec<Passed>),
    ) -> Session {
        let mut session = Session::new(self.header.options.clone());
        let mut sides = self.header.slow.clone().map(Sides::new);
        let mut take = |session: &mut Session, at: Timestamp, input: Option<&Input>| {
            let mut shortfall = None;
            loop {
                let input = shortfall.as_ref().or(input);
                let taken = feed(session, at, input.unwrap_or(&Input::Timer));
                let outputs = taken.map(|()| drain(session));
                let passed = match (&mut sides, &outputs) {
                    (Some(sides), Ok(outputs)) => sides.pass(at, outputs),
                    _ => Vec::new(),
                };
                step(at, input, outputs, passed);
                shortfall = sides.as_mut().and_then(Sides::shortfall).map(Input::Shortfall);
                if shortfall.is_none() {
                    break sides.as_ref().and_then(Sides::poll_timeout);
                }
            }
        };
        let mut due = None;
        for (at, input) in &self.inputs {
            while let Some(deadline) = session.poll_timeout().into_iter().chain(due).min()
                && deadline <= *at
            {
                due = take(&mut session, deadline, None);
            }
            due = take(&mut session, *at, Some(input));
        }
        session
    }

    /// The whole session in words, for a snapshot: inputs as `<` (server), `*` (application) and `~`
    /// (driver), outputs as `>` (client events) and `!` (call events). If a side is slow, an output is shown
    /// at the time when it is taken.
    pub fn render(&self) -> String {
        let mut text = format!("{}\n{}\n", self.header.about, self.header.reference);
        self.drive(|at, input, outputs, passed| {
            let _ = writeln!(text, "\n{at}  {}", input.map_or_else(|| "(deadline)".into(), describe));
            let outputs = outputs.unwrap_or_else(|refused| {
                let _ = writeln!(text, "  ! {refused}");
                Vec::new()
            });
            if self.header.slow.is_some() {
                for passed in passed {
                    let _ = writeln!(text, "  {}", passed_on(&passed));
                }
                return;
            }
            for output in outputs {
                let _ = match output {
                    Output::Send(event) => writeln!(text, "  > {}", short(&event)),
                    Output::Event(event) => writeln!(text, "  ! {}", short(&event)),
                    Output::Close => writeln!(text, "  > (close)"),
                };
            }
        });
        text
    }
}

/// Why an input was refused.
pub type Refused = Box<dyn std::error::Error>;

/// Everything that a session has to say now.
pub fn drain(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// Hands an input to a session.
///
/// # Errors
/// [`Refused`] when the input is a command, or media, that is refused.
pub fn feed(session: &mut Session, at: Timestamp, input: &Input) -> Result<(), Refused> {
    match input {
        Input::Connected(_, wall) => session.handle_connected(at, *wall),
        Input::Text(_, text) => session.handle_text(at, text),
        Input::Disconnected(_, reason) => session.handle_disconnected(at, reason.clone()),
        Input::Command(id, command) => session.handle_command(at, *id, (**command).clone())?,
        Input::Shortfall(shortfall) => session.handle_shortfall(at, shortfall.clone()),
        Input::Media(media) => session.handle_media(at, media.clone())?,
        _ => session.handle_timeout(at),
    }
    Ok(())
}

fn describe(input: &Input) -> String {
    match input {
        Input::Connected(..) => "< (connected)".into(),
        Input::Text(_, text) => format!("< {}", short(&ServerEvent::decode(text, Default::default()))),
        Input::Disconnected(_, reason) => format!("< (disconnected) {}", short(reason)),
        Input::Command(id, command) => format!("* {} {}", id.0, short(command)),
        Input::Shortfall(shortfall) => format!("~ {}", short(shortfall)),
        Input::Media(media) => format!("* {}", short(media)),
        _ => "(timer)".into(),
    }
}

fn passed_on(passed: &Passed) -> String {
    match passed {
        Passed::Sent(_) => format!("> {}", passed.sent().map(|event| short(&event)).unwrap_or_default()),
        Passed::Closed => "> (close)".into(),
        Passed::Read(event) => format!("! {}", short(event)),
    }
}

/// JSON with base64 audio replaced by its length.
fn short(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(value).expect("wire types are JSON");
    let strings = json.split('"').map(|piece| match Audio::from_base64(piece).bytes() {
        Ok(bytes) if piece.len() > 64 => format!("{} bytes", bytes.len()),
        _ => piece.into(),
    });
    strings.collect::<Vec<String>>().join("\"")
}

fn expand_audio(value: &mut Value) {
    if let Some(ms) = value.get("$audio").and_then(Value::as_u64) {
        let bytes = AudioFormat::PCM16_24K.bytes(MediaTime::from_millis(ms));
        let mut text = String::new();
        Audio::from(vec![0; usize::try_from(bytes).expect("a short sound")]).encode_into(&mut text);
        *value = text.into();
        return;
    }
    match value {
        Value::Array(values) => values.iter_mut().for_each(expand_audio),
        Value::Object(members) => members.values_mut().for_each(expand_audio),
        _ => {}
    }
}
