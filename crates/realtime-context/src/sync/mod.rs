//! [`sync`]: what to tell a server so that its conversation holds what the log says.
//!
//! The rules kept here: what the server has already is left where it is, as far as possible; an item that
//! moved is deleted and created. A call is never created without its output. Nothing is created that the
//! server would refuse: it is cut to the limits, and what can't be created is named.

mod cut;
mod native;
mod packed;

use std::collections::{BTreeMap, BTreeSet};

use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;

use crate::log::{Entry, EntryId, Log};
use crate::message::{Message, Role};
use crate::mirror::{Held, Ids, Made, Mirror, Owner};
use crate::sync::native::Natives;

/// The id that stands for the place before all items.
pub(crate) const ROOT: &str = "root";

/// How a history is put into items.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum History {
    /// The whole history as JSON in one user message, with a preamble. A history of just one user message is
    /// sent as it is.
    ///
    /// This is the default, because models that were given many text items of the assistant tend to stop
    /// speaking.
    #[default]
    PackedMessage,
    /// Each message as a separate item, including calls and their outputs.
    NativeItems,
    /// A summary of all but the newest entries in one system message, and the newest ones as separate items.
    /// It takes a hook: see [`Conversation::summariser`](crate::Conversation::summariser). Without a summary
    /// it is [`NativeItems`](Self::NativeItems).
    Summary {
        /// How many entries stay outside of the summary.
        keep: usize,
    },
}

/// What a server takes, and how a history is told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Limits {
    /// How a history is put into items.
    pub history: History,
    /// The largest item (bytes of JSON). `None`: the largest that the wire takes.
    pub largest: Option<usize>,
    /// A summary that stands for the history up to an entry, if nothing of that is on the server yet.
    pub summary: Option<(EntryId, String)>,
}

/// What to tell the server, in this order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The edits.
    pub edits: Vec<Edit>,
    /// What the server can't be told, or not whole.
    pub omitted: Vec<Omitted>,
    /// Whether more is to be told once the running response has ended: an item that the model still makes
    /// can't be deleted.
    pub waits: bool,
}

/// One change of the server's conversation.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the wire has no other")]
pub enum Edit {
    /// Creates an item.
    Create(Box<Create>),
    /// Deletes an item.
    Delete {
        /// The item.
        item_id: ItemId,
    },
}

/// An item to create.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Create {
    /// The item, with its id.
    pub item: Item,
    /// The item to put it after: `root` for the beginning. `None`: the last one.
    pub after: Option<ItemId>,
    pub(crate) owner: Owner,
    pub(crate) revision: u32,
}

/// What the server can't be told of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Omitted {
    /// The entry.
    pub entry: EntryId,
    /// Why.
    pub why: Why,
}

/// Why something of an entry was left out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Why {
    /// There is no item for a message or a part of this kind.
    NoSuchItem,
    /// A call without its output, or an output without its call.
    NoPair,
    /// It is larger than the server takes. A text is shortened, anything else is left out.
    TooLarge,
}

/// What to tell the server so that its conversation holds what the log says: the same order, roles and words;
/// each call with its output. Audio counts as its transcript, and a packed history as its text. Leading
/// instructions are no item: they are in the configuration.
///
/// After the edits are sent, they are part of the mirror: the next call returns only what has changed since.
pub fn sync(log: &Log, mirror: &Mirror, limits: &Limits) -> Plan {
    let mut units = units(log, mirror);
    keep_longest_run(&mut units);
    let kept: BTreeSet<usize> = units.iter().flat_map(|unit| unit.here.iter().copied()).collect();
    let mut plan = Plan::default();
    for (index, held) in mirror.items.iter().enumerate() {
        if kept.contains(&index) || held.made == Made::Leaving || is_left_alone(log, mirror, held) {
            continue;
        }
        if held.made == Made::Open {
            return Plan { waits: true, ..Plan::default() };
        }
        plan.edits.push(Edit::Delete { item_id: held.id.clone() });
    }
    let mut maker = Maker {
        plan,
        ids: mirror.ids.clone(),
        natives: Natives::new(log),
        limits,
        anchor: Some(ROOT.into()),
    };
    let last_kept = units.iter().rposition(|unit| !unit.here.is_empty());
    let head = units.iter().take_while(|unit| unit.here.is_empty()).count();
    let packed = maker.head(&units[..head], last_kept.is_some());
    for (index, unit) in units.iter().enumerate().skip(packed) {
        if let Some(last) = unit.here.last() {
            maker.anchor = mirror.items.get(*last).map(|held| held.id.clone());
        } else {
            for entry in &unit.entries {
                // At the end there is no need to name the item before it.
                maker.native(entry, last_kept.is_some_and(|last| index < last));
            }
        }
    }
    maker.plan
}

/// Entries that stand or fall together, and the items that hold them.
struct Unit<'a> {
    entries: Vec<&'a Entry>,
    /// The places of the items in the mirror, in order. Empty: the server does not have it.
    here: Vec<usize>,
}

/// What the server's conversation is to hold, in order.
fn units<'a>(log: &'a Log, mirror: &Mirror) -> Vec<Unit<'a>> {
    let first = usize::from(log.instructions().is_some());
    let entries: Vec<&Entry> =
        log.entries.iter().skip(first).filter(|entry| !mirror.given_up.contains(&entry.id)).collect();
    let mut held_of: BTreeMap<EntryId, Vec<(usize, &Held)>> = BTreeMap::new();
    for (index, held) in mirror.items.iter().enumerate().filter(|(_, held)| held.made != Made::Leaving) {
        for entry in held.owner.entries() {
            held_of.entry(entry).or_default().push((index, held));
        }
    }
    let mut units = Vec::new();
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let held = held_of.remove(&entry.id).unwrap_or_default();
        let mut unit = Unit { entries: vec![entry], here: Vec::new() };
        match held.as_slice() {
            [(index, Held { owner: Owner::Packed(packed), .. })] => {
                let run = &entries[at..entries.len().min(at + packed.len())];
                if run.iter().map(|entry| (entry.id, entry.revision)).eq(packed.iter().copied()) {
                    unit = Unit { entries: run.to_vec(), here: vec![*index] };
                }
            }
            items if items.iter().all(|(_, held)| held.revision == entry.revision) => {
                unit.here = items.iter().map(|(index, _)| *index).collect();
            }
            _ => {}
        }
        at += unit.entries.len();
        units.push(unit);
    }
    units
}

/// Of the units that the server has, keeps the longest run that is in the right order. The others are to be
/// deleted and created.
fn keep_longest_run(units: &mut [Unit<'_>]) {
    let places: Vec<Option<usize>> = units.iter().map(|unit| unit.here.first().copied()).collect();
    // For each length of a run: the unit with the lowest place that such a run ends with.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; units.len()];
    for (unit, place) in places.iter().enumerate() {
        let Some(place) = *place else { continue };
        let length = ends.partition_point(|(end, _)| *end < place);
        before[unit] = length.checked_sub(1).map(|length| ends[length].1);
        if length == ends.len() {
            ends.push((place, unit));
        } else {
            ends[length] = (place, unit);
        }
    }
    let mut keep = vec![false; units.len()];
    let mut next = ends.last().map(|(_, unit)| *unit);
    while let Some(unit) = next {
        keep[unit] = true;
        next = before[unit];
    }
    for (unit, keep) in units.iter_mut().zip(keep) {
        if !keep {
            unit.here.clear();
        }
    }
}

/// Returns whether an item that no entry wants stays: a step of a hosted tool, or what is left of an entry
/// that this conversation is not given.
fn is_left_alone(log: &Log, mirror: &Mirror, held: &Held) -> bool {
    let is_given_up = |id: EntryId| mirror.given_up.contains(&id) && log.position(id).is_some();
    held.owner == Owner::Silent || held.owner.entry().is_some_and(is_given_up)
}

/// Makes the items that are missing.
struct Maker<'a> {
    plan: Plan,
    ids: Ids,
    natives: Natives<'a>,
    limits: &'a Limits,
    /// The item before the next one: `root` for the beginning.
    anchor: Option<ItemId>,
}

impl Maker<'_> {
    /// Makes one item of the units at the beginning that the server does not have. Returns how many units it
    /// holds. `more`: whether the server has something after them.
    fn head(&mut self, units: &[Unit<'_>], more: bool) -> usize {
        let said: Vec<(usize, &Entry)> = units
            .iter()
            .enumerate()
            .flat_map(|(index, unit)| unit.entries.iter().map(move |entry| (index, *entry)))
            .collect();
        let (history, summary) = match (&self.limits.history, &self.limits.summary) {
            (History::PackedMessage, _) => (said.as_slice(), None),
            (History::Summary { .. }, Some((until, text))) => {
                let end = said.iter().position(|(_, entry)| entry.id == *until).map_or(0, |end| end + 1);
                (&said[..end], Some(text))
            }
            (History::NativeItems | History::Summary { .. }, _) => return 0,
        };
        let Some((last, _)) = history.last() else { return 0 };
        let mut messages: Vec<(EntryId, Message)> = Vec::new();
        for (_, entry) in history {
            messages.extend(entry.messages().into_iter().map(|message| (entry.id, message)));
        }
        let item = match (summary, messages.as_slice()) {
            (Some(text), _) => Some(Item::system_text(text.clone())),
            (None, []) => return 0,
            (None, [(_, message)]) if message.role == Role::User => return 0,
            (None, _) => packed::packed(&messages, self.most(), &mut self.plan.omitted),
        };
        let entries = history.iter().map(|(_, entry)| (entry.id, entry.revision)).collect();
        if let Some(item) = item.and_then(|item| cut::fitted(item, self.most())) {
            self.create(item.item, Owner::Packed(entries), 0, more);
        }
        last + 1
    }

    /// Makes the items of an entry.
    fn native(&mut self, entry: &Entry, more: bool) {
        let made = self.natives.items(entry, &self.ids, &mut self.plan.omitted);
        let mut fitted = Vec::new();
        let mut is_cut = false;
        for item in made {
            match cut::fitted(item, self.most()) {
                Some(fit) => {
                    is_cut |= fit.is_cut;
                    fitted.push(fit.item);
                }
                None => {
                    is_cut = true;
                    // A call whose arguments can't be sent, or its output, is no use alone.
                    fitted.retain(|item| matches!(item, Item::Message(_)));
                    break;
                }
            }
        }
        if is_cut {
            self.plan.omitted.push(Omitted { entry: entry.id, why: Why::TooLarge });
        }
        for item in fitted {
            let owner = match item {
                Item::FunctionCallOutput(_) => Owner::Output(entry.id),
                _ => Owner::Entry(entry.id),
            };
            self.create(item, owner, entry.revision, more);
        }
    }

    fn create(&mut self, mut item: Item, owner: Owner, revision: u32, more: bool) {
        let id = self.ids.make();
        item.set_id(id.clone());
        let after = if more { self.anchor.take() } else { None };
        self.anchor = Some(id);
        self.plan.edits.push(Edit::Create(Box::new(Create { item, after, owner, revision })));
    }

    fn most(&self) -> usize {
        self.limits.largest.unwrap_or(cut::LARGEST_ITEM).min(cut::LARGEST_ITEM)
    }
}

#[cfg(test)]
mod tests;
