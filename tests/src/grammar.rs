//! The order of call events, as the docs of [`Event`] give it under `# Order`: read from there, and checked
//! on every sequence of events that a test looks at. So what the docs say is what is tested.
//!
//! A rule becomes a machine of few states; it goes through as many runs as there are ids, see `By`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use realtime_protocol::call::{ConnectionEvent, Event, FunctionEnd, Origin, Outcome};

/// The file that holds the grammar, and its heading there.
const SOURCE: &str = include_str!("../../crates/realtime-protocol/src/call/event.rs");
const SECTION: &str = "/// # Order";
const FENCE: &str = "/// ```";

/// The events that a rule may name, with the words that may follow in brackets.
const EVENTS: &[(&str, &[&str])] = &[
    ("Created", &[]),
    ("Ready", &[]),
    ("ConfigUpdated", &[]),
    ("Settled", &["responded", "superseded"]),
    ("SpeechStarted", &[]),
    ("SpeechStopped", &[]),
    ("ItemSent", &[]),
    ("ItemPlaced", &["client", "server"]),
    ("ItemDone", &[]),
    ("ItemRemoved", &[]),
    ("ResponseStarted", &["out_of_band"]),
    ("Text", &[]),
    ("Audio", &[]),
    ("AudioDone", &[]),
    ("FunctionCalls", &["out_of_band"]),
    ("FunctionEnded", &["detached"]),
    ("ResponseFinished", &[]),
    ("HoldPlayback", &[]),
    ("ResumePlayback", &[]),
    ("StopPlayback", &[]),
    ("Interrupted", &[]),
    ("Closed", &[]),
    ("Lost", &[]),
    ("Retrying", &[]),
    ("Resumed", &[]),
    ("Rotated", &[]),
    ("Suspended", &[]),
];

/// Any event that has no place there.
const OTHER: usize = EVENTS.len();

/// The ids that a rule may be about.
const IDS: &[&str] = &["response_id", "item_id", "call_id", "id"];

static GRAMMAR: LazyLock<Arc<Grammar>> =
    LazyLock::new(|| Arc::new(Grammar::read(SOURCE).unwrap_or_else(|error| panic!("`# Order`: {error}"))));

/// Follows a sequence of events, and fails if it violates the grammar.
#[derive(Debug)]
pub struct Order {
    grammar: Arc<Grammar>,
    runs: Vec<Runs>,
    closed: bool,
}

/// How far a rule is, in each of its runs: sets of states.
#[derive(Debug)]
enum Runs {
    One(u128),
    ById(BTreeMap<String, u128>),
    /// Those that are not at their end, oldest first.
    ByAge(Vec<u128>),
}

impl Default for Order {
    fn default() -> Self {
        Self::of(Arc::clone(&GRAMMAR))
    }
}

impl Order {
    fn of(grammar: Arc<Grammar>) -> Self {
        let runs = grammar.rules.iter().map(|rule| match rule.by {
            By::Nothing => Runs::One(rule.start),
            By::Id(_) => Runs::ById(BTreeMap::new()),
            By::Age => Runs::ByAge(Vec::new()),
        });
        Self { runs: runs.collect(), grammar, closed: false }
    }

    /// Looks at the next event.
    ///
    /// # Panics
    /// When a rule does not allow it, or when it is the last and something is left open.
    pub fn event(&mut self, event: &Event) {
        if let Err(broken) = self.check(event) {
            panic!("the order of events: {broken}: {event:?}");
        }
    }

    /// Looks at the next event.
    ///
    /// # Errors
    /// The rule that does not allow it, or that is left open when it is the last.
    pub fn check(&mut self, event: &Event) -> Result<(), String> {
        self.step(&Fact::of(event))
    }

    fn step(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let grammar = Arc::clone(&self.grammar);
        for (rule, runs) in grammar.rules.iter().zip(&mut self.runs) {
            if rule.sees(fact) {
                runs.step(rule, fact).map_err(|of| format!("`{}`{of}", rule.text))?;
            }
        }
        self.closed |= fact.is("Closed");
        if self.closed { self.end() } else { Ok(()) }
    }

    fn end(&self) -> Result<(), String> {
        for (rule, runs) in self.grammar.rules.iter().zip(&self.runs) {
            let open = match runs {
                Runs::One(run) => (!rule.accepts(*run)).then(String::new),
                Runs::ById(runs) => {
                    let open = runs.iter().find(|(_, run)| !rule.accepts(**run));
                    open.map(|(id, _)| format!(" of {id}"))
                }
                Runs::ByAge(runs) => runs.iter().any(|run| !rule.accepts(*run)).then(String::new),
            };
            if let Some(of) = open {
                return Err(format!("`{}`{of} is left open", rule.text));
            }
        }
        Ok(())
    }
}

impl Runs {
    /// Goes on with an event; the error says with which run that is not allowed.
    fn step(&mut self, rule: &Rule, fact: &Fact<'_>) -> Result<(), String> {
        match self {
            Self::One(run) => {
                *run = rule.step(*run, fact);
                if *run == 0 { Err(String::new()) } else { Ok(()) }
            }
            Self::ById(runs) => {
                let By::Id(kind) = rule.by else { return Ok(()) };
                if !fact.ids.iter().any(|(of, _)| *of == kind) && !fact.may_have(kind) {
                    // It is about all of them.
                    for (id, run) in runs {
                        *run = rule.step(*run, fact);
                        if *run == 0 {
                            return Err(format!(" of {id}"));
                        }
                    }
                    return Ok(());
                }
                for (_, id) in fact.ids.iter().filter(|(of, _)| *of == kind) {
                    let run = runs.get(id.as_ref()).copied().unwrap_or(rule.start);
                    let run = rule.step(run, fact);
                    if run == 0 {
                        return Err(format!(" of {id}"));
                    }
                    match runs.get_mut(id.as_ref()) {
                        Some(place) => *place = run,
                        None => drop(runs.insert(id.clone().into_owned(), run)),
                    }
                }
                Ok(())
            }
            Self::ByAge(runs) => {
                let next = runs.iter_mut().find_map(|run| {
                    let next = rule.step(*run, fact);
                    (next != 0).then(|| *run = next)
                });
                if next.is_none() {
                    match rule.step(rule.start, fact) {
                        0 => return Err(String::new()),
                        run => runs.push(run),
                    }
                }
                runs.retain(|run| !rule.is_at_its_end(*run));
                Ok(())
            }
        }
    }
}

/// What the rules see of an event.
#[derive(Debug)]
struct Fact<'a> {
    /// Its place in [`EVENTS`].
    event: usize,
    word: Option<&'static str>,
    ids: Vec<(&'static str, std::borrow::Cow<'a, str>)>,
}

impl<'a> Fact<'a> {
    fn of(event: &'a Event) -> Self {
        let fact = |name, word, ids| Fact { event: index(name).unwrap_or(OTHER), word, ids };
        let plain = |name| fact(name, None, Vec::new());
        let id = |kind, id: &'a str| vec![(kind, id.into())];
        let beside = |out_of_band: bool| out_of_band.then_some("out_of_band");
        match event {
            Event::Created { .. } => plain("Created"),
            Event::Ready { .. } => plain("Ready"),
            Event::ConfigUpdated { .. } => plain("ConfigUpdated"),
            Event::Settled { id, outcome } => {
                let mut ids = vec![("id", id.0.to_string().into())];
                let word = match outcome {
                    Outcome::Responded { response_id, .. } => Some(("responded", response_id)),
                    Outcome::Superseded { response_id, .. } => Some(("superseded", response_id)),
                    _ => None,
                };
                ids.extend(word.map(|(_, response_id)| ("response_id", response_id.as_str().into())));
                fact("Settled", word.map(|(word, _)| word), ids)
            }
            Event::SpeechStarted { .. } => plain("SpeechStarted"),
            Event::SpeechStopped { .. } => plain("SpeechStopped"),
            Event::ItemSent { item, .. } => fact("ItemSent", None, item_id(item)),
            Event::ItemPlaced { item, origin, .. } => {
                let word = if *origin == Origin::Client { "client" } else { "server" };
                fact("ItemPlaced", Some(word), item_id(item))
            }
            Event::ItemDone { item } => fact("ItemDone", None, item_id(item)),
            Event::ItemRemoved { item_id } => fact("ItemRemoved", None, id("item_id", item_id.as_str())),
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                fact("ResponseStarted", beside(*out_of_band), id("response_id", response_id.as_str()))
            }
            Event::Text { response_id, .. } => fact("Text", None, id("response_id", response_id.as_str())),
            Event::Audio(chunk) => fact("Audio", None, id("response_id", chunk.response_id.as_str())),
            Event::AudioDone { response_id, .. } => {
                fact("AudioDone", None, id("response_id", response_id.as_str()))
            }
            Event::FunctionCalls { response_id, out_of_band, calls } => {
                let mut ids = id("response_id", response_id.as_str());
                ids.extend(calls.iter().map(|call| ("call_id", call.call_id.as_str().into())));
                fact("FunctionCalls", beside(*out_of_band), ids)
            }
            Event::FunctionEnded { call, end } => {
                let word = (*end == FunctionEnd::Detached).then_some("detached");
                fact("FunctionEnded", word, id("call_id", call.call_id.as_str()))
            }
            Event::ResponseFinished(report) => {
                fact("ResponseFinished", None, id("response_id", report.response_id.as_str()))
            }
            Event::HoldPlayback { .. } => plain("HoldPlayback"),
            Event::ResumePlayback { .. } => plain("ResumePlayback"),
            Event::StopPlayback { .. } => plain("StopPlayback"),
            Event::Interrupted(_) => plain("Interrupted"),
            Event::Connection(ConnectionEvent::Lost { .. }) => plain("Lost"),
            Event::Connection(ConnectionEvent::Retrying { .. }) => plain("Retrying"),
            Event::Connection(ConnectionEvent::Resumed { .. }) => plain("Resumed"),
            Event::Connection(ConnectionEvent::Rotated { .. }) => plain("Rotated"),
            Event::Connection(ConnectionEvent::Suspended {}) => plain("Suspended"),
            Event::Closed { .. } => plain("Closed"),
            _ => plain("…"),
        }
    }

    fn is(&self, name: &str) -> bool {
        EVENTS.get(self.event).is_some_and(|(event, _)| *event == name)
    }

    /// Returns whether such events have an id of that kind, though this one may have none.
    fn may_have(&self, kind: &str) -> bool {
        let of = EVENTS.get(self.event).map_or("", |(event, _)| *event);
        match kind {
            "item_id" => of.starts_with("Item"),
            "call_id" => of.starts_with("Function"),
            "response_id" => of == "Settled",
            _ => false,
        }
    }
}

/// An event's place in [`EVENTS`].
fn index(name: &str) -> Option<usize> {
    EVENTS.iter().position(|(event, _)| *event == name)
}

fn item_id(item: &realtime_protocol::item::Item) -> Vec<(&'static str, std::borrow::Cow<'_, str>)> {
    item.id().map(|id| ("item_id", id.as_str().to_owned().into())).into_iter().collect()
}

/// All rules.
#[derive(Debug)]
struct Grammar {
    rules: Vec<Rule>,
}

/// How many runs a rule goes through at once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// One.
    Nothing,
    /// One for each id.
    Id(&'static str),
    /// As many as begin: an event belongs to the oldest that can take it, or begins another.
    Age,
}

/// One rule, as a machine. States are numbers below 128, so that a set of them is one number.
#[derive(Debug)]
struct Rule {
    text: String,
    by: By,
    states: Vec<State>,
    start: u128,
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

/// An event that a rule names, by its place in [`EVENTS`]; [`OTHER`]: one that it does not name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Named {
    event: usize,
    word: Option<&'static str>,
}

impl Named {
    fn is(&self, fact: &Fact<'_>) -> bool {
        self.event == fact.event && (self.word.is_none() || self.word == fact.word)
    }
}

/// The right-hand side of a rule.
#[derive(Clone, Debug)]
enum Expression {
    Event(Named),
    Part(String),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    /// The least number of times (0 or 1), and whether there is no upper bound (else once).
    Times(Box<Self>, usize, bool),
}

impl Grammar {
    /// Reads the section of a file.
    fn read(source: &str) -> Result<Self, String> {
        let lines = source.lines().map(str::trim).skip_while(|line| *line != SECTION);
        let lines = lines.skip_while(|line| !line.starts_with(FENCE)).skip(1);
        let lines: Vec<&str> = lines
            .take_while(|line| *line != FENCE)
            .map(|line| line.strip_prefix("/// ").unwrap_or_default())
            .collect();
        Self::parse(&lines.join("\n"))
    }

    /// Reads rules. A line that begins with a space goes on with the one before it.
    fn parse(text: &str) -> Result<Self, String> {
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
                rules.push((name.to_owned(), expression(body)?, entry.clone()));
            } else if let Some((name, body)) = entry.split_once(" = ") {
                parts.insert(name.to_owned(), expression(body)?);
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

    fn sees(&self, fact: &Fact<'_>) -> bool {
        self.sees_all || self.has_named(fact)
    }

    fn has_named(&self, fact: &Fact<'_>) -> bool {
        self.names.iter().any(|named| named.is(fact))
    }

    fn step(&self, run: u128, fact: &Fact<'_>) -> u128 {
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

    const fn accepts(&self, run: u128) -> bool {
        run & 1 != 0
    }

    fn is_at_its_end(&self, run: u128) -> bool {
        let goes_on =
            |(index, state): (usize, &State)| run & 1 << index != 0 && matches!(state, State::On(..));
        !self.states.iter().enumerate().any(goes_on)
    }
}

/// Reads the right-hand side of a rule.
fn expression(text: &str) -> Result<Expression, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let is_word = |char: char| char == '_' || char.is_alphanumeric();
        let word = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let length = if word > 0 { word } else { first.len_utf8() };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    let mut tokens = tokens.as_slice();
    let read = either(&mut tokens)?;
    if tokens.is_empty() { Ok(read) } else { Err(format!("`{text}`: `{}` has no place", tokens[0])) }
}

fn either(tokens: &mut &[&str]) -> Result<Expression, String> {
    let mut of = vec![sequence(tokens)?];
    while let ["|", rest @ ..] = tokens {
        *tokens = rest;
        of.push(sequence(tokens)?);
    }
    Ok(Expression::Either(of))
}

fn sequence(tokens: &mut &[&str]) -> Result<Expression, String> {
    let mut of = Vec::new();
    while let [first, rest @ ..] = *tokens
        && !matches!(*first, "|" | ")")
    {
        *tokens = rest;
        let mut read = match *first {
            "(" => {
                let read = either(tokens)?;
                let [")", rest @ ..] = *tokens else { return Err("a bracket is not closed".into()) };
                *tokens = rest;
                read
            }
            name => named(name, tokens)?,
        };
        while let [times @ ("*" | "+" | "?"), rest @ ..] = *tokens {
            *tokens = rest;
            read = Expression::Times(read.into(), usize::from(*times == "+"), *times != "?");
        }
        of.push(read);
    }
    if of.is_empty() { Err("something is missing".into()) } else { Ok(Expression::Sequence(of)) }
}

fn named(name: &str, tokens: &mut &[&str]) -> Result<Expression, String> {
    if name == "…" {
        return Ok(Expression::Event(Named { event: OTHER, word: None }));
    }
    if name.starts_with(char::is_lowercase) {
        return Ok(Expression::Part(name.into()));
    }
    let event = index(name).ok_or_else(|| format!("`{name}` is no event"))?;
    let word = match *tokens {
        ["[", word, "]", rest @ ..] => {
            *tokens = rest;
            let known = EVENTS[event].1.iter().find(|known| *known == word);
            Some(*known.ok_or_else(|| format!("`{name}` is never `{word}`"))?)
        }
        _ => None,
    };
    Ok(Expression::Event(Named { event, word }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs events, given as `Name`, `Name[word]`, and either followed by `#id`, through a grammar.
    fn check(grammar: &str, events: &str) -> Result<(), String> {
        let mut order = Order::of(Arc::new(Grammar::parse(grammar)?));
        for event in events.split_whitespace() {
            let (event, id) = event.split_once('#').map_or((event, None), |(event, id)| (event, Some(id)));
            let (name, word) =
                event.split_once('[').map_or((event, None), |(name, word)| (name, word.strip_suffix(']')));
            let event = index(name).unwrap_or(OTHER);
            let words = EVENTS.get(event).map_or(&[][..], |(_, words)| words);
            let word = words.iter().find(|known| Some(**known) == word).copied();
            let ids = id.map(|id| ("response_id", id.into())).into_iter().collect();
            order.step(&Fact { event, word, ids })?;
        }
        Ok(())
    }

    #[test]
    fn a_rule_sees_the_events_that_it_names_and_no_other() {
        let grammar = "call := Created? Ready ConfigUpdated* Closed";
        for good in ["Ready Closed", "Created Audio Ready Text ConfigUpdated ConfigUpdated Closed", "Created"]
        {
            assert_eq!(check(grammar, good), Ok(()), "{good}");
        }
        for bad in ["Closed", "Ready Ready", "Ready Created", "Created Closed", "Ready Closed Closed"] {
            assert!(check(grammar, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn three_dots_are_any_event_that_the_rule_does_not_name() {
        let grammar = "call := …* (Ready …*)? Closed";
        assert_eq!(check(grammar, "Text Warning Ready Audio Closed"), Ok(()));
        assert!(check(grammar, "Ready Closed Warning").is_err());
        assert!(check(grammar, "Ready Ready").is_err());
    }

    #[test]
    fn each_id_has_a_run_of_its_own_and_an_event_without_one_is_of_all() {
        let grammar = "said = Text | Audio\n\
                       response by response_id := (ResponseStarted said*\n    StopPlayback* ResponseFinished)*";
        let good = "ResponseStarted#a Text#a ResponseStarted#b Audio#b ResponseFinished#a ResponseStarted#a \
                    StopPlayback ResponseFinished#b ResponseFinished#a Closed";
        assert_eq!(check(grammar, good), Ok(()));
        assert!(check(grammar, "ResponseStarted#a StopPlayback Text#a").unwrap_err().ends_with("` of a"));
        assert!(check(grammar, "ResponseStarted#a Text#b").is_err());
        assert!(check(grammar, "ResponseStarted#a Closed").unwrap_err().ends_with("left open"));
    }

    #[test]
    fn runs_by_age_are_gone_on_with_in_their_order() {
        let grammar = "interruption by age := StopPlayback? Interrupted";
        assert_eq!(
            check(grammar, "StopPlayback StopPlayback Interrupted Interrupted Interrupted Closed"),
            Ok(())
        );
        assert!(check(grammar, "StopPlayback StopPlayback Interrupted Closed").is_err());
    }

    #[test]
    fn a_word_in_brackets_narrows_an_event() {
        let grammar = "one by response_id := FunctionEnded[detached]* FunctionEnded";
        assert_eq!(check(grammar, "FunctionEnded[detached]#a FunctionEnded#a Closed"), Ok(()));
        assert!(check(grammar, "FunctionEnded#a FunctionEnded[detached]#a").is_err());
        let grammar = "one by response_id := ItemSent ItemPlaced[client]";
        assert_eq!(check(grammar, "ItemPlaced[server]#a ItemSent#a ItemPlaced[client]#a Closed"), Ok(()));
        assert!(check(grammar, "ItemPlaced[client]#a ItemSent#a").is_err());
    }

    #[test]
    fn what_is_no_grammar_is_refused() {
        for bad in [
            "",
            "call",
            "call := ",
            "call := (Ready",
            "call := Ready)",
            "call := Ready |",
            "call := Redy",
            "call := Ready[often]",
            "call := said",
            "call by name := Ready",
        ] {
            assert!(Grammar::parse(bad).is_err(), "{bad}");
        }
        assert!(Grammar::read("/// # Disorder\n").is_err());
    }

    #[test]
    fn a_change_of_the_docs_is_a_change_of_the_rules() {
        let rule =
            |grammar: &Grammar| grammar.rules.iter().any(|rule| rule.text.ends_with("ConfigUpdated Closed"));
        let changed = SOURCE.replacen("/// call := ", "/// call := ConfigUpdated Closed\n/// other := ", 1);
        assert!(!rule(&GRAMMAR));
        assert!(rule(&Grammar::read(&changed).unwrap()));
    }
}
