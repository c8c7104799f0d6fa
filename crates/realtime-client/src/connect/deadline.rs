//! The phases of an attempt to connect, and how long each may take.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::connect::endpoint::Endpoint;
use crate::connect::error::ConnectError;

/// A phase of an attempt to connect, in order. Each may take as long as the attempt, unless
/// [`Endpoint::phase_deadline`] sets less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Asking the provider for a key.
    Key,
    /// Resolving the name and connecting by TCP: to the proxy, if there is one.
    Tcp,
    /// The proxy's answer.
    Proxy,
    /// Agreeing on TLS.
    Tls,
    /// The WebSocket handshake.
    WebSocket,
    /// The answer to an HTTP request (feature `http`).
    Http,
    /// Looking for the server by UDP (feature `webrtc`).
    Ice,
    /// Agreeing on keys and opening the data channel (feature `webrtc`).
    Dtls,
    /// All of it, where the application dials itself ([`Dial`](crate::Dial)).
    Dial,
}

impl Phase {
    /// How many there are. The `match` does not compile if a new phase is missing here.
    pub(crate) const COUNT: usize = match Self::Key {
        Self::Key | Self::Tcp | Self::Proxy | Self::Tls | Self::WebSocket | Self::Http => {
            Self::Dial as usize + 1
        }
        Self::Ice | Self::Dtls | Self::Dial => Self::Dial as usize + 1,
    };
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "asking for a key",
            Self::Tcp => "connecting by TCP",
            Self::Proxy => "waiting for the proxy",
            Self::Tls => "agreeing on TLS",
            Self::WebSocket => "in the WebSocket handshake",
            Self::Http => "waiting for the answer to the request",
            Self::Ice => "looking for the server by UDP (ICE)",
            Self::Dtls => "agreeing on keys by UDP (DTLS)",
            Self::Dial => "dialing",
        })
    }
}

/// The deadlines of an endpoint: of a whole attempt, and of phases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) attempt: Duration,
    pub(crate) phases: [Option<Duration>; Phase::COUNT],
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(10), phases: [None; Phase::COUNT] }
    }
}

/// The time of one attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) endpoint: &'a Endpoint,
    began: Instant,
}

impl<'a> Attempt<'a> {
    /// An attempt that begins now.
    pub(crate) fn new(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, began: Instant::now() }
    }

    /// Runs a phase of the attempt, if there is time.
    pub(crate) async fn during<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let (until, after) = self.limit(phase);
        match timeout_at(until, work).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut { address: self.endpoint.address(), phase, after }),
        }
    }

    /// When a phase that begins now must be over, and the deadline that this comes from.
    pub(crate) fn limit(&self, phase: Phase) -> (Instant, Duration) {
        let Deadlines { attempt, phases } = self.endpoint.deadlines();
        let (end, now) = (self.end(), Instant::now());
        match phases[phase as usize] {
            Some(own) if own < end.saturating_duration_since(now) => (now + own, own),
            _ => (end, *attempt),
        }
    }

    /// When the whole attempt must be over.
    pub(crate) fn end(&self) -> Instant {
        // A century counts as for ever, and no clock overflows by it.
        const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.began + self.endpoint.deadlines().attempt.min(FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline() {
        let phases = [
            Phase::Key,
            Phase::Tcp,
            Phase::Proxy,
            Phase::Tls,
            Phase::WebSocket,
            Phase::Http,
            Phase::Ice,
            Phase::Dtls,
            Phase::Dial,
        ];
        assert_eq!(phases.len(), Phase::COUNT);
        for own in phases {
            let second = Duration::from_secs(1);
            let endpoint = Endpoint::openai("", "m").phase_deadline(own, second);
            for phase in phases {
                let (_, after) = Attempt::new(&endpoint).limit(phase);
                assert_eq!(after == second, phase == own, "{own}: {phase}");
            }
        }
    }
}
