//! Things kept by their ids, bounded in number and in bytes: the oldest leave first.

use std::collections::BTreeMap;

/// Values by id.
#[derive(Debug)]
pub(super) struct Store<T> {
    by_id: BTreeMap<String, Kept<T>>,
    /// Oldest first.
    order: BTreeMap<u64, String>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    number: u64,
    bytes: usize,
}

impl<T> Store<T> {
    /// Keeps a value with its size in bytes, without its id. Replaces an earlier value with the same id. If
    /// there are too many values or bytes, drops others, the oldest first.
    pub(super) fn insert(&mut self, id: &str, value: T, bytes: usize) {
        self.remove(id);
        let (number, bytes) = (self.next, bytes + id.len() + OVERHEAD);
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(number, id.into());
        self.by_id.insert(id.into(), Kept { value, number, bytes });
        while self.by_id.len() > MOST || (self.bytes > MOST_BYTES && self.by_id.len() > 1) {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.by_id.get(id).map(|kept| &kept.value)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.by_id.get_mut(id).map(|kept| &mut kept.value)
    }

    #[cfg(feature = "webrtc")]
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_id.values_mut().map(|kept| &mut kept.value)
    }

    fn remove(&mut self, id: &str) {
        if let Some(kept) = self.by_id.remove(id) {
            self.order.remove(&kept.number);
            self.bytes -= kept.bytes;
        }
    }
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), order: BTreeMap::new(), next: 0, bytes: 0 }
    }
}

const MOST: usize = 10_000;
/// Bytes.
const MOST_BYTES: usize = 16 << 20;
/// Bytes, about: what an entry takes beside its id and its value.
const OVERHEAD: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_where_there_are_too_many_or_too_much() {
        let mut store = Store::default();
        for number in 0..=MOST {
            store.insert(&number.to_string(), number, 0);
        }
        assert_eq!((store.get("0"), store.get("1"), store.by_id.len()), (None, Some(&1), MOST));
        store.insert("1", 77, 0);
        store.insert("large", 78, MOST_BYTES / 2);
        assert!(store.by_id.len() > MOST / 2);
        store.insert("larger", 79, MOST_BYTES / 2);
        assert_eq!((store.get("1"), store.get("large"), store.get("larger")), (None, None, Some(&79)));
        assert!(store.bytes <= MOST_BYTES, "{}", store.bytes);
        store.insert("huge", 80, 2 * MOST_BYTES);
        assert_eq!((store.get("huge"), store.by_id.len(), store.order.len()), (Some(&80), 1, 1));
    }

    #[test]
    fn an_id_counts_as_well_and_a_value_in_its_place_counts_once() {
        let mut store = Store::default();
        for _ in 0..100 {
            store.insert("same", (), 1000);
        }
        assert_eq!((store.by_id.len(), store.order.len(), store.bytes), (1, 1, 1000 + 4 + OVERHEAD));
        for number in 0..1000 {
            store.insert(&format!("{number}{}", "x".repeat(30_000)), (), 0);
        }
        assert!(store.bytes <= MOST_BYTES && store.by_id.len() < 600, "{}", store.by_id.len());
    }
}
