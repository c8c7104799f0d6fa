//! The model: what waits, what runs, whose turn it is, as data.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// What the server sends, and what the application asks for. Commands are numbered as they come.
#[derive(Clone, Debug)]
pub(crate) enum Transition {
    Created,
    Updated,
    /// The server puts the oldest item of ours in its place.
    ItemAdded,
    ResponseCreated,
    AudioDelta,
    ResponseDone {
        completed: bool,
        calls: u8,
    },
    SpeechStarted,
    SpeechStopped,
    Cut,
    CreateResponse,
    CreateItem {
        respond: bool,
    },
    /// Answers one of the calls that wait.
    AnswerFunction {
        which: usize,
        respond: bool,
    },
    Interrupt,
    PlayedAll,
    Stopped,
}

/// The state of the model. `did` is what the session must have put out in the step that led here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) phase: Phase,
    pub(crate) did: Vec<String>,
    pub(crate) commands: u64,
    /// Items asked for before the session was ready, and whether each asks for a response.
    held: Vec<(u64, bool)>,
    /// Items sent that have no place yet, each with its number and the command that asked for it.
    unplaced: VecDeque<(u32, u64)>,
    items: u32,
    waiting: Vec<Request>,
    slot: Slot,
    turn: Turn,
    pub(crate) responses: u32,
    /// The response whose audio is not played whole, and how many deltas of it came.
    pub(crate) audible: Option<(u32, u64)>,
    /// Calls that wait for an answer, by response.
    pub(crate) calls: Vec<Group>,
    /// Who interrupted and waits for playback to stand still.
    stopping: Option<Vec<u64>>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Phase {
    #[default]
    Opening,
    Configuring,
    Ready,
    Over,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Turn {
    #[default]
    Open,
    Speaking,
    /// The application says so: only what the user crossed waits.
    Claimed,
    /// The server will respond by itself.
    Expecting,
}

#[derive(Clone, Debug, Default)]
enum Slot {
    #[default]
    Free,
    Requested {
        request: Request,
        wanted: bool,
        /// Whether a cancel is on its way.
        cancelled: bool,
    },
    Running {
        /// What it was asked for.
        request: Request,
        /// Whose own request the user crossed.
        superseded: Vec<u64>,
        interrupted: bool,
        deltas: u64,
    },
}

#[derive(Clone, Debug, Default)]
struct Request {
    waiters: Vec<u64>,
    /// Whether it includes a response that no command waits for.
    owed: bool,
    /// It waits until the user, who crossed it, has spoken.
    after_turn: bool,
    /// From after the user's turn.
    late: bool,
    /// Items that the response to it must know.
    needs: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) calls: Vec<String>,
    respond: bool,
    interrupted: bool,
}

impl Request {
    fn merge(&mut self, later: Self) {
        self.waiters.extend(later.waiters);
        self.needs.extend(later.needs);
        self.owed |= later.owed;
        self.after_turn &= later.after_turn;
    }
}

impl Model {
    fn says(&mut self, what: impl Into<String>) {
        self.did.push(what.into());
    }

    fn settles(&mut self, ids: impl IntoIterator<Item = u64>, outcome: &str) {
        self.did.extend(ids.into_iter().map(|id| format!("{id} {outcome}")));
    }

    fn request(&mut self, waiter: Option<u64>) {
        let late = self.turn == Turn::Expecting;
        let needs = self.unplaced.iter().map(|(item, _)| *item).collect();
        let (owed, waiters) = (waiter.is_none(), waiter.into_iter().collect());
        self.ask(Request { waiters, owed, after_turn: false, late, needs });
    }

    fn ask(&mut self, request: Request) {
        match self.waiting.iter_mut().find(|waiting| waiting.late == request.late) {
            Some(waiting) => waiting.merge(request),
            None => self.waiting.push(request),
        }
    }

    fn create_item(&mut self, id: u64, respond: bool) {
        self.says("> conversation.item.create");
        self.unplaced.push_back((self.items, id));
        self.items += 1;
        if respond {
            self.request(None);
        }
    }

    /// What was asked for since the last turn came before the next one, and waits with the rest.
    fn merge_waiting(&mut self) {
        let merged = std::mem::take(&mut self.waiting).into_iter().reduce(|mut first, request| {
            first.merge(request);
            first
        });
        self.waiting = merged.into_iter().map(|request| Request { late: false, ..request }).collect();
    }

    /// The first request goes to the server, if the place is free and nobody speaks.
    fn go_on(&mut self) {
        let claimed = self.turn == Turn::Claimed;
        let free = matches!(self.slot, Slot::Free)
            && (self.turn == Turn::Open || claimed)
            && self.stopping.is_none();
        let first = self.waiting.iter().position(|request| !(claimed && request.after_turn));
        if let Some(first) = first.filter(|_| self.phase == Phase::Ready && free) {
            let request = self.waiting.remove(first);
            self.slot = Slot::Requested { request, wanted: true, cancelled: false };
            self.says("> response.create");
        }
    }

    fn respond(&mut self) {
        let is_answer = self.turn == Turn::Expecting;
        if is_answer {
            self.turn = Turn::Open;
        }
        let mut superseded = Vec::new();
        let (request, interrupted, cancels) = match std::mem::take(&mut self.slot) {
            Slot::Requested { request, wanted, cancelled } if wanted || !is_answer => {
                (request, !wanted, !wanted && !cancelled)
            }
            slot => {
                if let Slot::Requested { request, .. } = slot {
                    superseded = request.waiters;
                }
                let known = self.waiting.iter().position(|request| !request.late && request.needs.is_empty());
                let waiters = known.map(|index| self.waiting.remove(index).waiters).unwrap_or_default();
                (Request { waiters, ..Request::default() }, false, false)
            }
        };
        self.merge_waiting();
        self.responses += 1;
        self.slot = Slot::Running { request, superseded, interrupted, deltas: 0 };
        self.says("response_started");
        if cancels {
            self.says("> response.cancel");
        }
    }

    /// What somebody asked for without waiting stays owed, if nothing of it was said.
    fn cross(&mut self, by_application: bool) {
        let request = match &self.slot {
            Slot::Requested { request, wanted: true, .. } => request,
            Slot::Running { request, interrupted: false, deltas: 0, .. } => request,
            Slot::Free | Slot::Requested { .. } | Slot::Running { .. } => return,
        };
        let owed = request.owed.then(|| Request { waiters: Vec::new(), late: false, ..request.clone() });
        if let Slot::Requested { wanted, cancelled, .. } = &mut self.slot {
            (*wanted, *cancelled) = (false, by_application);
        }
        if let Some(owed) = owed {
            self.ask(Request { after_turn: by_application, ..owed });
            if by_application && self.turn == Turn::Open {
                self.turn = Turn::Claimed;
            }
        }
    }

    /// The user speaks, or the application says so and cancels by itself.
    fn interrupt(&mut self, waiter: Option<u64>) {
        let mut news = false;
        if waiter.is_some() && !matches!(self.slot, Slot::Free) {
            self.says("> response.cancel");
        }
        self.cross(waiter.is_some());
        if let Slot::Running { interrupted, .. } = &mut self.slot {
            news |= !std::mem::replace(interrupted, true);
        }
        for group in &mut self.calls {
            news |= !std::mem::replace(&mut group.interrupted, true);
        }
        if self.audible.take().is_some() {
            self.says("stop_playback");
            self.stopping = Some(waiter.into_iter().collect());
        } else {
            if news {
                self.says("interrupted");
            }
            self.settles(waiter, "done");
        }
    }

    fn end_response(&mut self, outcome: &str) {
        if let Slot::Running { request, superseded, .. } = std::mem::take(&mut self.slot) {
            self.says("response_finished");
            self.settles(superseded, "superseded");
            self.settles(request.waiters, outcome);
        }
    }

    fn cut(&mut self) {
        self.phase = Phase::Over;
        if let Some(waiters) = self.stopping.take() {
            self.says("interrupted");
            self.settles(waiters, "done");
        }
        if let Slot::Requested { request, .. } = &mut self.slot {
            let waiters = std::mem::take(&mut request.waiters);
            self.settles(waiters, "closed");
        }
        self.end_response("responded");
        for call in std::mem::take(&mut self.calls).into_iter().flat_map(|group| group.calls) {
            self.says(format!("{call} ended"));
        }
        let waiting: Vec<u64> =
            std::mem::take(&mut self.waiting).into_iter().flat_map(|r| r.waiters).collect();
        let held: Vec<u64> = self.held.drain(..).map(|(id, _)| id).collect();
        let unplaced: Vec<u64> = self.unplaced.drain(..).map(|(_, id)| id).collect();
        self.settles(waiting.into_iter().chain(held).chain(unplaced), "closed");
        self.says("closed");
    }

    pub(crate) fn call(&self, which: usize) -> Option<(usize, usize)> {
        let calls =
            self.calls.iter().enumerate().flat_map(|(group, g)| (0..g.calls.len()).map(move |n| (group, n)));
        let calls: Vec<_> = calls.collect();
        calls.get(which % calls.len().max(1)).copied()
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Transition> {
        use Transition as T;
        let mut all = vec![
            (6, T::Created),
            (6, T::Updated),
            (3, T::ItemAdded),
            (4, T::ResponseCreated),
            (4, T::AudioDelta),
            (2, T::SpeechStarted),
            (3, T::SpeechStopped),
            (4, T::CreateResponse),
            (2, T::CreateItem { respond: true }),
            (1, T::CreateItem { respond: false }),
            (1, T::Interrupt),
            (1, T::PlayedAll),
            (3, T::Stopped),
        ];
        for calls in 0..3 {
            all.push((1, T::ResponseDone { completed: true, calls }));
        }
        all.push((1, T::ResponseDone { completed: false, calls: 0 }));
        for (which, respond) in [(0, true), (0, false), (1, true), (1, false)] {
            all.push((1, T::AnswerFunction { which, respond }));
        }
        all.retain(|(_, transition)| Self::preconditions(model, transition));
        // Now and then, and when nothing is left to do, the connection ends.
        let all = all.into_iter().map(|(weight, transition)| (20 * weight, Just(transition).boxed()));
        prop::strategy::Union::new_weighted(all.chain([(1, Just(T::Cut).boxed())]).collect()).boxed()
    }

    fn preconditions(model: &Self, transition: &Transition) -> bool {
        let running = matches!(model.slot, Slot::Running { .. });
        let ready = model.phase == Phase::Ready;
        match transition {
            _ if model.phase == Phase::Over => matches!(transition, Transition::Cut),
            Transition::Created => model.phase == Phase::Opening,
            Transition::Updated => model.phase == Phase::Configuring,
            Transition::ItemAdded => !model.unplaced.is_empty(),
            // By itself it responds to the user's turn alone.
            Transition::ResponseCreated => {
                matches!(model.slot, Slot::Requested { .. }) || !running && model.turn == Turn::Expecting
            }
            Transition::AudioDelta | Transition::ResponseDone { .. } => running,
            Transition::SpeechStarted => ready && model.turn != Turn::Speaking && model.stopping.is_none(),
            Transition::SpeechStopped => model.turn == Turn::Speaking,
            Transition::AnswerFunction { which, .. } => model.call(*which).is_some(),
            // A second cancel is not sent, which would be one more thing to remember.
            Transition::Interrupt => {
                let cancelled = matches!(
                    model.slot,
                    Slot::Running { interrupted: true, .. } | Slot::Requested { wanted: false, .. }
                );
                ready && model.stopping.is_none() && !cancelled
            }
            Transition::PlayedAll => model.audible.is_some(),
            Transition::Stopped => model.stopping.is_some(),
            Transition::Cut | Transition::CreateResponse | Transition::CreateItem { .. } => true,
        }
    }

    fn apply(mut model: Self, transition: &Transition) -> Self {
        model.did.clear();
        if model.phase == Phase::Over {
            return model; // cut once more, to no effect
        }
        let id = model.commands;
        match transition {
            Transition::Created => {
                model.phase = Phase::Configuring;
                model.says("> session.update");
            }
            Transition::Updated => {
                model.phase = Phase::Ready;
                model.says("ready");
                for (id, respond) in std::mem::take(&mut model.held) {
                    model.create_item(id, respond);
                }
            }
            Transition::ItemAdded => {
                if let Some((item, id)) = model.unplaced.pop_front() {
                    model.settles([id], "added");
                    let sent = match &mut model.slot {
                        Slot::Requested { request, .. } | Slot::Running { request, .. } => Some(request),
                        Slot::Free => None,
                    };
                    for request in model.waiting.iter_mut().chain(sent) {
                        request.needs.remove(&item);
                    }
                }
            }
            Transition::ResponseCreated => model.respond(),
            Transition::AudioDelta => {
                let number = model.responses;
                if let Slot::Running { interrupted: false, deltas, .. } = &mut model.slot {
                    *deltas += 1;
                    model.audible = Some((number, *deltas));
                    model.says("audio");
                }
            }
            Transition::ResponseDone { completed, calls } => {
                model.end_response("responded");
                if *completed && *calls > 0 {
                    let calls = (0..*calls).map(|n| format!("c{}_{n}", model.responses)).collect();
                    model.calls.push(Group { calls, respond: false, interrupted: false });
                    model.says("function_calls");
                }
            }
            Transition::SpeechStarted => {
                model.turn = Turn::Speaking;
                model.merge_waiting();
                model.interrupt(None);
            }
            Transition::SpeechStopped => model.turn = Turn::Expecting,
            Transition::Cut => model.cut(),
            Transition::CreateResponse => model.request(Some(id)),
            Transition::CreateItem { respond } if model.phase == Phase::Ready => {
                model.create_item(id, *respond)
            }
            Transition::CreateItem { respond } => model.held.push((id, *respond)),
            Transition::AnswerFunction { which, respond } => {
                if let Some((group, call)) = model.call(*which) {
                    let call = model.calls[group].calls.remove(call);
                    model.calls[group].respond |= respond;
                    model.create_item(id, false);
                    model.says(format!("{call} ended"));
                    if model.calls[group].calls.is_empty() && model.calls.remove(group).respond {
                        model.request(None);
                    }
                }
            }
            Transition::Interrupt => model.interrupt(Some(id)),
            Transition::PlayedAll => model.audible = None,
            Transition::Stopped => {
                model.says("interrupted");
                let waiters = model.stopping.take().unwrap_or_default();
                model.settles(waiters, "done");
            }
        }
        model.commands += 1;
        model.go_on();
        model
    }
}
