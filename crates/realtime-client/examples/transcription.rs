//! A transcription session: speech becomes text, and no model answers.
//!
//! ```sh
//! cargo run -p realtime-client --example transcription
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use realtime_client::{Client, Handle};
use realtime_protocol::call::Event;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, SessionKind, Transcription};
use tokio::time::{interval, timeout};

/// 20 ms of PCM at 24 kHz.
const CHUNK: usize = 960;
/// How long to wait after the last words.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = SessionConfig::default().kind(SessionKind::Transcription);
    config.input_mut().transcription = Transcription::default().model("gpt-4o-transcribe").into();
    let options = SessionOptions::default().config(config);
    // The session names the model; the address says what it is for.
    let endpoint = support::endpoint("").await?.query("intent", "transcription");
    let (handle, mut events) = Client::connect(endpoint, options).await?.split();

    let speaker = tokio::spawn(speak(handle.clone()));
    let mut turns = 0;
    // Until the file is spoken and it has been quiet for a while.
    loop {
        match timeout(QUIET, events.next()).await {
            Ok(Some(Event::UserTranscriptDelta { delta, .. })) => print!("{delta}"),
            Ok(Some(Event::UserTranscript { transcript, .. })) => {
                turns += 1;
                println!("\n{turns}. {transcript}");
            }
            Ok(Some(Event::Closed { reason })) => return Err(reason.to_string().into()),
            Ok(Some(_)) => {}
            Ok(None) => return Err("the events ended before the transcript".into()),
            Err(_) if speaker.is_finished() => break,
            Err(_) => {}
        }
    }
    speaker.await?.map_err(|error| error.to_string())?;
    handle.close().await?;
    if turns == 0 { Err("nothing was transcribed".into()) } else { Ok(()) }
}

/// Speaks a file as a microphone would: 20 ms every 20 ms, and silence after it.
async fn speak(handle: Handle) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut wav = hound::WavReader::open(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../realtime-cli/fixtures/demo.wav"),
    )?;
    let samples = wav.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let mut pcm: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
    pcm.extend(vec![0; 48_000]);
    let mut ticks = interval(Duration::from_millis(20));
    for chunk in pcm.chunks(CHUNK) {
        ticks.tick().await;
        handle.append_audio(chunk.to_vec())?;
    }
    Ok(())
}
