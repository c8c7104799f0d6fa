//! Frames that leave in the order of hearing: [`Order`] keeps them until the audio before them has sounded.

use std::collections::VecDeque;

use crate::chain::{Frame, FrameKind};
use crate::playout::heard::Place;
use crate::playout::ledger::Ledger;

/// Frames that wait for audio.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: VecDeque<(Place, Frame)>,
}

/// The most frames that wait.
pub(super) const MOST_FRAMES: usize = 1024;

/// Returns whether a frame that flows downstream leaves in the order of hearing.
pub(super) fn is_heard_in_order(kind: &FrameKind) -> bool {
    match kind {
        FrameKind::Message(message) => !message.urgent,
        FrameKind::OutputFinished { .. } | FrameKind::OutputDtmf(_) | FrameKind::PhoneRequest(_) => true,
        FrameKind::Custom(frame) => !frame.passes_hold(),
        _ => false,
    }
}

impl Order {
    /// A frame comes. Returns it if it need not wait.
    ///
    /// # Errors
    /// Too many wait, and it was dropped.
    pub(super) fn push(&mut self, frame: Frame, ledger: &Ledger) -> Result<Option<Frame>, TooMany> {
        let place = ledger.end().filter(|place| !ledger.has_sounded(*place));
        let place = place.or_else(|| self.waiting.back().map(|(place, _)| *place));
        match place {
            None => Ok(Some(frame)),
            Some(_) if self.waiting.len() >= MOST_FRAMES => Err(TooMany),
            Some(place) => {
                self.waiting.push_back((place, frame));
                Ok(None)
            }
        }
    }

    /// The next frame whose time has come.
    pub(super) fn pop(&mut self, ledger: &Ledger) -> Option<Frame> {
        let (place, _) = self.waiting.front()?;
        if ledger.has_sounded(*place) { self.waiting.pop_front().map(|(_, frame)| frame) } else { None }
    }

    /// All frames, for they need not wait any longer.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Frame> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, frame)| frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Too many frames wait.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected at most {MOST_FRAMES} frames to wait for the audio before them")]
pub(super) struct TooMany;
