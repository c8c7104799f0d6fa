//! What a new session is told about the conversation so far: [`Seed`], and [`Reseed`], which makes it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::call::Event;
use crate::id::ItemId;
use crate::item::Item;

/// What a new session is told about the conversation so far.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Seed {
    /// The model's instructions. `None`: those of the configuration. They are applied if they differ from
    /// those of the previous seed (for the first seed: from the options), unless an update of the
    /// configuration has changed the instructions since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Items to create, in this order, before anything else.
    pub items: Vec<Item>,
    /// Items of pending `create_item` commands that this seed already contains, mapped to the seed's item.
    /// They are not created again, and their commands settle with the seed's item.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replaces: BTreeMap<ItemId, ItemId>,
    /// The number of parts and messages that were left out because no item can be made of them.
    pub omitted: usize,
}

/// Knows what was said, and makes the seed for a new session.
///
/// A [`Call`](crate::call::Call) asks for a seed by [`Output::Seed`](crate::call::Output::Seed). A closure
/// from the carried items to a seed implements this trait, but does not observe events: the newest events may
/// be missing from its seeds.
pub trait Reseed {
    /// Observes a call event. The driver passes every event, in order, before it asks for a seed and before
    /// the application can read the event. Default: does nothing.
    fn observe(&mut self, event: &Event) {
        let _ = event;
    }

    /// Makes the items that bring a new session up to date. `carried` names the items that pending commands
    /// will create, unless the seed [replaces](Seed::replaces) them. `largest` is the largest item that the
    /// server takes (bytes of JSON), as far as that is known: larger ones would be left out.
    fn reseed(&mut self, carried: &[ItemId], largest: Option<usize>) -> Seed;
}

impl<F: FnMut(&[ItemId]) -> Seed> Reseed for F {
    fn reseed(&mut self, carried: &[ItemId], _largest: Option<usize>) -> Seed {
        self(carried)
    }
}
