//! What a carrier is asked for beside its socket: [`Requests`] makes it, and whoever gives a [`SendRequest`]
//! sends it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use realtime_telephony::CarrierKind;
use realtime_telephony::rest::{Account, HttpRequest, RestError, Transfer};

use crate::chain::Category;

/// Sends requests to a carrier. With the feature `telephony-rest` there is `carrier_client::CarrierClient`; a
/// function of the application's own is one too.
///
/// It should answer within some seconds: a caller waits. Redirects must not be followed, since a request
/// carries secrets.
pub trait SendRequest: Send + Sync + 'static {
    /// Sends a request, and reads the answer, whatever its status is.
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpReply, NoReply>>;
}

/// Why there is no answer.
pub type NoReply = Box<dyn Error + Send + Sync>;

impl<S, F> SendRequest for S
where
    S: Fn(HttpRequest) -> F + Send + Sync + 'static,
    F: Future<Output = Result<HttpReply, NoReply>> + Send + 'static,
{
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpReply, NoReply>> {
        Box::pin(self(request))
    }
}

/// A carrier's answer to a request. `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
pub struct HttpReply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Why a request did not do what it was for. `Debug` and `Display` show no numbers, keys or bodies.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFailed {
    /// The phone was given no account: see [`Phone::requests`](crate::media::Phone::requests).
    #[error("expected an account to ask {0} with, and there is none: give one by `Phone::requests`")]
    NoAccount(CarrierKind),
    /// The account is with another carrier.
    #[error("expected an account with {expected}, got one with {got}")]
    OtherCarrier {
        /// The call's carrier.
        expected: CarrierKind,
        /// The account's.
        got: CarrierKind,
    },
    /// The carrier does not say on the stream which call it is: see
    /// [`Phone::call_id_in`](crate::media::Phone::call_id_in).
    #[error(
        "expected the call's id, and {0} did not say it: give it as a parameter, and name that parameter"
    )]
    NoCallId(CarrierKind),
    /// There is no such request.
    #[error(transparent)]
    NoRequest(#[from] RestError),
    /// No answer came. The carrier may have done it.
    #[error("the carrier gave no answer")]
    NoReply(#[source] Arc<dyn Error + Send + Sync>),
    /// The carrier refused.
    #[error("the carrier refused it with HTTP status {}", .0.status)]
    Refused(HttpReply),
    /// The sender panicked.
    #[error("what sends requests panicked: {0}")]
    Panicked(Arc<str>),
}

impl RequestFailed {
    /// What to do about it.
    pub const fn category(&self) -> Category {
        match self {
            Self::Refused(HttpReply { status: 401 | 403, .. }) => Category::Authentication,
            Self::Refused(HttpReply { status: 429, .. }) => Category::RateLimited,
            Self::NoReply(_) => Category::Unreachable,
            _ => Category::Application,
        }
    }
}

/// Requests about calls of an account.
#[derive(Clone)]
pub struct Requests {
    account: Arc<Account>,
    send: Arc<dyn SendRequest>,
}

/// What a request does, until it is answered.
pub(super) type Asking = BoxFuture<'static, Result<(), RequestFailed>>;

impl Requests {
    /// Requests of this account, and what sends them.
    pub fn new(account: Account, send: impl SendRequest) -> Self {
        Self { account: Arc::new(account), send: Arc::new(send) }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Ends a call. One that is over already counts as ended.
    ///
    /// # Errors
    /// [`RequestFailed`].
    pub async fn hang_up(&self, call_id: &str) -> Result<(), RequestFailed> {
        match self.all(self.account.hang_up(call_id)?).await {
            Err(RequestFailed::Refused(reply)) if self.says_over(&reply) => Ok(()),
            ended => ended,
        }
    }

    /// Gives a call to somebody else. The stream ends with it.
    ///
    /// # Errors
    /// [`RequestFailed`].
    pub async fn transfer(&self, call_id: &str, to: &Transfer) -> Result<(), RequestFailed> {
        self.all(self.account.transfer(call_id, to)?).await
    }

    /// Sends keys as tones.
    ///
    /// # Errors
    /// [`RequestFailed`]; also for Twilio, which would end the stream.
    pub async fn send_keys(&self, call_id: &str, keys: &str) -> Result<(), RequestFailed> {
        self.all(self.account.send_digits(call_id, keys, None)?).await
    }

    /// Makes a call. Returns its id, if the carrier says it. Its stream comes when it is answered.
    ///
    /// # Errors
    /// [`RequestFailed`].
    pub async fn dial(&self, dial: &realtime_telephony::rest::Dial) -> Result<Option<String>, RequestFailed> {
        let reply = self.one(self.account.dial(dial)?).await?;
        Ok(self.account.dialled_call_id(&reply.body))
    }

    /// One after the other, until one is refused.
    async fn all(&self, requests: Vec<HttpRequest>) -> Result<(), RequestFailed> {
        for request in requests {
            self.one(request).await?;
        }
        Ok(())
    }

    async fn one(&self, request: HttpRequest) -> Result<HttpReply, RequestFailed> {
        let reply = self.send.send(request).await.map_err(|error| RequestFailed::NoReply(error.into()))?;
        if matches!(reply.status, 200..=299) { Ok(reply) } else { Err(RequestFailed::Refused(reply)) }
    }

    fn says_over(&self, reply: &HttpReply) -> bool {
        self.account.says_call_is_over(reply.status, &reply.body)
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, body } = self;
        f.debug_struct("HttpReply").field("status", status).field("bytes", &body.len()).finish()
    }
}

impl fmt::Debug for RequestFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestFailed({self})")
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("account", &self.account).finish_non_exhaustive()
    }
}
