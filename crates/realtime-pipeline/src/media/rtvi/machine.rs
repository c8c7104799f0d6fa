//! The machine: [`Rtvi`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::Value;

use crate::chain::{ClearId, Direction, FrameKind, Peer, SinkReport};
use crate::edges::{EdgeError, Pace};
use crate::media::rtvi::asked::Id;
use crate::media::rtvi::downlink::{Downlink, FORMAT};
use crate::media::rtvi::options::RtviOptions;
use crate::media::rtvi::outbox::Outbox;
use crate::media::rtvi::said::{About, Capabilities, Said};
use crate::media::rtvi::speech::Speech;
use crate::media::rtvi::tell::Told;
use crate::media::rtvi::transcripts::Transcripts;
use crate::media::rtvi::waiting::Waiting;
use crate::media::{MediaOutput, MediaProtocol};

/// The name in faults and logs.
pub(super) const NAME: &str = "rtvi";
/// What the playout hands over at once: it comes so long before its end.
const CHUNK: Duration = Duration::from_millis(20);

/// RTVI over a WebSocket with protocol buffers, as pipecat's clients speak it.
///
/// See [the module](crate::media::rtvi) for what it says and hears.
#[doc(alias("RTVIProcessor", "RTVIObserver", "ProtobufFrameSerializer"))]
pub struct Rtvi {
    pub(super) options: RtviOptions,
    pub(super) phase: Phase,
    pub(super) now: Timestamp,
    /// When the socket was opened, which the wall time of the options belongs to.
    opened: Timestamp,
    pub(super) out: Outbox,
    /// Of the last `client-ready`.
    pub(super) ready_id: Id,
    /// What the client says of itself.
    pub(super) about: Value,
    /// Whether the run has begun.
    has_begun: bool,
    pub(super) downlink: Downlink,
    pub(super) speech: Speech,
    pub(super) transcripts: Transcripts,
    pub(super) waiting: Waiting,
    pub(super) told: Told,
    /// Mistakes of the client that belonged to no message.
    pub(super) complaints: u32,
    /// Whether the client was given up before it was ready.
    is_given_up: bool,
}

/// How far the call is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The client has not said that it is ready.
    Waiting { until: Option<Timestamp> },
    /// The call goes on.
    Open,
    /// The run is over, and the client plays the rest.
    Closing { until: Timestamp },
    /// Nothing follows.
    Over,
}

impl Rtvi {
    /// Speaks RTVI with a client whose socket is about to be opened.
    pub fn new(options: RtviOptions) -> Self {
        Self {
            options,
            phase: Phase::Waiting { until: None },
            now: Timestamp::ZERO,
            opened: Timestamp::ZERO,
            out: Outbox::new(),
            ready_id: Id::default(),
            about: Value::Null,
            has_begun: false,
            downlink: Downlink::new(),
            speech: Speech::default(),
            transcripts: Transcripts::default(),
            waiting: Waiting::default(),
            told: Told::default(),
            complaints: 0,
            is_given_up: false,
        }
    }

    /// What the client says of itself, once it is ready: its library and platform. It may be anything.
    pub const fn about_client(&self) -> &Value {
        &self.about
    }

    /// Tells the client that there is no call, such as when the model can't be reached: it gives up. Then
    /// [finish](crate::sockets::MediaLine::finish) the line.
    #[doc(alias = "send_error")]
    pub fn unavailable(&mut self, why: &str) {
        if self.hears() {
            self.out.say(&Said::Error { error: why, fatal: true });
        }
    }

    /// The run has begun.
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
        self.bot_ready();
    }

    /// The client may speak. It is told once the run has begun, and again if it asks again.
    pub(super) fn bot_ready(&mut self) {
        if !self.has_begun {
            return;
        }
        let version = self.out.version.told().to_owned();
        let about = About { library: env!("CARGO_PKG_NAME"), library_version: env!("CARGO_PKG_VERSION") };
        let capabilities = Capabilities {
            audio_in: true,
            audio_out: true,
            video_in: false,
            screen_in: false,
            video_out: false,
            metrics: self.options.metrics,
        };
        let said = Said::BotReady { version: &version, about, capabilities };
        self.out.answer(self.ready_id.as_str(), &said);
    }

    /// The wall time, as text.
    pub(super) fn timestamp(&self) -> String {
        let since = self.now.saturating_since(self.opened);
        let since = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        UnixTime::from_micros(self.options.wall.as_micros().saturating_add(since)).to_string()
    }

    /// Time does not go back.
    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    const fn hears(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. } | Phase::Open)
    }

    fn close(&mut self) {
        self.phase = Phase::Over;
        self.out.push(MediaOutput::Close);
    }
}

impl MediaProtocol for Rtvi {
    fn name(&self) -> &str {
        NAME
    }

    /// The client tells nothing of what it has played: that is an estimate by the clock.
    fn pace(&self) -> Pace {
        let lead = self.options.lead.saturating_sub(CHUNK);
        Pace { lead, format: Some(FORMAT), ..Pace::default() }
    }

    fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing { .. })
    }

    fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn why_over(&self) -> Option<Arc<str>> {
        self.is_given_up.then(|| "the client did not say in time that it is ready".into())
    }

    fn oddities(&self) -> Option<String> {
        (self.complaints > 0).then(|| format!("messages that were not understood: {}", self.complaints))
    }

    fn handle_opened(&mut self, now: Timestamp) {
        self.advance(now);
        if self.phase == (Phase::Waiting { until: None }) {
            self.opened = self.now;
            self.phase = Phase::Waiting { until: Some(self.now + self.options.ready_within) };
        }
    }

    fn handle_closed(&mut self, now: Timestamp) {
        self.advance(now);
        if self.phase == Phase::Open {
            self.out.input(FrameKind::Peer(Peer::Disconnected));
        }
        self.phase = Phase::Over;
    }

    fn handle_text(&mut self, now: Timestamp, _: &str) {
        self.advance(now);
        if self.hears() {
            self.complain("expected binary messages of protocol buffers, got a text");
        }
    }

    fn handle_binary(&mut self, now: Timestamp, bytes: Bytes) {
        self.advance(now);
        if self.hears() {
            self.receive(&bytes);
        }
    }

    fn handle_frame(
        &mut self,
        now: Timestamp,
        direction: Direction,
        frame: &FrameKind,
    ) -> Result<(), EdgeError> {
        self.advance(now);
        if self.phase == Phase::Over { Ok(()) } else { self.tell(direction, frame) }
    }

    fn clear(&mut self, now: Timestamp, id: ClearId) {
        self.advance(now);
        let at = self.downlink.clear();
        self.out.push(MediaOutput::Report(SinkReport::Cleared { id, at }));
    }

    fn finish(&mut self, now: Timestamp) {
        self.advance(now);
        if self.hears() {
            self.downlink.flush(self.now, &mut self.out);
            // A client that is closed does not play what it has.
            let played = self.downlink.played_at(self.options.lead);
            self.phase = Phase::Closing { until: played.unwrap_or(self.now) };
            self.handle_timeout(now);
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        self.downlink.handle_timeout(self.now, &mut self.out);
        match self.phase {
            Phase::Waiting { until: Some(until) } if until <= self.now => {
                self.out.say(&Said::Error { error: "expected client-ready in time", fatal: true });
                self.is_given_up = true;
                self.close();
            }
            Phase::Closing { until } if until <= self.now => self.close(),
            Phase::Open => {
                while let Some(id) = self.waiting.expire(self.now) {
                    self.out.answer(&id, &Said::ErrorResponse { error: "nobody has answered in time" });
                }
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let phase = match self.phase {
            Phase::Waiting { until } => until,
            Phase::Open => self.waiting.poll_timeout(),
            Phase::Closing { until } => Some(until),
            Phase::Over => return None,
        };
        [phase, self.downlink.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<MediaOutput> {
        self.out.poll()
    }
}

impl fmt::Debug for Rtvi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtvi")
            .field("phase", &self.phase)
            .field("has_begun", &self.has_begun)
            .field("complaints", &self.complaints)
            .finish_non_exhaustive()
    }
}
