//! What a call event says of connections, losses, errors and other moments: for the page, and for a story.

use serde_json::Value;

use super::members::{clamped, count, duration, error, micros, reason, spoken, text, variant};
use super::model::Level;

/// Something at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// What an event as a log writes it says, if it is worth a line of its own. `rate`: that of the model's audio
/// (Hz).
pub(crate) fn told(event: &Value, rate: u32) -> Option<Told> {
    let (name, told) = variant(event);
    let some = |level, title: &str, text: String| Some(Told { level, title: title.to_owned(), text });
    let none = String::new();
    match name {
        "config_updated" => some(Level::Info, "configuration changed", none),
        "hold_playback" => some(Level::Info, "playback is held", none),
        "resume_playback" => some(Level::Info, "playback goes on", none),
        "user_transcript_failed" => {
            some(Level::Warning, "speech could not be transcribed", error(&told["error"]))
        }
        "server_error" => {
            let harmless = told["answered"] == true || told["class"] == "benign";
            let level = if harmless { Level::Warning } else { Level::Bad };
            some(level, "the server reports an error", error(&told["error"]))
        }
        "overdue" => some(Level::Warning, "an answer is overdue", spoken(text(told, "answer"))),
        "expiring" => {
            let left = format!("{} s left", duration(&told["left"]) / 1_000_000);
            some(Level::Info, "the session nears its age limit", left)
        }
        "warning" => Some(warned(told, rate)),
        "connection" => {
            let (name, told) = variant(told);
            Some(connection(name, told))
        }
        // The names of old logs.
        "disconnected" => Some(connection("lost", told)),
        "reconnecting" => Some(connection("retrying", told)),
        "reconnected" => Some(connection("resumed", told)),
        "settled" => {
            let (outcome, why) = variant(&told["outcome"]);
            let said = match outcome {
                "refused" => error(&why["error"]),
                "declined" | "timed_out" => reason(&why["reason"]),
                _ => return None,
            };
            some(Level::Warning, &format!("a command was {}", spoken(outcome)), said)
        }
        "server" if text(told, "type").ends_with("dtmf_event_received") => {
            some(Level::Info, &format!("key {}", text(told, "event")), none)
        }
        "closed" => {
            let asked = matches!(variant(&told["reason"]).0, "requested" | "suspended");
            let level = if asked { Level::Info } else { Level::Bad };
            some(level, "the call ends", reason(&told["reason"]))
        }
        _ => None,
    }
}

/// The user's audio that an event says was lost on the way to the server (us).
pub(super) fn input_lost(event: &Value) -> i64 {
    let (name, told) = variant(event);
    let (inner, members) = variant(told);
    match (name, inner) {
        ("warning", "input_audio_dropped") => micros(members, "lost").unwrap_or(0),
        ("connection", "resumed" | "rotated") => micros(members, "audio_lost").unwrap_or(0),
        ("reconnected", _) => micros(told, "audio_lost").unwrap_or(0),
        _ => 0,
    }
}

/// The model's audio that an event says was lost on the way to the ear (us).
pub(super) fn output_lost(event: &Value, rate: u32) -> i64 {
    let lost = count(&event["warning"]["audio_dropped"], "lost").unwrap_or(0);
    clamped(lost.saturating_mul(1_000_000) / u64::from(rate.max(1)))
}

fn connection(name: &str, told: &Value) -> Told {
    let (level, title, text) = match name {
        "lost" => (Level::Bad, "connection lost".into(), reason(&told["reason"])),
        "retrying" => {
            let attempt = format!("attempt {}", count(told, "attempt").unwrap_or(1));
            (Level::Info, "connecting again".into(), attempt)
        }
        "resumed" | "rotated" => {
            let gap = duration(&told["gap"]) / 1000;
            let title = if name == "resumed" { "the call goes on" } else { "another session took over" };
            let lost = micros(told, "audio_lost").unwrap_or(0) / 1000;
            let (level, text) = match lost {
                0 => (Level::Info, format!("after {gap} ms")),
                lost => (Level::Bad, format!("after {gap} ms; {lost} ms of the user's audio were lost")),
            };
            (level, title.into(), text)
        }
        name => (Level::Info, spoken(name), String::new()),
    };
    Told { level, title, text }
}

fn warned(warning: &Value, rate: u32) -> Told {
    let (name, told) = variant(warning);
    let (level, text) = match name {
        "input_audio_dropped" => {
            let lost = micros(told, "lost").unwrap_or(0) / 1000;
            (Level::Bad, format!("{lost} ms of the user's audio were not sent"))
        }
        "audio_dropped" => {
            let lost = count(told, "lost").unwrap_or(0).saturating_mul(1000) / u64::from(rate.max(1));
            (Level::Bad, format!("{lost} ms of the agent's audio were not read in time"))
        }
        "reply_given_up" | "seed_cut" | "function_output_given_up" | "function_call_lost" => {
            (Level::Bad, brief(told))
        }
        _ => (Level::Warning, brief(told)),
    };
    Told { level, title: spoken(name), text }
}

/// The members of a warning in few words.
fn brief(told: &Value) -> String {
    const MOST: usize = 200;
    let text = match told {
        Value::Null => String::new(),
        told => told.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(event: &Value) -> String {
        told(event, 8000)
            .map_or_else(String::new, |told| format!("{:?} {}: {}", told.level, told.title, told.text))
    }

    #[test]
    fn what_happens_is_told_in_words() {
        for (event, expected) in [
            (
                json!({"connection": {"lost": {"reason": {"disconnected": {"lost": {"reason": "reset"}}}}}}),
                "Bad connection lost: lost: reset",
            ),
            (
                json!({"connection": {"resumed": {"gap": {"secs": 1, "nanos": 0}, "audio_lost": 40_000}}}),
                "Bad the call goes on: after 1000 ms; 40 ms of the user's audio were lost",
            ),
            (
                json!({"reconnected": {"gap": {"secs": 1, "nanos": 0}}}),
                "Info the call goes on: after 1000 ms",
            ),
            (
                json!({"warning": {"audio_dropped": {"lost": 800}}}),
                "Bad audio dropped: 100 ms of the agent's audio were not read in time",
            ),
            (json!({"warning": "config_unacknowledged"}), "Warning config unacknowledged: "),
            (
                json!({"server_error": {"error": {"code": "x", "message": "y"}, "class": "benign"}}),
                "Warning the server reports an error: x: y",
            ),
            (
                json!({"settled": {"outcome": {"refused": {"error": {"message": "no"}}}}}),
                "Warning a command was refused: no",
            ),
            (json!({"settled": {"outcome": "done"}}), ""),
            (json!({"closed": {"reason": "requested"}}), "Info the call ends: closed by the application"),
            (json!({"speech_started": {}}), ""),
        ] {
            assert_eq!(line(&event), expected);
        }
    }

    #[test]
    fn losses_are_counted_once() {
        let dropped = json!({"warning": {"input_audio_dropped": {"lost": 20_000}}});
        assert_eq!((input_lost(&dropped), output_lost(&dropped, 8000)), (20_000, 0));
        let unread = json!({"warning": {"audio_dropped": {"lost": 800}}});
        assert_eq!((input_lost(&unread), output_lost(&unread, 8000)), (0, 100_000));
        assert_eq!(input_lost(&json!({"connection": {"rotated": {"audio_lost": 7}}})), 7);
    }
}
