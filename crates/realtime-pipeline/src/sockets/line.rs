//! One media socket and what is said on it, as both edges of a call share them: [`Line`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::chain::{FrameKind, SinkReport};
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};
use crate::sockets::socket::{Socket, SocketError};
use crate::sockets::works::Works;

/// Messages that wait for the socket, in bytes: beyond, no more audio is taken.
pub(super) const ROOM: usize = 64 * 1024;

/// Messages that wait for the socket, in bytes, at the very most: a peer that reads nothing is gone.
pub(super) const MOST_WAITING: usize = 4 * 1024 * 1024;

/// How long the other end may take to close the socket after we have. What it has not read by then is lost.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// The most things that are done before other tasks of the runtime have their turns.
const MOST_AT_ONCE: usize = 64;

/// A line that is shared by a source and a sink of one task, and by who attaches another socket.
pub(super) type Shared<P> = Arc<Mutex<Line<P>>>;

/// A socket, the protocol on it, and what waits between them and the call.
pub(super) struct Line<P> {
    pub(super) protocol: P,
    end: End,
    /// What lost the last socket.
    pub(super) lost: Option<SocketError>,
    /// How long the other end has to go.
    goodbye: Option<Pin<Box<Sleep>>>,
    origin: Instant,
    works: Works,
    /// The alarm, and for when it is set.
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Timestamp>,
    inputs: VecDeque<FrameKind>,
    reports: VecDeque<SinkReport>,
    messages: VecDeque<SocketMessage>,
    /// Bytes in `messages`.
    waiting: usize,
    /// Whether the call was told to wait until there is room.
    is_full: bool,
    /// Whether it was logged what came wrong.
    has_told: bool,
    /// Who reads, and who writes.
    source: Option<Waker>,
    sink: Option<Waker>,
}

/// The other end.
enum End {
    Open(Box<dyn Socket>),
    /// It is told to go once the messages are written that wait.
    Closing(Box<dyn Socket>),
    /// It was told. What it says until it has gone is not heard.
    Leaving(Box<dyn Socket>),
    Gone,
}

/// The line, locked for one step. Nothing waits while it is.
pub(super) fn lock<P>(shared: &Shared<P>) -> MutexGuard<'_, Line<P>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: MediaProtocol> Line<P> {
    pub(super) fn new(socket: Box<dyn Socket>, protocol: P) -> Self {
        let origin = Instant::now();
        let mut line = Self {
            protocol,
            end: End::Open(socket),
            lost: None,
            goodbye: None,
            origin,
            works: Works::default(),
            timer: Box::pin(sleep_until(origin)),
            timer_at: None,
            inputs: VecDeque::new(),
            reports: VecDeque::new(),
            messages: VecDeque::new(),
            waiting: 0,
            is_full: false,
            has_told: false,
            source: None,
            sink: None,
        };
        line.protocol.handle_opened(Timestamp::ZERO);
        line.collect();
        line
    }

    /// Ends the socket that stands. Returns whether another one may take its place.
    pub(super) fn detach(&mut self) -> bool {
        if !matches!(self.end, End::Gone) && !self.protocol.is_over() {
            self.lose(None);
            self.collect();
        }
        !self.protocol.is_over()
    }

    /// Goes on over another socket.
    pub(super) fn attach(&mut self, socket: Box<dyn Socket>) {
        (self.end, self.lost, self.goodbye) = (End::Open(socket), None, None);
        let now = self.now();
        self.protocol.handle_opened(now);
        self.collect();
        wake(&mut self.source);
        wake(&mut self.sink);
    }

    pub(super) fn now(&self) -> Timestamp {
        let since = self.origin.elapsed();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Reads and keeps time until there is a frame for the chain. `None`: nothing follows.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        let has_input = |line: &Self| !line.inputs.is_empty() || line.protocol.is_over();
        std::task::ready!(self.poll_read_until(cx, has_input));
        Poll::Ready(self.inputs.pop_front())
    }

    /// Reads and keeps time until this holds.
    pub(super) fn poll_read_until(
        &mut self,
        cx: &mut Context<'_>,
        holds: impl Fn(&Self) -> bool,
    ) -> Poll<()> {
        for _ in 0..MOST_AT_ONCE {
            if holds(self) {
                return Poll::Ready(());
            }
            if self.poll_read(cx).is_pending() {
                self.source = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does one thing that is due: a time, the end of work, or a message. Pending: nothing is.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_time(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Poll::Ready((id, done)) = self.works.poll(cx) {
            let now = self.now();
            self.protocol.handle_work(now, id, done);
            self.collect();
            return Poll::Ready(());
        }
        let (End::Open(socket) | End::Closing(socket)) = &mut self.end else { return Poll::Pending };
        let message = std::task::ready!(socket.poll_recv(cx));
        let now = self.now();
        match message {
            Some(Ok(SocketMessage::Text(text))) => self.protocol.handle_text(now, &text),
            Some(Ok(SocketMessage::Binary(bytes))) => self.protocol.handle_binary(now, bytes),
            Some(Err(error)) => self.lose(Some(error)),
            None => self.lose(None),
        }
        self.collect();
        Poll::Ready(())
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(due) = self.protocol.poll_timeout() else { return Poll::Pending };
            if self.comes_before_the_alarm(due) {
                self.timer.as_mut().reset(self.origin + Duration::from_micros(due.as_micros()));
                self.timer_at = Some(due);
            }
            std::task::ready!(self.timer.as_mut().poll(cx));
            // It may have been set for what is due later now.
            if self.timer_at.take().is_some_and(|at| at >= due) || self.now() >= due {
                // The clock of the runtime counts whole milliseconds.
                let now = self.now().max(due);
                self.protocol.handle_timeout(now);
                self.collect();
                return Poll::Ready(());
            }
        }
    }

    /// Returns whether the alarm must be set anew. If what is due moves away it stays: one needless turn
    /// costs less than moving it with each frame.
    fn comes_before_the_alarm(&self, due: Timestamp) -> bool {
        self.timer_at.is_none_or(|at| due < at)
    }

    /// Gives the protocol something of the call, and does what follows.
    pub(super) fn tell<T>(&mut self, act: impl FnOnce(&mut P, Timestamp) -> T) -> T {
        let now = self.now();
        let told = act(&mut self.protocol, now);
        self.collect();
        told
    }

    /// What became of audio.
    pub(super) fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(report);
        }
        // Writes what it can. The end of the socket is told by who reads.
        let _ = self.poll_write(cx);
        self.sink = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Writes what waits, and sees the other end off if the protocol wants it closed. Ready: nothing waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.poll_messages(cx);
        match &self.end {
            End::Open(_) | End::Gone => written,
            End::Closing(_) | End::Leaving(_) => self.poll_leave(cx, written),
        }
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (End::Open(socket) | End::Closing(socket)) = &mut self.end else { return Poll::Ready(()) };
        let written = loop {
            if self.messages.is_empty() {
                break std::task::ready!(socket.poll_flush(cx));
            }
            if let Err(error) = std::task::ready!(socket.poll_ready(cx)) {
                break Err(error);
            }
            let Some(message) = self.messages.pop_front() else { continue };
            self.waiting -= message.len();
            if let Err(error) = socket.send(message) {
                break Err(error);
            }
        };
        if let Err(error) = written {
            self.lose(Some(error));
            self.collect();
        }
        Poll::Ready(())
    }

    /// Closes the socket once all is written, and waits for the other end to do the same, within a limit.
    fn poll_leave(&mut self, cx: &mut Context<'_>, written: Poll<()>) -> Poll<()> {
        let until = || Box::pin(sleep_until(Instant::now() + GOODBYE));
        let is_late = self.goodbye.get_or_insert_with(until).as_mut().poll(cx).is_ready();
        if !is_late {
            std::task::ready!(written);
            std::task::ready!(self.poll_goodbye(cx));
        }
        self.lose(self.lost.clone());
        self.collect();
        Poll::Ready(())
    }

    /// Says goodbye, and reads until the other end has gone: a socket that is dropped with something unread
    /// takes along what the other end has not read.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let End::Closing(socket) = &mut self.end {
            if let Err(error) = std::task::ready!(socket.poll_close(cx)) {
                self.lost = Some(error);
                return Poll::Ready(());
            }
            if let End::Closing(socket) = std::mem::replace(&mut self.end, End::Gone) {
                self.end = End::Leaving(socket);
            }
        }
        let End::Leaving(socket) = &mut self.end else { return Poll::Ready(()) };
        for _ in 0..MOST_AT_ONCE {
            match std::task::ready!(socket.poll_recv(cx)) {
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until the protocol is over, and what it said last is written. What comes is not heard.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = self.poll_read_until(cx, |line| line.protocol.is_over());
        self.inputs.clear();
        let written = self.poll_write(cx);
        std::task::ready!(over);
        written
    }

    /// Logs what came wrong, once.
    pub(super) fn tell_oddities(&mut self) {
        if !std::mem::replace(&mut self.has_told, true)
            && let Some(oddities) = self.protocol.oddities()
        {
            tracing::info!(transport = self.protocol.name(), "of the call that is over: {oddities}");
        }
    }

    /// Waits for what makes room: the socket takes more, or the other end tells something.
    pub(super) fn wait_for_room<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.is_full = true;
        self.sink = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns whether more audio has room.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < ROOM && self.protocol.has_room()
    }

    /// The socket is of no use any more.
    fn lose(&mut self, why: Option<SocketError>) {
        self.end = End::Gone;
        self.messages.clear();
        (self.waiting, self.lost, self.goodbye) = (0, why, None);
        let now = self.now();
        self.protocol.handle_closed(now);
    }

    /// Hands on what the protocol has for each side, and wakes that side.
    fn collect(&mut self) {
        let (mut reads, mut writes) = (false, false);
        while let Some(output) = self.protocol.poll_output() {
            match output {
                MediaOutput::Input(frame) => {
                    self.inputs.push_back(frame);
                    reads = true;
                }
                MediaOutput::Report(report) => {
                    self.reports.push_back(report);
                    writes = true;
                }
                MediaOutput::Send(message) => {
                    // Else there is nobody to send it to.
                    if let End::Open(_) = &self.end {
                        self.waiting += message.len();
                        self.messages.push_back(message);
                        writes = true;
                    }
                    if self.waiting > MOST_WAITING {
                        let error = format!("it reads nothing, and {MOST_WAITING} bytes wait for it");
                        self.lose(Some(Arc::new(std::io::Error::other(error))));
                    }
                }
                MediaOutput::Work(work) => {
                    self.works.spawn(work);
                    reads = true;
                }
                MediaOutput::Close => {
                    self.end = match std::mem::replace(&mut self.end, End::Gone) {
                        End::Open(socket) => End::Closing(socket),
                        other => other,
                    };
                    writes = true;
                }
            }
        }
        // Who reads keeps the time too.
        let is_sooner = || self.protocol.poll_timeout().is_some_and(|due| self.comes_before_the_alarm(due));
        if reads || self.protocol.is_over() || is_sooner() {
            wake(&mut self.source);
        }
        if writes || (self.is_full && self.has_room()) {
            self.is_full = false;
            wake(&mut self.sink);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
