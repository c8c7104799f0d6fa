//! The conversation: what a server is told of it, what it learns whatever comes when, and its documents.

mod documents;
mod driven;
mod instructions;
mod interleavings;
mod line;
mod mirrored;
