//! Connections whose request has not come yet: they are the first to be closed when there are too many.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// All connections of a server whose request has not come yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// Oldest first.
    by_number: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A connection's place among them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    waiting: Waiting,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Waiting {
    /// A place for a new connection.
    pub(crate) fn enter(&self) -> Place {
        let (tell, told) = oneshot::channel();
        let mut places = self.lock();
        let number = places.next;
        places.next += 1;
        places.by_number.insert(number, tell);
        Place { waiting: self.clone(), number, told }
    }

    /// Tells the oldest one to go. Returns whether there was one.
    pub(crate) fn give_way(&self) -> bool {
        self.lock().by_number.pop_first().is_some_and(|(_, tell)| tell.send(()).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the connection is told to go.
    pub(crate) async fn told_to_go(&mut self) {
        if (&mut self.told).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.lock().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_first_and_who_has_asked_stays() {
        let waiting = Waiting::default();
        assert!(!waiting.give_way());
        let (mut first, second, mut third) = (waiting.enter(), waiting.enter(), waiting.enter());
        assert!(waiting.give_way());
        first.told_to_go().await;
        drop(second);
        assert!(waiting.give_way());
        third.told_to_go().await;
        assert!(!waiting.give_way());
    }
}
