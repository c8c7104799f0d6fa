//! Push to talk: a WAV file is what the user says, and the answer becomes another WAV file.
//!
//! ```sh
//! cargo run -p realtime-client --example push_to_talk
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::path::Path;

use realtime_client::{Bounds, Client, ClientOptions};
use realtime_protocol::call::Event;
use realtime_protocol::field::Field;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::session_config::{SessionConfig, Transcription};

/// 100 ms of PCM at 24 kHz.
const CHUNK: usize = 4800;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let said = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../realtime-cli/fixtures/demo.wav"))?;

    // No turn detection: the turn is the audio between `begin_turn` and the commit.
    let mut config = SessionConfig::realtime();
    config.input_mut().turn_detection = Field::Null;
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    // The answer goes to a file, so nothing reports what was played.
    let session = SessionOptions::default().config(config).playback(PlaybackSource::Estimated);
    // Audio from a file is never late, however slow the connection.
    let bounds = Bounds::default().input_audio_age(None);
    let options = ClientOptions::new(session).bounds(bounds);
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    handle.begin_turn()?;
    for chunk in said.chunks(CHUNK) {
        handle.append_audio(chunk.to_vec())?;
    }
    handle.commit_audio(true).await?;

    let mut answer = Vec::new();
    let mut transcribed = false;
    let mut finished = false;
    // The transcript of what was said may come after the answer to it.
    while !(finished && transcribed) {
        match events.next().await.ok_or("the events ended before the answer")? {
            Event::UserTranscript { transcript, .. } => {
                println!("you: {transcript}");
                transcribed = true;
            }
            Event::UserTranscriptFailed { error, .. } => {
                println!("you: (not transcribed: {error})");
                transcribed = true;
            }
            Event::Text { delta, .. } => print!("{delta}"),
            Event::Audio(chunk) => answer.extend_from_slice(&chunk.audio),
            Event::ResponseFinished(_) => {
                println!();
                finished = true;
            }
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    handle.close().await?;

    let file = std::env::temp_dir().join("push_to_talk.wav");
    write(&file, &answer)?;
    println!("the answer is in {} ({} s)", file.display(), answer.len() / 48_000);
    Ok(())
}

/// The bytes of a WAV file in the server's format: 16-bit PCM at 24 kHz, one channel, little-endian.
fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut wav = hound::WavReader::open(path)?;
    let spec = wav.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (24_000, 1, 16) {
        return Err(format!("expected 24 kHz, mono, 16 bits in {}, got {spec:?}", path.display()).into());
    }
    let samples = wav.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
}

fn write(path: &Path, pcm: &[u8]) -> Result<(), Box<dyn Error>> {
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels: 1, sample_rate: 24_000, bits_per_sample: 16, sample_format };
    let mut wav = hound::WavWriter::create(path, spec)?;
    for sample in pcm.chunks_exact(2) {
        wav.write_sample(i16::from_le_bytes([sample[0], sample[1]]))?;
    }
    Ok(wav.finalize()?)
}
