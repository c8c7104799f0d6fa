//! Where the servers of an engine are, and why they can't be used: [`NatsOptions`], [`EngineError`].

use std::time::Duration;

use async_nats::ServerAddr;

/// Where the engine is, and how it keeps things.
#[derive(Clone)]
#[non_exhaustive]
pub struct NatsOptions {
    /// Servers, by commas: `nats://a:4222,nats://b:4222`, or `tls://…`. A name and password, or a token, may
    /// stand in the first one: `nats://name:password@a:4222`, with `%40` for `@` and so on.
    pub servers: String,
    /// The fleet's name: fleets with different names see nothing of each other.
    pub fleet: String,
    /// On how many servers everything is kept: 1, or 3 for a cluster. Default: 1.
    pub replicas: usize,
    /// How long the fleet's leases last. Whole seconds.
    pub ttl: Duration,
    /// Whether a line is refused behind one that its author does not know.
    pub(super) fences: bool,
}

impl NatsOptions {
    /// A fleet on one server, with leases of 3 s.
    pub fn new(servers: impl Into<String>, fleet: impl Into<String>) -> Self {
        let (servers, fleet) = (servers.into(), fleet.into());
        Self { servers, fleet, replicas: 1, ttl: Duration::from_secs(3), fences: true }
    }

    /// Replaces on how many servers everything is kept.
    #[must_use]
    pub const fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Takes every line, wherever it stands. It shows in a rehearsal what fences are for.
    #[must_use]
    #[doc(hidden)]
    pub const fn without_fences(mut self) -> Self {
        self.fences = false;
        self
    }

    /// Without names and passwords.
    pub(super) fn unreachable(&self) -> EngineError {
        let servers = self.servers.split(',').filter_map(|server| server.trim().parse::<ServerAddr>().ok());
        let places: Vec<String> =
            servers.map(|server| format!("{}:{}", server.host(), server.port())).collect();
        EngineError::Unreachable { at: places.join(", ") }
    }

    /// Replaces how long leases last.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

impl std::fmt::Debug for NatsOptions {
    /// Without the servers: a password may stand there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { servers: _, fleet, replicas, ttl, fences: _ } = self;
        f.debug_struct("NatsOptions")
            .field("fleet", fleet)
            .field("replicas", replicas)
            .field("ttl", ttl)
            .finish_non_exhaustive()
    }
}

/// An engine that can't be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No server answers: start one with JetStream, or correct the address.
    #[error("no NATS server answers at {at}: start one, or correct its address")]
    Unreachable {
        /// The hosts and ports that were tried, by commas.
        at: String,
    },
    /// An address is none: `nats://host:4222`, or `tls://` for TLS, several by commas.
    #[error("expected addresses of NATS servers, such as nats://127.0.0.1:4222, by commas")]
    BadAddress,
    /// A server answers, and refuses the name and password of the address, or wants some.
    #[error("the NATS server refuses the name and password, or wants some: nats://NAME:PASSWORD@HOST:4222")]
    Denied,
    /// A server answers, and will not keep what a fleet needs.
    #[error("the NATS server refuses the stream {stream}: {reason}")]
    Refused {
        /// Which stream.
        stream: String,
        /// What it says: JetStream is off (start it with `-js`), it is too old, or has other settings.
        reason: String,
    },
    /// There is no such fleet: start a worker or a gateway of it, or correct the name.
    #[error("there is no fleet `{fleet}` at the NATS server: start a worker of it, or correct the name")]
    NoFleet {
        /// Which fleet.
        fleet: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_do_not_show_since_a_password_may_stand_there() {
        let options = NatsOptions::new("nats://me:secret@host", "voice");
        assert!(!format!("{options:?}").contains("secret"));
        let several = NatsOptions::new("nats://me:secret@a, tls://b:4223", "voice");
        let error = several.unreachable().to_string();
        assert_eq!(error, "no NATS server answers at a:4222, b:4223: start one, or correct its address");
    }
}
