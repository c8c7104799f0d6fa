//! The rules, read from the docs, each as a machine.

use std::collections::BTreeMap;

use crate::grammar::expression::{self, Expression};
use crate::grammar::fact::{Fact, IDS, OTHER};

/// The file that holds the grammar, and its heading there.
pub(super) const SOURCE: &str = include_str!("../../../crates/realtime-protocol/src/call/event.rs");
const SECTION: &str = "/// # Order";
const FENCE: &str = "/// ```";

/// All rules.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) rules: Vec<Rule>,
}

/// How many runs a rule goes through at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    /// One.
    Nothing,
    /// One for each id.
    Id(&'static str),
    /// As many as begin: an event belongs to the oldest that can take it, or begins another.
    Age,
}

/// One rule, as a machine. States are numbers below 128, so that a set of them is one number.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) by: By,
    states: Vec<State>,
    pub(super) start: u128,
    names: Vec<Named>,
    /// Whether it sees what it does not name.
    sees_all: bool,
}

#[derive(Debug)]
enum State {
    /// This event leads to that state.
    On(Named, usize),
    /// It is each of these as well.
    Either(Vec<usize>),
    End,
}

/// An event that a rule names, by its place in `EVENTS`; [`OTHER`]: one that it does not name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) event: usize,
    pub(super) word: Option<&'static str>,
}

impl Named {
    fn is(&self, fact: &Fact<'_>) -> bool {
        self.event == fact.event && (self.word.is_none() || self.word == fact.word)
    }
}

impl Grammar {
    /// Reads the section of a file.
    pub(super) fn read(source: &str) -> Result<Self, String> {
        let lines = source.lines().map(str::trim).skip_while(|line| *line != SECTION);
        let lines = lines.skip_while(|line| !line.starts_with(FENCE)).skip(1);
        let lines: Vec<&str> = lines
            .take_while(|line| *line != FENCE)
            .map(|line| line.strip_prefix("/// ").unwrap_or_default())
            .collect();
        Self::parse(&lines.join("\n"))
    }

    /// Reads rules. A line that begins with a space goes on with the one before it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut entries: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match entries.last_mut() {
                Some(entry) if line.starts_with(' ') => {
                    entry.push(' ');
                    entry.push_str(line.trim());
                }
                _ => entries.push(line.split_whitespace().collect::<Vec<_>>().join(" ")),
            }
        }
        let mut parts = BTreeMap::new();
        let mut rules = Vec::new();
        for entry in entries {
            if let Some((name, body)) = entry.split_once(" := ") {
                rules.push((name.to_owned(), expression::read(body)?, entry.clone()));
            } else if let Some((name, body)) = entry.split_once(" = ") {
                parts.insert(name.to_owned(), expression::read(body)?);
            } else {
                return Err(format!("`{entry}` is no rule"));
            }
        }
        if rules.is_empty() {
            return Err("there are no rules".into());
        }
        let rule = |(name, body, text): (String, Expression, String)| {
            let by = match name.split_once(" by ") {
                None => By::Nothing,
                Some((_, "age")) => By::Age,
                Some((_, id)) => {
                    By::Id(IDS.iter().find(|known| **known == id).ok_or_else(|| format!("`{id}` is no id"))?)
                }
            };
            Rule::new(text, by, &body, &parts)
        };
        Ok(Self { rules: rules.into_iter().map(rule).collect::<Result<_, _>>()? })
    }
}

impl Rule {
    fn new(
        text: String,
        by: By,
        body: &Expression,
        parts: &BTreeMap<String, Expression>,
    ) -> Result<Self, String> {
        let mut rule =
            Self { text, by, states: vec![State::End], start: 0, names: Vec::new(), sees_all: false };
        let first = rule.build(body, 0, parts)?;
        if rule.states.len() > 128 {
            return Err(format!("`{}` is too long", rule.text));
        }
        rule.start = rule.reach(first, 0);
        Ok(rule)
    }

    /// Adds the states of an expression that leads on to `next`, and returns its first one.
    fn build(
        &mut self,
        body: &Expression,
        next: usize,
        parts: &BTreeMap<String, Expression>,
    ) -> Result<usize, String> {
        let state = match body {
            Expression::Event(named) => {
                if named.event == OTHER {
                    self.sees_all = true;
                } else if !self.names.contains(named) {
                    self.names.push(*named);
                }
                State::On(*named, next)
            }
            Expression::Part(name) => {
                let part = parts.get(name).ok_or_else(|| format!("there is no `{name}`"))?;
                return self.build(part, next, parts);
            }
            Expression::Sequence(of) => {
                let mut first = next;
                for expression in of.iter().rev() {
                    first = self.build(expression, first, parts)?;
                }
                return Ok(first);
            }
            Expression::Either(of) => {
                let firsts = of.iter().map(|expression| self.build(expression, next, parts));
                State::Either(firsts.collect::<Result<_, _>>()?)
            }
            Expression::Times(of, least, again) => {
                let after = self.states.len();
                self.states.push(State::Either(vec![next]));
                let first = self.build(of, if *again { after } else { next }, parts)?;
                self.states[after] = State::Either(vec![first, next]);
                return Ok(if *least == 0 { after } else { first });
            }
        };
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    /// A state, and all that it is as well.
    fn reach(&self, state: usize, mut reached: u128) -> u128 {
        if reached & 1 << state == 0 {
            reached |= 1 << state;
            if let State::Either(of) = &self.states[state] {
                for state in of {
                    reached = self.reach(*state, reached);
                }
            }
        }
        reached
    }

    pub(super) fn sees(&self, fact: &Fact<'_>) -> bool {
        self.sees_all || self.has_named(fact)
    }

    fn has_named(&self, fact: &Fact<'_>) -> bool {
        self.names.iter().any(|named| named.is(fact))
    }

    pub(super) fn step(&self, run: u128, fact: &Fact<'_>) -> u128 {
        let mut next = 0;
        for (index, state) in self.states.iter().enumerate() {
            if let State::On(named, to) = state
                && run & 1 << index != 0
                && if named.event == OTHER { !self.has_named(fact) } else { named.is(fact) }
            {
                next = self.reach(*to, next);
            }
        }
        next
    }

    pub(super) const fn accepts(&self, run: u128) -> bool {
        run & 1 != 0
    }

    pub(super) fn is_at_its_end(&self, run: u128) -> bool {
        let goes_on =
            |(index, state): (usize, &State)| run & 1 << index != 0 && matches!(state, State::On(..));
        !self.states.iter().enumerate().any(goes_on)
    }
}
