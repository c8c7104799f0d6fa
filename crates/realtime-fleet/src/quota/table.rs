//! What the engine keeps of a tenant's limit: [`Table`], which says how many calls each gateway may have.
//!
//! The rule kept here: it is written as a whole, behind the one that was read. So of two gateways that take
//! the last slot, one is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;

/// The slots of a tenant.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Table {
    /// How many calls the tenant may have, as the last author knew it. For people.
    pub(crate) limit: u32,
    /// How many of them each gateway may have, with those that it has. Gateways that are gone stand here
    /// with the calls that they have left.
    pub(crate) slots: BTreeMap<WorkerId, u32>,
    /// Gateways that need more, and found none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) wants: BTreeSet<WorkerId>,
}

impl Table {
    /// Slots that nobody has.
    pub(crate) fn room(&self, limit: u32) -> u32 {
        let taken = self.slots.values().fold(0_u32, |sum, slots| sum.saturating_add(*slots));
        limit.saturating_sub(taken)
    }

    /// The slots of a gateway.
    pub(crate) fn of(&self, gateway: &WorkerId) -> u32 {
        self.slots.get(gateway).copied().unwrap_or(0)
    }

    /// Returns whether another gateway needs more.
    pub(crate) fn is_wanted_besides(&self, gateway: &WorkerId) -> bool {
        self.wants.iter().any(|other| other != gateway)
    }

    /// The same, where this gateway has so many.
    pub(crate) fn with(&self, limit: u32, gateway: &WorkerId, slots: u32) -> Self {
        let mut table = Self { limit, ..self.clone() };
        match slots {
            0 => drop(table.slots.remove(gateway)),
            _ => drop(table.slots.insert(gateway.clone(), slots)),
        }
        table.wants.remove(gateway);
        table
    }

    /// The same, where this gateway needs more.
    pub(crate) fn wanted(&self, limit: u32, gateway: &WorkerId) -> Self {
        let mut table = Self { limit, ..self.clone() };
        table.wants.insert(gateway.clone());
        table
    }

    /// The same, where this gateway gave slots away to whoever needs some.
    pub(crate) fn given(&self, limit: u32, gateway: &WorkerId, left: u32) -> Self {
        Self { wants: BTreeSet::new(), ..self.with(limit, gateway, left) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples::id;

    #[test]
    fn what_all_gateways_have_is_what_is_taken() {
        let table = Table::default().with(5, &id("a"), 3).with(5, &id("b"), 1);
        assert_eq!((table.room(5), table.room(3), table.of(&id("a"))), (1, 0, 3));
        assert_eq!(table.with(5, &id("a"), 0).room(5), 4);
        let wanted = table.wanted(5, &id("b"));
        assert!(wanted.is_wanted_besides(&id("a")) && !wanted.is_wanted_besides(&id("b")));
        assert!(wanted.given(5, &id("a"), 1).wants.is_empty());
        let text = json!({ "limit": 5, "slots": { "a": 3, "b": 1 } });
        assert_eq!(serde_json::to_value(&table).unwrap(), text);
    }
}
