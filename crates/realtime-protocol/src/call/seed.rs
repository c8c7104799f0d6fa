//! Giving a new session what was said before it: [`Seed`], and [`Reseed`], which makes it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::call::Event;
use crate::id::ItemId;
use crate::item::Item;

/// What to give a new session of what was said before it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Seed {
    /// What the model is told to be; `None`: what the configuration says. It counts where it differs from
    /// what the seed before said (the options, before the first one), unless an update of the configuration
    /// has changed it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Items to create, in this order, before anything else.
    pub items: Vec<Item>,
    /// Which of the items that commands on their way are to create are said here already: each with the item
    /// of the seed that says it. They are not created once more, and their commands settle with that item.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replaces: BTreeMap<ItemId, ItemId>,
    /// Parts and messages of which no item can be made, and which are left out.
    pub omitted: usize,
}

/// Knows what was said, and can tell it to a new session.
///
/// A [`Call`](crate::call::Call) asks for it by
/// [`Output::Seed`](crate::call::Output::Seed). A function from the carried items to a seed is
/// one that learns of events elsewhere: what came last may be missing in its seeds.
pub trait Reseed {
    /// Learns of a call event. The driver tells every one, in order, before it asks for a seed and before the
    /// application can read the event. Default: nothing.
    fn observe(&mut self, event: &Event) {
        let _ = event;
    }

    /// Makes the items that bring a new session up to date. `carried` names the items that commands on their
    /// way will create unless the seed [replaces](Seed::replaces) them.
    fn reseed(&mut self, carried: &[ItemId]) -> Seed;
}

impl<F: FnMut(&[ItemId]) -> Seed> Reseed for F {
    fn reseed(&mut self, carried: &[ItemId]) -> Seed {
        self(carried)
    }
}
