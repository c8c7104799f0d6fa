//! A WebSocket in memory: [`PipeSocket`] is the call's end of it, and a test holds the other one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};

use crate::media::SocketMessage;
use crate::sockets::WebSocketMessage;

/// The call's end.
pub(super) struct PipeSocket(Arc<Mutex<State>>);

/// The other end.
#[derive(Clone)]
pub(super) struct Peer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    to_call: VecDeque<Result<PipeMessage, io::Error>>,
    from_call: VecDeque<PipeMessage>,
    /// Whether nothing follows from the peer.
    is_closed: bool,
    /// Whether the call has closed its end, and whether that end is dropped.
    call_closed: bool,
    call_gone: bool,
    /// Whether the peer takes nothing.
    is_stalled: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A message of this library.
pub(super) struct PipeMessage(pub(super) SocketMessage);

impl WebSocketMessage for PipeMessage {
    fn into_content(self) -> Option<SocketMessage> {
        Some(self.0)
    }

    fn from_content(content: SocketMessage) -> Self {
        Self(content)
    }
}

pub(super) fn pipe() -> (PipeSocket, Peer) {
    let state = Arc::new(Mutex::new(State::default()));
    (PipeSocket(Arc::clone(&state)), Peer(state))
}

impl Peer {
    pub(super) fn say(&self, text: &str) {
        self.give(Ok(PipeMessage(SocketMessage::Text(text.to_owned()))));
    }

    pub(super) fn say_bytes(&self, bytes: Vec<u8>) {
        self.give(Ok(PipeMessage(SocketMessage::Binary(bytes.into()))));
    }

    /// The connection is lost.
    pub(super) fn cut(&self) {
        self.give(Err(io::ErrorKind::ConnectionReset.into()));
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.wake_reader();
    }

    /// Reads nothing, or reads again.
    pub(super) fn stall(&self, is_stalled: bool) {
        let mut state = self.state();
        state.is_stalled = is_stalled;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }

    /// What has come, each as its text or its length.
    pub(super) fn heard(&self) -> Vec<String> {
        let show = |message: PipeMessage| match message.0 {
            SocketMessage::Text(text) => text,
            SocketMessage::Binary(bytes) => format!("{} bytes", bytes.len()),
        };
        self.state().from_call.drain(..).map(show).collect()
    }

    pub(super) fn is_told_to_go(&self) -> bool {
        self.state().call_closed
    }

    pub(super) fn is_alone(&self) -> bool {
        self.state().call_gone
    }

    pub(super) fn unread(&self) -> usize {
        self.state().to_call.len()
    }

    fn give(&self, message: Result<PipeMessage, io::Error>) {
        self.state().to_call.push_back(message);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        let reader = self.state().reader.take();
        reader.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Stream for PipeSocket {
    type Item = Result<PipeMessage, io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock().unwrap();
        if let Some(message) = state.to_call.pop_front() {
            return Poll::Ready(Some(message));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<PipeMessage> for PipeSocket {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.is_stalled {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: PipeMessage) -> io::Result<()> {
        self.0.lock().unwrap().from_call.push_back(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_ref().get_ref().poll_writable(cx))?;
        self.0.lock().unwrap().call_closed = true;
        Poll::Ready(Ok(()))
    }
}

impl PipeSocket {
    fn poll_writable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.is_stalled {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeSocket {
    fn drop(&mut self) {
        self.0.lock().unwrap().call_gone = true;
    }
}
