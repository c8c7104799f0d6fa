//! Stages of one function: [`Tap`] looks at frames, [`Map`] changes them.

use std::fmt;
use std::sync::Arc;

use crate::chain::cx::Cx;
use crate::chain::frame::{Direction, Frame, FrameKind};
use crate::chain::processor::Processor;

/// Looks at every frame, in both directions, and hands it on. The function may also push and ask.
///
/// ```
/// use realtime_pipeline::chain::{FrameKind, Intent, Tap, UserSpeech};
///
/// let hurry = Tap::new(|frame, cx| {
///     if matches!(frame.kind(), FrameKind::User(UserSpeech::Started { .. })) {
///         cx.ask(Intent::Interrupt);
///     }
/// });
/// # let _ = hurry;
/// ```
#[doc(alias("FrameLogger", "IdentityFilter"))]
pub struct Tap<F> {
    name: Arc<str>,
    look: F,
}

impl<F: FnMut(&Frame, &mut Cx<'_>) + Send + 'static> Tap<F> {
    /// A tap with this function.
    pub fn new(look: F) -> Self {
        Self { name: "tap".into(), look }
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }
}

impl<F: FnMut(&Frame, &mut Cx<'_>) + Send + 'static> Processor for Tap<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        (self.look)(&frame, cx);
        cx.forward(frame);
    }
}

/// Changes frames that flow one way: puts another in place of each, or drops it. Frames of the run and
/// interruptions pass, and so do those of the other direction.
///
/// ```
/// use realtime_pipeline::chain::{FrameKind, Map};
///
/// let mute = Map::new(|kind| (!matches!(kind, FrameKind::InputAudio(_))).then(|| kind.clone()));
/// # let _ = mute;
/// ```
#[doc(alias("FrameFilter", "FunctionFilter", "StatelessTextTransformer"))]
pub struct Map<F> {
    name: Arc<str>,
    direction: Direction,
    change: F,
}

impl<F: FnMut(&FrameKind) -> Option<FrameKind> + Send + 'static> Map<F> {
    /// Changes frames that flow downstream. `None`: the frame is dropped.
    pub fn new(change: F) -> Self {
        Self { name: "map".into(), direction: Direction::Downstream, change }
    }

    /// Changes frames that flow upstream instead.
    #[must_use]
    pub fn upstream(mut self) -> Self {
        self.direction = Direction::Upstream;
        self
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }
}

impl<F: FnMut(&FrameKind) -> Option<FrameKind> + Send + 'static> Processor for Map<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        let is_kept = frame.kind().is_run() || matches!(frame.kind(), FrameKind::Interruption { .. });
        if is_kept || cx.direction() != self.direction {
            return cx.forward(frame);
        }
        if let Some(kind) = (self.change)(frame.kind()) {
            cx.push_to(self.direction, kind);
        }
    }
}

impl<F> fmt::Debug for Tap<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tap({})", self.name)
    }
}

impl<F> fmt::Debug for Map<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({})", self.name)
    }
}
