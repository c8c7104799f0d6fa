//! What the user said, and what this side wrote: the turns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::text;
use super::model::{Turn, TurnKind};

/// The turns so far.
#[derive(Debug, Default)]
pub(super) struct Talk {
    turns: Vec<Turn>,
    by_item: BTreeMap<String, usize>,
    /// Speech that has not ended.
    open: Option<usize>,
    /// Push to talk: when the turn began.
    pushed: Option<i64>,
    /// When the last turn was committed: another one that nobody announced began there.
    last_end: i64,
}

impl Talk {
    /// The server hears speech. `from`: where it begins in the audio.
    pub(super) fn speech_started(&mut self, at: i64, from: Option<i64>, item: &str, event: usize) {
        self.open = Some(self.turns.len());
        let turn = self.new_turn(TurnKind::Speech, at, item, event);
        // Where it begins can't be later than the news of it.
        turn.from = from.unwrap_or(at).min(at);
    }

    pub(super) fn speech_stopped(&mut self, at: i64, to: Option<i64>, item: &str) {
        let Some(number) = self.open.take() else { return };
        if !item.is_empty() {
            self.by_item.entry(item.to_owned()).or_insert(number);
        }
        let turn = &mut self.turns[number];
        turn.stop = Some(at);
        turn.to = Some(to.filter(|to| *to > turn.from).map_or(at, |to| to.min(at)));
        self.last_end = at;
    }

    /// The application says that the user begins to speak.
    pub(super) const fn pushed(&mut self, at: i64) {
        self.pushed = Some(at);
    }

    /// Audio became an item.
    pub(super) fn committed(&mut self, at: i64, item: &str, event: usize) {
        let known = self.by_item.contains_key(item);
        let unnamed = self.turns.len().checked_sub(1).filter(|number| {
            let turn = &self.turns[*number];
            turn.kind == TurnKind::Speech && turn.item.is_empty()
        });
        if known {
            // The speech was announced with this item.
        } else if let Some(number) = unnamed {
            self.turns[number].item = item.to_owned();
            self.by_item.insert(item.to_owned(), number);
        } else {
            let from = self.pushed.unwrap_or(self.last_end);
            let turn = self.new_turn(TurnKind::Committed, from, item, event);
            (turn.stop, turn.to) = (Some(at), Some(at));
        }
        self.pushed = None;
        self.last_end = at;
    }

    /// The words of an item, or how many bytes they have.
    pub(super) fn said(&mut self, at: i64, item: &str, words: Result<&str, u64>, event: usize) {
        let turn = self.turn(at, item, event);
        turn.said = Some(at);
        match words {
            Ok(words) => turn.text = Some(words.to_owned()),
            Err(hidden) => turn.hidden = hidden,
        }
    }

    /// The words of an item as the item holds them, unless they are known.
    pub(super) fn item_says(&mut self, item: &Value, hides: bool) {
        let Some(number) = self.by_item.get(text(item, "id")) else { return };
        let turn = &mut self.turns[*number];
        if turn.text.is_some() || turn.hidden > 0 {
            return;
        }
        match content(item, hides) {
            Ok(words) if !words.is_empty() => turn.text = Some(words),
            Ok(_) => {}
            Err(hidden) => turn.hidden = hidden,
        }
    }

    pub(super) fn failed(&mut self, at: i64, item: &str, error: String, event: usize) {
        self.turn(at, item, event).failed = Some(error);
    }

    /// This side adds a message.
    pub(super) fn written(&mut self, at: i64, item: &Value, hides: bool, event: usize) {
        if text(item, "type") != "message" {
            return;
        }
        let (role, words) = (text(item, "role").to_owned(), content(item, hides));
        let turn = self.new_turn(TurnKind::Written, at, text(item, "id"), event);
        (turn.role, turn.said, turn.stop, turn.to) = (role, Some(at), Some(at), Some(at));
        match words {
            Ok(words) => turn.text = Some(words),
            Err(hidden) => turn.hidden = hidden,
        }
    }

    pub(super) fn finish(self) -> Vec<Turn> {
        self.turns
    }

    /// The turn of an item. One that nobody announced stands where it is first heard of.
    fn turn(&mut self, at: i64, item: &str, event: usize) -> &mut Turn {
        match self.by_item.get(item) {
            Some(number) => &mut self.turns[*number],
            None => {
                let turn = self.new_turn(TurnKind::Committed, at, item, event);
                (turn.stop, turn.to) = (Some(at), Some(at));
                turn
            }
        }
    }

    fn new_turn(&mut self, kind: TurnKind, at: i64, item: &str, event: usize) -> &mut Turn {
        let number = self.turns.len();
        if !item.is_empty() {
            self.by_item.insert(item.to_owned(), number);
        }
        self.turns.push(Turn {
            kind,
            role: "user".into(),
            item: item.to_owned(),
            from: at,
            start: at,
            event,
            ..Turn::default()
        });
        &mut self.turns[number]
    }
}

/// The words of an item's content.
pub(crate) fn content(item: &Value, hides: bool) -> Result<String, u64> {
    let mut words = String::new();
    let mut hidden = 0;
    for part in item["content"].as_array().into_iter().flatten() {
        let said = part["text"].as_str().or_else(|| part["transcript"].as_str());
        match super::members::words(said.unwrap_or_default(), hides) {
            Ok(said) if !words.is_empty() && !said.is_empty() => {
                words.push(' ');
                words.push_str(said);
            }
            Ok(said) => words.push_str(said),
            Err(bytes) => hidden += bytes,
        }
    }
    if hidden > 0 { Err(hidden) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn speech_is_one_turn_from_its_beginning_to_its_words() {
        let mut talk = Talk::default();
        talk.speech_started(500, Some(200), "", 7);
        talk.speech_stopped(900, Some(800), "");
        talk.committed(910, "u", 8);
        talk.said(1200, "u", Ok("Hello"), 9);
        let turns = talk.finish();
        let turn = &turns[0];
        assert_eq!(
            (turns.len(), turn.from, turn.to, turn.start, turn.stop),
            (1, 200, Some(800), 500, Some(900))
        );
        assert_eq!((turn.text.as_deref(), turn.said, turn.event), (Some("Hello"), Some(1200), 7));
    }

    #[test]
    fn what_is_pushed_or_just_committed_is_a_turn_too() {
        let mut talk = Talk::default();
        talk.pushed(100);
        talk.committed(400, "a", 0);
        talk.committed(700, "b", 0);
        talk.said(800, "c", Err(12), 0);
        let found: Vec<_> = talk.finish().iter().map(|turn| (turn.from, turn.stop, turn.hidden)).collect();
        assert_eq!(found, [(100, Some(400), 0), (400, Some(700), 0), (800, Some(800), 12)]);
    }

    #[test]
    fn messages_are_turns_and_other_items_are_not() {
        let mut talk = Talk::default();
        let item = json!({"type": "message", "role": "user", "id": "x",
            "content": [{"text": "one"}, {"type": "input_audio"}, {"transcript": "two"}]});
        talk.written(5, &item, false, 0);
        talk.written(6, &json!({"type": "function_call_output"}), false, 0);
        let turns = talk.finish();
        assert_eq!((turns.len(), turns[0].text.as_deref()), (1, Some("one two")));
    }
}
