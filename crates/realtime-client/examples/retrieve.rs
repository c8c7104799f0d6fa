//! Retrieves an item as the server has it, audio included, and then deletes it.
//!
//! ```sh
//! cargo run -p realtime-client --example retrieve
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, Error as ClientError};
use realtime_protocol::call::Event;
use realtime_protocol::content::ContentPart;
use realtime_protocol::item::Item;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::session_config::SessionConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = SessionConfig::realtime();
    let options = SessionOptions::default().config(config).playback(PlaybackSource::Estimated);
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();
    handle.send_text("Say something.", true).await?;
    let item_id = loop {
        match events.next().await.ok_or("the events ended before the answer")? {
            Event::AudioDone { item_id, total, .. } => {
                println!("{item_id} is spoken: {total}");
                break item_id;
            }
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    };
    // It is in the conversation once its response is done.
    while !matches!(events.next().await, Some(Event::ResponseFinished(_)) | None) {}

    let Item::Message(message) = handle.retrieve_item(item_id.clone()).await? else {
        return Err("expected a message".into());
    };
    for part in message.parts() {
        println!("said: {}", part.words().unwrap_or_default());
        if let ContentPart::OutputAudio(part) = part {
            let bytes =
                part.audio.value().and_then(|audio| audio.bytes().ok()).map_or(0, |audio| audio.len());
            println!("its audio: {bytes} bytes");
        }
    }

    handle.delete_item(item_id.clone()).await?;
    match handle.retrieve_item(item_id).await {
        Err(ClientError::Refused { error }) => println!("it is gone: {error}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    handle.close().await?;
    Ok(())
}
