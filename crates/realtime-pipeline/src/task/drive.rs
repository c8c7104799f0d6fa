//! The loop of a task: everything that happens goes into the chain with its time, and what comes out of the
//! chain gets its effect.
//!
//! It is polled as one future. A turn asks each side once, and goes on as long as one of them had something,
//! with a bound, so that other tasks of the runtime have their turns too.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use realtime_client::{ActiveCall, Handle, SendError};
use realtime_protocol::call::{CloseReason, Command, CommandId, Event, Media};
use realtime_protocol::time::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::chain::{
    Answer, Category, Chain, Direction, Ended, Fault, FrameKind, Losses, Output, PhoneAction, PhoneRequest,
    Ticket,
};
use crate::edges::{Sink, Source};
use crate::task::handle::{Request, Requests};
use crate::task::outlet::Outlet;
use crate::task::settled::{self, Settling};
use crate::task::signals::Signals;
use crate::task::works::Works;
use crate::task::{CLOSE_LIMIT, Finished};

/// The most turns before other tasks of the runtime have theirs.
const MOST_TURNS: usize = 64;

/// A run.
pub(super) struct Drive {
    chain: Chain,
    session: Session,
    source: Option<Box<dyn Source>>,
    outlet: Outlet,
    works: Works,
    requests: Option<Requests>,
    answers: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    origin: Instant,
    /// The alarm, and for when it is set.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Timestamp>,
    ended: Option<Ended>,
    signals: Signals,
}

/// The session of the chain's service.
struct Session {
    call: Option<ActiveCall>,
    handle: Option<Handle>,
    settling: FuturesUnordered<Settling>,
    closed: Option<CloseReason>,
    /// Whether it was told that media is lost, until some is taken again.
    is_full: bool,
    /// Whether it was told that there is none.
    is_missed: bool,
}

impl Drive {
    pub(super) fn new(
        chain: Chain,
        call: Option<ActiveCall>,
        source: Option<Box<dyn Source>>,
        sink: Option<Box<dyn Sink>>,
        requests: Requests,
    ) -> Self {
        let handle = call.as_ref().map(|call| call.handle().clone());
        let settling = FuturesUnordered::new();
        let origin = Instant::now();
        Self {
            chain,
            session: Session { call, handle, settling, closed: None, is_full: false, is_missed: false },
            source,
            outlet: Outlet::new(sink),
            works: Works::default(),
            requests: Some(requests),
            answers: BTreeMap::new(),
            origin,
            alarm: Box::pin(sleep_until(origin)),
            alarm_at: None,
            ended: None,
            signals: Signals::new(),
        }
    }

    pub(super) async fn run(mut self) -> Finished {
        let now = self.now();
        self.chain.start(now);
        self.carry_out();
        let ended = poll_fn(|cx| self.poll(cx)).await;
        let losses = self.chain.losses();
        if losses != Losses::default() {
            tracing::info!(?losses, "the run is over, and lost some frames");
        }
        let closed = self.close().await;
        Finished { ended, closed, losses }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.signals.awake();
        for _ in 0..MOST_TURNS {
            // What comes in goes to the session in the same turn.
            self.poll_source();
            self.poll_requests();
            self.poll_works();
            self.poll_time();
            self.poll_call();
            self.poll_settled();
            self.poll_sink();
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(ended);
            }
            if self.signals.rest(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn now(&self) -> Timestamp {
        let since = self.origin.elapsed();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn poll_source(&mut self) {
        if !self.signals.source.take() {
            return;
        }
        let Some(source) = &mut self.source else { return };
        if let Poll::Ready(kind) = source.poll_next(&mut self.signals.source.context()) {
            self.signals.source.set();
            match kind {
                Some(kind) => self.input(Direction::Downstream, kind),
                None => self.source = None,
            }
        }
    }

    fn poll_requests(&mut self) {
        if !self.signals.requests.take() {
            return;
        }
        let Some(requests) = &mut self.requests else { return };
        let Poll::Ready(request) = requests.poll_recv(&mut self.signals.requests.context()) else { return };
        self.signals.requests.set();
        match request {
            None => self.requests = None,
            Some(Request::Frame(direction, kind)) => self.input(direction, kind),
            Some(Request::Intent(intent, to)) => {
                let now = self.now();
                let ticket = self.chain.ask(now, intent);
                self.answers.insert(ticket, to);
                self.carry_out();
            }
        }
    }

    fn poll_works(&mut self) {
        if !self.signals.works.take() {
            return;
        }
        if let Poll::Ready((work, done)) = self.works.poll(&mut self.signals.works.context()) {
            self.signals.works.set();
            let now = self.now();
            self.chain.handle_work(now, work, done);
            self.carry_out();
        }
    }

    fn poll_time(&mut self) {
        if !self.signals.time.take() || self.alarm_at.is_none() {
            return;
        }
        if self.alarm.as_mut().poll(&mut self.signals.time.context()).is_ready() {
            self.alarm_at = None;
            let now = self.now();
            if self.chain.poll_timeout().is_some_and(|due| due <= now) {
                self.chain.handle_timeout(now);
            }
            self.carry_out();
        }
    }

    fn poll_call(&mut self) {
        if !self.signals.call.take() {
            return;
        }
        let Some(call) = &mut self.session.call else { return };
        let Poll::Ready(event) = Pin::new(call).poll_next(&mut self.signals.call.context()) else { return };
        self.signals.call.set();
        match event {
            None => self.session.call = None,
            // Answers come to who asked.
            Some(Event::Settled { .. }) => {}
            Some(event) => {
                if let Event::Closed { reason } = &event {
                    self.session.closed = Some(reason.clone());
                }
                self.event(event);
            }
        }
    }

    fn poll_settled(&mut self) {
        if !self.signals.settled.take() {
            return;
        }
        let settling = Pin::new(&mut self.session.settling);
        if let Poll::Ready(Some((id, outcome))) = settling.poll_next(&mut self.signals.settled.context()) {
            self.signals.settled.set();
            self.event(Event::Settled { id, outcome });
        }
    }

    fn poll_sink(&mut self) {
        if !self.signals.sink.take() {
            return;
        }
        let Some(told) = self.outlet.poll(&mut self.signals.sink.context()) else { return };
        self.signals.sink.set();
        match told {
            Ok(report) => self.input(Direction::Upstream, FrameKind::Sink(report)),
            Err(fault) => {
                // Nobody hears what comes.
                let reason = Arc::clone(&fault.message);
                self.input(Direction::Upstream, FrameKind::Fault(fault));
                self.input(Direction::Downstream, FrameKind::Cancel { reason });
            }
        }
    }

    fn input(&mut self, direction: Direction, kind: FrameKind) {
        let now = self.now();
        self.chain.handle_input(now, direction, kind);
        self.carry_out();
    }

    fn event(&mut self, event: Event) {
        let now = self.now();
        self.chain.handle_event(now, &Arc::new(event));
        self.carry_out();
    }

    /// Gives each output of the chain its effect.
    fn carry_out(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(Direction::Downstream, frame) => {
                    if let FrameKind::PhoneRequest(request) = frame.kind()
                        && self.answers_itself(request)
                    {
                        continue;
                    }
                    self.outlet.push(frame);
                    self.signals.sink.set();
                }
                Output::Frame(Direction::Upstream, frame) => {
                    if let Some(source) = &mut self.source {
                        source.notify(frame.kind());
                    }
                }
                Output::Command(id, command) => self.command(id, command),
                Output::Media(media) => self.media(media),
                Output::Spawn(work, future) => {
                    self.works.spawn(work, future);
                    self.signals.works.set();
                }
                Output::SpawnBlocking(work, act) => {
                    self.works.spawn_blocking(work, act);
                    self.signals.works.set();
                }
                Output::Drop(work) => self.works.drop_work(work),
                Output::Answer(ticket, answer) => {
                    if let Some(to) = self.answers.remove(&ticket) {
                        // Who asked may have gone.
                        let _ = to.send(answer);
                    }
                }
                Output::Fault(fault) => {
                    tracing::warn!(stage = &*fault.stage, category = ?fault.category, "{}", fault.message);
                }
                Output::Ended(ended) => self.ended = Some(ended),
            }
        }
        self.set_alarm();
    }

    /// Hangs up, and refuses what the transport can't do. Returns whether the request is answered.
    fn answers_itself(&mut self, request: &PhoneRequest) -> bool {
        let hangs_up = request.action == PhoneAction::HangUp;
        let done = match self.outlet.refuses_phone_requests() {
            _ if hangs_up => Ok(()),
            Some(reason) => Err(reason),
            None => return false,
        };
        let (now, answer) = (self.now(), FrameKind::PhoneAnswer(request.answer(done)));
        self.chain.handle_input(now, Direction::Downstream, answer);
        if hangs_up {
            // The end of the run ends the call.
            let reason = "the agent hung up".into();
            self.chain.handle_input(now, Direction::Downstream, FrameKind::End { reason });
        }
        true
    }

    /// Sets the alarm for what is due next. If that moves away the alarm stays: one needless turn costs less
    /// than moving it.
    fn set_alarm(&mut self) {
        let Some(due) = self.chain.poll_timeout() else { return };
        if self.alarm_at.is_none_or(|at| due < at) {
            self.alarm.as_mut().reset(self.origin + Duration::from_micros(due.as_micros()));
            self.alarm_at = Some(due);
            self.signals.time.set();
        }
    }

    fn command(&mut self, id: CommandId, command: Command) {
        let outcome = match self.session.handle.as_ref().map(|handle| handle.send(command)) {
            Some(Ok(pending)) => {
                self.session.settling.push(Settling::new(id, pending));
                return self.signals.settled.set();
            }
            Some(Err(error)) => settled::not_sent(error),
            None => {
                self.miss_session();
                settled::ended(None)
            }
        };
        let now = self.now();
        self.chain.handle_event(now, &Arc::new(Event::Settled { id, outcome }));
    }

    fn media(&mut self, media: Media) {
        let Some(handle) = &self.session.handle else { return self.miss_session() };
        match handle.media(media) {
            Ok(()) => self.session.is_full = false,
            // The run ends.
            Err(SendError::Closed { .. }) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.session.is_full, true) {
                    let message = format!("audio is lost: {error}").into();
                    self.fault(Category::Overflow, message, Some(Arc::new(error)));
                }
            }
        }
    }

    /// The chain has something for a session, and the task was given none.
    fn miss_session(&mut self) {
        if !std::mem::replace(&mut self.session.is_missed, true) {
            let message =
                "the chain speaks to a session, and there is none: give the service to `Task::service`";
            self.fault(Category::Application, message.into(), None);
        }
    }

    /// The service's session has a fault.
    fn fault(&mut self, category: Category, message: Arc<str>, cause: Option<Arc<dyn Error + Send + Sync>>) {
        let fault = Fault { stage: crate::service::NAME.into(), category, message, cause };
        let now = self.now();
        self.chain.handle_input(now, Direction::Upstream, FrameKind::Fault(Arc::new(fault)));
    }

    /// Closes the sink and the session, within a limit.
    async fn close(mut self) -> Option<CloseReason> {
        drop((self.works, self.source.take(), self.requests.take()));
        let Session { call, handle, closed, .. } = &mut self.session;
        let (outlet, mut call) = (&mut self.outlet, call.take());
        let handle = handle.take();
        let session = async {
            if let Some(handle) = handle {
                // It may have ended already.
                let _ = handle.send(Command::Close {});
            }
            while let Some(open) = &mut call {
                match open.next().await {
                    None => call = None,
                    Some(Event::Closed { reason }) => *closed = Some(reason),
                    Some(_) => {}
                }
            }
        };
        let both = async { tokio::join!(session, outlet.close()) };
        if timeout(CLOSE_LIMIT, both).await.is_err() {
            tracing::warn!("the sink or the session did not close within {} s", CLOSE_LIMIT.as_secs());
        }
        self.session.closed
    }
}
