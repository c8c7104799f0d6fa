//! When the user is not heard: [`Mute`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::Event;
use realtime_protocol::id::CallId;
use realtime_protocol::time::Timestamp;

use crate::chain::{
    Audio, BotSpeech, Coded, CustomFrame, Cx, Frame, FrameKind, Processor, Samples, UserSpeech,
};
use crate::turns::key::Key;

/// Does not let the user be heard while one of its rules says so. It stands upstream of
/// [`Turns`](crate::turns::Turns) and of the service.
///
/// ```
/// use realtime_pipeline::turns::Mute;
///
/// // A notice that must be heard in full, and no interruption of a booking.
/// let mute = Mute::new().until_first_speech().during_functions();
/// # let _ = mute;
/// ```
///
/// Without a rule, only requests mute: [`MuteRequest`], or a [`MuteButton`].
///
/// Audio of a muted user becomes silence of the same length, so that a server that finds turns sees the end
/// of an open one; choose [`dropping`](Self::dropping) to send none. `User(Muted)` and `User(Unmuted)` are
/// pushed both ways at the edges, after the frame that caused them.
///
/// What a muted user says is lost. To let the user be heard and the assistant speak on, protect the response
/// instead.
#[doc(alias(
    "STTMuteFilter",
    "AlwaysUserMuteStrategy",
    "FunctionCallUserMuteStrategy",
    "FirstSpeechUserMuteStrategy",
    "MuteUntilFirstBotCompleteUserMuteStrategy"
))]
pub struct Mute {
    name: Arc<str>,
    rules: Rules,
    with_keys: bool,
    is_dropping: bool,
    /// Somebody asked for it.
    is_asked: bool,
    first: First,
    bot_speaks: bool,
    functions: BTreeSet<CallId>,
    is_muted: bool,
    silence: Option<Audio>,
}

/// Which rules there are.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    until_first: Option<Duration>,
    during_first: bool,
    functions: bool,
    bot: bool,
}

/// How far the assistant's first speech is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum First {
    #[default]
    Before,
    /// Nobody waits for it beyond this time.
    Due(Timestamp),
    Speaking,
    Over,
}

impl Mute {
    /// No rule: only requests mute.
    pub fn new() -> Self {
        Self {
            name: "mute".into(),
            rules: Rules::default(),
            with_keys: false,
            is_dropping: false,
            is_asked: false,
            first: First::Before,
            bot_speaks: false,
            functions: BTreeSet::new(),
            is_muted: false,
            silence: None,
        }
    }

    /// From the beginning of the run, until [`MuteRequest::Unmute`].
    #[must_use]
    pub fn until_asked(mut self) -> Self {
        self.is_asked = true;
        self
    }

    /// From the beginning of the run until the assistant's first speech has ended. If none begins in 30 s,
    /// the user is heard.
    #[must_use]
    pub fn until_first_speech(self) -> Self {
        self.until_first_speech_within(Duration::from_secs(30))
    }

    /// As [`until_first_speech`](Self::until_first_speech), with another limit.
    #[must_use]
    pub fn until_first_speech_within(mut self, limit: Duration) -> Self {
        self.rules.until_first = Some(limit);
        self
    }

    /// While the assistant speaks for the first time. Before that the user is heard.
    #[must_use]
    pub fn during_first_speech(mut self) -> Self {
        self.rules.during_first = true;
        self
    }

    /// While functions run that the model has called.
    #[must_use]
    pub fn during_functions(mut self) -> Self {
        self.rules.functions = true;
        self
    }

    /// Whenever the assistant is audible: the user can never interrupt.
    #[must_use]
    pub fn while_bot_speaks(mut self) -> Self {
        self.rules.bot = true;
        self
    }

    /// Drops a muted user's audio instead of putting silence in its place. Not for servers that find turns:
    /// they would wait for the end of an open one.
    #[must_use]
    pub fn dropping(mut self) -> Self {
        self.is_dropping = true;
        self
    }

    /// Drops a muted user's keys too: those of a phone, and [`Key::Pressed`]. A release always passes.
    #[must_use]
    pub fn with_keys(mut self) -> Self {
        self.with_keys = true;
        self
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Notes what a frame tells.
    fn note(&mut self, kind: &FrameKind, now: Timestamp) {
        match kind {
            FrameKind::Start => {
                if let (Some(limit), First::Before) = (self.rules.until_first, self.first) {
                    self.first = First::Due(now + limit);
                }
            }
            FrameKind::Bot(BotSpeech::Started | BotSpeech::Speaking) => {
                self.bot_speaks = true;
                if self.first != First::Over {
                    self.first = First::Speaking;
                }
            }
            FrameKind::Bot(BotSpeech::Stopped) => {
                self.bot_speaks = false;
                if self.first == First::Speaking {
                    self.first = First::Over;
                }
            }
            FrameKind::Event(event) => match &**event {
                Event::FunctionCalls { out_of_band: false, calls, .. } => {
                    self.functions.extend(calls.iter().map(|call| call.call_id.clone()));
                }
                Event::FunctionEnded { call, .. } => {
                    self.functions.remove(&call.call_id);
                }
                Event::Closed { .. } => self.functions.clear(),
                _ => {}
            },
            kind => match kind.as_custom() {
                Some(MuteRequest::Mute) => self.is_asked = true,
                Some(MuteRequest::Unmute) => self.is_asked = false,
                None => {}
            },
        }
    }

    fn must_mute(&self) -> bool {
        let Rules { until_first, during_first, functions, bot } = self.rules;
        let before = until_first.is_some() && matches!(self.first, First::Before | First::Due(_));
        let during = (until_first.is_some() || during_first) && self.first == First::Speaking;
        self.is_asked
            || before
            || during
            || (functions && !self.functions.is_empty())
            || (bot && self.bot_speaks)
    }

    /// Tells the edge, if there is one.
    fn tell(&mut self, cx: &mut Cx<'_>) {
        let must_mute = self.must_mute();
        if std::mem::replace(&mut self.is_muted, must_mute) != must_mute {
            let edge = if must_mute { UserSpeech::Muted } else { UserSpeech::Unmuted };
            cx.broadcast(FrameKind::User(edge));
        }
    }

    /// Silence as long as this audio, in its format. `None`: a format that this version does not know.
    fn silence(&mut self, audio: &Audio) -> Option<Audio> {
        let fits = |silence: &&Audio| match (silence, audio) {
            (Audio::Pcm(one), Audio::Pcm(other)) => {
                (one.rate(), one.channels(), one.frames()) == (other.rate(), other.channels(), other.frames())
            }
            (Audio::Coded(one), Audio::Coded(other)) => {
                (one.format, one.bytes.len()) == (other.format, other.bytes.len())
            }
            (Audio::Pcm(_), Audio::Coded(_)) | (Audio::Coded(_), Audio::Pcm(_)) => false,
        };
        if let Some(silence) = self.silence.as_ref().filter(fits) {
            return Some(silence.clone());
        }
        let silence = match audio {
            Audio::Pcm(samples) => {
                let zeros = vec![0; samples.as_slice().len()];
                Audio::Pcm(Samples::new(samples.rate(), samples.channels(), zeros))
            }
            Audio::Coded(Coded { format, bytes }) => {
                let byte = match format {
                    AudioFormat::Pcm16 { .. } => 0,
                    AudioFormat::Pcmu => 0xff,
                    AudioFormat::Pcma => 0xd5,
                    _ => return None,
                };
                Audio::coded(*format, Bytes::from(vec![byte; bytes.len()]))
            }
        };
        Some(self.silence.insert(silence).clone())
    }
}

impl Default for Mute {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for Mute {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        self.note(frame.kind(), cx.now());
        match frame.kind() {
            FrameKind::InputAudio(audio) if self.is_muted => {
                if !self.is_dropping
                    && let Some(silence) = self.silence(&audio.clone())
                {
                    cx.push_to(cx.direction(), FrameKind::InputAudio(silence));
                }
            }
            kind if self.is_muted && self.with_keys && is_key(kind) => {}
            _ => cx.forward(frame),
        }
        self.tell(cx);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if let First::Due(due) = self.first
            && due <= cx.now()
        {
            self.first = First::Over;
            self.tell(cx);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.first {
            First::Due(due) => Some(due),
            First::Before | First::Speaking | First::Over => None,
        }
    }
}

fn is_key(kind: &FrameKind) -> bool {
    matches!(kind, FrameKind::InputDtmf(_)) || kind.as_custom() == Some(&Key::Pressed)
}

/// Asks the [`Mute`] of a chain for something, as a frame from outside: queue it downstream. The last request
/// counts; the rules hold besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the user is heard or not")]
pub enum MuteRequest {
    /// The user is not heard from here on.
    Mute,
    /// The user is heard again, unless a rule says otherwise.
    Unmute,
}

impl CustomFrame for MuteRequest {
    fn name(&self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Unmute => "unmute",
        }
    }

    fn survives_interruption(&self) -> bool {
        true
    }
}

impl From<MuteRequest> for FrameKind {
    fn from(request: MuteRequest) -> Self {
        Self::custom(request)
    }
}

/// Mutes and unmutes the user of a running chain. Cheap to clone.
#[derive(Clone)]
pub struct MuteButton {
    queue: Arc<dyn Fn(FrameKind) + Send + Sync>,
}

impl MuteButton {
    /// A button whose requests `queue` gives to the chain, downstream.
    pub fn new(queue: impl Fn(FrameKind) + Send + Sync + 'static) -> Self {
        Self { queue: Arc::new(queue) }
    }

    /// See [`MuteRequest::Mute`].
    pub fn mute(&self) {
        (self.queue)(MuteRequest::Mute.into());
    }

    /// See [`MuteRequest::Unmute`].
    pub fn unmute(&self) {
        (self.queue)(MuteRequest::Unmute.into());
    }
}

impl fmt::Debug for MuteButton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MuteButton")
    }
}

impl fmt::Debug for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mute")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .field("first", &self.first)
            .field("functions", &self.functions.len())
            .field("is_muted", &self.is_muted)
            .finish_non_exhaustive()
    }
}
