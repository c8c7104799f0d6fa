//! What the tests share: golden sessions, the invariants of a session, a whole call in virtual time, calls
//! that bytes steer, and stand-ins for phone carriers and audio devices. The code in the README and in the
//! book is compiled here, and run where it can be.

#[cfg(unix)]
pub mod alsa;
#[cfg(feature = "readme")]
pub mod book;
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

/// The pages of the book, whose code runs in [`book`].
#[cfg(all(doctest, feature = "readme"))]
mod pages {
    #[doc = include_str!("../../docs/browser.md")]
    mod browser {}
    #[doc = include_str!("../../docs/c.md")]
    mod c {}
    #[doc = include_str!("../../docs/context.md")]
    mod context {}
    #[doc = include_str!("../../docs/drivers.md")]
    mod drivers {}
    #[cfg(feature = "fleet")]
    #[doc = include_str!("../../docs/fleet.md")]
    mod fleet {}
    #[doc = include_str!("../../docs/from-openai-agents.md")]
    mod from_openai_agents {}
    #[doc = include_str!("../../docs/from-pipecat.md")]
    mod from_pipecat {}
    #[doc = include_str!("../../docs/getting-started.md")]
    mod getting_started {}
    #[doc = include_str!("../../docs/phone.md")]
    mod phone {}
    #[doc = include_str!("../../docs/reconnecting.md")]
    mod reconnecting {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/tools.md")]
    mod tools {}
}
