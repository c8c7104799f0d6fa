//! Who may speak in a conversation, by the server's events alone: when a request for a response may go out.

use serde_json::Value;

use super::facts::{Moment, TURN_WAIT};

/// How long a request is waited for (ms), and then its late answer.
const PATIENCE: u64 = 20_000;

/// The conversation's one place for a response, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Floor {
    place: Place,
    turn: Turn,
    /// A request waits that was made before the turn to which the server responds.
    waiting: bool,
    /// One waits that was made after it.
    late: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    #[default]
    Free,
    Requested {
        at: u64,
    },
    Running,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Turn {
    #[default]
    Open,
    Speaking,
    Expecting {
        since: u64,
    },
}

impl Floor {
    /// What the server says, and the time that passed.
    pub(super) fn pass(&mut self, moment: &Moment) {
        for event in &moment.server {
            self.server(event, moment);
        }
        match self.place {
            Place::Requested { at } if at + PATIENCE <= moment.at => self.place = Place::Free,
            _ => {}
        }
        match self.turn {
            Turn::Expecting { since } if since + TURN_WAIT <= moment.at => self.turn = Turn::Open,
            _ => {}
        }
    }

    fn server(&mut self, event: &Value, moment: &Moment) {
        match event["type"].as_str().unwrap_or_default() {
            "input_audio_buffer.speech_started" => self.turn = Turn::Speaking,
            "input_audio_buffer.speech_stopped" => self.stopped(moment),
            "input_audio_buffer.committed" if self.turn == Turn::Speaking => self.stopped(moment),
            "response.created" if !event["response"].get("conversation_id").is_some_and(Value::is_null) => {
                if !matches!(self.place, Place::Requested { .. }) {
                    // The server's own: it serves what waited since before the turn.
                    self.waiting = std::mem::take(&mut self.late);
                }
                self.place = Place::Running;
                if matches!(self.turn, Turn::Expecting { .. }) {
                    self.turn = Turn::Open;
                }
            }
            "response.done" if self.place == Place::Running => self.place = Place::Free,
            "error"
                if event["error"]["event_id"].as_str().is_some_and(|id| id.contains("response.create[")) =>
            {
                if event["error"]["code"] == "conversation_already_has_active_response" {
                    self.waiting = true;
                }
                if !matches!(self.place, Place::Running) {
                    self.place = Place::Free;
                }
            }
            _ => {}
        }
    }

    fn stopped(&mut self, moment: &Moment) {
        self.turn = if moment.responds { Turn::Expecting { since: moment.at } } else { Turn::Open };
    }

    /// A request is made; whether it goes out at once.
    pub(super) fn request(&mut self, moment: &Moment) -> bool {
        if self.is_free() {
            self.place = Place::Requested { at: moment.at };
            return true;
        }
        if matches!(self.turn, Turn::Expecting { .. }) {
            self.late = true;
        } else {
            self.waiting = true;
        }
        false
    }

    /// Whether a request that waited goes out now.
    pub(super) fn release(&mut self, moment: &Moment) -> bool {
        if !self.is_free() {
            return false;
        }
        let waits = std::mem::take(&mut self.waiting) || std::mem::take(&mut self.late);
        if waits {
            self.place = Place::Requested { at: moment.at };
        }
        waits
    }

    fn is_free(&self) -> bool {
        self.place == Place::Free && self.turn == Turn::Open
    }
}
