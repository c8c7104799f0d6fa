//! The machine: [`Page`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::allowance::Allowance;
use super::clearing::Clearing;
use super::down::{Teller, notice};
use super::link::{Backlog, HELLO, Link, SILENCE};
use super::sent::Sent;
use super::speak::Ends;
use super::up::{self, LONGEST, Odd};
use super::words::{self, Words};
use super::{PageOptions, RATE};
use crate::chain::{ClearId, Direction, FrameKind, SinkReport};
use crate::convert::Converter;
use crate::edges::{EdgeError, Pace};
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};

/// A page in a browser, at the other end of a WebSocket. See [the module](crate::media::page).
pub struct Page {
    pub(super) options: PageOptions,
    pub(super) link: Link,
    /// Whether the page was there once.
    pub(super) has_greeted: bool,
    /// When it last said something.
    pub(super) last_word: Timestamp,
    /// Samples per second of its audio (Hz).
    pub(super) rate: u32,
    pub(super) is_muted: bool,
    pub(super) heard: Allowance,
    /// Whether the last audio came too fast.
    pub(super) is_too_fast: bool,
    complaints: Allowance,
    pub(super) counts: PageCounts,

    pub(super) sent: Sent,
    pub(super) converter: Converter,
    pub(super) ends: Ends,
    pub(super) clearing: Option<Clearing>,
    pub(super) last_clear: u64,
    teller: Teller,
    pub(super) backlog: Backlog,
    /// Why the call is over, as the page is told.
    pub(super) ended: Option<Words>,
    /// Why the page is over, for logs.
    pub(super) why: Option<&'static str>,
    outputs: VecDeque<MediaOutput>,
}

/// What was odd on a page's connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PageCounts {
    /// Messages of types that this version does not know.
    pub unknown: u64,
    /// Messages that were too long, not whole, or came at the wrong time.
    pub malformed: u64,
    /// Reports on what is not known any more, and late answers.
    pub stale: u64,
    /// Pieces of the user's audio that were dropped: they came before `hello`, or faster than they sound.
    pub dropped_audio: u64,
    /// Texts for the page that were dropped: they were too long.
    pub dropped_texts: u64,
    /// How often the page came back.
    pub resumed: u64,
}

impl fmt::Display for PageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unknown, malformed, stale, dropped_audio, dropped_texts, resumed } = self;
        write!(
            f,
            "unknown messages: {unknown}, malformed: {malformed}, late reports: {stale}, dropped pieces of "
        )?;
        write!(f, "audio: {dropped_audio}, dropped texts: {dropped_texts}, came back: {resumed}")
    }
}

/// So much more than the lead may be on its way to a page, before no more is sent.
const MOST_WAITING: Duration = Duration::from_secs(2);
/// So much audio may come at once.
const BURST: Duration = Duration::from_secs(5);
/// So many complaints are told at once, and one a second.
const COMPLAINTS: Duration = Duration::from_secs(10);

impl Page {
    /// A page that has not said anything.
    pub fn new(options: PageOptions) -> Self {
        Self {
            options,
            link: Link::Greeting { until: Timestamp::ZERO + HELLO, away: None },
            has_greeted: false,
            last_word: Timestamp::ZERO,
            rate: RATE,
            is_muted: false,
            heard: Allowance::new(BURST),
            is_too_fast: false,
            complaints: Allowance::new(COMPLAINTS),
            counts: PageCounts::default(),
            sent: Sent::default(),
            converter: Converter::new(AudioFormat::PCM16_24K),
            ends: Ends::default(),
            clearing: None,
            last_clear: 0,
            teller: Teller::default(),
            backlog: Backlog::default(),
            ended: None,
            why: None,
            outputs: VecDeque::new(),
        }
    }

    /// What was odd so far.
    pub const fn counts(&self) -> PageCounts {
        self.counts
    }

    /// Says that the assistant can't be reached, when the call [ends](MediaProtocol::finish). For calls that
    /// could not begin.
    pub fn unavailable(&mut self) {
        self.end_with(words::UNAVAILABLE);
    }

    /// Returns whether the page's connection was lost, and the page may come back.
    pub const fn is_away(&self) -> bool {
        matches!(self.link, Link::Away { .. } | Link::Greeting { away: Some(_), .. })
    }

    pub(super) fn output(&mut self, output: MediaOutput) {
        self.outputs.push_back(output);
    }

    pub(super) fn input(&mut self, frame: FrameKind) {
        self.output(MediaOutput::Input(frame));
    }

    pub(super) fn report(&mut self, report: SinkReport) {
        self.output(MediaOutput::Report(report));
    }

    /// Tells the page something, now or when it is back.
    pub(super) fn say(&mut self, text: &Value) {
        let text = text.to_string();
        if text.len() > LONGEST {
            self.counts.dropped_texts += 1;
            return self.say(&notice(words::TOO_LONG));
        }
        match self.link {
            Link::Open { .. } | Link::Greeting { away: None, .. } => {
                self.output(MediaOutput::Send(SocketMessage::Text(text)));
            }
            Link::Away { .. } | Link::Greeting { .. } => self.backlog.push(text),
            Link::Over => {}
        }
    }

    /// Tells who writes the page what was not understood.
    pub(super) fn complain(&mut self, now: Timestamp, odd: &Odd) {
        match odd {
            Odd::Unknown(_) => self.counts.unknown += 1,
            _ => self.counts.malformed += 1,
        }
        self.tell_error(now, odd.code(), &odd.to_string());
    }

    pub(super) fn tell_error(&mut self, now: Timestamp, code: &str, text: &str) {
        if self.complaints.spend(now, Duration::from_secs(1)) {
            let error = json!({ "type": "error", "code": code, "text": text }).to_string();
            self.output(MediaOutput::Send(SocketMessage::Text(error)));
        }
    }
}

impl MediaProtocol for Page {
    fn name(&self) -> &str {
        "page"
    }

    fn pace(&self) -> Pace {
        Pace {
            lead: self.options.lead,
            reports: true,
            format: Some(AudioFormat::PCM16_24K),
            ..Pace::default()
        }
    }

    fn input_format(&self) -> Option<AudioFormat> {
        (self.has_greeted && self.rate == RATE).then_some(AudioFormat::PCM16_24K)
    }

    fn is_ready(&self) -> bool {
        self.has_greeted
    }

    fn has_room(&self) -> bool {
        !self.link.is_open() || self.sent.waiting() < self.options.lead + MOST_WAITING
    }

    fn is_over(&self) -> bool {
        self.link == Link::Over
    }

    fn why_over(&self) -> Option<Arc<str>> {
        self.why.map(Arc::from)
    }

    fn oddities(&self) -> Option<String> {
        (self.counts != PageCounts::default()).then(|| self.counts.to_string())
    }

    fn handle_opened(&mut self, now: Timestamp) {
        if self.link.is_open() {
            self.lose(now, "another socket took its place");
        }
        let (until, away) = match self.link {
            Link::Away { until } => (until, Some(until)),
            Link::Greeting { away, .. } => (away.unwrap_or(now + HELLO), away),
            Link::Open { .. } | Link::Over => return,
        };
        self.link = Link::Greeting { until: until.min(now + HELLO), away };
        self.last_word = now;
    }

    fn handle_closed(&mut self, now: Timestamp) {
        self.lose(now, "it has gone");
    }

    fn handle_text(&mut self, now: Timestamp, text: &str) {
        if matches!(self.link, Link::Away { .. } | Link::Over) {
            return;
        }
        self.last_word = now;
        match up::read(text) {
            Ok(up::Up::Hello(hello)) => self.greet(now, hello),
            Ok(_) if !self.link.is_open() => self.complain(now, &Odd::Hello),
            Ok(up) => self.act(now, up),
            Err(odd) => self.complain(now, &odd),
        }
    }

    fn handle_binary(&mut self, now: Timestamp, bytes: Bytes) {
        if self.link.is_open() {
            self.last_word = now;
            self.hear(now, bytes);
        } else {
            self.counts.dropped_audio += 1;
        }
    }

    fn handle_frame(
        &mut self,
        _: Timestamp,
        direction: Direction,
        frame: &FrameKind,
    ) -> Result<(), EdgeError> {
        if direction == Direction::Upstream {
            return Ok(());
        }
        match frame {
            FrameKind::PlayedAudio(audio) => return self.play(audio),
            FrameKind::OutputFinished { source, .. } => self.finished(source),
            FrameKind::End { .. } => self.end_with(words::FINISHED),
            FrameKind::Cancel { .. } => self.end_with(words::CANCELLED),
            FrameKind::Event(event) => self.note(event),
            _ => {}
        }
        for text in self.teller.tell(frame, &self.options) {
            self.say(&text);
        }
        Ok(())
    }

    fn clear(&mut self, now: Timestamp, id: ClearId) {
        self.stop(now, id);
    }

    fn finish(&mut self, now: Timestamp) {
        self.hang_up(now);
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if self.clearing.as_ref().is_some_and(|clearing| clearing.until <= now) {
            self.answer_clear(now);
        }
        if self.link.due().is_none_or(|due| due > now) {
            return;
        }
        match self.link {
            Link::Open { .. } if self.last_word + SILENCE > now => {
                self.link = Link::Open { silent: self.last_word + SILENCE };
            }
            Link::Open { .. } => {
                self.say(&notice(words::SILENT));
                self.output(MediaOutput::Close);
                self.lose(now, "it said nothing for too long");
            }
            Link::Greeting { .. } => {
                self.refuse(words::SILENT);
                self.expire(now);
            }
            Link::Away { .. } => self.expire(now),
            Link::Over => {}
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let clearing = self.clearing.as_ref().map(|clearing| clearing.until);
        clearing.into_iter().chain(self.link.due()).min()
    }

    fn poll_output(&mut self) -> Option<MediaOutput> {
        self.outputs.pop_front()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("options", &self.options)
            .field("link", &self.link)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
