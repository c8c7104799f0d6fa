//! Whole pipelines against the emulator, in virtual time and both dialects: what a user hears, what the model
//! is told, and what stays in the conversation.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod flows;
mod golden;
mod losses;
mod odd;
mod policies;
mod runners;
mod scene;
