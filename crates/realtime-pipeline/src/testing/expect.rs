//! Checks in a row, for a test: [`Expecting`].

use std::time::Duration;

use serde_json::Value;

use crate::testing::{HeldCall, Mismatch, Phrase, Speaker};

/// What is expected of a call. It ends in [`holds`](Self::holds).
#[derive(Debug)]
#[must_use = "it checks nothing until `holds`"]
pub struct Expecting<'a> {
    call: &'a HeldCall,
    mismatches: Vec<Mismatch>,
    /// Functions that must have been called so far, in order.
    wanted: Vec<(String, Value)>,
}

impl HeldCall {
    /// Begins to say what is expected.
    pub const fn expect(&self) -> Expecting<'_> {
        Expecting { call: self, mismatches: Vec::new(), wanted: Vec::new() }
    }
}

impl Expecting<'_> {
    /// The model called this function, after those that were named before, and its arguments have these
    /// members.
    pub fn calls(mut self, name: &str, arguments: Value) -> Self {
        self.wanted.push((name.to_owned(), arguments));
        let checked = self.call.called(self.wanted.iter().map(|(name, value)| (name.as_str(), value)));
        if checked.is_err() {
            // Told once: those that follow it are still looked for.
            self.wanted.pop();
        }
        self.and(checked)
    }

    /// The model never called this function.
    pub fn never_calls(self, name: &str) -> Self {
        let checked = self.call.never_called(name);
        self.and(checked)
    }

    /// The user heard the agent say this.
    pub fn agent_says(self, phrase: impl Into<Phrase>) -> Self {
        let checked = self.call.said(Speaker::Agent, &phrase.into());
        self.and(checked)
    }

    /// The user never heard the agent say this.
    pub fn agent_never_says(self, phrase: impl Into<Phrase>) -> Self {
        let checked = self.call.never_said(Speaker::Agent, &phrase.into());
        self.and(checked)
    }

    /// The user was heard to say this.
    pub fn user_says(self, phrase: impl Into<Phrase>) -> Self {
        let checked = self.call.said(Speaker::User, &phrase.into());
        self.and(checked)
    }

    /// This was heard of an answer before the user spoke over it.
    pub fn heard_at_cut(self, phrase: impl Into<Phrase>) -> Self {
        let checked = self.call.heard_at_cut(&phrase.into());
        self.and(checked)
    }

    /// The sides had the word in this order.
    pub fn takes_turns(self, order: &[Speaker]) -> Self {
        let checked = self.call.took_turns(order);
        self.and(checked)
    }

    /// Each answer was heard this soon after the user's turn.
    pub fn answers_within(self, limit: Duration) -> Self {
        let checked = self.call.answered_within(limit);
        self.and(checked)
    }

    /// The user spoke over so many answers.
    pub fn interrupted(self, times: usize) -> Self {
        let checked = self.call.interrupted(times);
        self.and(checked)
    }

    /// What does not hold.
    pub fn mismatches(self) -> Vec<Mismatch> {
        self.mismatches
    }

    /// Ends the test if anything does not hold.
    ///
    /// # Panics
    /// Something does not hold: the message has each mismatch on a line, and then what was said.
    #[track_caller]
    pub fn holds(self) {
        let Self { call, mismatches, .. } = self;
        if mismatches.is_empty() {
            return;
        }
        let told = mismatches.iter().map(|mismatch| format!("{mismatch}\n"));
        let said = call.lines.iter().map(|line| format!("  {}: {}\n", line.who, line.text));
        panic!("{}in this call:\n{}", told.collect::<String>(), said.collect::<String>());
    }

    fn and(mut self, checked: Result<(), Mismatch>) -> Self {
        self.mismatches.extend(checked.err());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{CutAnswer, SaidLine, ToolRun};

    fn call() -> HeldCall {
        let line = |who, text: &str| SaidLine { who, text: text.to_owned() };
        let run = |city: &str| ToolRun {
            name: "look".into(),
            arguments: json!({ "at": { "city": city, "day": 2.0 }, "n": [1, 2] }),
        };
        HeldCall {
            lines: vec![
                line(Speaker::Agent, "Hello!"),
                line(Speaker::User, "Paris,"),
                line(Speaker::User, "please."),
                line(Speaker::Tool, "{}"),
                line(Speaker::Agent, "In Paris it"),
            ],
            tools: vec![run("Paris"), run("Rome")],
            cuts: vec![CutAnswer { heard: "In Paris it".into(), heard_ms: 700 }],
            latencies: vec![Duration::from_millis(900)],
            ..HeldCall::default()
        }
    }

    #[test]
    fn what_holds_is_quiet() {
        let call = call();
        call.expect()
            .calls("look", json!({ "at": { "city": "Paris", "day": 2 } }))
            .calls("look", json!({ "n": [1, 2] }))
            .never_calls("delete")
            .agent_says("in paris")
            .agent_never_says("Rome")
            .user_says(Phrase::exactly("please."))
            .heard_at_cut("paris")
            .takes_turns(&[Speaker::Agent, Speaker::User, Speaker::Tool, Speaker::Agent])
            .answers_within(Duration::from_millis(900))
            .interrupted(1)
            .holds();
    }

    #[test]
    fn what_does_not_hold_is_told_as_expected_and_got() {
        let call = call();
        let told = call
            .expect()
            .calls("look", json!({ "at": { "city": "Rome" } }))
            .calls("look", json!({ "at": { "city": "Paris" } }))
            .never_calls("look")
            .agent_says("Rome")
            .takes_turns(&[Speaker::User])
            .answers_within(Duration::from_millis(899))
            .interrupted(0)
            .mismatches();
        let told: Vec<String> = told.iter().map(Mismatch::to_string).collect();
        let run = |city: &str| format!(r#"look {{"at":{{"city":"{city}","day":2.0}},"n":[1,2]}}"#);
        let (paris, rome) = (run("Paris"), run("Rome"));
        assert_eq!(
            told,
            [
                format!(
                    r#"expected a call of look with {{"at":{{"city":"Paris"}}}} after look, got {paris}, {rome}"#
                ),
                format!("expected no call of look, got {paris}"),
                r#"expected the agent to say "Rome", got "Hello!", "In Paris it""#.to_owned(),
                "expected the turns user, got agent, user, tool, agent".to_owned(),
                "expected answers within 899 ms, got 900 ms".to_owned(),
                "expected 0 interruptions, got 1".to_owned(),
            ]
        );
    }

    #[test]
    #[should_panic(
        expected = "expected the agent to say \"snow\", got \"Hello!\", \"In Paris it\"\nin this call"
    )]
    fn a_test_ends_with_what_was_said() {
        call().expect().agent_says("snow").holds();
    }
}
