//! What was said and heard in a realtime conversation, its tools and its history.
//!
//! A [`Context`] is a chat, in the form of OpenAI's chat completions. The application gives it a history.
//! While a session runs, the context learns from its events. When another session begins, the context brings
//! it up to date. Its order is the server's order of items, however late a transcript comes. Of the
//! assistant's words it holds those that the user heard. A [`Toolbox`] holds the functions that the model may
//! call.
//!
//! ```
//! use realtime_context::{Context, History, Message, ToolError, Toolbox};
//! use realtime_protocol::call::{Command, Event};
//! use realtime_protocol::session::SessionOptions;
//! use serde_json::json;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct WeatherArgs {
//!     /// The city, without its country.
//!     city: String,
//! }
//!
//! let toolbox = Toolbox::new().tool("get_weather", "Looks up the weather", |args: WeatherArgs| async move {
//!     Ok::<_, ToolError>(json!({ "city": args.city, "celsius": 3 }))
//! });
//! let mut context = Context::from_messages([
//!     Message::system("You speak for a weather station."),
//!     Message::user("Greet me."),
//! ]);
//!
//! // Instructions and tools go into the configuration that the session begins with, the rest into items.
//! let mut options = SessionOptions::default();
//! options.config = toolbox.session_config(context.session_config(options.config));
//! let seed = context.seed(History::PackedMessage);
//! let commands = seed.items.into_iter().map(|item| Command::CreateItem {
//!     item: Box::new(item),
//!     after: None,
//!     respond: true,
//! });
//! assert_eq!(commands.count(), 1);
//!
//! // Then every event of the session is given to the context. The user speaks, the assistant answers, and
//! // what the user said comes last.
//! let reply = serde_json::from_value(json!({ "id": "reply", "type": "message", "role": "assistant" }))?;
//! # use realtime_protocol::call::{Origin, Place};
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
//!     for change in context.apply(&event) {
//!         assert!(context.line(change.item_id()).is_some());
//!     }
//! }
//! let said: Vec<String> = context.messages().iter().map(Message::text).collect();
//! assert_eq!(said[2..], ["How cold is it?", "Three degrees."]);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It is pure: no runtime, clock, socket, thread, lock or randomness. It sends nothing: it returns items,
//! configurations and function outputs for the session. It does not run tools: [`Toolbox::start`] returns a
//! future, and the caller runs it by its [`ToolPolicy`]. It keeps no audio, and counts no tokens.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`context`] | [`Context`]: history in and out, limits |
//! | [`message`] | [`Message`] and its parts: the JSON of chat completions |
//! | `apply`, `calls`, `order` | applying call events; the place of an item |
//! | `entry` | one place in the order: words, a call, or a message as it was given |
//! | `transcript` | [`Transcript`]: the conversation for a person to read |
//! | [`seed`] | [`History`]: what a new session is told about the conversation so far |
//! | `save` | a context as a JSON document |
//! | [`tool`] | [`Function`]: one tool, from a Rust type, and its policy |
//! | [`toolbox`] | [`Toolbox`]: tools by name |
//! | `schema`, `arguments` | the JSON Schema of a tool's parameters; reading a call's arguments |

mod apply;
mod arguments;
mod calls;
pub mod context;
mod entry;
pub mod message;
mod order;
mod save;
mod schema;
pub mod seed;
pub mod tool;
pub mod toolbox;
mod transcript;

pub use apply::Change;
pub use context::{Context, DEFAULT_LIMIT};
pub use entry::{INAUDIBLE, State, UNTRANSCRIBED};
pub use message::{Content, Message, Part, Role, ToolCall};
pub use save::LoadError;
pub use schemars;
pub use seed::{History, Seed};
pub use tool::{BoxFuture, Function, OnInterrupt, Reply, ToolError, ToolPolicy};
pub use toolbox::Toolbox;
pub use transcript::{CallLine, Line, Transcript};
