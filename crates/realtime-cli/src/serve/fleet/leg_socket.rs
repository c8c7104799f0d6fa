//! The owner's side of a leg: [`LegSocket`], a carrier's socket that another process has.
//!
//! The rules kept here: a socket that breaks is dialled again, and the pipeline notices nothing but silence.
//! A close frame with status 1000 says that the call is over, so one goes out only while the call may be
//! acted for; who has lost the call goes without a word.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use realtime_fleet::LegToken;
use realtime_fleet::drive::ServedCall;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::serve::fleet::leg::REPLACED;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a leg is dialled, until it counts as lost. It waits longer for an owner.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long until it is dialled again.
const AGAIN: Duration = Duration::from_millis(250);
/// The longest message of a carrier (bytes).
const LONGEST: usize = 64 * 1024;
/// How far a socket reads ahead (bytes): messages are short.
const READ_AHEAD: usize = 4 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// Where a leg is, and what is said there.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) url: String,
    pub(super) token: LegToken,
    pub(super) epoch: u64,
    /// Whether the call moves here, and is another's still.
    pub(super) is_next: bool,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLeg {
    #[error("expected the address of a leg, got another one")]
    Address,
    #[error("the caller has gone: the leg knows no such call")]
    Gone,
    #[error("the leg says that another owner has the call")]
    Another,
    #[error("the leg can't be reached: its process, and the caller with it, are lost")]
    Unreachable(#[source] Option<Box<Error>>),
}

/// A carrier's socket that a leg has.
pub(super) struct LegSocket {
    way: Way,
    call: ServedCall,
    stopped: BoxFuture<'static, ()>,
    state: State,
    ended: Ended,
}

/// Whether the leg knows that the call is over. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

enum State {
    Open(Box<Socket>),
    Dialling(BoxFuture<'static, Result<Socket, NoLeg>>),
    Gone,
}

impl Way {
    /// Dials until there is a socket, or none to be had.
    ///
    /// # Errors
    /// [`NoLeg`].
    async fn dial(self) -> Result<Socket, NoLeg> {
        let until = Instant::now() + PATIENCE;
        loop {
            let failed = match timeout(ATTEMPT, self.attempt()).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error @ (NoLeg::Gone | NoLeg::Address))) => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => NoLeg::Unreachable(None),
            };
            if Instant::now() >= until {
                return Err(failed);
            }
            sleep(AGAIN).await;
        }
    }

    async fn attempt(&self) -> Result<Socket, NoLeg> {
        let unreachable = |error: Error| NoLeg::Unreachable(Some(Box::new(error)));
        let next = if self.is_next { "&next=true" } else { "" };
        let url = format!("{}?epoch={}{next}", self.url, self.epoch);
        let mut request = url.into_client_request().map_err(|_| NoLeg::Address)?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", self.token.expose())).map_err(|_| NoLeg::Address)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let uri = request.uri();
        let (Some("ws"), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(NoLeg::Address) };
        let (host, port) = (host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(80));
        let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable(error.into()))?;
        let _ = stream.set_nodelay(true); // small messages must not wait for others
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = READ_AHEAD;
        (config.max_message_size, config.max_frame_size) = (Some(LONGEST), Some(LONGEST));
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) if answer.status().as_u16() == 404 => Err(NoLeg::Gone),
            Err(Error::Http(answer)) if answer.status().as_u16() == 409 => Err(NoLeg::Another),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Tells the leg that the call is over, if it does not know it.
    pub(super) async fn end(&self, ended: &Ended) {
        if ended.0.load(Ordering::Acquire) {
            return;
        }
        if let Ok(Ok(mut socket)) = timeout(ATTEMPT, self.attempt()).await {
            let _ = timeout(ATTEMPT, socket.close(Some(normal()))).await; // it ends the call by itself later
            let _ = timeout(ATTEMPT, socket.next()).await; // the leg's own goodbye
        }
    }
}

impl LegSocket {
    /// Dials the leg of a call.
    ///
    /// # Errors
    /// [`NoLeg`].
    pub(super) async fn dial(way: Way, call: &ServedCall, ended: Ended) -> Result<Self, NoLeg> {
        let socket = way.clone().dial().await?;
        let stopped = call.clone();
        let stopped = async move { stopped.stopped().await }.boxed();
        Ok(Self { way, call: call.clone(), stopped, state: State::Open(Box::new(socket)), ended })
    }

    /// The socket is lost, and the call is not.
    fn dial_again(&mut self, cx: &Context<'_>) {
        let way = Way { is_next: self.way.is_next && !self.call.may_act(), ..self.way.clone() };
        self.state = State::Dialling(way.dial().boxed());
        cx.waker().wake_by_ref(); // who reads dials
    }

    fn is_over(&mut self) {
        self.ended.0.store(true, Ordering::Release);
        self.state = State::Gone;
    }

    /// What becomes of an answer of the socket.
    fn written<T: Default>(
        &mut self,
        cx: &Context<'_>,
        polled: Poll<Result<T, Error>>,
    ) -> Poll<Result<T, Error>> {
        match polled {
            Poll::Ready(Err(_)) => {
                self.dial_again(cx);
                Poll::Ready(Ok(T::default()))
            }
            polled => polled,
        }
    }
}

impl Stream for LegSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if !matches!(self.state, State::Gone) && self.stopped.poll_unpin(cx).is_ready() {
                // Another worker has the call. Its socket is not this one's business.
                self.state = State::Gone;
            }
            match &mut self.state {
                State::Gone => return Poll::Ready(None),
                State::Dialling(dial) => match ready!(dial.poll_unpin(cx)) {
                    Ok(socket) => self.state = State::Open(Box::new(socket)),
                    Err(NoLeg::Gone) => self.is_over(),
                    Err(error) => {
                        tracing::warn!("a call's leg is lost: {}", crate::one_line(&error));
                        self.state = State::Gone;
                    }
                },
                State::Open(socket) => match ready!(socket.poll_next_unpin(cx)) {
                    Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => {
                        self.is_over()
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let is_replaced = frame.is_some_and(|frame| u16::from(frame.code) == REPLACED);
                        tracing::info!(is_replaced, "the leg closed a call's socket");
                        self.dial_again(cx);
                    }
                    Some(Ok(message)) => return Poll::Ready(Some(Ok(message))),
                    Some(Err(_)) | None => self.dial_again(cx),
                },
            }
        }
    }
}

/// While there is no socket, what is said is lost.
impl Sink<Message> for LegSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let State::Open(socket) = &mut self.state else { return Poll::Ready(Ok(())) };
        let polled = socket.poll_ready_unpin(cx);
        self.written(cx, polled)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let may_end = self.call.may_act();
        let State::Open(socket) = &mut self.state else { return Ok(()) };
        if matches!(message, Message::Close(_)) {
            if may_end {
                let _ = socket.start_send_unpin(message); // one that is lost is told of by who reads
                self.ended.0.store(true, Ordering::Release);
            } else {
                self.state = State::Gone;
            }
            return Ok(());
        }
        let _ = socket.start_send_unpin(message); // the same
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let State::Open(socket) = &mut self.state else { return Poll::Ready(Ok(())) };
        let polled = socket.poll_flush_unpin(cx);
        match self.ended.0.load(Ordering::Acquire) {
            true => polled.map(|_| Ok(())),
            false => self.written(cx, polled),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &mut self.state {
            State::Open(socket) => socket.poll_close_unpin(cx).map(|_| Ok(())),
            State::Dialling(_) | State::Gone => Poll::Ready(Ok(())),
        }
    }
}

fn normal() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}
