//! Checks over a call that was held, for tests of agents: [`CallWatch`] sees it, and [`HeldCall`] says what
//! came of it.
//!
//! ```
//! use realtime_pipeline::testing::CallWatch;
//! use realtime_pipeline::{Agent, Conversation};
//! use serde_json::json;
//!
//! let (watch, conversation) = (CallWatch::new(), Conversation::new());
//! let agent = Agent::new("You know the weather.").conversation(conversation.clone()).observe(watch.clone());
//! // … the agent holds a call …
//! # drop(agent);
//! let call = watch.held(&conversation);
//! let expected = call.expect().calls("look", json!({ "city": "Paris" })).agent_says("sunny");
//! let missing = expected.mismatches();
//! assert_eq!(missing[0].to_string(), r#"expected a call of look with {"city":"Paris"}, got no call"#);
//! // In a test of one's own: `call.expect().agent_says("sunny").holds()`.
//! ```

mod check;
mod expect;
mod phrase;
mod watch;

pub use check::{Limits, Mismatch};
pub use expect::Expecting;
pub use phrase::Phrase;
pub use watch::{CallWatch, CutAnswer, HeldCall, SaidLine, Speaker, Tokens, ToolRun};
