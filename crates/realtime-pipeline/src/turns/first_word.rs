//! Who calls somebody waits for the first word: [`FirstWord`].

use std::fmt;
use std::time::Duration;

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use crate::chain::{Answer, Category, Cx, Frame, FrameKind, Intent, Processor, Ticket};
use crate::turns::detector::Edge;
use crate::turns::ear::Ear;
use crate::turns::energy::EnergyVad;
use crate::turns::vad::Vad;

/// Waits until somebody has spoken and pauses, or nobody speaks, and then asks for something: an agent that
/// calls a person greets after the person's "hello", and after the announcement of an answering machine.
///
/// It stands upstream of the service. What is said until then is not sent to the model, which would answer
/// it. A key, or something typed, ends the waiting. See
/// [`Agent::greets_after`](crate::Agent::greets_after).
pub struct FirstWord {
    ear: Ear,
    pause: Duration,
    silence: Duration,
    longest: Duration,
    then: Option<Intent>,
    began: Timestamp,
    has_spoken: bool,
    /// Whether the session answers.
    is_ready: bool,
    /// Whether it waits for the session alone.
    is_due: bool,
}

impl FirstWord {
    /// Waits for a pause of 1.2 s after a voice; 4 s if there is none; and 30 s at most.
    pub fn new() -> Self {
        Self {
            ear: Ear::new(Box::new(EnergyVad::new())),
            pause: Duration::from_millis(1_200),
            silence: Duration::from_secs(4),
            longest: Duration::from_secs(30),
            then: None,
            began: Timestamp::ZERO,
            has_spoken: false,
            is_ready: false,
            is_due: false,
        }
    }

    /// How long the voice must pause. Announcements pause between sentences; people who said "hello" wait.
    #[must_use]
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long nobody may speak.
    #[must_use]
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// How long it waits at most, whatever is heard.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Hears voices with this detector. Default: [`EnergyVad`].
    #[must_use]
    pub fn vad(mut self, vad: impl Vad) -> Self {
        self.ear = Ear::new(Box::new(vad));
        self
    }

    /// What it asks for then. Without it, nothing is waited for.
    #[must_use]
    pub fn then(mut self, intent: Intent) -> Self {
        self.then = Some(intent);
        self
    }

    const fn is_waiting(&self) -> bool {
        self.then.is_some()
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        self.is_due = true;
        if self.is_ready
            && let Some(intent) = self.then.take()
        {
            cx.ask(intent);
        }
    }
}

impl Default for FirstWord {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for FirstWord {
    fn name(&self) -> &str {
        "first_word"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind() {
            FrameKind::Start => {
                self.began = cx.now();
                let limits = self.ear.limits_mut();
                (limits.start, limits.stop) = (Duration::from_millis(100), self.pause);
            }
            FrameKind::Event(event) if matches!(**event, Event::Ready { .. }) => {
                self.is_ready = true;
                if self.is_due {
                    self.due(cx);
                }
            }
            FrameKind::InputAudio(audio) if self.is_waiting() => {
                let mut ended = false;
                let has_spoken = &mut self.has_spoken;
                let heard = self.ear.hear(audio, |heard| {
                    *has_spoken |= heard.edge == Some(Edge::Started);
                    ended |= heard.edge == Some(Edge::Stopped);
                });
                // Who can't be heard is not waited for.
                if ended || heard.is_err() {
                    self.due(cx);
                }
                return;
            }
            FrameKind::InputDtmf(_) | FrameKind::UserInput(_) if self.is_waiting() => self.due(cx),
            _ => {}
        }
        cx.forward(frame);
    }

    fn handle_answer(&mut self, _: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        if let Answer::Refused(why) = answer {
            cx.fault(Category::Application, format!("what follows the first word was refused: {why}"));
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.poll_timeout().is_some_and(|due| due <= cx.now()) {
            self.due(cx);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let limit = if self.has_spoken { self.longest } else { self.silence.min(self.longest) };
        (self.is_waiting() && !self.is_due).then(|| self.began + limit)
    }
}

impl fmt::Debug for FirstWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstWord")
            .field("has_spoken", &self.has_spoken)
            .field("is_waiting", &self.is_waiting())
            .finish_non_exhaustive()
    }
}
