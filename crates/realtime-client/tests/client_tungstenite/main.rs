//! The same tests once more, with tokio-tungstenite in the client: `support::library` looks at this target's
//! name.

#[cfg(test)]
#[path = "../client/asking.rs"]
mod asking;
#[cfg(test)]
#[path = "../client/attempts.rs"]
mod attempts;
#[cfg(test)]
#[path = "../client/backlog.rs"]
mod backlog;
#[cfg(test)]
#[path = "../client/binary.rs"]
mod binary;
#[cfg(test)]
#[path = "../client/closes.rs"]
mod closes;
#[cfg(test)]
#[path = "../client/connecting.rs"]
mod connecting;
#[cfg(test)]
#[path = "../client/disasters.rs"]
mod disasters;
#[cfg(test)]
#[path = "../client/dropping.rs"]
mod dropping;
#[cfg(test)]
#[path = "../client/echoed_keys.rs"]
mod echoed_keys;
#[cfg(test)]
#[path = "../client/garbage.rs"]
mod garbage;
#[cfg(test)]
#[path = "../client/reconnecting.rs"]
mod reconnecting;
#[cfg(test)]
#[path = "../client/session.rs"]
mod session;
#[cfg(test)]
#[path = "../client/silence.rs"]
mod silence;
#[cfg(test)]
#[path = "../client/stalls.rs"]
mod stalls;
#[cfg(test)]
#[path = "../client/support.rs"]
#[allow(dead_code, reason = "this target uses a part of it")]
mod support;
#[cfg(feature = "tools")]
#[cfg(test)]
#[path = "../client/tools.rs"]
mod tools;
