//! Nobody speaks for a while: [`Idle`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::Event;
use realtime_protocol::id::CallId;
use realtime_protocol::time::Timestamp;

use crate::chain::cx::Cx;
use crate::chain::frame::{Frame, FrameKind};
use crate::chain::intent::Intent;
use crate::chain::payload::{BotSpeech, Peer, UserSpeech};
use crate::chain::processor::Processor;

/// Acts when neither side has spoken, called a function or pressed a key for a while. By default it ends the
/// run.
///
/// Time runs from the beginning of the run, and anew from each of these signs. It stands still from the
/// beginning to the end of speech, of either side, and while functions run. Put it where frames of both sides
/// pass: what tells of speech is pushed both ways.
///
/// ```
/// use std::time::Duration;
///
/// use realtime_pipeline::chain::Idle;
///
/// // Asks after 20 s, asks again after 20 s more, and then ends the run.
/// let idle = Idle::new(Duration::from_secs(20))
///     .say("Are you still there?")
///     .say("I can't hear you. Shall I go on?");
/// # let _ = idle;
/// ```
#[doc(alias("UserIdleProcessor", "idle_timeout_secs"))]
pub struct Idle {
    name: Arc<str>,
    after: Duration,
    /// What is said, the first time and each time after that.
    says: Vec<Arc<str>>,
    /// What is done when all has been said.
    act: Act,
    times: u32,
    functions: BTreeSet<CallId>,
    user_speaks: bool,
    bot_speaks: bool,
    /// Since when nothing has happened. `None`: the run has not begun.
    since: Option<Timestamp>,
}

/// Gets how many times in a row it was idle, from 1.
type Act = Box<dyn FnMut(u32, &mut Cx<'_>) + Send>;

impl Idle {
    /// Ends the run after this time.
    pub fn new(after: Duration) -> Self {
        Self {
            name: "idle".into(),
            after,
            says: Vec::new(),
            act: Box::new(|_, cx| cx.end("nobody has spoken for too long")),
            times: 0,
            functions: BTreeSet::new(),
            user_speaks: false,
            bot_speaks: false,
            since: None,
        }
    }

    /// The model says this when the time has passed for the first time since the last sign of the user; with
    /// another call, that the second time, and so on. The time after that, the run ends, or what
    /// [`then`](Self::then) says is done.
    #[must_use]
    pub fn say(mut self, text: impl Into<Arc<str>>) -> Self {
        self.says.push(text.into());
        self
    }

    /// Does this instead of ending the run, each time that the time has passed. `act` gets how many times
    /// that has happened since the last sign of the user: from 1, and times at which something was
    /// [said](Self::say) count.
    #[must_use]
    pub fn then(mut self, act: impl FnMut(u32, &mut Cx<'_>) + Send + 'static) -> Self {
        self.act = Box::new(act);
        self
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Whose sign a frame is. `None`: nobody's.
    fn sign(&mut self, kind: &FrameKind) -> Option<Side> {
        match kind {
            FrameKind::User(UserSpeech::Started { .. } | UserSpeech::Speaking) => {
                self.user_speaks = true;
                Some(Side::User)
            }
            FrameKind::User(UserSpeech::Stopped { .. }) => {
                self.user_speaks = false;
                Some(Side::User)
            }
            FrameKind::User(UserSpeech::VoiceStarted | UserSpeech::VoiceStopped)
            | FrameKind::UserInput(_)
            | FrameKind::InputDtmf(_)
            | FrameKind::Peer(Peer::Connected) => Some(Side::User),
            FrameKind::Bot(BotSpeech::Started | BotSpeech::Speaking) => {
                self.bot_speaks = true;
                Some(Side::Bot)
            }
            FrameKind::Bot(BotSpeech::Stopped) => {
                self.bot_speaks = false;
                Some(Side::Bot)
            }
            FrameKind::Start => Some(Side::Bot),
            FrameKind::Event(event) => match **event {
                Event::UserTranscript { .. } | Event::UserTranscriptDelta { .. } => Some(Side::User),
                Event::FunctionCalls { ref calls, out_of_band, .. } => {
                    // Those out of band take no output, and their end is not told.
                    if !out_of_band {
                        self.functions.extend(calls.iter().map(|call| call.call_id.clone()));
                    }
                    Some(Side::Bot)
                }
                Event::FunctionEnded { ref call, .. } => {
                    self.functions.remove(&call.call_id);
                    Some(Side::Bot)
                }
                Event::ResponseStarted { .. } | Event::ResponseFinished(_) => Some(Side::Bot),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whose sign it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    User,
    Bot,
}

impl Processor for Idle {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if let Some(side) = self.sign(frame.kind()) {
            self.since = Some(cx.now());
            if side == Side::User {
                self.times = 0;
            }
        }
        cx.forward(frame);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.since = Some(cx.now());
        self.times = self.times.saturating_add(1);
        match self.says.get(self.times as usize - 1) {
            Some(text) => {
                cx.ask(Intent::Say { text: Arc::clone(text) });
            }
            None => (self.act)(self.times, cx),
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let is_quiet = !self.user_speaks && !self.bot_speaks && self.functions.is_empty();
        self.since.filter(|_| is_quiet).map(|since| since + self.after)
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("name", &self.name)
            .field("after", &self.after)
            .field("times", &self.times)
            .field("functions", &self.functions.len())
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}
