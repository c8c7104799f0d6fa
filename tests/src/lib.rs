//! What the tests share: golden sessions, the invariants of a session, a whole call in virtual time, calls
//! that bytes steer, and stand-ins for phone carriers and audio devices. The code in the README is compiled
//! here.

#[cfg(unix)]
pub mod alsa;
pub mod carriers;
pub mod fake_server;
pub mod golden;
pub mod grammar;
pub mod invariants;
pub mod owner;
pub mod seen;
pub mod shell;
pub mod slow;
pub mod steered;
pub mod world;

#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
mod readme {}
