//! The line: a connection's events as wire text, with all that can happen to them on the way.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::error::ApiError;
use realtime_protocol::event::{Dialect, ErrorEvent, ServerEvent};
use realtime_protocol::field::Field;
use realtime_protocol::id::{EventId, ItemId};
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::call::Channel;
use crate::connection::{Connection, Fault, Ids, Output};
use crate::disaster::armed::{Armed, Dice};
use crate::disaster::queue::{Hold, Queue};
use crate::disaster::source::Source;
use crate::disaster::{Action, Disaster, errors, mangle};

/// A connection and what lies between it and its client.
///
/// It is driven as the [`Connection`] is: outputs after every `handle_*`, then the timeout. Without disasters it
/// only writes events as text.
#[derive(Debug)]
pub struct Line {
    connection: Source,
    dialect: Dialect,
    control: bool,
    dice: Dice,
    ids: Ids,
    now: Timestamp,
    armed: Vec<Armed>,
    queue: Queue,
    inputs: VecDeque<(Timestamp, String)>,
    slow: Option<u64>,
    state: State,
    /// The last byte of an item's audio, for its next delta.
    pub(super) carry: Option<(ItemId, u8)>,
    pub(super) format: AudioFormat,
    /// The newest audio and the newest words.
    newest: [Option<ServerEvent>; 2],
}

/// Settings of a [`Line`]. Plain data.
#[derive(Clone, Debug, Default)]
pub struct LineOptions {
    /// What goes wrong.
    pub disasters: Vec<Disaster>,
    /// What chance is made from; default 0.
    pub seed: u64,
    /// Whether the client may ask for disasters by control events; default no: they are refused as unknown.
    pub control: bool,
}

/// What a [`Line`] wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LineOutput {
    /// Send this text.
    Text(String),
    /// Close the WebSocket. Nothing follows.
    Close {
        /// The close code; `None`: a close frame without one.
        code: Option<u16>,
        /// The close reason: at most 123 bytes, as a close frame holds no more.
        reason: String,
    },
    /// Drop the connection without a close frame. Nothing follows.
    Break,
}

#[derive(Debug, Eq, PartialEq)]
enum State {
    Open,
    /// Nothing is sent any more.
    Stalled,
    /// The end is in the queue.
    Ended,
}

/// What becomes of one event.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) copies: u32,
    pub(super) text: Option<String>,
    pub(super) edits: Vec<fn(&str) -> String>,
    pub(super) hold: Option<(Hold, Duration)>,
    pub(super) late: u32,
}

impl Line {
    /// A line from a connection that begins now.
    pub fn new(connection: Connection, options: LineOptions, now: Timestamp) -> Self {
        Self::of(Source::Own(Box::new(connection)), options, now)
    }

    /// A line from a channel of a call.
    pub(crate) fn of_call(channel: Channel, options: LineOptions, now: Timestamp) -> Self {
        Self::of(Source::Call(channel), options, now)
    }

    fn of(connection: Source, options: LineOptions, now: Timestamp) -> Self {
        let mut line = Self {
            dialect: connection.dialect(),
            connection,
            control: options.control,
            dice: Dice::new(options.seed),
            ids: Ids::new(options.seed ^ 0x5eed_0fd1_5a57_e125),
            now,
            armed: Vec::new(),
            queue: Queue::default(),
            inputs: VecDeque::new(),
            slow: None,
            state: State::Open,
            carry: None,
            format: AudioFormat::PCM16_24K,
            newest: [None, None],
        };
        options.disasters.into_iter().for_each(|disaster| line.arm(disaster));
        line.advance(now);
        line.drain();
        line
    }

    /// Takes one wire text from the client.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.advance(now);
        match self.slow {
            Some(rate) => {
                let takes = Duration::from_secs_f64(text.len() as f64 / rate as f64);
                let from = self.inputs.back().map_or(self.now, |(at, _)| *at);
                self.inputs.push_back((from + takes, text.into()));
            }
            None => self.read(text),
        }
        self.advance(now);
    }

    /// Takes a binary message, which the protocol does not have.
    pub fn handle_binary(&mut self, now: Timestamp) {
        self.advance(now);
        self.connection.handle_binary(self.now);
        self.drain();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        if self.connection.is_shared() {
            self.connection.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Whether more is to be read from the client now. While not, its sending should block.
    pub fn wants_input(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The next thing to do on the wire; `None` until more happens.
    pub fn poll_output(&mut self) -> Option<LineOutput> {
        self.queue.pop(self.now)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` after the end.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [self.queue.next_at(), self.next_due()].into_iter().flatten().min()
    }

    /// Lets something go wrong from now on.
    pub fn arm(&mut self, disaster: Disaster) {
        let from = self.now + disaster.after;
        if self.armed.len() >= MOST_ARMED {
            self.armed.retain(|armed| !armed.spent);
        }
        if self.armed.len() < MOST_ARMED {
            self.armed.push(Armed::new(disaster, from));
        }
    }

    /// The next moment at which something happens here or in the connection.
    fn next_due(&self) -> Option<Timestamp> {
        if self.state == State::Ended {
            return None;
        }
        let input = self.inputs.front().map(|(at, _)| *at);
        let alarm = self.armed.iter().filter_map(Armed::alarm).min();
        [input, alarm, self.connection.poll_timeout()].into_iter().flatten().min()
    }

    /// Does all that is due by `now`, in the order in which it is due.
    fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while let Some(at) = self.next_due().filter(|at| *at <= now) {
            self.now = at.max(self.now);
            if let Some(alarm) = self.armed.iter_mut().find(|armed| armed.alarm().is_some_and(|a| a <= at)) {
                alarm.spent = true;
                let action = alarm.disaster.action.clone();
                self.happen(action, None);
                self.drain();
            } else if self.inputs.front().is_some_and(|(due, _)| *due <= at) {
                let text = self.inputs.pop_front().map(|(_, text)| text).unwrap_or_default();
                self.read(&text);
            } else {
                self.connection.handle_timeout(self.now);
                self.drain();
            }
        }
        self.now = now;
    }

    fn read(&mut self, text: &str) {
        if self.state == State::Ended {
            return;
        }
        if !(self.control && text.contains(CONTROL) && self.read_control(text)) {
            self.connection.handle_text(self.now, text);
        }
        self.drain();
    }

    /// Takes a control event, if the text is one.
    fn read_control(&mut self, text: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(text) else { return false };
        if event["type"] != CONTROL {
            return false;
        }
        let event_id = event["event_id"].as_str().map(EventId::from);
        match Disaster::parse(&event["disaster"], "disaster") {
            Ok(disaster) => self.arm(disaster),
            Err(error) => {
                self.connection.refuse(Fault::invalid_value(error.path, error.reason), event_id);
            }
        }
        true
    }

    /// Takes out what the connection wants sent.
    fn drain(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            match output {
                Output::Send(event) => self.forward(*event),
                Output::Close { code, reason } => self.end(LineOutput::Close { code: Some(code), reason }),
                Output::Disaster(disaster) => self.arm(*disaster),
            }
        }
    }

    fn forward(&mut self, mut event: ServerEvent) {
        if self.state != State::Open {
            return;
        }
        if self.armed.is_empty() {
            let texts = vec![event.encode(self.dialect)];
            self.queue.send(self.now, &event, texts);
        } else {
            self.pay_back(&mut event);
            self.observe(&event);
            let mut fate = Fate { copies: 1, text: None, edits: Vec::new(), hold: None, late: 0 };
            for index in 0..self.armed.len() {
                let now = self.now;
                let Some(armed) = self.armed.get_mut(index) else { break };
                if armed.fires(&event, now, &mut self.dice) {
                    let action = armed.disaster.action.clone();
                    self.happen(action, Some((&mut event, &mut fate)));
                }
            }
            if self.state == State::Open {
                self.send(&event, fate);
            }
        }
        if self.queue.is_full() {
            self.end(LineOutput::Break);
        }
    }

    /// Sends an event as its fate has it.
    fn send(&mut self, event: &ServerEvent, fate: Fate) {
        let mut text = fate.text.unwrap_or_else(|| event.encode(self.dialect));
        for edit in fate.edits {
            text = edit(&text);
        }
        let texts = vec![text; fate.copies as usize];
        match fate.hold {
            _ if texts.is_empty() => {}
            Some((hold, time)) => self.queue.hold(self.now, event, texts, hold, time),
            None => self.queue.send(self.now, event, texts),
        }
        for round in 0..fate.late as usize {
            let newest = self.newest[round % 2].clone().or_else(|| self.newest[(round + 1) % 2].clone());
            let Some(mut delta) = newest else { break };
            let id = Field::Value(self.ids.event());
            match &mut delta {
                ServerEvent::ResponseOutputAudioDelta(delta) => delta.event_id = id,
                ServerEvent::ResponseOutputAudioTranscriptDelta(delta) => delta.event_id = id,
                _ => {}
            }
            self.queue.push(self.now, LineOutput::Text(delta.encode(self.dialect)));
        }
    }

    /// Lets an action happen, to an event or by itself.
    fn happen(&mut self, action: Action, to: Option<(&mut ServerEvent, &mut Fate)>) {
        if self.state != State::Open {
            return;
        }
        tracing::info!(?action, at = to.as_ref().map(|(event, _)| event.kind()), "disaster");
        match (action, to) {
            (Action::Delay { time, jitter }, _) => {
                let jitter = jitter.mul_f64(self.dice.roll());
                self.queue.delay(self.now, time.saturating_add(jitter).min(LONGEST));
            }
            (Action::Stall, _) => {
                self.state = State::Stalled;
                self.queue.stall(self.now);
            }
            (Action::Cut { code, reason }, _) => self.end(LineOutput::Close { code, reason }),
            (Action::Break, _) => self.end(LineOutput::Break),
            (Action::Expire, _) => {
                self.error(errors::error("session_expired", None, None));
                self.end(LineOutput::Close { code: Some(1001), reason: "session_expired".into() });
            }
            (Action::Error { code, message, param }, _) => {
                self.error(errors::error(&code, message.as_deref(), param.as_deref()));
            }
            (Action::UnknownEvent(kind), _) => {
                let event = json!({"type": kind, "event_id": self.ids.event(), "about": {"since": 2031}});
                self.queue.push(self.now, LineOutput::Text(event.to_string()));
            }
            (Action::Key(key), _) => self.connection.press_key(self.now, key),
            (Action::SlowReader(rate), _) => self.slow = Some(rate),
            (Action::Malformed(Some(text)), None) => self.queue.push(self.now, LineOutput::Text(text)),
            (action, Some((event, fate))) => self.happen_to(action, event, fate),
            (_, None) => {}
        }
    }

    /// Gives an item's audio the byte that its last delta kept.
    fn pay_back(&mut self, event: &mut ServerEvent) {
        let ServerEvent::ResponseOutputAudioDelta(delta) = &*event else { return };
        let Some((_, byte)) = self.carry.take_if(|(item, _)| *item == delta.item_id) else { return };
        mangle::edit_audio(event, |mut bytes| {
            bytes.insert(0, byte);
            bytes
        });
    }

    /// Keeps what later actions need to know.
    fn observe(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::ResponseCreated(created) => {
                let audio = created.response.audio.value().and_then(|audio| audio.output.value());
                self.format = audio.and_then(|output| output.format.value()?.format()).unwrap_or_default();
                self.newest = [None, None];
            }
            ServerEvent::ResponseOutputAudioDelta(_) => self.newest[0] = Some(event.clone()),
            ServerEvent::ResponseOutputAudioTranscriptDelta(_) => self.newest[1] = Some(event.clone()),
            _ => {}
        }
    }

    fn error(&mut self, error: ApiError) {
        let event: ServerEvent =
            ErrorEvent { event_id: self.ids.event().into(), error: error.into(), ..ErrorEvent::default() }
                .into();
        let text = event.encode(self.dialect);
        self.queue.send(self.now, &event, vec![text]);
    }

    fn end(&mut self, mut output: LineOutput) {
        if let LineOutput::Close { reason, .. } = &mut output {
            *reason = mangle::close_reason(std::mem::take(reason));
        }
        if self.state == State::Open {
            self.queue.end(self.now);
            self.queue.push(self.now, output);
        }
        // One that is stalled does not even close.
        if self.state != State::Stalled {
            self.state = State::Ended;
        }
    }
}

const CONTROL: &str = "emulator.disaster";
const MOST_ARMED: usize = 256;
/// Longer than any session.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
