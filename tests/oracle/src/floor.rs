//! Who may speak in a conversation, by the server's events alone: when a request for a response may go out.

use serde_json::Value;

/// How long a request is waited for (ms), and then as long again for its late answer.
const PATIENCE: u64 = 10_000;

/// How long the server's own response to a turn is waited for (ms).
const TURN_WAIT: u64 = 3000;

/// The conversation's one place for a response, and whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
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

/// Whose response begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begins {
    /// The one that was asked for.
    Asked,
    /// The one that was asked for, when nobody waits for it any more.
    TooLate,
    /// The server's own.
    Server,
}

impl Floor {
    /// Time has passed.
    pub(super) fn pass(&mut self, now: u64) {
        if matches!(self.place, Place::Requested { at } if at + 2 * PATIENCE <= now) {
            self.place = Place::Free;
        }
        if matches!(self.turn, Turn::Expecting { since } if since + TURN_WAIT <= now) {
            self.turn = Turn::Open;
        }
    }

    /// The server says something. `responds`: whether it responds to turns by itself.
    pub(super) fn server(&mut self, event: &Value, now: u64, responds: bool) -> Option<Begins> {
        let stopped = if responds { Turn::Expecting { since: now } } else { Turn::Open };
        match event["type"].as_str().unwrap_or_default() {
            "input_audio_buffer.speech_started" => self.turn = Turn::Speaking,
            "input_audio_buffer.speech_stopped" => self.turn = stopped,
            "input_audio_buffer.committed" if self.turn == Turn::Speaking => self.turn = stopped,
            "response.created" if !event["response"].get("conversation_id").is_some_and(Value::is_null) => {
                let begins = match self.place {
                    Place::Requested { at } if now < at + PATIENCE => Begins::Asked,
                    Place::Requested { .. } if self.turn == Turn::Open => Begins::TooLate,
                    _ => {
                        // It serves what waited since before the turn.
                        self.waiting = std::mem::take(&mut self.late);
                        Begins::Server
                    }
                };
                self.place = Place::Running;
                if matches!(self.turn, Turn::Expecting { .. }) {
                    self.turn = Turn::Open;
                }
                return Some(begins);
            }
            "response.done" if self.place == Place::Running => self.place = Place::Free,
            "error"
                if event["error"]["event_id"].as_str().is_some_and(|id| id.contains("response.create[")) =>
            {
                self.waiting |= event["error"]["code"] == "conversation_already_has_active_response";
                if self.place != Place::Running {
                    self.place = Place::Free;
                }
            }
            _ => {}
        }
        None
    }

    /// A request is made. Returns whether it goes out at once.
    pub(super) fn request(&mut self, now: u64) -> bool {
        if self.is_free() {
            self.place = Place::Requested { at: now };
            return true;
        }
        if matches!(self.turn, Turn::Expecting { .. }) {
            self.late = true;
        } else {
            self.waiting = true;
        }
        false
    }

    /// Returns whether a request that waited goes out now.
    pub(super) fn release(&mut self, now: u64) -> bool {
        if !self.is_free() {
            return false;
        }
        let waits = std::mem::take(&mut self.waiting) || std::mem::take(&mut self.late);
        if waits {
            self.place = Place::Requested { at: now };
        }
        waits
    }

    /// Returns whether a request waits for its answer.
    pub(super) fn is_requested(&self, now: u64) -> bool {
        matches!(self.place, Place::Requested { at } if now < at + PATIENCE)
    }

    fn is_free(&self) -> bool {
        self.place == Place::Free && self.turn == Turn::Open
    }
}
