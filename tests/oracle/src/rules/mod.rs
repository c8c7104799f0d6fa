//! Where this project differs from the implementation that made the traces, and why: the one list of all
//! rules.
//!
//! A rule is keyed by what differs, never by a scenario's name. It changes the traces before they are
//! compared, one kind of record under one condition. Where it can, it does not leave a record out but puts
//! what is right in its place, as worked out from the scenario alone, so that a defect still shows.

mod audio;
mod calls;
mod frames;
mod lives;
mod responses;
mod settings;
mod talk;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::facts::{Moment, moments};
use super::scenario::{Chat, Scenario, Step};
use super::trace::{Record, Trace};

/// One way in which traces may differ.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// Changes the traces. Returns whether there was anything to change.
    apply: fn(&mut Pair<'_>) -> bool,
}

/// All rules, in the order in which they are applied.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no-empty-tools",
        reason: "`tools: []` in a response.create would take the session's tools from that response",
        apply: responses::no_empty_tools,
    },
    Rule {
        name: "session-modalities",
        reason: "a response that asks for audio and text, and nothing else, leaves the modalities to the session",
        apply: responses::session_modalities,
    },
    Rule {
        name: "modalities-are-a-set",
        reason: "the order of modalities means nothing",
        apply: settings::modalities_are_a_set,
    },
    Rule {
        name: "settings-once-ready",
        reason: "settings that change before session.created go into the first session.update, not ahead of it too",
        apply: settings::settings_once_ready,
    },
    Rule {
        name: "tools-at-once",
        reason: "tools and their choice reach the server when they are set, by any code that sets them",
        apply: settings::tools_at_once,
    },
    Rule {
        name: "known-at-start",
        reason: "instructions and tools of the context are known when the session begins, and go into its first session.update",
        apply: settings::known_at_start,
    },
    Rule {
        name: "settings-do-not-leak",
        reason: "instructions and tools of an earlier context are not sent again for another context",
        apply: settings::settings_do_not_leak,
    },
    Rule {
        name: "whole-messages",
        reason: "messages go to the server when they are appended, and with all their parts",
        apply: settings::whole_messages,
    },
    Rule {
        name: "told-at-start",
        reason: "a session is told what was said when it begins, not when the first answer is asked for",
        apply: settings::told_at_start,
    },
    Rule {
        name: "unchanged-settings",
        reason: "a session.update names what changes; one that changes nothing is not sent",
        apply: settings::unchanged_settings,
    },
    Rule {
        name: "ids-of-a-connection",
        reason: "an item's id is only valid on its connection, and may come again on the next",
        apply: settings::ids_of_a_connection,
    },
    Rule {
        name: "nothing-before-ready",
        reason: "audio (the newest 2 s) and events wait until the configuration is acknowledged, then go out in order",
        apply: audio::nothing_before_ready,
    },
    Rule {
        name: "as-the-server-says",
        reason: "if the server says that it detects turns, a turn of the pipeline asks for nothing, whatever was asked of the server",
        apply: audio::as_the_server_says,
    },
    Rule {
        name: "input-format",
        reason: "input audio is mixed and resampled to the session's format; what cannot be converted, or is empty, is not sent",
        apply: audio::input_format,
    },
    Rule {
        name: "heard",
        reason: "items are truncated at what was heard of each, by playback reports if there are any, and not at all when all was heard or the speech must not interrupt",
        apply: responses::heard,
    },
    Rule {
        name: "pre-roll",
        reason: "if the session detects no turns, audio from before a turn is kept back, and its last 500 ms are sent with the turn",
        apply: audio::pre_roll,
    },
    Rule {
        name: "no-clear",
        reason: "with a pre-roll nothing need be cleared when the user begins to speak; clearing loses the first syllable",
        apply: audio::no_clear,
    },
    Rule {
        name: "too-short",
        reason: "a turn of less than 100 ms is refused as too short: the server makes no item of it, and no response is asked for",
        apply: audio::too_short,
    },
    Rule {
        name: "cancel-what-runs",
        reason: "response.cancel is sent once, only when a response runs or was asked for, and names one that runs",
        apply: responses::cancel_what_runs,
    },
    Rule {
        name: "interrupt-cancels",
        reason: "if the application interrupts, the server has heard no speech and does not cancel by itself: this side does",
        apply: responses::interrupt_cancels,
    },
    Rule {
        name: "calls-do-not-wait",
        reason: "calls run when their response is done, not when a transcript has come",
        apply: calls::calls_do_not_wait,
    },
    Rule {
        name: "speech-stops-calls",
        reason: "the user's speech stops the calls that still run, as any other interruption does, and leads to the next response",
        apply: calls::speech_stops_calls,
    },
    Rule {
        name: "call-answered",
        reason: "every call gets one output: cancelled, failed, unknown or malformed ones too",
        apply: calls::call_answered,
    },
    Rule {
        name: "one-response-at-a-time",
        reason: "a response.create waits while one is unanswered, a response runs or the user speaks; the server's own response serves it",
        apply: responses::one_response_at_a_time,
    },
    Rule {
        name: "late-answers",
        reason: "a response that comes more than 10 s after its request has timed out and is cancelled",
        apply: responses::late_answers,
    },
    Rule {
        name: "stays-alive",
        reason: "an event that cannot be read, or an error, ends neither the session nor the run; what follows is answered",
        apply: responses::stays_alive,
    },
    Rule {
        name: "fatal-errors-close",
        reason: "after an error that ends the session or the account's use, the connection is closed and nothing more is sent",
        apply: responses::fatal_errors_close,
    },
    Rule {
        name: "waiters-resolved",
        reason: "every caller that waits for an item gets the answer, whatever came before it, or an error when the session ends or the server takes too long",
        apply: calls::waiters_resolved,
    },
    Rule {
        name: "replaced-in-place",
        reason: "messages that replace those of a conversation that runs replace its items on the server",
        apply: settings::replaced_in_place,
    },
    Rule {
        name: "changes-over",
        reason: "a conversation that is reset keeps its connection until the new one is configured",
        apply: lives::changes_over,
    },
    Rule {
        name: "fatal-errors-end",
        reason: "after an error that ends the session or the account's use, this side closes the connection",
        apply: lives::fatal_errors_end,
    },
    Rule {
        name: "ends-when-all-is-said",
        reason: "an end waits for what was asked and is not answered, and for what is being said; at the end of the scenario it is cut short",
        apply: lives::ends_when_all_is_said,
    },
    Rule {
        name: "errors-end-nothing",
        reason: "an error that ends neither the session nor the account's use does not end the run",
        apply: talk::errors_end_nothing,
    },
    Rule {
        name: "functions-live",
        reason: "a function runs when its response is done, and ends with an interruption of any kind or with its conversation",
        apply: lives::functions_live,
    },
    Rule {
        name: "hooks",
        reason: "hooks hear of every item: when it gets its place, and once when it is final; a transcript is an event of its own",
        apply: lives::hooks,
    },
    Rule {
        name: "what-was-said",
        reason: "the conversation holds what was said and heard, each in its place: the beginning of what was cut, unheard speech as such, the output that each call was given; nobody waits in the end",
        apply: talk::what_was_said,
    },
    Rule {
        name: "expected",
        reason: "what another rule leaves out, or adds, is missing or there when the scenario's server expects it",
        apply: talk::expected,
    },
    Rule {
        name: "nothing-into-the-void",
        reason: "nothing is sent over a connection that has ended",
        apply: talk::nothing_into_the_void,
    },
    Rule {
        name: "no-such-frames",
        reason: "what there is asked by frames is asked by intents here; an end of an interruption, and frames of a transport, are not told again by the service",
        apply: frames::no_such_frames,
    },
    Rule {
        name: "frame-members",
        reason: "a frame carries what it is about: its own time instead of a text, and neither the user nor the model of the whole call",
        apply: frames::members,
    },
    Rule {
        name: "run-of-a-conversation",
        reason: "each conversation has a run of its own, which begins once the server is reached and ends as its connection does",
        apply: frames::run,
    },
    Rule {
        name: "input-of-a-run",
        reason: "the user's audio flows through a run, as long as there is one",
        apply: frames::input,
    },
    Rule {
        name: "one-start-one-end",
        reason: "a response in the conversation has one start and one end, when the server says so or its connection ends",
        apply: frames::brackets,
    },
    Rule {
        name: "words-until-the-cut",
        reason: "words are told as they come, written ones too, and no more once their response is interrupted",
        apply: frames::words,
    },
    Rule {
        name: "sound-of-a-part",
        reason: "each part's sound has one start and one end, and nothing of an interrupted response is played; a part that was cut has no end",
        apply: frames::sound,
    },
    Rule {
        name: "turns-as-they-are",
        reason: "a turn begins and ends once: when the server says so, its speech is committed, or the pipeline detects it",
        apply: frames::speech,
    },
    Rule {
        name: "interruptions-cut",
        reason: "an interruption is told when it cuts something: sound, a response, a function",
        apply: frames::interruptions,
    },
    Rule {
        name: "functions-begin-and-end",
        reason: "each function's beginning and end is told both ways, with what the model was told",
        apply: frames::functions,
    },
    Rule {
        name: "metrics-when-known",
        reason: "the first byte is measured at the first word or sound, each response's time and cost at its end, for every response",
        apply: frames::metrics,
    },
    Rule {
        name: "faults-are-faults",
        reason: "a fault is told once, by what it ends: a failed response, an error that nobody was answered with, the end of the session; what is answered or harmless is none",
        apply: frames::faults,
    },
    Rule {
        name: "order-of-frames",
        reason: "frames of different kinds have no order among each other within a step",
        apply: frames::order,
    },
];

/// The two traces of a scenario, and what holds at its steps.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    scenario: &'a Scenario,
    moments: Vec<Moment>,
    /// What the other implementation did.
    pub(super) seed: Trace,
    pub(super) ours: Trace,
    inserted: usize,
    /// The frames as they should be, once they were worked out.
    frames: Option<Vec<Record>>,
}

impl<'a> Pair<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: Trace, ours: Trace) -> Self {
        Self { scenario, moments: moments(scenario, &seed), seed, ours, inserted: 0, frames: None }
    }

    /// Applies all rules and names those that changed anything.
    pub(super) fn apply(&mut self) -> Vec<&'static str> {
        RULES.iter().filter(|rule| (rule.apply)(self)).map(|rule| rule.name).collect()
    }

    /// An event id for an event that the other implementation did not send.
    fn fresh_id(&mut self) -> Value {
        self.inserted += 1;
        format!("<id:{}>", 900_000 + self.inserted).into()
    }

    /// Returns whether this side's connection is open when a step begins.
    fn ours_is_open(&self, step: usize) -> bool {
        let conns = self.ours.records.iter().filter(|it| it.channel == "conn");
        let before =
            conns.filter(|it| it.step < step.max(1) || it.step == step && it.members["ev"] == "open");
        let count = |ev: &str| before.clone().filter(|it| it.members["ev"] == ev).count();
        count("open") > count("closed")
    }

    /// Puts what is right in the place of a channel's records, in the steps in which they differ. Returns
    /// whether any did.
    fn put(&mut self, channel: &str, model: Vec<Record>) -> bool {
        let mut changed = false;
        for step in 0..self.moments.len() {
            let right: Vec<Record> = model.iter().filter(|it| it.step == step).cloned().collect();
            let mut wanted = Trace::default();
            wanted.records.clone_from(&right);
            let mut told = Trace::default();
            told.records.extend(self.seed.of(step, channel).cloned());
            if super::compare::first_difference(&wanted, &told, &[channel.to_owned()]).is_none() {
                continue;
            }
            self.seed.records.retain(|it| it.step != step || it.channel != channel);
            let at = self.seed.records.partition_point(|it| it.step <= step);
            self.seed.records.splice(at..at, right);
            changed = true;
        }
        changed
    }

    /// Returns whether another context than before is adopted in a step.
    fn is_another(&self, step: usize) -> bool {
        let (mut current, mut replaced, mut other) = ("main", false, false);
        for (at, here) in self.scenario.numbered().filter(|(at, _)| *at <= step) {
            match here {
                Step::Context(chat) => replaced |= chat.name == current,
                Step::ContextFrame(name) => {
                    other |= at == step && (replaced || name != current);
                    (current, replaced) = (name, false);
                }
                _ => {}
            }
        }
        other
    }

    /// Returns whether the connection of a conversation that was reset has taken over in a step.
    fn is_reset_done(&self, step: usize) -> bool {
        let closes = self.ours.of(step, "conn").any(|record| record.members["ev"] == "closed");
        let connection = self.moments[step].connection;
        let opened = self.moments.iter().position(|moment| moment.connection == connection);
        closes
            && connection > 1
            && opened.is_some_and(|opened| opened != step && self.is_reset(opened))
            && self.ours.of(step, "conn").any(|record| record.members["n"] != connection)
    }

    /// Returns whether the server's end of the connection goes in a step.
    fn is_lost(&self, step: usize) -> bool {
        let goes = |here: &Step| matches!(here, Step::ServerClose { .. } | Step::ServerAbort);
        self.scenario.numbered().any(|(at, here)| at == step && goes(here))
    }

    /// Returns whether functions run when a step begins.
    fn runs_functions(&self, step: usize) -> bool {
        let mut running = std::collections::BTreeSet::new();
        for record in self.seed.records.iter().filter(|it| it.channel == "function" && it.step < step) {
            let id = record.members["call_id"].as_str();
            match record.members["phase"].as_str() {
                Some("called") => drop(running.insert(id)),
                _ => drop(running.remove(&id)),
            }
        }
        !running.is_empty()
    }

    fn output_is_narrow(&self) -> bool {
        let format = self.scenario.header.service.session_properties.get("output_audio_format");
        format.is_some_and(|format| format != "pcm16")
    }

    /// Returns whether transcripts are told as frames.
    const fn tells_transcripts(&self) -> bool {
        !matches!(self.scenario.header.service.send_transcription_frames, Some(false))
    }

    /// Returns whether the tools that hold in a step have one of that name.
    fn declares(&self, step: usize, name: &str) -> bool {
        let mut chat = self.chat_at(step).unwrap_or_default();
        for (_, here) in self.scenario.numbered().filter(|(at, _)| *at <= step) {
            match here {
                Step::Frame(frame) if frame["type"] == "LLMSetToolsFrame" => {
                    chat.tools = frame["tools"].clone();
                }
                _ => {}
            }
        }
        let tools = chat.wire_tools().unwrap_or_default();
        tools.as_array().into_iter().flatten().any(|tool| tool["name"] == name)
    }

    /// Returns whether a record is the history that the other implementation tells.
    fn is_history(&self, record: &Record) -> bool {
        settings::is_history(self.scenario, record)
    }

    /// Returns whether the session was created before a step.
    fn is_created_before(&self, step: usize) -> bool {
        let same = |before: &usize| self.moments[*before].connection == self.moments[step].connection;
        (0..step).rfind(same).is_some_and(|before| self.moments[before].created)
    }

    /// Returns whether the connection that is opened in a step goes on with the same context.
    fn is_reset(&self, step: usize) -> bool {
        self.scenario.numbered().any(|(at, here)| {
            let Step::Call(call) = here else { return false };
            at == step && call.get("call").is_some_and(|call| call == "reset_conversation")
        })
    }

    /// The messages that the application appends in a step.
    fn appended(&self, step: usize) -> Vec<Value> {
        let frames = self.scenario.numbered().filter(|(at, _)| *at == step);
        let messages = frames.filter_map(|(_, here)| match here {
            Step::Frame(frame) if frame["type"] == "LLMMessagesAppendFrame" => {
                frame["messages"].as_array().cloned()
            }
            _ => None,
        });
        messages
            .flatten()
            .filter(|message| message["role"] == "user" || message["role"] == "system")
            .collect()
    }

    /// The context that is known when a connection is opened: the one whose run was asked for last.
    fn chat_at(&self, opened: usize) -> Option<Chat> {
        let mut chats: BTreeMap<&str, &Chat> = BTreeMap::new();
        let mut current = "main";
        if let Some(chat) = &self.scenario.header.context {
            chats.insert("main", chat);
        }
        for (_, step) in self.scenario.numbered().filter(|(at, _)| *at <= opened) {
            match step {
                Step::Context(chat) => drop(chats.insert(&chat.name, chat)),
                Step::ContextFrame(name) => current = name,
                _ => {}
            }
        }
        chats.get(current).map(|chat| Chat::clone(chat))
    }

    /// The session.updates of the other implementation, first of each connection or not.
    fn updates(&mut self, mut change: impl FnMut(usize, bool, &mut Map<String, Value>) -> Keep) -> bool {
        let moments = &self.moments;
        let (mut last, mut changed) = (0, false);
        self.seed.records.retain_mut(|record| {
            if record.kind() != "session.update" {
                return true;
            }
            let step = record.step;
            let connection = moments[step].connection;
            let first = std::mem::replace(&mut last, connection) != connection;
            let Some(Value::Object(session)) = record.event_mut().and_then(|event| event.get_mut("session"))
            else {
                return true;
            };
            let before = session.clone();
            let keep = change(step, first, session) == Keep::Yes;
            changed |= !keep || before != *session;
            keep
        });
        changed
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keep {
    Yes,
    No,
}

/// Changes the client events of a type. Returns whether any was changed.
fn change(trace: &mut Trace, kind: &str, mut change: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    let records =
        trace.records.iter_mut().filter(|record| record.channel == "client" && record.kind() == kind);
    records.filter_map(Record::event_mut).map(&mut change).filter(|changed| *changed).count() > 0
}
