//! A chat in writing: each answer is printed as it comes.
//!
//! ```sh
//! cargo run -p realtime-client --example text_chat
//! OPENAI_API_KEY=sk-… cargo run -p realtime-client --example text_chat -- wss://api.openai.com
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, Events};
use realtime_protocol::call::Event;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = SessionConfig::realtime().instructions("Be brief.").output_modalities(vec![Modality::Text]);
    let options = SessionOptions::default().config(config);
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    for question in ["What is a parrot?", "And what does it say?"] {
        println!("you: {question}");
        // Done when the server has the item; the answer comes as events.
        handle.send_text(question, true).await?;
        print_answer(&mut events).await?;
    }
    handle.close().await?;
    Ok(())
}

async fn print_answer(events: &mut Events) -> Result<(), Box<dyn Error>> {
    while let Some(event) = events.next().await {
        match event {
            Event::Text { delta, .. } => print!("{delta}"),
            Event::ResponseFinished(report) => {
                println!("  ({:?})", report.end);
                return Ok(());
            }
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    Err("the events ended before the answer".into())
}
