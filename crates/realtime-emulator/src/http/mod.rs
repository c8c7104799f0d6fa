//! As much of HTTP/1.1 as the port needs: one request, which asks for a WebSocket or for an answer, then the
//! close.

mod answer;
mod body;
mod chunks;
mod multipart;
mod page;
mod request;
mod rest;
mod sdp;
mod sessions;

pub(crate) use answer::Answer;
pub(crate) use request::{HttpError, Request, read_body, read_head};
pub(crate) use rest::answer;
