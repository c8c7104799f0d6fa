//! The one task of a client: a loop around the [`Supervisor`] that decides nothing.
//!
//! It never waits for the application, for the far side to read, or for a disk. Every input is logged, then
//! handed to the supervisor, then all its outputs are logged and done, before the next input is looked at: so a
//! log replays exactly.

use std::collections::HashMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::id::ItemId;
use realtime_protocol::log::LogWriter;
use realtime_protocol::session::{CloseReason, Command, CommandId, Outcome, SessionEvent};
use realtime_protocol::supervisor::{ConnectionId, Reseed, Supervisor, SupervisorOutput};
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::{Level, Span, debug, enabled, info, trace, warn};

use crate::counters::Tally;
use crate::events::{EventSender, Pushed};
use crate::handle::{Reply, Request, Shared};
use crate::links::{Connecting, LinkEvent, Links};
use crate::tap::Tap;

/// Commands taken in a row before the connections have their turn.
const BURST: u32 = 32;
/// The most that is reserved for a wire text before it is written (bytes).
const MOST_RESERVED: usize = 64 * 1024;
/// How long the end of the session log may take.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// Everything that the loop holds. Dropping it resolves all who wait: answers, events and commands alike.
pub(crate) struct Driver {
    pub(crate) supervisor: Supervisor,
    pub(crate) clock: Clock,
    pub(crate) dialect: Dialect,
    pub(crate) connect: Box<dyn FnMut() -> Connecting + Send>,
    pub(crate) reseed: Option<Box<dyn Reseed + Send>>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) events: EventSender,
    pub(crate) tap: Option<Tap>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) span: Span,
    pub(crate) state: State,
}

/// What changes from turn to turn.
#[derive(Default)]
pub(crate) struct State {
    links: Links,
    waiters: HashMap<CommandId, Reply>,
    /// The time of the latest input, which its outputs share.
    at: Timestamp,
    /// Bytes of wire text that the next event is charged with.
    cost: usize,
    /// Bytes of the latest wire text sent.
    sent: usize,
    /// Commands taken since the connections had their turn.
    burst: u32,
    /// Whether all handles are gone, or the session has ended.
    deaf: bool,
    reader: Reader,
}

/// Whether the application keeps up with its events.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Reader {
    #[default]
    Fine,
    TooSlow,
    /// It was too slow, and the session was told to close.
    GivenUp,
}

impl Driver {
    /// Runs until the call has ended, its connections are closed and its log is written.
    ///
    /// One turn takes one input. In the order in which they are looked at:
    ///
    /// 1. a command: an interruption must not wait behind a burst of audio. After [`BURST`] in a row the
    ///    others have their turn, so that no flood of commands can starve the connections. What the commands
    ///    of a burst send leaves in one write;
    /// 2. the connections: first what is queued is written, as far as it goes, then one text is read;
    /// 3. the supervisor's deadline. Whether it has passed is read from the clock after every turn, not
    ///    concluded from the alarm.
    ///
    /// Boxed, for a task keeps several copies of what it moves in and out.
    pub(crate) async fn run(mut self: Box<Self>) {
        let mut alarm = Alarm::default();
        self.drain();
        while !(self.supervisor.is_ended() && self.state.links.is_empty()) {
            alarm.set(self.supervisor.poll_timeout().map(|due| self.clock.instant(due)));
            select! {
                biased;
                request = self.requests.recv(), if !self.state.deaf && self.state.burst < BURST => {
                    self.on_request(request);
                }
                (conn, event) = self.state.links.next() => self.on_link(conn, event),
                () = alarm.ring() => {}
                () = ready(()), if self.state.burst == BURST => self.state.burst = 0,
            }
            self.on_clock();
        }
        if let Some(tap) = self.tap.take() {
            finish(tap, &self.shared.tally).await;
        }
    }

    fn on_request(&mut self, request: Option<Request>) {
        let Some(Request { id, command, reply }) = request else {
            debug!("all handles are gone");
            self.state.deaf = true;
            return self.close();
        };
        self.state.burst += 1;
        self.shared.taken(&command);
        let waits = command.expects_answer();
        let name = command.name();
        self.log(|writer, at, out| writer.command(out, at, id, &command));
        match (self.supervisor.handle_command(self.state.at, id, command), reply) {
            (Ok(()), Some(reply)) if waits => drop(self.state.waiters.insert(id, reply)),
            // A caller that has gone away does not mind.
            (Ok(()), Some(reply)) => drop(reply.send(Ok(Outcome::Done))),
            (Err(error), Some(reply)) => drop(reply.send(Err(error))),
            (Ok(()), None) => {}
            (Err(error), None) => {
                debug!(command = name, reason = %error.reason, "a command was refused");
                self.shared.tally.commands_refused.add(1);
            }
        }
        self.drain();
    }

    fn on_link(&mut self, conn: ConnectionId, event: LinkEvent) {
        self.state.burst = 0;
        match event {
            LinkEvent::Opened => {
                debug!(%conn, "connected");
                let wall = (self.clock.wall)();
                self.log(|writer, at, out| writer.connected(out, at, conn, wall));
                self.supervisor.handle_connected(self.state.at, conn, wall);
            }
            LinkEvent::Text(text) => {
                trace_received(self.dialect, &text);
                self.shared.tally.texts_received.add(1);
                self.shared.tally.bytes_received.add(text.len());
                self.state.cost = text.len();
                self.log(|writer, at, out| writer.text(out, at, conn, &text));
                self.supervisor.handle_text(self.state.at, conn, &text);
            }
            LinkEvent::Binary(bytes) => {
                warn!(%conn, bytes, "a binary message was ignored: the protocol has none");
                self.shared.tally.binary_ignored.add(1);
                return;
            }
            LinkEvent::Disconnected(reason) => {
                debug!(%conn, "disconnected");
                self.log(|writer, at, out| writer.disconnected(out, at, conn, &reason));
                self.supervisor.handle_disconnected(self.state.at, conn, reason);
            }
            LinkEvent::Gone => return,
        }
        self.drain();
    }

    fn on_clock(&mut self) {
        if self.supervisor.poll_timeout().is_some_and(|due| due <= self.clock.now()) {
            self.log(|writer, at, out| writer.timer(out, at));
            self.supervisor.handle_timeout(self.state.at);
            self.drain();
        }
        if self.state.reader == Reader::TooSlow {
            self.state.reader = Reader::GivenUp;
            warn!("the application reads its events too slowly: the session is closed");
            self.close();
        }
    }

    /// Ends the session on nobody's command.
    fn close(&mut self) {
        let id = self.shared.next_id();
        self.log(|writer, at, out| writer.command(out, at, id, &Command::Close {}));
        // Refused where it has ended already.
        let _ = self.supervisor.handle_command(self.state.at, id, Command::Close {});
        self.drain();
    }

    /// Sets the time of an input and logs it.
    fn log(&mut self, line: impl FnOnce(&LogWriter, Timestamp, &mut String)) {
        self.state.at = self.clock.now();
        let at = self.state.at;
        if let Some(tap) = &mut self.tap {
            tap.write(|writer, out| line(writer, at, out));
        }
    }

    /// Does what the supervisor wants done.
    fn drain(&mut self) {
        // A seed is an input of its own, after all outputs of the one that asked for it.
        while let Some((conn, carried)) = self.drain_once() {
            let seed = self.reseed.as_mut().map(|reseed| reseed.reseed(&carried)).unwrap_or_default();
            self.log(|writer, at, out| writer.seed(out, at, conn, &seed));
            self.supervisor.handle_seed(self.state.at, conn, seed);
        }
    }

    fn drain_once(&mut self) -> Option<(ConnectionId, Vec<ItemId>)> {
        let at = self.state.at;
        let mut asked_for = None;
        while let Some(output) = self.supervisor.poll_output() {
            if let Some(tap) = &mut self.tap {
                tap.write(|writer, out| writer.output(out, at, &output));
            }
            match output {
                SupervisorOutput::Connect { connection, .. } => {
                    self.state.links.connect(connection, (self.connect)());
                }
                SupervisorOutput::Seed { connection, carried } => asked_for = Some((connection, carried)),
                SupervisorOutput::Send { connection: conn, dialect, event } => {
                    // Appends are alike in size, so that the last one's length is the best guess.
                    let mut text = String::with_capacity(self.state.sent.min(MOST_RESERVED));
                    event.encode_into(dialect, &mut text);
                    self.state.sent = text.len();
                    trace!(%conn, kind = event.kind(), bytes = text.len(), "sent");
                    self.shared.tally.texts_sent.add(1);
                    self.shared.tally.bytes_sent.add(text.len());
                    self.state.links.send(conn, text);
                }
                SupervisorOutput::Close(conn) => self.state.links.close(conn),
                SupervisorOutput::Event(event) => self.deliver(event),
            }
        }
        self.state.cost = 0;
        asked_for
    }

    fn deliver(&mut self, mut event: SessionEvent) {
        observe(&self.span, &event);
        if let Some(reseed) = &mut self.reseed {
            reseed.observe(&event);
        }
        if self.state.reader != Reader::Fine {
            tell_why(&mut event);
        }
        if let SessionEvent::Settled { id, outcome } = event {
            if let Some(reply) = self.state.waiters.remove(&id) {
                // A caller that has gone away does not mind.
                let _ = reply.send(Ok(outcome));
            }
            return;
        }
        if let SessionEvent::Closed { reason } = &event {
            self.end(reason.clone());
        }
        let cost = std::mem::take(&mut self.state.cost);
        match self.events.push(event, cost) {
            Pushed::Taken => {}
            Pushed::Dropped { chunks, bytes } => {
                debug!(chunks, bytes, "the application reads too slowly: audio was dropped");
                self.shared.tally.audio_dropped.add(chunks);
                self.shared.tally.audio_dropped_bytes.add(bytes);
            }
            Pushed::Overflow if self.state.reader == Reader::Fine => self.state.reader = Reader::TooSlow,
            Pushed::Overflow => {}
        }
    }

    /// From here on commands are refused, and those that wait resolve.
    fn end(&mut self, reason: CloseReason) {
        // It was empty: a call ends once.
        let _ = self.shared.end.set(reason);
        self.state.deaf = true;
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.shared.taken(&request.command);
        }
    }
}

/// Names the reason of an end that the supervisor knows only as asked for.
fn tell_why(event: &mut SessionEvent) {
    if let SessionEvent::Closed { reason } | SessionEvent::Settled { outcome: Outcome::Closed { reason }, .. } =
        event
        && *reason == CloseReason::Requested
    {
        let why = "the application read its events too slowly".to_owned();
        *reason = CloseReason::ConnectionLost { reason: why };
    }
}

/// The driver's two clocks: tokio's, so that tests can pause it, and the time of day.
pub(crate) struct Clock {
    pub(crate) origin: Instant,
    pub(crate) wall: Box<dyn Fn() -> UnixTime + Send>,
}

impl Clock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    fn instant(&self, at: Timestamp) -> Instant {
        self.origin + Duration::from_micros(at.as_micros())
    }
}

/// Wakes the loop no later than asked. A deadline that moves away leaves the alarm as it stands, for moving it
/// costs more than one needless turn.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    set_for: Option<Instant>,
}

impl Alarm {
    fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.set_for.is_some_and(|set_for| set_for <= deadline) {
            return;
        }
        self.set_for = Some(deadline);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(deadline),
            None => self.sleep = Some(Box::pin(sleep_until(deadline))),
        }
    }

    async fn ring(&mut self) {
        match (&mut self.sleep, self.set_for) {
            (Some(sleep), Some(_)) => sleep.await,
            _ => std::future::pending().await,
        }
        self.set_for = None;
    }
}

/// Waits for the log to be written, and not forever.
async fn finish(tap: Tap, tally: &Tally) {
    if timeout(LOG_DEADLINE, tap.finish()).await.is_err() {
        tally.log_failed.store(true, Ordering::Relaxed);
        warn!("the session log is not written yet; the client does not wait for it any longer");
    }
}

/// Notes that a wire text came: its type, if it is a known one, and its length. Never its content.
fn trace_received(dialect: Dialect, text: &str) {
    if enabled!(Level::TRACE) {
        let event = ServerEvent::decode(text, dialect);
        let kind = ServerEvent::KINDS.iter().find(|kind| **kind == event.kind());
        trace!(kind = kind.copied().unwrap_or("other"), bytes = text.len(), "received");
    }
}

/// Notes changes of state. What people or models said stays out.
fn observe(span: &Span, event: &SessionEvent) {
    match event {
        SessionEvent::Created { session_id } => {
            let id = session_id.as_ref().map_or("", |id| id.as_str());
            span.record("session_id", id);
            debug!("session created");
        }
        SessionEvent::Ready { .. } => debug!("session ready"),
        SessionEvent::ConfigUpdated { .. } => debug!("configuration updated"),
        SessionEvent::ResponseStarted { response_id, .. } => debug!(%response_id, "response started"),
        SessionEvent::ResponseFinished(report) => {
            debug!(response_id = %report.response_id, "response finished");
        }
        SessionEvent::Interrupted(interruption) => debug!(heard = %interruption.heard(), "interrupted"),
        SessionEvent::ServerError { error, class } => debug!(code = error.code_str(), ?class, "server error"),
        SessionEvent::Warning(_) => debug!("the session warns"),
        SessionEvent::Disconnected { class, retry_at, .. } => {
            info!(?class, retry = retry_at.is_some(), "disconnected");
        }
        SessionEvent::Reconnecting { attempt, endpoint } => debug!(attempt, endpoint, "reconnecting"),
        SessionEvent::Reconnected { gap, .. } => info!(?gap, "reconnected"),
        SessionEvent::Rotated { endpoint, gap, .. } => info!(endpoint, ?gap, "rotated"),
        SessionEvent::Closed { .. } => info!("session closed"),
        _ => {}
    }
}
