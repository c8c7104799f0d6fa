//! Why there is no call, or none any more.

use std::io;

/// Why a peer could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No UDP socket could be had. Give another local address, or allow UDP.
    #[error("cannot open a UDP socket{}", local.map(|local| format!(" at {local}")).unwrap_or_default())]
    Socket {
        /// The local address that was wanted, if it was known.
        local: Option<std::net::IpAddr>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The other side's description cannot be used.
    #[error("cannot use the {what}: {reason}")]
    BadSdp {
        /// `offer` or `answer`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// One side closed it.
    #[error("the call was closed")]
    Closed,
    /// No way to the other side was found in time: it answers on no address. UDP may be blocked.
    #[error("no answer by UDP to any of its addresses (ICE)")]
    NoRoute,
    /// The other side is there, but the keys were not agreed on or the data channel not opened in time.
    #[error("it answers by UDP, but keys (DTLS) and data channel were not agreed on")]
    NoChannel,
    /// The other side is silent for longer than is borne, or something failed.
    #[error("{0}")]
    Lost(String),
}
