//! What a call is asked for: on the socket if its carrier takes it there, else by a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use realtime_telephony::StreamError;

use crate::chain::{Category, Done, Fault, FrameKind, Keys, WorkFailed, WorkValue};
use crate::media::phone::Phone;
use crate::media::phone::requests::{Asking, RequestFailed, Requests};
use crate::media::{MediaOutput, MediaWork};

/// Requests that are under way, and what makes them.
#[derive(Debug, Default)]
pub(super) struct Control {
    requests: Option<Requests>,
    /// The parameter of the stream that names the call, where the carrier does not.
    id_parameter: Option<String>,
    open: BTreeMap<u64, Purpose>,
    last_id: u64,
    /// Whether the call may go on although its socket is closed.
    pub(super) is_left_behind: bool,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// The end of the run.
    HangUp,
    /// So many keys.
    Keys(usize),
}

/// A request that hangs up has this long before the socket is closed all the same.
const HANG_UP: Duration = Duration::from_secs(2);

impl Phone {
    /// How the carrier is asked for what it does not do on the socket: to hang up where closing the socket
    /// does not ([`CarrierKind::closing_hangs_up`](realtime_telephony::CarrierKind::closing_hangs_up)), and
    /// to send keys. Without it, each of these is a fault.
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
        let failed = match self.stream.send_digits(now, keys.as_str()) {
            // The caller has gone.
            Ok(()) | Err(StreamError::Ended) => return,
            Err(StreamError::NotOnSocket) => {
                let sent = keys.clone();
                self.ask(Purpose::Keys(keys.as_str().len()), move |requests, id| {
                    Box::pin(async move { requests.send_keys(&id, sent.as_str()).await })
                })
            }
            Err(error) => return self.fault_by(Category::Application, "keys were not sent", error),
        };
        if let Err(failed) = failed {
            self.keys_failed(keys.as_str().len(), failed);
        }
    }

    /// Hangs up: by a request if closing the socket does not.
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        self.hang_up_at = None;
        let is_enough = self.call.is_none() || self.stream.is_over() || self.stream.kind().closing_hangs_up();
        let is_asked = self.control.open.values().any(|open| *open == Purpose::HangUp);
        if !is_enough && !is_asked {
            let asked = self
                .ask(Purpose::HangUp, |requests, id| Box::pin(async move { requests.hang_up(&id).await }));
            if asked.is_ok() {
                // The socket is closed when that is done, or does not come to an end.
                self.hang_up_at = Some(now + HANG_UP);
                return;
            }
        }
        self.control.is_left_behind |= !is_enough;
        // It may be over already.
        let _ = self.stream.hang_up(now, &self.hang_up);
    }

    /// A request has ended.
    pub(super) fn request_ended(&mut self, now: Timestamp, id: u64, done: Done) {
        let Some(purpose) = self.control.open.remove(&id) else { return };
        let done = match done.map(|value| value.downcast::<Result<(), RequestFailed>>()) {
            Ok(Ok(done)) => *done,
            Ok(Err(_)) => return,
            Err(WorkFailed::Panicked { message }) => Err(RequestFailed::Panicked(message.into())),
            Err(other) => Err(RequestFailed::Panicked(other.to_string().into())),
        };
        match (purpose, done) {
            (Purpose::Keys(_), Ok(())) => {}
            (Purpose::Keys(keys), Err(failed)) => self.keys_failed(keys, failed),
            (Purpose::HangUp, done) => {
                self.control.is_left_behind = done.is_err();
                self.hang_up_at = None;
                // It may be over already.
                let _ = self.stream.hang_up(now, &self.hang_up);
            }
        }
    }

    fn ask(
        &mut self,
        purpose: Purpose,
        request: impl FnOnce(Requests, String) -> Asking,
    ) -> Result<(), RequestFailed> {
        let kind = self.stream.kind();
        let requests = self.control.requests.clone().ok_or(RequestFailed::NoAccount(kind))?;
        let got = requests.account().kind();
        if got != kind {
            return Err(RequestFailed::OtherCarrier { expected: kind, got });
        }
        let id = self.call_id().ok_or(RequestFailed::NoCallId(kind))?;
        let asking = request(requests, id);
        self.control.last_id += 1;
        let id = self.control.last_id;
        self.control.open.insert(id, purpose);
        let future = Box::pin(async move { Box::new(asking.await) as WorkValue });
        self.outputs.push_back(MediaOutput::Work(MediaWork { id, future }));
        Ok(())
    }

    fn call_id(&self) -> Option<String> {
        let call = self.call.as_ref()?;
        let named = self.control.id_parameter.as_deref().and_then(|name| call.parameter(name));
        named.or_else(|| call.id()).map(str::to_owned)
    }

    fn keys_failed(&mut self, keys: usize, failed: RequestFailed) {
        let category = failed.category();
        let advice = "the playout can sound them: `Playout::tones`";
        self.fault_by(category, format!("{keys} keys were not sent: {failed}; {advice}"), failed);
    }

    fn fault_by(
        &mut self,
        category: Category,
        message: impl Into<Arc<str>>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) {
        let (stage, cause) = (Arc::clone(&self.name), Some(Arc::new(cause) as _));
        let fault = Fault { stage, category, message: message.into(), cause };
        self.input(FrameKind::Fault(Arc::new(fault)));
    }
}
