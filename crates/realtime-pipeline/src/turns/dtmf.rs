//! What a caller types on a phone, told to the model as one input: [`DtmfAggregator`].

use std::fmt;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{Answer, Category, Cx, Frame, FrameKind, Intent, Keys, Processor, Ticket};

/// Collects the keys that a caller presses, and tells the model of them once the input is whole: after a
/// pause, at the key that ends it, or when it is long enough. The model answers.
///
/// It stands upstream of the service, and every key goes on as it came. The first key of an input stops what
/// the agent says, since who presses a key knows what is asked.
///
/// ```
/// use realtime_pipeline::Agent;
/// use realtime_pipeline::turns::DtmfAggregator;
///
/// let agent = Agent::new("Ask for the six digits of the order, and say what became of it.")
///     .listen(DtmfAggregator::new().longest(6));
/// ```
#[doc(alias = "DTMFAggregator")]
pub struct DtmfAggregator {
    pause: Duration,
    end: Option<char>,
    longest: usize,
    interrupts: bool,
    pressed: String,
    last: Timestamp,
    /// Inputs that the model is told of, until that is answered.
    telling: Vec<Ticket>,
}

impl DtmfAggregator {
    /// An input ends 2 s after its last key, at `#`, or with its 32nd key.
    pub const fn new() -> Self {
        Self {
            pause: Duration::from_secs(2),
            end: Some('#'),
            longest: 32,
            interrupts: true,
            pressed: String::new(),
            last: Timestamp::ZERO,
            telling: Vec::new(),
        }
    }

    /// How long after a key the next one may come.
    #[must_use]
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The key that ends an input, which the model is told of too. `None`: there is none.
    #[must_use]
    pub const fn end(mut self, key: Option<char>) -> Self {
        self.end = key;
        self
    }

    /// How many keys an input has at most: the model is told at once when it has so many. At least 1.
    #[must_use]
    pub const fn longest(mut self, keys: usize) -> Self {
        self.longest = if keys == 0 { 1 } else { keys };
        self
    }

    /// Whether the first key of an input stops what the agent says.
    #[must_use]
    pub const fn interrupts(mut self, interrupts: bool) -> Self {
        self.interrupts = interrupts;
        self
    }

    fn press(&mut self, keys: &Keys, cx: &mut Cx<'_>) {
        self.last = cx.now();
        for key in keys.as_str().chars() {
            if self.interrupts && self.pressed.is_empty() {
                cx.ask(Intent::Interrupt);
            }
            self.pressed.push(key);
            if Some(key) == self.end || self.pressed.len() >= self.longest {
                self.tell(true, cx);
            }
        }
    }

    /// Tells the model what has been pressed, if anything has.
    fn tell(&mut self, run: bool, cx: &mut Cx<'_>) {
        let pressed = std::mem::take(&mut self.pressed);
        if let Some(keys) = Keys::new(&pressed).filter(|_| !pressed.is_empty()) {
            self.telling.push(cx.ask(Intent::Dtmf { keys, run }));
        }
    }
}

impl Default for DtmfAggregator {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for DtmfAggregator {
    fn name(&self) -> &str {
        "dtmf_aggregator"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind() {
            FrameKind::InputDtmf(keys) => self.press(keys, cx),
            // The conversation keeps what was pressed; nobody hears an answer.
            FrameKind::End { .. } => self.tell(false, cx),
            _ => {}
        }
        cx.forward(frame);
    }

    fn handle_answer(&mut self, ticket: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        let before = self.telling.len();
        self.telling.retain(|telling| *telling != ticket);
        if self.telling.len() < before
            && let Answer::Refused(why) = answer
        {
            cx.fault(Category::Application, format!("the model was not told of the caller's keys: {why}"));
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.poll_timeout().is_some_and(|due| due <= cx.now()) {
            self.tell(true, cx);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        (!self.pressed.is_empty()).then(|| self.last + self.pause)
    }
}

/// Shows how many keys were pressed, since they may be a PIN.
impl fmt::Debug for DtmfAggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtmfAggregator").field("pressed", &self.pressed.len()).finish_non_exhaustive()
    }
}
