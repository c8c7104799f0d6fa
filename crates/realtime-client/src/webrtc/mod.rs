//! Calls by WebRTC: [`WebRtc`] makes the connections of a call by an offer over HTTP, and media by UDP.
//!
//! What is above a [`Wire`] does not notice: the user's audio goes in as `input_audio_buffer.append`, and the
//! model's audio comes out as `response.output_audio.delta`, although neither exists on this wire.
//!
//! | module | what lives there |
//! |---|---|
//! | `wire` | a peer as a wire |
//! | `saying` | appends become samples |
//! | `hearing` | what is heard becomes deltas of the response that the server plays |
//! | `pcm` | samples and the bytes of the session's formats |

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use realtime_protocol::http::CallCreateRequest;
use realtime_protocol::session_config::SessionConfig;
use realtime_webrtc::{Ended, Offer, Peer, PeerError, PeerEvent, PeerOptions};
use tokio::net::lookup_host;

use crate::connect::deadline::{Attempt, Phase};
use crate::connect::{ApiKey, ConnectError, Dial, Dialing, Endpoint};
use crate::rest::{Rest, RestError};
use crate::wire::Wire;
use crate::wire::redacted::Redacted;
use wire::PeerWire;

mod hearing;
mod pcm;
mod saying;
mod wire;

type OnCall = dyn Fn(&str) + Send + Sync;

/// Connects by WebRTC instead of a WebSocket: speech travels by UDP, as Opus, and is heard sooner over poor
/// networks. Give it to [`Client::over_webrtc`](crate::Client::over_webrtc).
///
/// Each attempt sends an offer to the server's `calls` (with an API key together with the session, with a
/// short-lived key `ek_…` alone), takes its answer, and waits for the data channel. Address, key, proxy, TLS
/// and deadlines of the HTTP request are the endpoint's; media goes by UDP, directly to the server.
///
/// | phase | its deadline, unless the endpoint sets another |
/// |---|---|
/// | [`Phase::Ice`]: the server is looked for by UDP | 5 s |
/// | [`Phase::Dtls`]: keys are agreed on, the channel opens | 5 s |
///
/// A server that leaves three checks unanswered in the middle of a call (3 s) and cannot be reached for 5 s
/// more is lost: the call reconnects, if it may.
///
/// # What differs from a WebSocket
/// - The server plays: it knows what was heard, truncates by itself, and sends audio at the pace at which it
///   is to be played. [`Client::over_webrtc`](crate::Client::over_webrtc) sets
///   [`PlaybackSource::Server`](realtime_protocol::session::PlaybackSource::Server) for that. Audio may come
///   after the end of its response. Play it as it comes, and drop what waits at
///   [`Event::Interrupted`](realtime_protocol::call::Event::Interrupted).
/// - [`Handle::ask`](crate::Handle::ask) and [`say`](crate::Handle::say) return when the response has ended:
///   their voice has what was heard by then, which may be only its beginning.
/// - The user's audio is sent at the pace at which it sounds, and twice as fast where it has piled up. Where
///   there is none, silence is sent. A commit waits until the audio before it was sent, and 200 ms more, so
///   that the server has heard it.
/// - A text that is larger than the server takes is refused here, by an error of the code
///   `message_too_large`.
#[derive(Clone, Default)]
pub struct WebRtc {
    local: Option<IpAddr>,
    session: Option<Box<SessionConfig>>,
    on_call: Option<Arc<OnCall>>,
}

impl WebRtc {
    /// Calls from the address by which this machine reaches the server, with a session of the endpoint's
    /// model.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls from this address of the machine.
    #[must_use]
    pub const fn local(mut self, address: IpAddr) -> Self {
        self.local = Some(address);
        self
    }

    /// The session that goes with the offer, for what cannot be changed later. The call's configuration
    /// follows as `session.update`, as over a WebSocket. Not used with a short-lived key, which has its
    /// session.
    #[must_use]
    pub fn session(mut self, session: SessionConfig) -> Self {
        self.session = Some(Box::new(session));
        self
    }

    /// Calls `hook` with the id of each call that the server takes: for [`Rest`], and for
    /// [`Endpoint::openai_call`]. It must not take long.
    #[must_use]
    pub fn on_call(mut self, hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Arc::new(hook));
        self
    }

    async fn call(self, endpoint: Endpoint) -> Result<Box<dyn Wire>, ConnectError> {
        let attempt = Attempt::new(&endpoint);
        let key = attempt.during(Phase::Key, endpoint.key_for_attempt()).await?;
        let secrets = endpoint.add_headers(&mut HeaderMap::new(), key.as_ref())?;
        let mut options = PeerOptions::default();
        options.route_deadline = patience(&endpoint, Phase::Ice);
        options.channel_deadline = patience(&endpoint, Phase::Dtls);
        options.hurries = true;
        options.local = self.local;
        if self.local.is_none() {
            let found = attempt.during(Phase::Tcp, remote(&endpoint)).await?;
            options.remote = found.unwrap_or(options.remote);
        }
        let bad = |error| failed(&endpoint, error);
        let offer = Offer::new(options).map_err(bad)?;
        let created = rest(&endpoint, key.as_ref())
            .create_call(&self.request(&endpoint, key.as_ref(), offer.sdp()))
            .await
            .map_err(refused)?;
        tracing::debug!(call = created.call_id, "the server takes the call");
        if let Some(on_call) = &self.on_call {
            on_call(&created.call_id);
        }
        let mut peer = offer.accept(&created.sdp).map_err(bad)?;
        opened(&endpoint, &mut peer).await?;
        Ok(Box::new(Redacted::new(PeerWire::new(peer, endpoint.dialect()), secrets)))
    }

    /// A short-lived key has its session: the offer goes alone.
    fn request(&self, endpoint: &Endpoint, key: Option<&ApiKey>, offer: &str) -> CallCreateRequest {
        let request = CallCreateRequest::default().sdp(offer);
        if key.is_some_and(|key| key.expose().starts_with("ek_")) {
            return request;
        }
        let session = self.session.clone().unwrap_or_else(|| {
            let session = SessionConfig::realtime();
            Box::new(if endpoint.model().is_empty() { session } else { session.model(endpoint.model()) })
        });
        request.session(session)
    }
}

impl Dial for WebRtc {
    fn dial(&mut self, _number: u32, endpoint: &Endpoint) -> Dialing {
        Box::pin(self.clone().call(endpoint.clone()))
    }
}

impl fmt::Debug for WebRtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRtc")
            .field("local", &self.local)
            .field("session", &self.session)
            .field("on_call", &self.on_call.is_some())
            .finish()
    }
}

/// The HTTP calls of the server, with the key of this attempt.
fn rest(endpoint: &Endpoint, key: Option<&ApiKey>) -> Rest {
    let endpoint = endpoint.clone();
    Rest::new(match key {
        Some(key) => endpoint.key(key.clone()),
        None => endpoint,
    })
}

/// An address of the server, preferably of IPv4, by which media usually goes. `None`: a proxy resolves it.
async fn remote(endpoint: &Endpoint) -> Result<Option<IpAddr>, ConnectError> {
    if endpoint.hop()?.is_some() {
        return Ok(None);
    }
    let unreachable = |source| ConnectError::Unreachable { address: endpoint.address(), source };
    let found = lookup_host((endpoint.host(), endpoint.port())).await.map_err(unreachable)?;
    let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    Ok(found.first().copied())
}

/// Waits until the data channel is open.
async fn opened(endpoint: &Endpoint, peer: &mut Peer) -> Result<(), ConnectError> {
    let timed_out = |phase| ConnectError::TimedOut {
        address: endpoint.address(),
        phase,
        after: patience(endpoint, phase),
    };
    let ended = loop {
        match peer.next().await {
            Some(PeerEvent::Opened) => return Ok(()),
            Some(PeerEvent::Ended(ended)) => break ended,
            Some(_) => {}
            None => break Ended::Closed,
        }
    };
    Err(match ended {
        Ended::NoRoute => timed_out(Phase::Ice),
        Ended::NoChannel => timed_out(Phase::Dtls),
        other => ConnectError::CallEnded { address: endpoint.address(), reason: other.to_string() },
    })
}

/// How long a phase may take.
fn patience(endpoint: &Endpoint, phase: Phase) -> Duration {
    endpoint.deadlines().phases[phase as usize].unwrap_or(PATIENCE)
}

fn failed(endpoint: &Endpoint, error: PeerError) -> ConnectError {
    match error {
        PeerError::Socket { source, .. } => ConnectError::NoUdp { source },
        error => ConnectError::BadAnswer { address: endpoint.address(), reason: error.to_string() },
    }
}

/// Why there is no call, as for any other connection.
fn refused(error: RestError) -> ConnectError {
    match error {
        RestError::Connect(error) => error,
        RestError::KeyRefused(refused) => {
            ConnectError::KeyRefused { status: refused.status, message: refused.message }
        }
        RestError::BadAnswer { address, reason } => ConnectError::BadAnswer { address, reason },
        RestError::NotFound(refused)
        | RestError::Conflict(refused)
        | RestError::TooManyRequests(refused)
        | RestError::Refused(refused) => ConnectError::Http {
            status: refused.status,
            message: refused.message,
            retry_after: refused.retry_after,
        },
    }
}

/// For a phase without a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lived_key_has_its_session_and_another_key_sends_one() {
        let endpoint = Endpoint::openai("", "gpt-realtime");
        let request = |key: &str| WebRtc::new().request(&endpoint, Some(&ApiKey::new(key)), "v=0");
        assert!(request("ek_1").session.value().is_none());
        let session = request("sk-1").session.into_value().unwrap();
        assert_eq!(session.model.value().map(String::as_str), Some("gpt-realtime"));
        let own = WebRtc::new().session(SessionConfig::realtime().model("mine"));
        let session = own.request(&endpoint, None, "v=0").session.into_value().unwrap();
        assert_eq!(session.model.value().map(String::as_str), Some("mine"));
    }
}
