//! Two agents in one call: the front desk hands over to billing, which greets and has tools of its own.
//!
//! ```sh
//! cargo run -p realtime-client --features tools --example handoff
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, ClientOptions, Events};
use realtime_context::{AgentSpec, Agents, Conversation, ToolError, Toolbox};
use realtime_protocol::call::{Event, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};

/// Agents are data: these could stand in a file.
const AGENTS: &str = r#"[
    { "name": "front_desk", "instructions": "You find out what the caller wants.", "handoffs": ["billing"] },
    { "name": "billing", "instructions": "You help with invoices.", "description": "Knows all invoices",
      "tools": ["find_invoice"], "greeting": "Say that you are from billing, and ask for the number." }
]"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let agents = Agents::new(serde_json::from_str::<Vec<AgentSpec>>(AGENTS)?)?;
    let toolbox = Toolbox::new()
        .tool("find_invoice", "Looks an invoice up", |(): ()| async { Ok::<_, ToolError>("paid") });
    let conversation = Conversation::new();
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let session = SessionOptions::default().config(config);
    let options = ClientOptions::new(session)
        .conversation(conversation.clone())
        .toolbox(toolbox)
        .agents(agents.clone());
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    // The emulator calls the function that a text names.
    for text in ["My invoice is wrong: handoff_to_billing", "Is it paid? find_invoice"] {
        println!("you: {text}");
        handle.send_text(text, true).await?;
        let answer = answer(&mut events).await?;
        println!("{}: {answer}", agents.current());
    }
    assert_eq!(agents.current(), "billing");
    let messages = conversation.messages();
    assert!(messages.iter().any(|message| message.text().contains("invoice is wrong")), "it stays");
    handle.close().await?;
    Ok(())
}

/// The words of the first response that has some.
async fn answer(events: &mut Events) -> Result<String, Box<dyn Error>> {
    let mut words = String::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Text { delta, .. } => words.push_str(&delta),
            Event::Notice(Notice::AgentChanged { from, to, .. }) => println!("({from} hands over to {to})"),
            Event::ResponseFinished(_) if !words.is_empty() => return Ok(words),
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    Err("the events ended before the answer".into())
}
