//! One tenant at one gateway: [`Hold`], the slots that the gateway has and the calls that are in them.
//!
//! The rules kept here. A slot is free again only when the engine says that its call is over: what is told by
//! itself is a hint. Slots that are about to be given away count as gone before the engine is asked, and are
//! back only when it is sure that the engine will not take that any more.

mod heard;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::gateway::PlaceError;
use crate::id::{CallId, Sequence, WorkerId};
use crate::quota::Waiter;
use crate::quota::table::Table;

/// Slots that are taken at once, where there are many.
const BATCH: u32 = 8;
/// Calls that the engine is asked for at once.
const ASKED: usize = 1024;
/// How long until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long an answer is waited for in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long other gateways have to give slots away.
const GIVING: Duration = Duration::from_millis(250);
/// For how long a tenant that has no slot left is refused without asking the engine again.
const FULL: Duration = Duration::from_millis(500);
/// How often slots are given away.
const GIVE: Duration = Duration::from_millis(200);
/// How often it is looked whether another gateway lives.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked what a dead gateway has left, and which old calls are over.
const AUDIT: Duration = Duration::from_secs(5);
/// From which age on a call is looked for of whose end nothing was heard.
const OLD: Duration = Duration::from_secs(30);
/// How often a call is looked for of whose end something was heard.
const TRIES: u8 = 3;

/// What is asked of the engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Read the table.
    Read,
    /// Write this table behind that sequence.
    Write(Sequence, Table),
    /// Which of these calls are over.
    Over(Vec<CallId>),
    /// Read this gateway's lease.
    Lease(WorkerId),
    /// Count the open calls that this gateway placed.
    Count(WorkerId),
}

/// Who waits for a slot.
#[derive(Clone, Debug)]
struct Waiting {
    who: Waiter,
    until: Timestamp,
}

/// A call that is perhaps over.
#[derive(Clone, Copy, Debug)]
struct Told {
    due: Timestamp,
    tries: u8,
}

/// Another gateway, as it was found last.
#[derive(Clone, Copy, Debug)]
struct Other {
    is_dead: bool,
    /// When to look again.
    due: Timestamp,
}

/// The slots of one tenant at this gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    limit: u32,
    /// The table as it was read or written last.
    known: Option<(Sequence, Table)>,
    /// Somebody has written it since.
    is_stale: bool,
    /// A table was sent behind this sequence, and may still be taken: then so many slots are left.
    doubt: Option<(Sequence, u32)>,
    /// The calls in the slots, and since when.
    open: BTreeMap<CallId, Timestamp>,
    told: BTreeMap<CallId, Told>,
    waiting: VecDeque<Waiting>,
    doing: Option<Step>,
    again: Timestamp,
    others: BTreeMap<WorkerId, Other>,
    /// How many calls a dead gateway has left, where that does not stand in the table yet.
    counted: Option<(WorkerId, u32)>,
    /// When this gateway wrote that it needs more.
    asked: Option<Timestamp>,
    /// Another gateway needs more.
    is_wanted: bool,
    next_give: Timestamp,
    /// Which calls were looked for, and when the next ones are.
    audited: Option<CallId>,
    next_audit: Timestamp,
    full_until: Timestamp,
    due: Option<Timestamp>,
    decided: VecDeque<(Waiter, Result<(), PlaceError>)>,
}

impl Hold {
    /// Somebody needs a slot.
    pub(crate) fn take(&mut self, now: Timestamp, me: &WorkerId, limit: u32, who: Waiter) {
        if self.limit != limit {
            (self.limit, self.full_until) = (limit, Timestamp::ZERO);
        }
        if now < self.full_until && self.told.is_empty() && !self.serves(me, &who) {
            return self.decided.push_back((who, Err(PlaceError::TenantFull)));
        }
        self.waiting.push_back(Waiting { who, until: now + PATIENCE });
    }

    /// What to ask next. It is under way from then on.
    pub(crate) fn advance(&mut self, now: Timestamp, me: &WorkerId, may_act: bool) -> Option<Step> {
        while self.waiting.front().is_some_and(|waiting| waiting.until <= now)
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.decided.push_back((waiting.who, Err(PlaceError::EngineAway)));
        }
        self.due = None;
        if !may_act {
            return None;
        }
        self.serve(now, me);
        if self.doing.is_some() {
            return None;
        }
        if self.again > now {
            self.due = Some(self.again).filter(|_| !self.is_calm());
            return None;
        }
        self.doing = self.next(now, me);
        self.doing.clone()
    }

    pub(crate) fn poll_decided(&mut self) -> Option<(Waiter, Result<(), PlaceError>)> {
        self.decided.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let until = self.waiting.front().map(|waiting| waiting.until);
        [until, self.due].into_iter().flatten().min()
    }

    /// Returns whether there is nothing to do until something is heard.
    pub(crate) fn is_calm(&self) -> bool {
        self.waiting.is_empty() && self.doing.is_none() && !self.is_wanted && self.decided.is_empty()
    }

    /// The gateway has a new name: others look after the calls of the one before. Who waits goes on waiting.
    pub(crate) fn begin_again(&mut self) {
        let (limit, waiting) = (self.limit, std::mem::take(&mut self.waiting));
        let decided = std::mem::take(&mut self.decided);
        *self = Self { limit, waiting, decided, ..Self::default() };
    }

    fn mine(&self, me: &WorkerId) -> u32 {
        let Some((sequence, table)) = &self.known else { return 0 };
        match self.doubt {
            Some((after, left)) if after == *sequence => table.of(me).min(left),
            _ => table.of(me),
        }
    }

    fn free(&self, me: &WorkerId) -> u32 {
        self.mine(me).saturating_sub(u32::try_from(self.open.len()).unwrap_or(u32::MAX))
    }

    fn serves(&self, me: &WorkerId, who: &Waiter) -> bool {
        match who {
            Waiter::Place(_) => self.free(me) > 0,
            Waiter::Check { besides, .. } => self.free(me) > *besides,
        }
    }

    /// Gives free slots to those who wait.
    fn serve(&mut self, now: Timestamp, me: &WorkerId) {
        for waiting in std::mem::take(&mut self.waiting) {
            if !self.serves(me, &waiting.who) {
                self.waiting.push_back(waiting);
                continue;
            }
            if let Waiter::Place(call) = &waiting.who {
                self.open.insert(call.clone(), now);
            }
            self.decided.push_back((waiting.who, Ok(())));
        }
    }

    fn next(&mut self, now: Timestamp, me: &WorkerId) -> Option<Step> {
        let is_short = !self.waiting.is_empty();
        if !is_short && !self.gives(now, me) {
            return None;
        }
        let Some((sequence, table)) = self.known.clone().filter(|_| !self.is_stale) else {
            return Some(Step::Read);
        };
        let told = self.told.iter().filter(|(_, told)| told.due <= now).map(|(call, _)| call);
        let told: Vec<CallId> = told.take(ASKED).cloned().collect();
        let (limit, room) = (self.limit, table.room(self.limit));
        let is_doubted = self.doubt.is_some_and(|(after, _)| after == sequence);
        let own = table.of(me);
        if is_short && room > 0 && told.len() < BATCH as usize {
            let most = (room / 4).clamp(1, BATCH).max(self.need(me)).min(room);
            return Some(Step::Write(sequence, table.with(limit, me, own + most)));
        }
        if !told.is_empty() {
            return Some(Step::Over(told));
        }
        if !is_short {
            return self.give(now, me, sequence, &table);
        }
        if is_doubted {
            return Some(Step::Write(sequence, table.with(limit, me, own))); // then nothing earlier is taken
        }
        if let Some((gateway, count)) = self.counted.take()
            && table.slots.get(&gateway).is_some_and(|slots| *slots != count)
        {
            return Some(Step::Write(sequence, table.with(limit, &gateway, count)));
        }
        self.others.retain(|gateway, _| table.slots.contains_key(gateway));
        let others = || table.slots.keys().filter(|gateway| *gateway != me);
        let is_due = |gateway: &&WorkerId| self.others.get(*gateway).is_none_or(|other| other.due <= now);
        if let Some(other) = others().find(is_due).cloned() {
            let is_dead = self.others.get(&other).is_some_and(|other| other.is_dead);
            return Some(if is_dead { Step::Count(other) } else { Step::Lease(other) });
        }
        if let Some(old) = self.old(now) {
            return Some(Step::Over(old));
        }
        let lives = |gateway: &WorkerId| self.others.get(gateway).is_some_and(|other| !other.is_dead);
        if others().any(lives) {
            match self.asked {
                Some(asked) if now < asked + GIVING => {
                    self.due = Some(asked + GIVING);
                    return None;
                }
                Some(asked) if now < asked + FULL => {}
                _ => {
                    self.asked = Some(now);
                    return Some(Step::Write(sequence, table.wanted(limit, me)));
                }
            }
        }
        self.full_until = now + FULL;
        let refused = self.waiting.drain(..).map(|waiting| (waiting.who, Err(PlaceError::TenantFull)));
        self.decided.extend(refused);
        None
    }

    /// How many slots those who wait need.
    fn need(&self, me: &WorkerId) -> u32 {
        let (mut placed, mut checked) = (0, 0);
        for waiting in &self.waiting {
            match &waiting.who {
                Waiter::Place(_) => placed += 1,
                Waiter::Check { besides, .. } => checked = checked.max(besides.saturating_add(1)),
            }
        }
        placed.max(checked).saturating_sub(self.free(me))
    }

    /// Returns whether it is time to look what can be given away.
    fn gives(&mut self, now: Timestamp, me: &WorkerId) -> bool {
        let has_old = || now >= self.next_audit && self.open.values().any(|since| *since + OLD <= now);
        let has_some = self.free(me) > 0 || !self.told.is_empty() || has_old();
        if self.is_wanted && has_some && self.next_give > now {
            self.due = Some(self.next_give);
            return false;
        }
        self.is_wanted && has_some
    }

    fn give(&mut self, now: Timestamp, me: &WorkerId, sequence: Sequence, table: &Table) -> Option<Step> {
        self.next_give = now + GIVE;
        self.is_wanted = table.is_wanted_besides(me);
        let free = self.free(me);
        if self.is_wanted
            && free == 0
            && let Some(old) = self.old(now)
        {
            self.next_give = now;
            return Some(Step::Over(old));
        }
        if !self.is_wanted || free == 0 {
            self.due = Some(self.next_give).filter(|_| self.is_wanted && !self.told.is_empty());
            return None;
        }
        let left = match self.doubt {
            Some((after, left)) if after == sequence => left, // the same again
            _ => self.mine(me) - free.div_ceil(2),
        };
        self.doubt = Some((sequence, left));
        Some(Step::Write(sequence, table.given(self.limit, me, left)))
    }

    /// Calls of whose end nothing was heard for long.
    fn old(&mut self, now: Timestamp) -> Option<Vec<CallId>> {
        if now < self.next_audit {
            return None;
        }
        let from = self.audited.take().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.open.range((from, Bound::Unbounded));
        let old = later.filter(|(_, since)| **since + OLD <= now).map(|(call, _)| call.clone());
        let old: Vec<CallId> = old.take(ASKED).collect();
        // Those that are left come at once, and all of them again after a while.
        match old.len() == ASKED {
            true => self.audited = old.last().cloned(),
            false => self.next_audit = now + AUDIT,
        }
        Some(old).filter(|old| !old.is_empty())
    }
}
