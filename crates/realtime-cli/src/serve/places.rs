//! How many calls may run: [`Places`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The places of a server, one for each call.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: AtomicUsize,
    is_draining: AtomicBool,
}

/// One call's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("all places are taken: try again later")]
    Full,
    #[error("the server is about to end, and takes no more calls")]
    Draining,
}

impl NoPlace {
    /// It in one word, for programs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Full => "busy",
            Self::Draining => "draining",
        }
    }
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicUsize::new(0), is_draining: AtomicBool::new(false) })
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn take(self: &Arc<Self>) -> Result<Place, NoPlace> {
        if self.is_draining() {
            return Err(NoPlace::Draining);
        }
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Place(Arc::clone(self))),
            Err(_) => Err(NoPlace::Full),
        }
    }

    /// Takes no more calls.
    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) const fn most(&self) -> usize {
        self.most
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_call_is_over_and_none_is_given_while_it_drains() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert_eq!(places.take().unwrap_err(), NoPlace::Full);
        assert_eq!(places.taken(), 2);
        drop(first);
        let _third = places.take().unwrap();
        places.drain();
        assert_eq!(places.take().unwrap_err(), NoPlace::Draining);
    }
}
