//! What the tests share: golden sessions, and the invariants of a session. The code in the README is compiled here.

pub mod golden;
pub mod invariants;

#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
mod readme {}
