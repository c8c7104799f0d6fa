//! A call whose audio goes past this side: [`SideChannel`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use realtime_client::Rest;
use tokio::sync::mpsc;

use crate::chain::{ClearId, FrameKind, PhoneAction, PhoneAnswer, PhoneRequest, SinkReport};
use crate::edges::{Discard, EdgeError, Sink, Source, Transport};

/// Requests that wait.
const WAITING: usize = 8;
/// What both ends are called.
const NAME: &str = "side_channel";

/// The other end of a call that the model's server holds by SIP, and that an agent joins by the call's id: no
/// audio comes or goes here. A transfer is asked of the server, which hands the caller's line on
/// (`POST /v1/realtime/calls/{call_id}/refer`); it can't press keys.
///
/// The client must attach ([`Begin::Attach`]) and leave the playback to the server
/// ([`PlaybackSource::Server`]). Once the run is over, hang up by [`Rest::hang_up_call`].
///
/// [`Begin::Attach`]: realtime_protocol::session::Begin::Attach
/// [`PlaybackSource::Server`]: realtime_protocol::session::PlaybackSource::Server
#[derive(Clone, Debug)]
pub struct SideChannel {
    rest: Rest,
    call_id: String,
}

impl SideChannel {
    /// The call of this id, at this server.
    pub fn new(rest: Rest, call_id: impl Into<String>) -> Self {
        Self { rest, call_id: call_id.into() }
    }

    async fn carry_out(self, request: PhoneRequest) -> PhoneAnswer {
        let done: Result<(), Arc<str>> = match &request.action {
            PhoneAction::Transfer { to } => match line(to) {
                Some(line) => {
                    let referred = self.rest.refer_call(&self.call_id, &line).await;
                    referred.map_err(|error| format!("the call was not handed on: {error}").into())
                }
                None => Err("expected a number such as +15550100001, or an address `sip:…`".into()),
            },
            _ => Err("the model's server can't do this with a call".into()),
        };
        request.answer(done)
    }
}

/// A place as SIP names it. `None`: it is neither a number nor an address of a line.
fn line(to: &str) -> Option<String> {
    if ["tel:", "sip:", "sips:"].iter().any(|scheme| to.starts_with(scheme)) {
        return Some(to.to_owned());
    }
    let digits = to.strip_prefix('+').unwrap_or(to);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("tel:{to}"))
}

impl Transport for SideChannel {
    fn split(self) -> (Box<dyn Source>, Box<dyn Sink>) {
        let (asked, asks) = mpsc::channel(WAITING);
        let source = Asked { channel: self, asks, running: None };
        (Box::new(source), Box::new(Asking { asked, discard: Discard::new() }))
    }
}

/// Carries requests out, one after the other.
struct Asked {
    channel: SideChannel,
    asks: mpsc::Receiver<PhoneRequest>,
    running: Option<Pin<Box<dyn Future<Output = PhoneAnswer> + Send>>>,
}

impl Source for Asked {
    fn name(&self) -> &str {
        NAME
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        loop {
            if let Some(running) = &mut self.running {
                let answer = ready!(running.as_mut().poll(cx));
                self.running = None;
                return Poll::Ready(Some(FrameKind::PhoneAnswer(answer)));
            }
            match ready!(self.asks.poll_recv(cx)) {
                Some(request) => self.running = Some(Box::pin(self.channel.clone().carry_out(request))),
                // Nobody asks any more; there never was any input.
                None => return Poll::Pending,
            }
        }
    }
}

/// Hands requests on, and drops the rest.
struct Asking {
    asked: mpsc::Sender<PhoneRequest>,
    discard: Discard,
}

impl Sink for Asking {
    fn name(&self) -> &str {
        NAME
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.discard.poll_ready(cx)
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        match frame {
            FrameKind::PhoneRequest(request) => self.asked.try_send(request.clone()).map_err(|_| {
                EdgeError::new(NAME, format!("expected at most {WAITING} requests to wait for the server"))
            }),
            frame => self.discard.send(frame),
        }
    }

    fn takes_phone_requests(&self) -> bool {
        true
    }

    fn clear(&mut self, id: ClearId) {
        self.discard.clear(id);
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        self.discard.poll_report(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.discard.poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_as_sip_names_it() {
        assert_eq!(line("+15550100001").as_deref(), Some("tel:+15550100001"));
        assert_eq!(line("110").as_deref(), Some("tel:110"));
        assert_eq!(line("sip:desk@example.com").as_deref(), Some("sip:desk@example.com"));
        for wrong in ["", "+", "https://example.com/to.xml", "+1 555"] {
            assert_eq!(line(wrong), None, "{wrong}");
        }
    }
}
