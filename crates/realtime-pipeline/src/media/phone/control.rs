//! What a call is asked for: on the socket if its carrier takes it there, else by a request.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use realtime_telephony::StreamError;
use realtime_telephony::rest::Transfer;

use crate::chain::{
    Category, Done, Fault, FrameKind, Keys, PhoneAction, PhoneAnswer, PhoneRequest, Ticket, WorkFailed,
    WorkValue,
};
use crate::media::phone::Phone;
use crate::media::phone::requests::{Asking, NoReply, RequestFailed, Requests};
use crate::media::{MediaOutput, MediaWork};

/// Requests that are under way, and what makes them.
#[derive(Debug, Default)]
pub(super) struct Control {
    requests: Option<Requests>,
    /// The parameter of the stream that names the call, where the carrier does not.
    id_parameter: Option<String>,
    open: BTreeMap<u64, Open>,
    last_id: u64,
    /// Whether somebody else has the call now.
    is_transferred: bool,
    /// Whether the call may go on although its socket is closed.
    pub(super) is_left_behind: bool,
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
struct Open {
    purpose: Purpose,
    until: Timestamp,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// The end of the run.
    HangUp,
    /// So many keys, for whoever pushed them.
    Keys(usize),
    /// Keys, for whoever asked.
    AskedKeys(Ticket),
    /// The call goes to somebody else.
    Transfer(Ticket),
}

/// Any request has this long. An answer that comes later is not heard.
const LONGEST: Duration = Duration::from_secs(15);
/// A request that hangs up has this long before the socket is closed all the same.
const HANG_UP: Duration = Duration::from_secs(2);

impl Phone {
    /// How the carrier is asked for what it does not do on the socket: to hang up where closing the socket
    /// does not ([`CarrierKind::closing_hangs_up`](realtime_telephony::CarrierKind::closing_hangs_up)), to
    /// transfer, and to send keys. Without it, each of these fails and says so.
    #[must_use]
    pub fn requests(mut self, requests: Requests) -> Self {
        self.control.requests = Some(requests);
        self
    }

    /// The parameter of the stream that has the call's id, for carriers that do not say it, such as Vonage.
    #[must_use]
    pub fn call_id_in(mut self, parameter: impl Into<String>) -> Self {
        self.control.id_parameter = Some(parameter.into());
        self
    }

    /// Sends keys on the socket, or by a request.
    pub(super) fn send_keys(&mut self, now: Timestamp, keys: &Keys) {
        let count = keys.as_str().len();
        let asked = match self.stream.send_digits(now, keys.as_str()) {
            // The caller has gone.
            Ok(()) | Err(StreamError::Ended) => return,
            Err(StreamError::NotOnSocket) => self.ask_keys(now, Purpose::Keys(count), keys.clone()),
            Err(error) => return self.fault_by(Category::Application, "keys were not sent", error),
        };
        if let Err(failed) = asked {
            self.keys_failed(count, failed);
        }
    }

    /// Does what a stage or the application asks for, and answers when it is done.
    pub(super) fn on_phone_request(&mut self, now: Timestamp, request: &PhoneRequest) {
        let ticket = request.ticket;
        if self.stream.is_over() {
            return self.answer(ticket, Err("the caller has gone".to_owned()));
        }
        let asked = match request.action.clone() {
            PhoneAction::SendKeys(keys) => match self.stream.send_digits(now, keys.as_str()) {
                Ok(()) => {
                    self.collect(now);
                    return self.answer(ticket, Ok(()));
                }
                Err(StreamError::NotOnSocket) => self.ask_keys(now, Purpose::AskedKeys(ticket), keys),
                Err(error) => return self.answer(ticket, Err(error.to_string())),
            },
            PhoneAction::Transfer { to } => {
                let is_document = to.starts_with("https://") || to.starts_with("http://");
                let to = if is_document { Transfer::Document } else { Transfer::Number }(to.to_string());
                self.ask(now, Purpose::Transfer(ticket), |requests, id| {
                    Box::pin(async move { requests.transfer(&id, &to).await })
                })
            }
            // The task hangs up, by the end of the run.
            PhoneAction::HangUp => return,
        };
        if let Err(failed) = asked {
            self.answer(ticket, Err(failed.to_string()));
        }
    }

    /// Hangs up: by a request if closing the socket does not.
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        self.hang_up_at = None;
        if self.control.is_transferred && !self.stream.is_over() {
            // To hang up would end the call for whoever has it now.
            self.outputs.push_back(MediaOutput::Close);
            return self.stream.handle_closed(now);
        }
        let is_enough = self.call.is_none() || self.stream.is_over() || self.stream.kind().closing_hangs_up();
        let is_asked = self.control.open.values().any(|open| open.purpose == Purpose::HangUp);
        if !is_enough && !is_asked {
            let hang_up = |requests: Requests, id: String| -> Asking {
                Box::pin(async move { requests.hang_up(&id).await })
            };
            if self.ask(now, Purpose::HangUp, hang_up).is_ok() {
                // The socket is closed when that is done, or does not come to an end.
                self.hang_up_at = Some(now + HANG_UP);
                return;
            }
        }
        self.control.is_left_behind |= !is_enough;
        self.close(now);
    }

    /// A request has ended.
    pub(super) fn request_ended(&mut self, now: Timestamp, id: u64, done: Done) {
        let Some(Open { purpose, .. }) = self.control.open.remove(&id) else { return };
        let done = match done.map(|value| value.downcast::<Result<(), RequestFailed>>()) {
            Ok(Ok(done)) => *done,
            Ok(Err(_)) => return,
            Err(WorkFailed::Panicked { message }) => Err(RequestFailed::Panicked(message.into())),
            Err(other) => Err(RequestFailed::Panicked(other.to_string().into())),
        };
        match (purpose, done) {
            (Purpose::Keys(_), Ok(())) => {}
            (Purpose::Keys(count), Err(failed)) => self.keys_failed(count, failed),
            (Purpose::AskedKeys(ticket), done) => {
                self.answer(ticket, done.map_err(|failed| failed.to_string()));
            }
            (Purpose::Transfer(ticket), done) => {
                self.control.is_transferred |= done.is_ok();
                self.answer(ticket, done.map_err(|failed| failed.to_string()));
            }
            (Purpose::HangUp, done) => {
                self.control.is_left_behind = done.is_err();
                self.hang_up_at = None;
                self.close(now);
            }
        }
    }

    /// What takes too long is given up.
    pub(super) fn expire_requests(&mut self, now: Timestamp) {
        let late = |(id, open): (&u64, &Open)| (open.until <= now).then_some(*id);
        let late: Vec<u64> = self.control.open.iter().filter_map(late).collect();
        for id in late {
            let why: NoReply = format!("it took over {} s", LONGEST.as_secs()).into();
            let failed: Result<(), _> = Err(RequestFailed::NoReply(why.into()));
            self.request_ended(now, id, Ok(Box::new(failed)));
        }
    }

    /// When a request takes too long.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.control.open.values().map(|open| open.until).min()
    }

    /// Ends the stream, if it is not over.
    fn close(&mut self, now: Timestamp) {
        let _ = self.stream.hang_up(now, &self.hang_up);
    }

    fn ask_keys(&mut self, now: Timestamp, purpose: Purpose, keys: Keys) -> Result<(), RequestFailed> {
        self.ask(now, purpose, |requests, id| {
            Box::pin(async move { requests.send_keys(&id, keys.as_str()).await })
        })
    }

    fn ask(
        &mut self,
        now: Timestamp,
        purpose: Purpose,
        request: impl FnOnce(Requests, String) -> Asking,
    ) -> Result<(), RequestFailed> {
        let kind = self.stream.kind();
        let requests = self.control.requests.clone().ok_or(RequestFailed::NoAccount(kind))?;
        let got = requests.account().kind();
        if got != kind {
            return Err(RequestFailed::OtherCarrier { expected: kind, got });
        }
        let call_id = self.call_id().ok_or(RequestFailed::NoCallId(kind))?;
        let asking = request(requests, call_id);
        self.control.last_id += 1;
        let id = self.control.last_id;
        self.control.open.insert(id, Open { purpose, until: now + LONGEST });
        let future = Box::pin(async move { Box::new(asking.await) as WorkValue });
        self.outputs.push_back(MediaOutput::Work(MediaWork { id, future }));
        Ok(())
    }

    fn call_id(&self) -> Option<String> {
        let call = self.call.as_ref()?;
        let named = self.control.id_parameter.as_deref().and_then(|name| call.parameter(name));
        named.or_else(|| call.id()).map(str::to_owned)
    }

    fn answer(&mut self, ticket: Ticket, done: Result<(), String>) {
        let done = done.map_err(Into::into);
        self.input(FrameKind::PhoneAnswer(PhoneAnswer { ticket, done }));
    }

    fn keys_failed(&mut self, count: usize, failed: RequestFailed) {
        let category = failed.category();
        let advice = "the playout can sound them: `Playout::tones`";
        self.fault_by(category, format!("{count} keys were not sent: {failed}; {advice}"), failed);
    }

    fn fault_by(
        &mut self,
        category: Category,
        message: impl Into<Arc<str>>,
        cause: impl Error + Send + Sync + 'static,
    ) {
        let (stage, cause) = (Arc::clone(&self.name), Some(Arc::new(cause) as _));
        let fault = Fault { stage, category, message: message.into(), cause };
        self.input(FrameKind::Fault(Arc::new(fault)));
    }
}
