//! Steers a WebRTC or SIP call over its side channel, without its audio.
//!
//! ```sh
//! cargo run -p realtime-client --features http --example sideband
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, Endpoint, Rest};
use realtime_protocol::call::Event;
use realtime_protocol::http::CallCreateRequest;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::session_config::SessionConfig;

/// What a browser would send: enough of an offer for this example.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = support::endpoint("gpt-realtime").await?;

    // The browser's offer goes to the server, and its answer back to the browser.
    let rest = Rest::new(endpoint.clone());
    let session = Box::new(SessionConfig::realtime().model("gpt-realtime"));
    let call = rest.create_call(&CallCreateRequest::default().sdp(OFFER).session(session)).await?;
    println!("call {} has begun; the answer has {} bytes", call.call_id, call.sdp.len());

    // From here on this side gets the events and may give commands; it never sees the audio.
    let side = side_channel(&endpoint, &call.call_id)?;
    let config = SessionConfig::realtime().instructions("Speak like a pirate.");
    let options = SessionOptions::default().config(config).playback(PlaybackSource::Server);
    let (handle, mut events) = Client::connect(side, options).await?.split();
    handle.send_text("Who are you?", true).await?;
    loop {
        match events.next().await.ok_or("the events ended before the answer")? {
            Event::Text { delta, .. } => print!("{delta}"),
            Event::ResponseFinished(_) => break,
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    println!();
    rest.hang_up_call(&call.call_id).await?;
    while let Some(event) = events.next().await {
        if let Event::Closed { reason } = event {
            println!("the call has ended: {reason}");
        }
    }
    Ok(())
}

/// The same server, for the side channel of a call. (`Endpoint::openai_call` does this for OpenAI.)
fn side_channel(endpoint: &Endpoint, call_id: &str) -> Result<Endpoint, Box<dyn Error>> {
    let url = endpoint.url();
    let base = url.split('?').next().unwrap_or_default();
    let side = Endpoint::new(base, "")?.query("call_id", call_id);
    Ok(match std::env::var("OPENAI_API_KEY") {
        Ok(key) if !key.is_empty() => side.key(key),
        _ => side,
    })
}
