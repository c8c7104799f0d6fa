//! The lines of calls that somebody may come back to, by their tokens: [`Lines`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sockets::MediaLine;

/// The lines of calls that somebody may come back to after a loss, by their tokens. Cheap to clone; clones
/// share the lines.
pub struct Lines<P> {
    most: usize,
    lines: Shared<P>,
}

type Shared<P> = Arc<Mutex<HashMap<Arc<str>, MediaLine<P>>>>;

/// A line among others, until this is dropped: keep it as long as the call runs.
#[must_use = "the line is forgotten when this is dropped"]
pub struct HeldLine<P> {
    token: Arc<str>,
    lines: Shared<P>,
}

/// A line was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotHeld {
    /// There are as many as there may be.
    #[error("{most} calls are held already")]
    Full {
        /// How many there may be.
        most: usize,
    },
    /// Another call has this token: draw one for each call.
    #[error("another call has this token")]
    TokenTaken,
}

impl<P> Lines<P> {
    /// No lines, and so many at most.
    pub fn new(most: usize) -> Self {
        Self { most, lines: Shared::default() }
    }

    /// Takes a call's line in.
    ///
    /// # Errors
    /// [`NotHeld`]: refuse the call, or hold it without coming back.
    pub fn hold(&self, token: impl Into<Arc<str>>, line: MediaLine<P>) -> Result<HeldLine<P>, NotHeld> {
        let token = token.into();
        let mut lines = lock(&self.lines);
        if lines.contains_key(&token) {
            return Err(NotHeld::TokenTaken);
        }
        if lines.len() >= self.most {
            return Err(NotHeld::Full { most: self.most });
        }
        lines.insert(Arc::clone(&token), line);
        drop(lines);
        Ok(HeldLine { token, lines: Arc::clone(&self.lines) })
    }

    /// The line of the call with this token. `None`: there is none, or it has ended.
    pub fn find(&self, token: &str) -> Option<MediaLine<P>> {
        lock(&self.lines).get(token).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.lines).len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A new token: 128 bits that nobody can foresee, as 32 hexadecimal digits.
pub fn draw_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn lock<P>(lines: &Shared<P>) -> MutexGuard<'_, HashMap<Arc<str>, MediaLine<P>>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P> Clone for Lines<P> {
    fn clone(&self) -> Self {
        Self { most: self.most, lines: Arc::clone(&self.lines) }
    }
}

impl<P> Drop for HeldLine<P> {
    fn drop(&mut self) {
        lock(&self.lines).remove(&self.token);
    }
}

impl<P> fmt::Debug for Lines<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("len", &self.len()).field("most", &self.most).finish()
    }
}

impl<P> fmt::Debug for HeldLine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldLine")
    }
}
