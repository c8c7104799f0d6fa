//! RTVI over WebSockets, as the clients of pipecat speak it: [`Rtvi`].
//!
//! The published JavaScript client works with it as it is:
//!
//! ```js
//! import { PipecatClient } from "@pipecat-ai/client-js";
//! import { WebSocketTransport } from "@pipecat-ai/websocket-transport";
//!
//! const client = new PipecatClient({ transport: new WebSocketTransport(), enableMic: true });
//! await client.connect({ wsUrl: "wss://example.com/rtvi" });
//! ```
//!
//! The server accepts the WebSocket and holds the call over it; the example `rtvi_server` is a whole one:
//!
//! ```no_run
//! use realtime_pipeline::media::rtvi::{Rtvi, RtviOptions};
//! use realtime_pipeline::protocol::time::UnixTime;
//! # use realtime_pipeline::{Agent, Endpoint, sockets::{MediaSocket, WebSocketMessage}};
//! # async fn serve<S, M, E>(socket: S, now: UnixTime) -> Result<(), Box<dyn std::error::Error>>
//! # where
//! #     S: futures_util::Stream<Item = Result<M, E>> + futures_util::Sink<M, Error = E> + Unpin + Send + 'static,
//! #     M: WebSocketMessage,
//! #     E: std::error::Error + Send + Sync + 'static,
//! # {
//!
//! let mut client = MediaSocket::new(socket, Rtvi::new(RtviOptions::new(now)));
//! client.ready().await?;
//! let agent = Agent::new("You are a friendly host.").greeting("Greet the user.");
//! agent.run(Endpoint::openai_from_env("gpt-realtime")?, client).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the client is told
//! | message | when |
//! |---|---|
//! | `bot-ready` | the run has begun: `connect` of the client resolves |
//! | `user-started-speaking`, `user-stopped-speaking`, `vad-user-…`, `user-mute-…` | [`UserSpeech`] |
//! | `user-transcription`, `user-input` | what the user says, from its beginning each time, and then as `final`; `user-input` also what the user types |
//! | `bot-llm-started`, `bot-llm-text`, `bot-llm-stopped` | a response in the conversation, and its words as they come |
//! | `bot-started-speaking`, `bot-stopped-speaking` | [`BotSpeech`] |
//! | `bot-tts-started`, `bot-tts-text`, `bot-tts-stopped` | audio of the model, and its words as they are heard, which is an estimate |
//! | `bot-output` | each sentence: `new`, `in-progress` with each word, and `completed`; to clients of version 1 `spoken` or not |
//! | `bot-transcription` | each sentence, for older clients |
//! | `bot-interrupted` | [`Interruption`] |
//! | `llm-function-call-started`, `-in-progress`, `-stopped` | functions, as far as [`RtviOptions::functions`] says |
//! | `metrics` | [`Metric`]: `ttfb`, `processing`, `tokens` |
//! | `error` | a [`Fault`], fatal if the session has ended; a mistake of the client's that belongs to no message |
//! | `server-message` | [`Message`]. A body that is an RTVI message itself goes out as it is |
//! | `server-response`, `error-response` | the application's answer to a [`ClientMessage`]; that something can't be done |
//!
//! # What the client may send
//! | message | what comes of it |
//! |---|---|
//! | `client-ready` | the socket [is ready](crate::sockets::MediaSocket::ready). A version other than 1 and 2 is told, and served as 2 |
//! | audio of any rate, `raw-audio`, `raw-audio-batch` | [`InputAudio`] |
//! | `client-message` | [`InputMessage`], which the application answers: [`ClientMessage`] |
//! | `ui-event`, `ui-snapshot`, `ui-cancel-job-group` | [`InputMessage`] |
//! | `send-text`, `send-file` with an image | [`UserInput`], with `run_immediately` and `audio_response` |
//! | `dtmf` | [`InputDtmf`] |
//! | `llm-function-call-result` | [`ToolAnswer`](crate::media::ToolAnswer), for [`PeerTools`](crate::sockets::PeerTools) |
//! | `disconnect-bot` | the run ends, once what is being said is said |
//! | any other | `error-response` |
//!
//! # What it does not do
//! The client can't be told to drop audio, so what it was sent is heard, at most
//! [200 ms](RtviOptions::lead) after an interruption, and counts as heard. It tells nothing of what it has
//! played: that is an estimate. A client whose socket is lost does not come back to its call.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `machine`, `receive`, `tell` | the machine: life and time, messages in, frames out |
//! | `options`, `message`, `version` | what the application chooses and answers; which version is spoken |
//! | `said`, `asked` | the messages of both sides as JSON |
//! | `wire`, `protobuf` | the frames around them and around audio |
//! | `speech`, `sentences`, `transcripts`, `waiting`, `downlink`, `outbox` | what is remembered between two messages |
//!
//! [`UserSpeech`]: crate::chain::UserSpeech
//! [`BotSpeech`]: crate::chain::BotSpeech
//! [`Interruption`]: crate::chain::FrameKind::Interruption
//! [`Metric`]: crate::chain::Metric
//! [`Fault`]: crate::chain::FrameKind::Fault
//! [`Message`]: crate::chain::FrameKind::Message
//! [`InputAudio`]: crate::chain::FrameKind::InputAudio
//! [`InputMessage`]: crate::chain::FrameKind::InputMessage
//! [`InputDtmf`]: crate::chain::FrameKind::InputDtmf
//! [`UserInput`]: crate::chain::UserInput

mod asked;
mod downlink;
mod machine;
mod message;
mod options;
mod outbox;
mod protobuf;
mod receive;
mod said;
mod sentences;
mod speech;
mod tell;
#[cfg(test)]
mod tests;
mod transcripts;
mod version;
mod waiting;
mod wire;

pub use machine::Rtvi;
pub use message::ClientMessage;
pub use options::{FunctionReport, RtviOptions};
