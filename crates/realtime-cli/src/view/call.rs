//! Reads a log, a line at a time, into the [`Model`] of its call.
//!
//! It believes what the log tells and computes nothing again: so it reads logs of any content, of any
//! version, and of calls that no machine would have led like that. A server's log has no call events; `wire`
//! reads its texts.

use realtime_context::budget::Prices;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::log::{FORMAT, OldLog, VERSION, read_header};
use realtime_protocol::session_config::SessionConfig;
use serde::Deserialize;
use serde_json::Value;

use super::events::Table;
use super::input::Input;
use super::latency::latencies;
use super::line::{Aside, Line, Sound, time_of};
use super::links::Links;
use super::members::{clamped, text};
use super::model::{Interruption, Level, Mark, Model, Note};
use super::output::{Output, Playback};
use super::sides::Row;
use super::talk::Talk;
use super::tape::{Quality, Tape};
use super::work::Work;

/// What a page should hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// What tokens cost, if that is to be told.
    pub(crate) prices: Option<Prices>,
    /// The most audio of this log (bytes).
    pub(crate) audio: usize,
}

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) model: Head,
    old: Option<OldLog>,
    /// Whether the log has sizes in place of words.
    pub(super) hides: bool,
    /// The time of the first line.
    pub(super) origin: Option<i64>,
    /// The line that is read: its time and its event.
    pub(super) at: i64,
    pub(super) event: usize,
    length: i64,
    pub(super) input: Input,
    pub(super) output: Output,
    /// The format of the model's audio, as far as no chunk says it.
    pub(super) speaks: AudioFormat,
    pub(super) talk: Talk,
    pub(super) work: Work,
    pub(super) links: Links,
    pub(super) table: Table,
    pub(super) tape: Tape,
    /// When playback was told to stop for interruptions that are not settled.
    pub(super) stops: Vec<i64>,
    pub(super) interruptions: Vec<Interruption>,
    pub(super) marks: Vec<Mark>,
    notes: Vec<Note>,
    pub(super) heard: Heard,
    /// Audio from the server that no call event has told yet.
    pub(super) delta: Option<Sound>,
    /// Whether the page is to have sound.
    listens: bool,
    damaged: Option<(usize, usize)>,
    pub(super) closed: bool,
}

/// What the header and the configuration say.
#[derive(Debug, Default)]
pub(super) struct Head {
    name: String,
    model: String,
    pub(super) voice: Option<String>,
    dialect: String,
    version: u64,
    content: String,
    goes_on: bool,
    started: u64,
    playback: String,
}

/// Whose log it is, by its lines.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The application gave audio.
    pub(super) media: bool,
    /// There are call events.
    pub(super) session: bool,
    /// Texts of the server.
    pub(super) texts: u64,
    /// Audio that is not in the file beside the log.
    pub(super) missing: u64,
}

impl Reader {
    /// Begins with the first line. `name`: the log's, for the page.
    ///
    /// # Errors
    /// The line is not the header of a session log.
    pub(crate) fn new(name: &str, line: &str, options: Options) -> Result<Self, String> {
        let header: Value = serde_json::from_str(line)
            .map_err(|error| format!("line 1: expected the header of a session log: {error}"))?;
        if text(&header, "format") != FORMAT {
            return Err(format!("line 1: expected a log of format {FORMAT}, got {line:.60}"));
        }
        let version = header["version"].as_u64().unwrap_or(0);
        let old = read_header(line).ok().and_then(|header| OldLog::of(&header));
        let mut notes = Vec::new();
        if version > u64::from(VERSION) {
            let text = format!("written by a later release (version {version}): what is new is not shown");
            notes.push(Note { level: Level::Warning, text });
        }
        let options_of_it = &header["options"];
        let playback = match text(options_of_it, "playback") {
            "" => "reported",
            playback => playback,
        };
        let content = match text(&header, "content") {
            "" => "full",
            content => content,
        };
        let model = Head {
            name: name.to_owned(),
            model: text(&header, "model").to_owned(),
            voice: None,
            dialect: text(options_of_it, "dialect").to_owned(),
            version,
            content: content.to_owned(),
            goes_on: !header["resumed"].is_null(),
            started: header["started_us"].as_u64().unwrap_or(0).min(1 << 52),
            playback: playback.to_owned(),
        };
        let mut reader = Self {
            old,
            hides: content == "metadata",
            origin: None,
            at: 0,
            event: 0,
            length: 0,
            input: Input::new(AudioFormat::default()),
            output: Output::new(match playback {
                "estimated" => Playback::Estimated,
                "server" => Playback::Server,
                _ => Playback::Reported,
            }),
            speaks: AudioFormat::default(),
            talk: Talk::default(),
            work: Work::new(options.prices),
            links: Links::default(),
            table: Table::default(),
            tape: Tape::new(options.audio),
            stops: Vec::new(),
            interruptions: Vec::new(),
            marks: Vec::new(),
            notes,
            heard: Heard::default(),
            delta: None,
            listens: options.audio > 0,
            damaged: None,
            closed: false,
            model,
        };
        reader.configured(&options_of_it["config"]);
        Ok(reader)
    }

    /// Reads a line after the first.
    ///
    /// # Errors
    /// It is not a line of a log. The rest can be read all the same.
    pub(crate) fn line(&mut self, number: usize, text: &str, aside: &mut Aside<'_>) -> Result<(), String> {
        let modern = self.old.as_ref().map(|old| old.modernise(text));
        let line: Line<'_> = serde_json::from_str(modern.as_deref().unwrap_or(text))
            .map_err(|error| format!("line {number}: expected an entry: {error}"))?;
        let at = clamped(line.at_us);
        self.at = (at - *self.origin.get_or_insert(at)).max(0);
        self.length = self.length.max(self.at);
        if !matches!(&*line.from, "client" | "session") {
            let newest = line.media.is_some_and(|media| !media.get().starts_with(r#"{"report""#));
            self.input.step(newest);
            self.settle_delta();
        }
        let row = Row::new(number, text);
        match &*line.from {
            "server" => self.server_line(&line, row, aside),
            "client" => self.client_line(&line, row, aside),
            "session" => self.session_line(&line, row),
            _ => self.own_line(&line, row, aside),
        }
        Ok(())
    }

    /// A line could not be read.
    pub(crate) fn damaged(&mut self, number: usize) {
        let (_, count) = self.damaged.get_or_insert((number, 0));
        *count += 1;
    }

    /// The log ends in the middle of a line.
    pub(crate) fn cut(&mut self, number: usize) {
        let text = format!("the log ends in the middle of line {number}: whoever wrote it was cut off");
        self.notes.push(Note { level: Level::Bad, text });
        self.closed = true;
    }

    /// The whole call.
    pub(crate) fn finish(mut self) -> Model {
        self.settle_delta();
        self.note_what_is_missing();
        let input = self.input.finish(&mut self.tape);
        let output = self.output.finish(self.length, &mut self.tape);
        let spoken = input.spans.last().map_or(0, |span| span.at + time_of(span.samples, span.rate));
        let quality = self.tape.quality();
        let (turns, latencies) = {
            let turns = self.talk.finish();
            let found = latencies(&turns, &output.spans, &self.work.responses, &self.work.functions);
            (turns, found)
        };
        let (events, left_out) = self.table.finish();
        if left_out > 0 {
            let text = format!("the page has no JSON of the last {left_out} lines: there were too many");
            self.notes.push(Note { level: Level::Info, text });
        }
        if quality == Quality::Nothing && self.listens {
            let text = "the page has the outline of the sound, and not the sound: there was too much";
            self.notes.push(Note { level: Level::Info, text: text.into() });
        }
        self.notes.sort_by_key(|note| std::cmp::Reverse(note.level));
        Model {
            name: self.model.name,
            model: self.model.model,
            voice: self.model.voice,
            dialect: self.model.dialect,
            version: self.model.version,
            content: self.model.content,
            goes_on: self.model.goes_on,
            started: self.model.started.saturating_add_signed(self.origin.unwrap_or(0)),
            length: self.length.max(spoken),
            playback: self.model.playback,
            notes: self.notes,
            quality,
            input,
            output,
            turns,
            responses: self.work.responses,
            functions: self.work.functions,
            interruptions: self.interruptions,
            latencies,
            connections: self.links.finish(),
            marks: self.marks,
            totals: self.work.totals,
            events,
        }
    }

    /// Audio that no call event told was dropped: it came after an interruption.
    fn settle_delta(&mut self) {
        self.delta = None;
    }

    fn note_what_is_missing(&mut self) {
        let mut note = |level, text: String| self.notes.push(Note { level, text });
        if let Some((number, count)) = self.damaged {
            let lines = if count == 1 { "1 line" } else { &format!("{count} lines") };
            note(Level::Bad, format!("{lines} could not be read, first line {number}"));
        }
        if self.heard.missing > 0 {
            let text = "the audio file beside the log is missing, or shorter than the log says";
            note(Level::Warning, text.into());
        }
        if self.heard.session && !self.closed {
            note(Level::Warning, "the log ends before the call does".into());
        }
        if !self.heard.session && self.heard.texts > 2 {
            let text = "a server's log: when the user heard something is a guess";
            note(Level::Info, text.into());
        }
        match self.model.content.as_str() {
            "metadata" => note(Level::Info, "the log has no words and no sound".into()),
            "audio_digest" => note(Level::Info, "the log has no sound".into()),
            _ => {}
        }
    }

    /// A configuration is in force.
    pub(super) fn configured(&mut self, config: &Value) {
        if let Some(voice) = config["audio"]["output"]["voice"].as_str() {
            self.model.voice = Some(voice.to_owned());
        }
        if let Ok(config) = SessionConfig::deserialize(config) {
            self.input.speaks(config.input_format());
            self.speaks = config.output_format();
        }
    }

    pub(super) fn mark(&mut self, level: Level, title: impl Into<String>, text: impl Into<String>) {
        let (title, text) = (title.into(), text.into());
        self.marks.push(Mark { at: self.at, level, title, text, event: self.event });
    }
}
