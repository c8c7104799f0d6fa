//! A client for the OpenAI Realtime protocol: one tokio task around the machines of [`realtime_protocol`].
//!
//! [`Client::connect`] opens a WebSocket and gives an [`ActiveCall`]. It has two ends: a cloneable [`Handle`]
//! for what the application asks, and one stream of [`Events`] for what the session tells. In between runs
//! one task, which never waits for the application.
//!
//! To write to a model and read its answers, `handle.ask("…").await?` is enough ([`Handle::ask`]). An agent
//! that speaks reads the events:
//!
//! ```
//! use realtime_client::{Client, ClientOptions, Endpoint};
//! use realtime_protocol::call::{Command, Event};
//! use realtime_protocol::item::Item;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::openai("sk-example", "gpt-realtime");
//! // `Client::connect(endpoint, options)` goes to OpenAI. Here the server is a few lines at the end of a pipe.
//! let (near, far) = tokio::io::duplex(64 * 1024);
//! # tokio::spawn(server(far));
//! let mut call = Client::over(near, &endpoint, ClientOptions::default()).await?;
//!
//! // Commands go to the handle. This one waits until the session is ready; its answer is not needed here.
//! let _ = call.handle().send(Command::CreateItem {
//!     item: Box::new(Item::user_text("Say hello.")),
//!     after: None,
//!     respond: true,
//! })?;
//! let mut said = String::new();
//! while let Some(event) = call.next().await {
//!     match event {
//!         Event::Text { delta, .. } => said.push_str(&delta),
//!         Event::ResponseFinished(_) => drop(call.handle().send(Command::Close {})?),
//!         _ => {}
//!     }
//! }
//! // The events have ended: the connection is closed, and the session log written if there is one.
//! assert_eq!(said, "Hello!");
//! # Ok(())
//! # }
//! # /// A server that says hello to whatever it is told.
//! # async fn server(stream: tokio::io::DuplexStream) {
//! #     use futures_util::{SinkExt, StreamExt};
//! #     use tokio_tungstenite::tungstenite::Message;
//! #     let mut server = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket handshake");
//! #     let opening = r#"{"type":"session.created","session":{}}"#;
//! #     server.send(Message::text(opening)).await.expect("an open pipe");
//! #     while let Some(Ok(Message::Text(text))) = server.next().await {
//! #         let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
//! #         let answers = match event["type"].as_str() {
//! #             Some("session.update") => vec![r#"{"type":"session.updated","session":{}}"#.to_owned()],
//! #             Some("conversation.item.create") => {
//! #                 vec![format!(r#"{{"type":"conversation.item.added","item":{}}}"#, event["item"])]
//! #             }
//! #             Some("response.create") => [
//! #                 r#"{"type":"response.created","response":{"id":"r","status":"in_progress"}}"#,
//! #                 r#"{"type":"response.output_text.delta","response_id":"r","item_id":"i","delta":"Hello!"}"#,
//! #                 r#"{"type":"response.done","response":{"id":"r","status":"completed","output":[]}}"#,
//! #             ]
//! #             .map(str::to_owned)
//! #             .to_vec(),
//! #             _ => vec![],
//! #         };
//! #         for answer in answers {
//! #             server.send(Message::text(answer)).await.expect("an open pipe");
//! #         }
//! #     }
//! # }
//! ```
//!
//! # What holds
//!
//! - **Every command is answered exactly once**, at the session's end at the latest: by its outcome, by the
//!   server's error, by a deadline, or by the reason of the end. Dropping a future only drops the answer.
//! - **Nothing waits for the application.** What it has not read yet is bounded ([`Bounds`]). Beyond that the
//!   oldest audio is dropped and told. Nothing else is ever dropped: the session ends instead, with
//!   [`ConsumerTooSlow`](realtime_protocol::call::CloseReason::ConsumerTooSlow). The application always has a
//!   turn before: the client's task yields to others after 64 texts, and after each text while much is
//!   unread.
//! - **The model never answers the past.** Input audio that a slow connection has not taken is sent in larger
//!   appends; audio older than 2 s is dropped and told.
//! - **Time is tokio's**, so that tests can pause it. Deadlines are decided from the clock.
//! - **A session log replays exactly**: it holds every input and every output of the machines, in order.
//! - **`tracing` and the crate `log` get no content**: only types, lengths and ids. They never get a key or
//!   audio, and words only if [`ClientOptions::trace_content`] asks for them. A WebSocket library that logs
//!   more is used only if the endpoint names it ([`WebSocketLibrary`]).
//!
//! # What it does not do
//!
//! It decides nothing about the conversation ([`realtime_protocol`] does), keeps no history, plays no audio,
//! and makes one connection per call unless the options ask for more ([`ClientOptions::reconnect`],
//! [`ClientOptions::fallback`]).
//!
//! # Many calls
//!
//! A call is one task. System calls and wake-ups are its main cost, so it is cheapest on a runtime of one
//! thread. For many calls, run one such runtime per core, and keep each call on one of them. A work-stealing
//! runtime moves calls between cores and carries fewer.
//!
//! # Map
//!
//! | module | what lives there |
//! |---|---|
//! | `client` | [`Client`], [`ClientOptions`]: putting the parts together |
//! | `connect` | one attempt to connect, from an [`Endpoint`] to an open WebSocket: its own map is there |
//! | `rest` | `Rest`, with the feature `http`: short-lived keys and calls |
//! | `http_request` | `HttpRequest`, with the feature `http`: one request to any server |
//! | `wire` | [`Wire`]: what carries wire texts. A WebSocket without waiting, over either library |
//! | `endpoints` | the endpoints of a call, and the attempts to connect to them |
//! | `links` | the connections of a client, from the first attempt to the last byte |
//! | `outgoing` | what is sent over one connection, and what waits for it |
//! | `driver` | the task: one loop on one screen |
//! | `clock`, `bell` | time; news from outside |
//! | `observe`, `spans` | what `tracing` gets: session, turn, response, function |
//! | `call` | [`ActiveCall`]: a call that runs |
//! | `contained` | what the application gave to run: its panics stop there |
//! | `handle` | [`Handle`], [`Pending`]: commands and their answers |
//! | `requests` | the queue from handles to the task, and how much may wait in it |
//! | `reply` | [`Reply`]: what the model said when it was asked |
//! | `events` | [`Events`], [`Bounds`]: the stream of call events and its bounds |
//! | `keeper` | [`Keeper`]: a call that moves, or that may be lost with its process |
//! | `tap`, `file_log` | [`LogSink`], [`MemoryLog`], [`FileLog`]: the session log |
//! | `tools` | with the feature `tools`: runs the functions that the model calls |
//! | `webrtc` | with the feature `webrtc`: `WebRtc`, calls whose media go by UDP |
//! | `wiring` | with the feature `tools`: conversation, tools, agents and guards become listeners, in order |
//! | `mcp` | with the feature `mcp`: tools of MCP servers on this side |
//! | `counters` | [`Counters`]: what happened so far, in numbers |
//! | `error` | [`SendError`], [`Error`]: by who must act |
//!
//! # Features
//!
//! - `tls` (default): `wss://` by rustls with ring and the roots of `webpki-roots`. It enables the features
//!   `ring` and `webpki-roots`. For another setup, turn the default off and enable `aws-lc-rs` as the
//!   provider, `platform-roots` for the roots of the operating system, or both. Without a provider `wss://`
//!   is an error.
//! - `socks` (default): SOCKS5 proxies.
//! - `http`: short-lived keys, and making, taking, handing on and ending calls; HTTP requests to any server.
//! - `webrtc`: calls by WebRTC (`WebRtc`, `Client::over_webrtc`), with `http`. Speech goes by UDP, as Opus,
//!   by the crates `str0m` and `ropus`. str0m's cryptography is AWS-LC, whose C takes a minute to build; and
//!   at TRACE str0m writes what is said to `tracing`.
//! - `tungstenite`: a second WebSocket library to choose ([`WebSocketLibrary`]). It logs what is said, at
//!   TRACE; the default one logs nothing.
//! - `mcp`: `McpServer`, whose tools are put into a toolbox, by the SDK `rmcp`. It more than doubles the tree
//!   of dependencies, and `rmcp` logs what MCP servers send.
//! - `tools`: what needs `realtime-context`. `ClientOptions::conversation` follows a call and tells each new
//!   session what was said; `ClientOptions::toolbox`, which declares and runs tools; agents and guards.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bell;
mod call;
mod client;
mod clock;
mod connect;
mod contained;
mod counters;
mod driver;
mod endpoints;
mod error;
mod events;
mod file_log;
mod handle;
#[cfg(feature = "http")]
mod http_request;
mod keeper;
mod links;
#[cfg(feature = "mcp")]
mod mcp;
mod observe;
mod outgoing;
mod reply;
mod requests;
#[cfg(feature = "http")]
mod rest;
mod spans;
mod tap;
#[cfg(feature = "tools")]
mod tools;
#[cfg(feature = "webrtc")]
mod webrtc;
mod wire;
#[cfg(feature = "tools")]
mod wiring;

pub use call::ActiveCall;
pub use client::{Client, ClientOptions};
#[cfg(feature = "_rustls")]
pub use connect::Tls;
pub use connect::{ApiKey, ConnectError, Dial, Dialing, Endpoint, KeyPlace, Phase, Proxy};
pub use counters::Counters;
pub use error::{Error, SendError, Unsent};
pub use events::{Bounds, Events};
pub use file_log::{FileLog, audio_path};
pub use handle::{Handle, Pending, Responded};
#[cfg(feature = "http")]
pub use http_request::{HttpAnswer, HttpRequest};
pub use keeper::Keeper;
#[cfg(feature = "mcp")]
pub use mcp::{McpConnection, McpError, McpServer};
pub use reply::Reply;
#[cfg(feature = "http")]
pub use rest::{CreatedCall, Refused, Rest, RestError};
pub use tap::{LogSink, MemoryLog};
#[cfg(feature = "webrtc")]
pub use webrtc::WebRtc;
pub use wire::{Received, Text, WebSocketLibrary, Wire};
#[cfg(feature = "tools")]
pub use wiring::Wired;
