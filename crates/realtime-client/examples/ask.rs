//! A chat in ten lines.
//!
//! ```sh
//! cargo run -p realtime-client --example ask
//! OPENAI_API_KEY=sk-… cargo run -p realtime-client --example ask -- wss://api.openai.com
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::Client;
use realtime_protocol::session::SessionOptions;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // With a key in the environment: `Endpoint::openai_from_env("gpt-realtime")?`.
    let endpoint = support::endpoint("gpt-realtime").await?;
    let (chat, events) = Client::connect(endpoint, SessionOptions::default()).await?.split();
    drop(events); // everything that is wanted here is in the replies

    for question in ["What is a parrot?", "And what does it say?"] {
        let reply = chat.ask(question).await?.into_result()?;
        let seconds = reply.format.duration(reply.audio.len() as u64);
        println!("you: {question}\nmodel: {} ({seconds} of speech)", reply.text);
    }
    let farewell = chat.say("Goodbye!").await?.into_result()?;
    println!("model: {}", farewell.text);
    chat.close().await?;
    Ok(())
}
