//! From an [`Endpoint`] to an open [`Wire`]: key, TCP, TLS and the WebSocket handshake under one deadline.
//!
//! | module | what lives there |
//! |---|---|
//! | `endpoint`, `address` | [`Endpoint`]: address, dialect, headers |
//! | `auth` | [`ApiKey`], [`KeyPlace`]: where keys come from and how they are sent |
//! | `deadline` | [`Phase`]: the phases of an attempt and their deadlines |
//! | `dial` | [`Dial`]: the client's ways to a connection, and an application's own |
//! | `route`, `eyeballs` | TCP, to which of a name's addresses |
//! | `tls`, `identity` | `Tls`: whom TLS trusts, and who the client is |
//! | `proxy`, `tunnel` | [`Proxy`]: which proxy; and the way through it |
//! | `handshake`, `http`, `refusal` | the WebSocket handshake; one HTTP request and its answer, by hyper |
//! | `error` | [`ConnectError`]: by who must act |

pub(crate) mod address;
pub(crate) mod auth;
pub(crate) mod deadline;
pub(crate) mod dial;
pub(crate) mod endpoint;
pub(crate) mod error;
mod eyeballs;
pub(crate) mod handshake;
pub(crate) mod http;
#[cfg(feature = "_rustls")]
mod identity;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod route;
#[cfg(feature = "_rustls")]
pub(crate) mod tls;
pub(crate) mod tunnel;

pub use auth::{ApiKey, KeyPlace};
pub use deadline::Phase;
pub use dial::{Dial, Dialing};
pub use endpoint::Endpoint;
pub use error::ConnectError;
pub use proxy::Proxy;
#[cfg(feature = "_rustls")]
pub use tls::Tls;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use deadline::Attempt;
use handshake::{Offer, upgrade};
use route::reach;

use crate::wire::Wire;
use crate::wire::stream::ByteStream;

/// Makes one attempt to connect.
///
/// A new call may not be known yet by the server that its side channel reaches. So `is_new` asks again for a
/// short while, within the same attempt.
pub(crate) async fn open(endpoint: &Endpoint, is_new: bool) -> Result<Box<dyn Wire>, ConnectError> {
    let attempt = Attempt::new(endpoint);
    let key = attempt.during(Phase::Key, endpoint.key_for_attempt()).await?;
    let mut tries = 0;
    loop {
        let offer = Offer::new(endpoint, key.as_ref())?;
        let stream = reach(&attempt).await?;
        let message = match upgrade(&attempt, stream, offer).await {
            Err(ConnectError::Http { status: 404, message, .. }) if is_new && endpoint.names_call() => {
                message
            }
            result => return result,
        };
        tries += 1;
        match CALL_WAITS.get(tries - 1) {
            Some(wait) if Instant::now() + *wait < attempt.end() => sleep(*wait).await,
            _ => return Err(ConnectError::CallNotFound { tries, message }),
        }
    }
}

/// Does only the WebSocket handshake, over an existing stream.
pub(crate) async fn over(
    endpoint: &Endpoint,
    stream: Box<dyn ByteStream>,
) -> Result<Box<dyn Wire>, ConnectError> {
    let attempt = Attempt::new(endpoint);
    let key = attempt.during(Phase::Key, endpoint.key_for_attempt()).await?;
    upgrade(&attempt, stream, Offer::new(endpoint, key.as_ref())?).await
}

/// The waits before each other try to reach a new call.
const CALL_WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];
