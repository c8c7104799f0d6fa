//! The client against scripted servers.

// The modules are marked as tests so that their helpers may unwrap.
#[cfg(feature = "tools")]
#[cfg(test)]
mod agents;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod attempts;
#[cfg(test)]
mod backlog;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod closes;
#[cfg(test)]
mod connecting;
#[cfg(test)]
mod disasters;
#[cfg(test)]
mod dropping;
mod echoed_keys;
#[cfg(feature = "tools")]
#[cfg(test)]
mod fillers;
#[cfg(test)]
mod garbage;
#[cfg(feature = "tools")]
#[cfg(test)]
mod hosted;
#[cfg(test)]
mod logs;
#[cfg(feature = "tools")]
#[cfg(test)]
mod moving;
#[cfg(test)]
mod own_wire;
#[cfg(test)]
mod panicking;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod reconnecting;
#[cfg(feature = "http")]
#[cfg(test)]
mod rest;
#[cfg(test)]
mod session;
#[cfg(test)]
mod silence;
#[cfg(feature = "socks")]
#[cfg(test)]
mod socks;
#[cfg(test)]
mod stalls;
#[cfg(test)]
mod support;
#[cfg(feature = "_rustls")]
#[cfg(test)]
mod tls;
#[cfg(feature = "tools")]
#[cfg(test)]
mod tools;
