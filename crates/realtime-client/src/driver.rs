//! The one task of a client: a loop around the [`Call`] that decides nothing.
//!
//! It never waits for the application, for the server to read, or for a disk. Every input is logged and
//! handed to the call, then all its outputs are logged and carried out. Only then comes the next input. So a
//! log replays exactly.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use realtime_protocol::call::{
    self, Call, CloseReason, Command, CommandError, CommandId, ConnectionEvent, ConnectionId,
    DisconnectReason, Event, Listeners, Media, Notice, Output, Refusal, Reseed,
};
use realtime_protocol::event::Malformed;
use realtime_protocol::flow::Shortfall;
use realtime_protocol::id::ItemId;
use realtime_protocol::log::LogWriter;
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::bell::Bell;
use crate::clock::{Alarm, Clock, earlier};
use crate::contained::{Contained, Panics};
use crate::counters::Tally;
use crate::endpoints::Endpoints;
use crate::events::EventSender;
use crate::keeper::{Ask, Asked as Keeping};
use crate::links::{LinkEvent, Links};
use crate::observe::{Observer, trace_received};
use crate::reply::Questions;
use crate::requests::{Asked, OutcomeTo, Request, Shared, Waiter};
use crate::tap::Tap;

/// Commands taken in a row before the connections have their turn.
const BURST: u32 = 32;
/// Inputs taken in a row before the runtime's other tasks have their turn.
const TURN: u32 = 64;
/// How long the end of the session log may take.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// Everything that the loop holds. Dropping it resolves everything that waits: answers, events and commands.
pub(crate) struct Driver {
    pub(crate) call: Call,
    /// Who asks for what another process goes on with.
    pub(crate) keeper: Keeping,
    pub(crate) clock: Clock,
    pub(crate) endpoints: Endpoints,
    pub(crate) links: Links,
    pub(crate) reseed: Option<Contained<dyn Reseed + Send>>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) events: EventSender,
    /// Listeners that get everything before the application does.
    pub(crate) listeners: Listeners,
    /// What listeners, guards and what reseeds panicked.
    pub(crate) panics: Panics,
    /// Listeners have something to ask.
    pub(crate) wake: Arc<Bell>,
    pub(crate) alarm: Alarm,
    pub(crate) tap: Option<Tap>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) observer: Observer,
    pub(crate) state: State,
}

/// Why the loop stops for a moment.
#[derive(Debug, Eq, PartialEq)]
enum Turn {
    /// The runtime's other tasks have their turn.
    Due,
    /// Nothing is left to do.
    Last,
}

/// What changes from turn to turn.
#[derive(Default)]
pub(crate) struct State {
    waiters: HashMap<CommandId, OutcomeTo>,
    questions: Questions,
    /// The time of the latest input, which its outputs share.
    at: Timestamp,
    /// Bytes of wire text to charge for the next event.
    cost: usize,
    /// Commands taken since the connections had their turn.
    burst: u32,
    /// Inputs taken since the runtime's other tasks had their turn.
    inputs: u32,
    /// Whether the application should run before the next input.
    owes_turn: bool,
    /// Whether all handles are gone, or the session has ended.
    deaf: bool,
    /// Whether the application was told of the end.
    is_closed: bool,
    /// Shortfalls that the call does not know yet.
    shortfalls: VecDeque<Shortfall>,
}

impl Driver {
    /// Runs until the call has ended, its connections are closed and its log is written.
    ///
    /// One turn takes one input. Inputs are taken in this order:
    ///
    /// 1. a command: an interruption must not wait for a burst of audio. After [`BURST`] in a row the others
    ///    have their turn, so that no flood of commands can starve the connections. The events of a burst
    ///    leave in one write;
    /// 2. the connections: first queued texts are written, as far as possible, then one text is read;
    /// 3. a question about what another process goes on with;
    /// 4. the call's deadline, and listeners that have something to say without an event. The clock, checked
    ///    after every turn, decides whether it has passed, not the alarm.
    ///
    /// After [`TURN`] inputs, and more often while much waits to be read, the runtime's other tasks have
    /// their turn. Otherwise a burst of small texts would fill the queue of events before the application
    /// could read it.
    ///
    /// Boxed, because the future would hold several copies of the driver.
    pub(crate) async fn run(mut self: Box<Self>) {
        if AssertUnwindSafe(self.take_turns()).catch_unwind().await.is_err() {
            self.break_off();
        }
        if let Some(tap) = self.tap.take() {
            finish(tap, &self.shared.tally).await;
        }
    }

    async fn take_turns(&mut self) {
        self.drain();
        while poll_fn(|cx| self.poll_turn(cx)).await == Turn::Due {
            self.give_turn().await;
        }
    }

    /// Something panicked that has no place of its own, such as a wire: the application hears of the end.
    fn break_off(&mut self) {
        if let Some(tap) = self.tap.as_mut().filter(|_| !self.call.is_ended()) {
            tap.end("the client's task panicked");
        }
        if !self.state.is_closed {
            let what = "the client's task".to_owned();
            let closed = Event::Closed { reason: CloseReason::Panicked { what } };
            self.listeners.hear(self.state.at, UnixTime::default(), &closed);
            self.deliver_one(closed);
        }
    }

    /// Takes inputs, one after the other, until nothing more is there.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            if self.state.owes_turn || self.state.inputs >= TURN {
                return Poll::Ready(Turn::Due);
            }
            self.state.at = self.clock.origin.now();
            let due = self.on_clock();
            if self.call.is_ended() && self.links.is_empty() {
                return Poll::Ready(Turn::Last);
            }
            if !self.state.deaf
                && self.state.burst < BURST
                && let Poll::Ready(request) = self.requests.poll_recv(cx)
            {
                self.on_request(request);
            } else if let Poll::Ready((conn, event)) = self.links.poll_next(cx) {
                self.on_link(conn, event);
            } else if self.state.burst == BURST {
                self.state.burst = 0;
            } else if let Some(ask) = self.keeper.poll_next(cx) {
                self.on_keeper(ask);
            } else if !self.listeners.is_empty() && self.wake.hear(cx) {
                // The clock, above, asks the listeners.
            } else {
                self.alarm.set(self.state.at, due, self.clock.origin, cx);
                return Poll::Pending;
            }
        }
    }

    /// Tells what another process goes on with.
    fn on_keeper(&mut self, ask: Ask) {
        self.state.inputs += 1;
        let suspended = if ask.suspend {
            debug!("the call goes on elsewhere");
            self.log(|writer, at, out| writer.suspend(out, at));
            let suspended = self.call.suspend(self.state.at);
            self.drain();
            suspended
        } else {
            self.call.snapshot()
        };
        // Who asked may not wait any more. The call has ended here all the same.
        let _ = ask.answer.send(suspended);
    }

    fn on_request(&mut self, request: Option<Request>) {
        let Some(request) = request else {
            debug!("all handles are gone");
            self.state.deaf = true;
            return self.close();
        };
        self.state.burst += 1;
        self.state.inputs += 1;
        self.shared.taken(&request);
        match request.asked {
            Asked::Command(command, waiter) => self.on_command(request.id, command, waiter),
            Asked::Media(media) => self.on_media(media),
        }
        self.drain();
    }

    fn on_command(&mut self, id: CommandId, command: Command, waiter: Waiter) {
        let name = command.name();
        self.log(|writer, at, out| writer.command(out, at, id, &command));
        let taken = self.call.handle_command(self.state.at, id, command);
        if let (Err(_), Some(reason)) = (&taken, self.call.closing_reason()) {
            // Why it takes none any more is known before the connection is closed.
            let _ = self.shared.end.set(reason.clone());
        }
        match (taken, waiter) {
            (Ok(()), Waiter::Outcome(to)) => drop(self.state.waiters.insert(id, to)),
            (Ok(()), Waiter::Reply(to)) => self.state.questions.ask(id, to),
            // The caller may have dropped the future.
            (Err(error), Waiter::Outcome(to)) => drop(to.send(Err(error))),
            (Err(error), Waiter::Reply(to)) => drop(to.send(Err(error))),
            (Ok(()), Waiter::None) => {}
            (Err(error), Waiter::None) => self.refused(name, &error.reason),
        }
    }

    fn on_media(&mut self, media: Media) {
        self.log(|writer, at, out| writer.media(out, at, &media));
        // The handle has checked its shape, unless the format has changed since.
        if let Err(error) = self.call.handle_media(self.state.at, media) {
            self.refused(error.media.name(), &error.reason);
        }
    }

    fn refused(&self, what: &str, reason: &dyn std::fmt::Display) {
        debug!(what, %reason, "refused");
        self.shared.tally.commands_refused.add(1);
    }

    fn on_link(&mut self, conn: ConnectionId, event: LinkEvent) {
        self.state.burst = 0;
        self.state.inputs += 1;
        match event {
            LinkEvent::Opened => {
                debug!(%conn, "connected");
                self.shared.tally.connections.add(1);
                let wall = (self.clock.wall)();
                self.log(|writer, at, out| writer.connected(out, at, conn, wall));
                self.call.handle_connected(self.state.at, conn, wall);
            }
            LinkEvent::Text(text) => {
                trace_received(&text);
                self.shared.tally.texts_received.add(1);
                self.shared.tally.bytes_received.add(text.len());
                self.on_text(conn, &text);
            }
            LinkEvent::Binary(bytes) => {
                warn!(%conn, bytes, "a binary message was ignored: it is not UTF-8");
                self.shared.tally.binary_ignored.add(1);
                self.on_text(conn, &Malformed::text_of_binary(bytes));
            }
            LinkEvent::Unsent(shortfall) => {
                debug!(%conn, ?shortfall, "the connection is too slow: input audio was dropped");
                self.state.shortfalls.push_back(shortfall);
            }
            LinkEvent::Disconnected(reason) => {
                debug!(%conn, "disconnected");
                self.log(|writer, at, out| writer.disconnected(out, at, conn, &reason));
                self.call.handle_disconnected(self.state.at, conn, reason);
            }
            LinkEvent::Gone => return,
        }
        self.drain();
    }

    fn on_text(&mut self, conn: ConnectionId, text: &str) {
        self.state.cost = text.len();
        self.log(|writer, at, out| writer.text(out, at, conn, text));
        self.call.handle_text(self.state.at, conn, text);
    }

    /// Lets the runtime's other tasks run, including the application. Events that it left unread count
    /// against the bounds from now on.
    async fn give_turn(&mut self) {
        yield_now().await;
        (self.state.inputs, self.state.owes_turn) = (0, false);
        if let Some(shortfall) = self.events.handle_turn() {
            warn!("the application reads its events too slowly: the session is closed");
            self.state.shortfalls.push_back(shortfall);
            self.drain();
        }
    }

    /// Does what is due. Returns when the next thing is due.
    fn on_clock(&mut self) -> Option<Timestamp> {
        let due = self.poll_timeout();
        if due.is_none_or(|due| due > self.state.at) {
            return due;
        }
        self.handle_timeout();
        self.poll_timeout()
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let due = earlier(self.call.poll_timeout(), self.links.poll_timeout());
        if self.listeners.is_empty() { due } else { earlier(due, self.listeners.poll_timeout()) }
    }

    fn handle_timeout(&mut self) {
        let now = self.state.at;
        if self.call.poll_timeout().is_some_and(|due| due <= now) {
            self.log(|writer, at, out| writer.timer(out, at));
            self.call.handle_timeout(now);
            self.drain();
        }
        if self.listeners.poll_timeout().is_some_and(|due| due <= now) {
            self.listeners.handle_timeout(now);
            self.drain();
        }
        if self.links.poll_timeout().is_some_and(|due| due <= now) {
            self.links.handle_timeout(now);
        }
    }

    /// Ends the session without a command from the application.
    fn close(&mut self) {
        let id = self.shared.next_id();
        self.log(|writer, at, out| writer.command(out, at, id, &Command::Close {}));
        // Refused if it has ended already.
        let _ = self.call.handle_command(self.state.at, id, Command::Close {});
        self.drain();
    }

    /// Logs an input, with the time of this turn of the loop.
    fn log(&mut self, line: impl FnOnce(&LogWriter, Timestamp, &mut String)) {
        let at = self.state.at;
        if let Some(tap) = &mut self.tap {
            tap.write(|writer, out| line(writer, at, out));
        }
    }

    /// Carries out the call's outputs.
    fn drain(&mut self) {
        self.listeners.begin();
        // Seeds and shortfalls are separate inputs, after all outputs of the input that led to them.
        loop {
            if let Some((conn, carried, largest)) = self.drain_once() {
                let reseed = self.reseed.as_mut();
                let seed = reseed.and_then(|reseed| reseed.run(|it| it.reseed(&carried, largest)));
                let seed = seed.unwrap_or_default();
                self.log(|writer, at, out| writer.seed(out, at, conn, &seed));
                self.call.handle_seed(self.state.at, conn, seed);
            } else if let Some(shortfall) = self.state.shortfalls.pop_front() {
                self.log(|writer, at, out| writer.shortfall(out, at, &shortfall));
                self.call.handle_shortfall(self.state.at, shortfall);
            } else if !self.state.is_closed
                && let Some(notice) = self.listeners.poll_notice()
            {
                self.deliver_one(Event::Notice(notice)); // of a listener that had something to say by itself
            } else if let Some(asked) = self.listeners.poll_asked() {
                self.on_asked(asked);
            } else if let Some(what) = self.panics.pop() {
                self.on_panic(what);
            } else if let Some(notice) = self.listeners.poll_notice() {
                // Told at a timeout or at a refusal, without an event.
                self.deliver_one(Event::Notice(notice));
            } else {
                break;
            }
        }
        if !self.state.questions.is_empty() {
            self.state.questions.rest(self.call.is_replying());
        }
    }

    /// Something of the application's panicked: the call ends, and nothing more is heard of the server.
    fn on_panic(&mut self, what: String) {
        warn!(what, "it panicked: the call is closed");
        if self.state.is_closed {
            return;
        }
        self.deliver_one(Event::Notice(Notice::Panicked { what: what.clone() }));
        // A guard may have meant to stop what is said.
        let id = self.shared.next_id();
        self.log(|writer, at, out| writer.command(out, at, id, &Command::Interrupt {}));
        let _ = self.call.handle_command(self.state.at, id, Command::Interrupt {});
        self.drain_once();
        let shortfall = Shortfall::Panicked { what };
        self.log(|writer, at, out| writer.shortfall(out, at, &shortfall));
        self.call.handle_shortfall(self.state.at, shortfall);
        self.drain_once();
        for conn in self.links.abandon() {
            let reason = DisconnectReason::Lost { reason: "given up".to_owned() };
            self.log(|writer, at, out| writer.disconnected(out, at, conn, &reason));
            self.call.handle_disconnected(self.state.at, conn, reason);
        }
    }

    /// Handles a listener's request.
    fn on_asked(&mut self, asked: call::Asked) {
        self.log(|writer, at, out| writer.asked(out, at, &asked));
        match asked {
            call::Asked::Command(id, command) => {
                if let Err(error) = self.call.handle_command(self.state.at, id, command) {
                    self.listeners.refused(self.state.at, id, &error);
                }
            }
            call::Asked::Media(media) => {
                if let Err(error) = self.call.handle_media(self.state.at, media) {
                    self.refused(error.media.name(), &error.reason);
                }
            }
        }
    }

    fn drain_once(&mut self) -> Option<(ConnectionId, Vec<ItemId>, Option<usize>)> {
        let at = self.state.at;
        let mut asked_for = None;
        while let Some(output) = self.call.poll_output() {
            if let Some(tap) = &mut self.tap {
                tap.write(|writer, out| writer.output(out, at, &output));
            }
            self.tell_of_log();
            match output {
                Output::Connect { connection, endpoint } => {
                    self.links.connect(connection, self.endpoints.connect(endpoint));
                }
                Output::Seed { connection, carried, largest } => {
                    asked_for = Some((connection, carried, largest))
                }
                Output::Send { connection, dialect, event } => {
                    self.links.send(connection, dialect, event);
                }
                Output::Close(conn) => self.links.close(conn),
                Output::Event(event) => self.deliver(event),
            }
        }
        self.state.cost = 0;
        self.tell_of_log();
        asked_for
    }

    /// Tells the application if the log has failed. The log has ended then, so a replay does not miss this.
    fn tell_of_log(&mut self) {
        if let Some(error) = self.tap.as_mut().and_then(Tap::take_failure) {
            self.deliver_one(Event::Notice(Notice::LogFailed { reason: error.to_string() }));
        }
    }

    /// Tells an event, and the notices of listeners.
    fn deliver(&mut self, event: Event) {
        // A function is begun by a listener, within the span that its call has.
        self.observer.observe(&event);
        if !self.listeners.is_empty() {
            self.listeners.hear(self.state.at, (self.clock.wall)(), &event);
        }
        self.hand_on(event);
        while let Some(notice) = self.listeners.poll_notice() {
            self.deliver_one(Event::Notice(notice));
        }
    }

    /// Tells an event that no listener hears.
    fn deliver_one(&mut self, event: Event) {
        self.observer.observe(&event);
        self.hand_on(event);
    }

    /// Gives an event to who waits for it, or to the application.
    fn hand_on(&mut self, event: Event) {
        if let Some(reseed) = &mut self.reseed {
            reseed.run(|it| it.observe(&event));
        }
        if !self.state.questions.is_empty() && self.state.questions.hear(&event) {
            return;
        }
        if let Event::Settled { id, outcome } = event {
            if let Some(reply) = self.state.waiters.remove(&id) {
                // The caller may have dropped the future.
                let _ = reply.send(Ok(outcome));
            }
            return;
        }
        match &event {
            Event::Closed { reason } => self.end(reason.clone()),
            Event::Connection(ConnectionEvent::Suspended { .. }) => self.end(CloseReason::Suspended),
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                self.shared.input.set(config.input_format());
            }
            _ => {}
        }
        let cost = std::mem::take(&mut self.state.cost);
        let pushed = self.events.push(event, cost);
        self.state.owes_turn |= pushed.wants_turn;
        if !pushed.lost.is_empty() {
            debug!(chunks = pushed.lost.len(), "the application reads too slowly: audio was dropped");
            self.state.shortfalls.extend(pushed.lost);
        }
    }

    /// From here on commands are refused, and waiting ones resolve.
    fn end(&mut self, reason: CloseReason) {
        // Set already if a command came while the call was closing.
        let _ = self.shared.end.set(reason);
        (self.state.deaf, self.state.is_closed) = (true, true);
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.shared.taken(&request);
            // Commands that were not taken are handed back.
            if let Asked::Command(command, waiter) = request.asked {
                let error = CommandError { command: Box::new(command), reason: Refusal::Ended };
                match waiter {
                    Waiter::Outcome(to) => drop(to.send(Err(error))),
                    Waiter::Reply(to) => drop(to.send(Err(error))),
                    Waiter::None => {}
                }
            }
        }
    }
}

/// Waits for the log to be written, up to a deadline.
async fn finish(tap: Tap, tally: &Tally) {
    if timeout(LOG_DEADLINE, tap.finish()).await.is_err() {
        tally.log_failed.store(true, Ordering::Relaxed);
        warn!("the session log is not written in time; the client stops waiting for it");
    }
}
