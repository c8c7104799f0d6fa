//! Guards on the assistant's words: [`Guard`] looks at what the assistant says, and may stop it and have
//! something else said.
//!
//! The rule kept here: what a guard has said in place of other words is not looked at again.

use std::collections::BTreeMap;
use std::fmt;

use realtime_protocol::call::{Command, CommandError, CommandId, Event, Listener, Notice, Out};
use realtime_protocol::id::ResponseId;
use realtime_protocol::response::ResponseParams;
use realtime_protocol::time::{Timestamp, UnixTime};

/// Looks at what the assistant says, while it says it. A closure is one, too.
///
/// Words come ahead of their audio, but not by much: some of the audio may be heard before a verdict stops
/// it.
///
/// ```
/// use realtime_context::{Said, Verdict};
///
/// let guard = |said: &Said<'_>| {
///     if said.text.contains("guarantee") {
///         Verdict::Interrupt { say: Some("I can't promise that.".into()) }
///     } else {
///         Verdict::Pass
///     }
/// };
/// // ClientOptions::new(session).guard(guard)
/// # let _: Box<dyn realtime_context::Guard> = Box::new(guard);
/// ```
pub trait Guard: Send {
    /// Decides about the words of a response. It is called with each new piece, on the call's task: keep it
    /// short.
    fn check(&mut self, said: &Said<'_>) -> Verdict;
}

impl<F: FnMut(&Said<'_>) -> Verdict + Send> Guard for F {
    fn check(&mut self, said: &Said<'_>) -> Verdict {
        self(said)
    }
}

/// What the assistant says. `Debug` shows no words.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Said<'a> {
    /// The response.
    pub response_id: &'a ResponseId,
    /// All words of the response so far: the last 64 KiB of them.
    pub text: &'a str,
    /// The words that are new.
    pub delta: &'a str,
    /// Whether the response has ended: the words are whole, and `delta` is empty.
    pub is_final: bool,
}

impl fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said")
            .field("response_id", self.response_id)
            .field("bytes", &self.text.len())
            .field("is_final", &self.is_final)
            .finish_non_exhaustive()
    }
}

/// What a guard decides.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The words may be said.
    Pass,
    /// The assistant is stopped, as by the user: what was not heard is cut from the conversation. The
    /// application is told by [`Notice::GuardInterrupted`].
    Interrupt {
        /// What the model is told to say instead. `None`: nothing.
        say: Option<String>,
    },
}

/// A [`Guard`] as a listener of a call. Responses beside the conversation are not looked at.
pub struct Guarded {
    guard: Box<dyn Guard>,
    response: Option<Response>,
    /// What was asked for instead and has not ended. Nothing else is asked for meanwhile: a server that does
    /// not repeat metadata would be asked for ever.
    asked: Option<CommandId>,
}

struct Response {
    id: ResponseId,
    words: String,
}

/// The words of a response that are kept (bytes).
const MOST_WORDS: usize = 64 << 10;
/// The metadata by which a response that a guard asked for is known: the server echoes it.
const MARK: (&str, &str) = ("purpose", "guard");

impl Guarded {
    /// Lets a guard look at what the assistant says.
    pub fn new(guard: impl Guard + 'static) -> Self {
        Self { guard: Box::new(guard), response: None, asked: None }
    }

    fn check(&mut self, delta: &str, is_final: bool, out: &mut Out<'_>) {
        let Some(Response { id, words }) = &self.response else { return };
        let verdict = self.guard.check(&Said { response_id: id, text: words, delta, is_final });
        let Verdict::Interrupt { say } = verdict else { return };
        let response_id = id.clone();
        self.response = None; // once for each response
        out.ask(Command::Interrupt {});
        if let Some(say) = say.filter(|_| self.asked.is_none()) {
            let (name, value) = MARK;
            let params =
                ResponseParams::saying(&say).metadata(BTreeMap::from([(name.to_owned(), value.to_owned())]));
            let ask = Command::CreateResponse { params: Some(Box::new(params)), protected: true };
            self.asked = Some(out.ask(ask));
        }
        out.tell(Notice::GuardInterrupted { response_id });
    }
}

impl Listener for Guarded {
    fn on_event(&mut self, _now: Timestamp, _wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        match event {
            Event::ResponseStarted { response_id, out_of_band: false, metadata, .. } => {
                let is_own = metadata.get(MARK.0).is_some_and(|value| value == MARK.1);
                let response = Response { id: response_id.clone(), words: String::new() };
                self.response = (!is_own).then_some(response);
            }
            Event::Text { response_id, delta, .. } => {
                let Some(response) = self.response.as_mut().filter(|response| response.id == *response_id)
                else {
                    return;
                };
                response.words.push_str(delta);
                let mut excess = response.words.len().saturating_sub(MOST_WORDS);
                while !response.words.is_char_boundary(excess) {
                    excess += 1;
                }
                response.words.drain(..excess);
                self.check(delta, false, out);
            }
            Event::ResponseFinished(report)
                if self.response.as_ref().is_some_and(|response| response.id == report.response_id) =>
            {
                self.check("", true, out);
                self.response = None;
            }
            Event::Settled { id, .. } => drop(self.asked.take_if(|asked| *asked == *id)),
            _ => {}
        }
    }

    fn on_refused(&mut self, _now: Timestamp, id: CommandId, _error: &CommandError, _out: &mut Out<'_>) {
        self.asked.take_if(|asked| *asked == id);
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::{Asked, Listeners, Origin, Outcome};

    use super::*;
    use crate::learn::tests::finished;

    struct Bench {
        listeners: Listeners,
        /// The newest command.
        asked: Option<CommandId>,
    }

    impl Bench {
        /// Stops `bad`, and has `say` said instead.
        fn new(say: Option<&str>) -> Self {
            let say = say.map(ToOwned::to_owned);
            let mut listeners = Listeners::default();
            listeners.add(Box::new(Guarded::new(move |said: &Said<'_>| match said.text.contains("bad") {
                true => Verdict::Interrupt { say: say.clone() },
                false => Verdict::Pass,
            })));
            Self { listeners, asked: None }
        }

        fn hear(&mut self, event: &Event) -> Vec<Command> {
            self.listeners.begin();
            self.listeners.hear(Timestamp::ZERO, UnixTime::from_secs(1), event);
            let asked: Vec<Asked> = std::iter::from_fn(|| self.listeners.poll_asked()).collect();
            asked
                .into_iter()
                .filter_map(|asked| match asked {
                    Asked::Command(id, command) => {
                        self.asked = Some(id);
                        Some(command)
                    }
                    Asked::Media(_) => None,
                })
                .collect()
        }

        fn start(&mut self, out_of_band: bool, metadata: BTreeMap<String, String>) {
            let response_id = "r".into();
            let origin = Origin::Client;
            assert!(
                self.hear(&Event::ResponseStarted { response_id, origin, out_of_band, metadata }).is_empty()
            );
        }

        fn say(&mut self, delta: &str) -> Vec<Command> {
            self.hear(&Event::Text {
                response_id: "r".into(),
                item_id: "i".into(),
                content_index: 0,
                delta: delta.into(),
                spoken: true,
            })
        }
    }

    #[test]
    fn words_that_come_in_pieces_are_stopped_once_and_replaced() {
        let mut bench = Bench::new(Some("Sorry."));
        bench.start(false, BTreeMap::new());
        assert!(bench.say("Not b").is_empty());
        let asked = bench.say("ad");
        let [Command::Interrupt {}, Command::CreateResponse { params: Some(params), protected: true }] =
            &asked[..]
        else {
            panic!("{asked:?}")
        };
        assert_eq!(params.words_to_say(), Some("Sorry."));
        assert_eq!(bench.listeners.poll_notice(), Some(Notice::GuardInterrupted { response_id: "r".into() }));
        assert!(bench.say(" bad").is_empty() && bench.hear(&finished("r")).is_empty());
        // What is said instead is not looked at.
        bench.start(false, params.metadata.value().unwrap().clone());
        assert!(bench.say("bad").is_empty());
    }

    #[test]
    fn what_is_said_instead_is_stopped_but_not_replaced_if_the_server_does_not_mark_it() {
        let mut bench = Bench::new(Some("I can't say bad."));
        bench.start(false, BTreeMap::new());
        assert_eq!(bench.say("bad").len(), 2);
        let instead = bench.asked.unwrap();
        bench.start(false, BTreeMap::new());
        assert_eq!(bench.say("bad"), [Command::Interrupt {}]);
        bench.hear(&Event::Settled { id: instead, outcome: Outcome::Done });
        bench.start(false, BTreeMap::new());
        assert_eq!(bench.say("bad").len(), 2, "another answer");
    }

    #[test]
    fn a_guard_may_only_stop() {
        let mut bench = Bench::new(None);
        bench.start(false, BTreeMap::new());
        assert_eq!(bench.say("bad"), [Command::Interrupt {}]);
    }

    #[test]
    fn what_runs_beside_the_conversation_is_not_looked_at() {
        let mut bench = Bench::new(None);
        bench.start(true, BTreeMap::new());
        assert!(bench.say("bad").is_empty());
    }

    #[test]
    fn words_are_bounded_and_their_end_is_told() {
        let mut most = Vec::new();
        let (send, seen) = std::sync::mpsc::channel();
        let mut listeners = Listeners::default();
        listeners.add(Box::new(Guarded::new(move |said: &Said<'_>| {
            send.send((said.text.len(), said.is_final)).unwrap();
            Verdict::Pass
        })));
        let mut bench = Bench { listeners, asked: None };
        bench.start(false, BTreeMap::new());
        for _ in 0..40 {
            bench.say(&"ä".repeat(1000));
        }
        bench.hear(&finished("r"));
        most.extend(seen.try_iter());
        assert!(most.iter().all(|(bytes, _)| *bytes <= MOST_WORDS));
        assert!(most.pop().is_some_and(|(_, is_final)| is_final));
    }
}
