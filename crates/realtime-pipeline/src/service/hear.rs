//! The user's audio and turns on their way to the session.

use realtime_protocol::call::{Command, Media};
use realtime_protocol::session_config::SessionConfig;

use crate::chain::{Audio, BotSpeech, Category, Cx, UserSpeech};
use crate::convert::Converter;
use crate::service::Core;

/// What is heard of the user.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Into the session's input format.
    converter: Converter,
    /// Whether the user's audio is kept from the session.
    pub(super) paused: bool,
    /// Whether the session detects no turns.
    pub(super) manual_turns: bool,
    /// Whether a turn of this side's is open.
    in_turn: bool,
    /// Whether a problem with the audio was told: input comes fifty times a second.
    complained: bool,
}

impl Hearing {
    pub(super) fn new(config: &SessionConfig, paused: bool) -> Self {
        Self {
            converter: Converter::new(config.input_format()),
            paused,
            manual_turns: config.turn_detection().is_null(),
            in_turn: false,
            complained: false,
        }
    }

    /// The session has another configuration.
    pub(super) fn learn(&mut self, config: &SessionConfig) {
        self.manual_turns = config.turn_detection().is_null();
        let format = config.input_format();
        if self.converter.format() != format {
            self.converter = Converter::new(format);
        }
    }

    pub(super) fn hear(&mut self, audio: &Audio, cx: &mut Cx<'_>) {
        if self.paused {
            return;
        }
        match self.converter.convert(audio) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => cx.media(Media::Append(bytes)),
            Err(error) if !self.complained => {
                self.complained = true;
                cx.fault_by(Category::Device, error.to_string(), error);
            }
            Err(_) => {}
        }
    }

    /// What was said so far, and what comes, are of different turns.
    pub(super) fn forget(&mut self) {
        self.converter.reset();
        self.in_turn = false;
    }

    fn begin_turn(&mut self, cx: &mut Cx<'_>) {
        self.in_turn = true;
        cx.media(Media::BeginTurn);
    }

    /// The audio that is held back belongs to this turn, not to the next one.
    pub(super) fn end_turn(&mut self, cx: &mut Cx<'_>) {
        self.in_turn = false;
        let rest = self.converter.flush();
        if !rest.is_empty() && !self.paused {
            cx.media(Media::Append(rest));
        }
    }
}

impl Core {
    /// The user's turn, as a stage upstream sees it.
    pub(super) fn turn(&mut self, speech: &UserSpeech, cx: &mut Cx<'_>) {
        if !self.hearing.manual_turns {
            return;
        }
        match speech {
            UserSpeech::Started { .. } if !self.hearing.in_turn => {
                cx.command(Command::BargeIn {});
                self.hearing.begin_turn(cx);
            }
            UserSpeech::Stopped { .. } if self.hearing.in_turn => {
                self.hearing.end_turn(cx);
                cx.command(Command::CommitAudio { respond: true });
                self.stopwatch.turn_ended(cx.now());
            }
            _ => {}
        }
    }

    pub(super) fn bot_speaks(&mut self, speech: BotSpeech, cx: &mut Cx<'_>) {
        if speech == BotSpeech::Started {
            self.stopwatch.bot_started(cx);
        }
    }
}
