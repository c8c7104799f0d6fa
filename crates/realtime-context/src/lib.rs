//! What was said and heard in a realtime conversation, its tools and its history.
//!
//! A [`Conversation`] is a chat, in the form of OpenAI's chat completions, and the one shared owner of it.
//! The application gives it a history. In a call it learns from every event: its order is the server's order
//! of items, however late a transcript comes; what this side did is true at once; of the assistant's words
//! it holds those that the user heard. What the application changes, it tells the server, and it tells each
//! new session what was said. A [`Toolbox`] holds the functions that the model may call.
//!
//! ```
//! use realtime_context::{Conversation, Message};
//! use realtime_protocol::call::{Command, Event, Listeners, Asked};
//! use realtime_protocol::time::{Timestamp, UnixTime};
//! # use realtime_protocol::call::{Origin, Place};
//! # use serde_json::json;
//!
//! let conversation = Conversation::from_messages([
//!     Message::system("You speak for a weather station."),
//!     Message::user("Greet me."),
//! ]);
//!
//! // A driver holds listeners. The client does this for `ClientOptions::conversation`.
//! let mut listeners = Listeners::default();
//! listeners.add(Box::new(conversation.clone()));
//! # let (now, wall) = (Timestamp::ZERO, UnixTime::from_secs(1_800_000_000));
//!
//! // A session begins: it is told what was said.
//! listeners.hear(now, wall, &Event::Created { session_id: None });
//! let Some(Asked::Command(_, Command::CreateItem { item, .. })) = listeners.poll_asked() else { panic!() };
//! assert_eq!(item.as_message().unwrap().parts()[0].words(), Some("Greet me."));
//!
//! // The user speaks, the assistant answers, and what the user said comes last.
//! let reply = serde_json::from_value(json!({ "id": "reply", "type": "message", "role": "assistant" }))?;
//! for event in [
//!     Event::Committed { item_id: "speech".into() },
//!     Event::ItemPlaced { item: reply, place: Place::After("speech".into()), origin: Origin::Server },
//!     Event::Text {
//!         response_id: "response".into(),
//!         item_id: "reply".into(),
//!         content_index: 0,
//!         delta: "Three degrees.".into(),
//!         spoken: true,
//!     },
//!     Event::UserTranscript {
//!         item_id: "speech".into(),
//!         content_index: 0,
//!         transcript: "How cold is it?".into(),
//!         languages: vec![],
//!         logprobs: vec![],
//!         usage: None,
//!     },
//! ] {
//!     listeners.hear(now, wall, &event);
//! }
//! let said: Vec<String> = conversation.messages().iter().map(Message::text).collect();
//! assert_eq!(said[2..], ["How cold is it?", "Three degrees."]);
//!
//! // A note of the application's goes to the server at once.
//! conversation.append(Message::system("The user has left."));
//! listeners.handle_timeout(now);
//! assert!(matches!(listeners.poll_asked(), Some(Asked::Command(_, Command::CreateItem { .. }))));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It is pure: no runtime, clock, socket, thread or randomness. Its locks hold only what owners share (a
//! [`Conversation`], a [`Toolbox`], a [`FunctionContext`]), and are never held over a callback. It sends
//! nothing: it asks a driver. It does not run tools: a [`Desk`] says which futures to start and to drop, and
//! the driver runs them. It keeps no audio: audio is a reference to the server's item, with its transcript.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`conversation`] | [`Conversation`]: the shared owner, a listener, and what reseeds |
//! | [`log`] | [`Log`]: entries with ids of their own: messages, words, functions |
//! | [`message`] | [`Message`] and its parts: the JSON of chat completions |
//! | `mirror` | [`Mirror`]: what the server's conversation holds, in its order |
//! | [`mod@sync`] | [`sync()`]: what to tell the server so that it holds what the log says |
//! | `learn` | what log and mirror learn from the events of a call |
//! | `save` | a conversation as a JSON document |
//! | `transcript` | [`Transcript`]: the conversation for a person to read |
//! | [`agent`] | [`Agents`]: instructions and tools that change in a call, and the tools that hand over |
//! | [`aggregator`] | the user's and the assistant's side, by the names that other frameworks use |
//! | [`budget`] | tokens by entry, policies, prices, limits of a call |
//! | [`tool`] | [`Function`]: one tool, from a Rust type; its policy, and what its handler knows of the call |
//! | [`toolbox`] | [`Toolbox`]: tools by name, shared and versioned |
//! | [`guard`] | [`Guard`]: what looks at the assistant's words, and may stop them |
//! | [`hosted`] | [`HostedServer`]: MCP servers that the service calls by itself, and approvals |
//! | [`desk`] | [`Desk`]: which functions start, wait, are approved, stop and are answered |
//! | `schema`, `arguments` | the JSON Schema of a tool's parameters; reading a call's arguments |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod agent;
pub mod aggregator;
mod arguments;
pub mod budget;
pub mod conversation;
pub mod desk;
pub mod guard;
pub mod hosted;
mod learn;
pub mod log;
pub mod message;
mod mirror;
mod save;
mod schema;
pub mod sync;
pub mod tool;
pub mod toolbox;
mod transcript;

pub use agent::{AgentError, AgentSpec, Agents};
pub use conversation::{Conversation, Instructions, TextOnly};
pub use desk::{Asker, Desk, DeskOptions, DeskOutput, JobId};
pub use guard::{Guard, Guarded, Said, Verdict};
pub use hosted::{ApprovalRequest, HostedServer};
pub use learn::Change;
pub use log::{DEFAULT_LIMIT, Ending, Entry, EntryId, INAUDIBLE, Log, State, UNTRANSCRIBED};
pub use message::{Arguments, Content, Message, Part, Role, ToolCall};
pub use mirror::Mirror;
pub use realtime_protocol::call::Seed;
pub use save::LoadError;
pub use schemars;
pub use sync::{Edit, History, Limits, Omitted, Plan, sync};
pub use tool::{
    BoxFuture, Filler, Function, FunctionContext, Handler, OnInterrupt, OnTakeover, Reply, ToolError,
    ToolNameError, ToolPolicy,
};
pub use toolbox::{ToolRefusal, Toolbox, Tools, Watching};
pub use transcript::{CallLine, Line, Transcript};
