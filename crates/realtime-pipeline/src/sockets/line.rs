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

/// Messages that wait for the socket, in bytes: beyond, no more audio is taken.
const ROOM: usize = 64 * 1024;

/// Messages that wait for the socket, in bytes, at the very most: a peer that reads nothing is gone.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// A line that is shared by a source and a sink of one task, and by who attaches another socket.
pub(super) type Shared<P> = Arc<Mutex<Line<P>>>;

/// A socket, the protocol on it, and what waits between them and the call.
pub(super) struct Line<P> {
    pub(super) protocol: P,
    socket: Option<Box<dyn Socket>>,
    /// What closed or lost the last socket.
    pub(super) lost: Option<SocketError>,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Timestamp>,
    inputs: VecDeque<FrameKind>,
    reports: VecDeque<SinkReport>,
    messages: VecDeque<SocketMessage>,
    /// Bytes in `messages`.
    waiting: usize,
    /// Whether the socket is closed once `messages` are sent.
    closes: bool,
    /// Whether the call was told to wait until there is room.
    is_full: bool,
    /// Who reads, and who writes.
    source: Option<Waker>,
    sink: Option<Waker>,
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
            socket: None,
            lost: None,
            origin,
            timer: Box::pin(sleep_until(origin)),
            timer_at: None,
            inputs: VecDeque::new(),
            reports: VecDeque::new(),
            messages: VecDeque::new(),
            waiting: 0,
            closes: false,
            is_full: false,
            source: None,
            sink: None,
        };
        line.attach(socket);
        line
    }

    /// Goes on over another socket. What waited for the old one is dropped with it.
    pub(super) fn attach(&mut self, socket: Box<dyn Socket>) {
        if self.socket.is_some() {
            self.lose(None);
        }
        self.socket = Some(socket);
        (self.lost, self.closes) = (None, false);
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
        loop {
            if let Some(frame) = self.inputs.pop_front() {
                return Poll::Ready(Some(frame));
            }
            if self.protocol.is_over() {
                return Poll::Ready(None);
            }
            if self.poll_read(cx).is_pending() {
                self.source = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Does one thing that is due: a time, or a message. Pending: nothing is.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_time(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(socket) = &mut self.socket else { return Poll::Pending };
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
        let Some(due) = self.protocol.poll_timeout() else { return Poll::Pending };
        if self.timer_at != Some(due) {
            self.timer.as_mut().reset(self.origin + Duration::from_micros(due.as_micros()));
            self.timer_at = Some(due);
        }
        std::task::ready!(self.timer.as_mut().poll(cx));
        self.timer_at = None;
        // The clock of the runtime counts whole milliseconds.
        let now = self.now().max(due);
        self.protocol.handle_timeout(now);
        self.collect();
        Poll::Ready(())
    }

    /// Gives the protocol something of the call, and does what follows.
    pub(super) fn tell<T>(&mut self, act: impl FnOnce(&mut P, Timestamp) -> T) -> T {
        let now = self.now();
        let told = act(&mut self.protocol, now);
        self.collect();
        // Who reads keeps the time too.
        if self.timer_at != self.protocol.poll_timeout() {
            wake(&mut self.source);
        }
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

    /// Writes what waits, and closes the socket if it is to be closed. Ready: all is written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(()) };
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
        let closed = match written {
            Ok(()) if self.closes => std::task::ready!(socket.poll_close(cx)),
            written => written,
        };
        if let Err(error) = closed {
            self.lose(Some(error));
            self.collect();
        } else if self.closes {
            self.socket = None;
        }
        Poll::Ready(())
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

    /// Frames for the chain are of no use any more.
    pub(super) fn drop_inputs(&mut self) {
        self.inputs.clear();
    }

    /// The socket is of no use any more.
    fn lose(&mut self, why: Option<SocketError>) {
        self.socket = None;
        self.messages.clear();
        self.waiting = 0;
        self.lost = why;
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
                // There is nobody to send it to.
                MediaOutput::Send(_) if self.socket.is_none() => {}
                MediaOutput::Send(message) => {
                    self.waiting += message.len();
                    self.messages.push_back(message);
                    writes = true;
                    if self.waiting > MOST_WAITING {
                        let error = format!("it reads nothing, and {MOST_WAITING} bytes wait for it");
                        self.lose(Some(Arc::new(std::io::Error::other(error))));
                    }
                }
                MediaOutput::Close => {
                    self.closes = true;
                    writes = true;
                }
            }
        }
        if reads || self.protocol.is_over() {
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
