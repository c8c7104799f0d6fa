//! An agent that reads samples from standard input and writes samples to standard output: with `arecord` and
//! `aplay` it has a microphone and a loudspeaker.
//!
//! ```sh
//! arecord -t raw -f S16_LE -r 24000 | cargo run -p realtime-pipeline --example raw_pcm -- stdio \
//!     | aplay -t raw -f S16_LE -r 24000
//! ```
//!
//! Without `stdio` the pipes are in memory, and a recording is what the user says.

mod support;

use std::time::Duration;

use realtime_pipeline::{Agent, RawSink, RawSource, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::interval;

const SCRIPT: &str = r#"{ "turns": [
    { "on": "speech", "transcript": "What is the weather in Paris today?",
      "reply": [{ "say": "I have no window." }] }
] }"#;

/// Samples per second, both ways.
const RATE: u32 = 24_000;

fn main() -> support::Result<()> {
    support::run(async {
        if std::env::args().any(|argument| argument == "stdio") {
            let transport =
                (RawSource::new(tokio::io::stdin(), RATE), RawSink::new(tokio::io::stdout(), RATE));
            return talk(transport).await;
        }
        let (microphone, writer) = duplex(1 << 16);
        let (reader, loudspeaker) = duplex(1 << 16);
        tokio::spawn(speak(writer));
        let heard = tokio::spawn(listen(reader));
        talk((RawSource::new(microphone, RATE), RawSink::new(loudspeaker, RATE))).await?;
        let heard = heard.await??;
        eprintln!("{} ms were heard", heard.len() as u32 * 1_000 / 2 / RATE);
        assert!(heard.len() as u32 > RATE, "half a second at least");
        Ok(())
    })
}

async fn talk(transport: impl Transport) -> support::Result<()> {
    let (agent, endpoint) = support::model(Agent::new("You are a friendly host."), SCRIPT)?;
    let call = agent.run(endpoint, transport).await?;
    // Standard output is the loudspeaker.
    eprintln!("{}", call.transcript());
    assert!(!call.conversation.messages().is_empty());
    Ok(())
}

/// Writes four seconds of a recording, 20 ms at a time, as a microphone would.
async fn speak(mut writer: DuplexStream) -> std::io::Result<()> {
    let wav = std::fs::read(support::recording("demo.wav"))?;
    let mut ticks = interval(Duration::from_millis(20));
    // The samples follow a header of 44 bytes.
    for chunk in wav[44..].chunks(RATE as usize / 50 * 2).take(200) {
        ticks.tick().await;
        writer.write_all(chunk).await?;
    }
    Ok(())
}

/// All bytes that are written until the call is over.
async fn listen(mut reader: DuplexStream) -> std::io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    reader.read_to_end(&mut heard).await?;
    Ok(heard)
}
