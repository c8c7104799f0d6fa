//! A conversation listens to its call: it learns from every event, and asks for the edits that bring the
//! server up to date.

use realtime_protocol::call::{
    Command, CommandError, CommandId, Event, Listener, Notice, Out, Outcome, ResponseEnd,
};
use realtime_protocol::id::ItemId;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};

use crate::conversation::state::{Asked, Phase};
use crate::conversation::{Conversation, State, TextOnly};
use crate::mirror::Made;
use crate::sync::{Create, Edit, Omitted, Why, sync};

/// The most edits that are on their way. A call takes 64 requests of listeners in a row.
const MOST_ASKED: usize = 48;

/// The server's code for an id that the conversation has already.
const DUPLICATE_ID: &str = "item_create_duplicate_id";

impl Listener for Conversation {
    fn on_event(&mut self, _now: Timestamp, wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        let mut state = self.lock();
        state.listens = true;
        state.log.wall = Some(wall);
        state.learn(event);
        state.watch_speech(event, out);
        if let Event::Settled { id, outcome } = event {
            state.settled(*id, outcome, out);
        }
        if matches!(event, Event::ResponseFinished(_))
            && let Some((policy, most)) = state.budget
        {
            drop(state); // the summariser runs without it
            let pruned = self.prune(policy, most);
            if !pruned.is_empty() {
                out.tell(pruned.notice());
            }
            state = self.lock();
        }
        if state.phase == Phase::Serving {
            state.tell_server(out);
        }
    }

    fn on_refused(&mut self, _now: Timestamp, id: CommandId, error: &CommandError, _out: &mut Out<'_>) {
        let mut state = self.lock();
        match state.asked.remove(&id) {
            Some(Asked::Create(item_id)) => {
                if error.reason.is_retryable() {
                    state.mirror.remove(&item_id);
                } else {
                    state.give_up(&item_id);
                }
            }
            Some(Asked::Delete(item_id)) => drop(state.mirror.remove(&item_id)),
            Some(Asked::Instructions | Asked::Response) | None => {}
        }
    }

    /// At once, if there is something to tell.
    fn poll_timeout(&self) -> Option<Timestamp> {
        let state = self.lock();
        let can = matches!(state.phase, Phase::New | Phase::Serving) && state.asked.len() < MOST_ASKED;
        let has = state.dirty && (state.phase == Phase::Serving || !state.log.is_empty());
        (has && can).then_some(Timestamp::ZERO)
    }

    fn handle_timeout(&mut self, _now: Timestamp, out: &mut Out<'_>) {
        let mut state = self.lock();
        state.listens = true;
        if matches!(state.phase, Phase::New | Phase::Serving) {
            state.tell_server(out);
        }
    }
}

impl State {
    pub(super) fn is_in_step(&self) -> bool {
        self.asked.is_empty() && self.is_told()
    }

    pub(super) fn is_told(&self) -> bool {
        self.phase == Phase::Serving
            && !self.dirty
            && !sync(&self.log, &self.mirror, &self.limits(None, None)).waits
    }

    /// Asks for what brings the server up to date.
    fn tell_server(&mut self, out: &mut Out<'_>) {
        if !self.dirty || self.asked.len() >= MOST_ASKED {
            return;
        }
        self.dirty = false;
        self.tell_instructions(out);
        let plan = sync(&self.log, &self.mirror, &self.limits(None, None));
        for omitted in plan.omitted {
            if self.told.insert(omitted) {
                out.tell(not_told(&omitted));
            }
        }
        let waits = plan.waits;
        let mut edits = plan.edits.into_iter().peekable();
        while let Some(edit) = edits.next() {
            let last = edits.peek().is_none();
            let ends_entry = edits.peek().is_none_or(|next| !is_same_entry(&edit, next));
            self.mirror.apply(&edit);
            let (asked, command) = match edit {
                Edit::Create(create) => {
                    let Create { item, after, .. } = *create;
                    let id = item.id().unwrap_or_default();
                    let respond = last && !waits && std::mem::take(&mut self.respond);
                    (Asked::Create(id), Command::CreateItem { item: Box::new(item), after, respond })
                }
                Edit::Delete { item_id } => (Asked::Delete(item_id.clone()), Command::DeleteItem { item_id }),
            };
            self.asked.insert(out.ask(command), asked);
            if !last && ends_entry && self.asked.len() >= MOST_ASKED {
                self.dirty = true; // more when some of these are settled
                return;
            }
        }
        if self.respond && !waits {
            self.respond = false;
            let id = out.ask(Command::CreateResponse { params: None, protected: false });
            self.asked.insert(id, Asked::Response);
        }
    }

    /// The session gets the conversation's instructions, if it is known to have others. The call gets those
    /// that it was not asked for.
    fn tell_instructions(&mut self, out: &mut Out<'_>) {
        if self.is_instructing() {
            return;
        }
        let own = self.own_instructions();
        let unlike_own = |own: &String| self.effective.as_ref().is_some_and(|effective| effective != own);
        let wanted = own.filter(unlike_own);
        let Some(wanted) = wanted.or_else(|| self.confirm.clone()) else { return };
        self.confirm = None;
        self.reports.overrule();
        let config = Box::new(SessionConfig::default().instructions(wanted.clone()));
        self.asked.insert(out.ask(Command::UpdateConfig { config }), Asked::Instructions);
        self.effective = Some(wanted);
    }

    fn settled(&mut self, id: CommandId, outcome: &Outcome, out: &mut Out<'_>) {
        let Some(asked) = self.asked.remove(&id) else { return };
        match (asked, outcome) {
            (Asked::Create(item_id), Outcome::Refused { error }) => {
                if error.code.value().is_some_and(|code| code == DUPLICATE_ID) {
                    // Another conversation made the same id. It is made again, with another one.
                    self.mirror.remove(&item_id);
                    self.mirror.ids.evade();
                    self.dirty = true;
                } else if let Some(entry) = self.give_up(&item_id) {
                    let reason = error.message_str().to_owned();
                    out.tell(Notice::NotSynced { entry, reason });
                }
            }
            (Asked::Create(item_id), Outcome::Declined { reason }) => {
                if let Some(entry) = self.give_up(&item_id) {
                    out.tell(Notice::NotSynced { entry, reason: reason.to_string() });
                }
            }
            (Asked::Delete(item_id), Outcome::Refused { .. } | Outcome::TimedOut) => {
                self.mirror.remove(&item_id); // it is gone already
            }
            (Asked::Instructions, outcome) if outcome.is_ok() => {}
            (Asked::Instructions, _) => {
                // The session keeps its own.
                self.effective = self.own_instructions();
            }
            (Asked::Create(_) | Asked::Delete(_) | Asked::Response, _) => {}
        }
    }

    /// This conversation is not given an entry again. Returns the entry.
    fn give_up(&mut self, item_id: &ItemId) -> Option<u64> {
        let held = self.mirror.remove(item_id)?;
        let entries = held.owner.entries();
        self.mirror.given_up.extend(&entries);
        entries.last().map(|entry| entry.0)
    }

    /// Notices an answer in text to a request for audio, once the server was told a history.
    fn watch_speech(&mut self, event: &Event, out: &mut Out<'_>) {
        match event {
            Event::Text { response_id, spoken, .. } if !self.mirror.beside.contains(response_id) => {
                let written = self.speech.written.get_or_insert_with(|| (response_id.clone(), *spoken));
                written.1 |= *spoken;
            }
            Event::Audio(chunk) if !chunk.out_of_band => {
                self.speech.written = Some((chunk.response_id.clone(), true));
            }
            Event::ResponseFinished(report) => {
                let written = self.speech.written.take_if(|(response, _)| *response == report.response_id);
                let in_text =
                    written.is_some_and(|(_, spoken)| !spoken) && report.end == ResponseEnd::Completed;
                let seeded = self.mirror.items.iter().any(|held| held.made == Made::FromLog);
                if !in_text || !self.speech.wanted || !seeded {
                    return;
                }
                let asked_again =
                    self.text_only == TextOnly::AskAgain && !std::mem::replace(&mut self.speech.mended, true);
                if asked_again {
                    self.log.take_out_answer(&report.response_id);
                    self.pack_history();
                    self.respond = true;
                }
                let response_id = report.response_id.clone();
                out.tell(Notice::AnsweredInText { response_id, asked_again });
            }
            _ => {}
        }
    }
}

fn is_same_entry(edit: &Edit, next: &Edit) -> bool {
    match (edit, next) {
        (Edit::Create(edit), Edit::Create(next)) => edit.owner.entry() == next.owner.entry(),
        _ => false,
    }
}

fn not_told(omitted: &Omitted) -> Notice {
    let reason = match omitted.why {
        Why::NoSuchItem => "there is no item for a part of it",
        Why::NoPair => "a call without its output, or an output without its call",
        Why::TooLarge => "it is larger than the server takes",
    };
    Notice::NotSynced { entry: omitted.entry.0, reason: reason.into() }
}
