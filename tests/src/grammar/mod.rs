//! The order of call events, as the docs of [`Event`] give it under `# Order`: read from there, and checked
//! on every sequence of events that a test looks at. So what the docs say is what is tested.
//!
//! A rule becomes a machine of few states; it goes through as many runs as there are ids, see `By`.

mod expression;
mod fact;
mod rules;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use realtime_protocol::call::Event;

use crate::grammar::fact::Fact;
use crate::grammar::rules::{By, Grammar, Rule, SOURCE};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::fact::{EVENTS, OTHER, index};

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
