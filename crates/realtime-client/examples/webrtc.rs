//! A call by WebRTC: the model greets, a WAV file asks, and what was heard becomes another WAV file.
//!
//! ```sh
//! cargo run -p realtime-client --features webrtc,realtime-emulator/webrtc --example webrtc
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use realtime_client::{Client, WebRtc};
use realtime_protocol::call::{Command, Event};
use realtime_protocol::event::ServerEvent;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{SessionConfig, Transcription};
use tokio::time::interval;

/// 20 ms of PCM at 24 kHz (bytes).
const FRAME: usize = 960;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let asked = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../realtime-cli/fixtures/demo.wav"))?;

    let mut config = SessionConfig::realtime();
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    let webrtc = WebRtc::new().on_call(|id| println!("the server takes the call {id}"));
    let endpoint = support::endpoint("gpt-realtime").await?;
    let options = SessionOptions::default().config(config);
    let (handle, mut events) = Client::over_webrtc(webrtc, endpoint, options).await?.split();
    drop(handle.send(Command::CreateResponse { params: None, protected: false })?);

    let (mut heard, mut played) = (Vec::new(), 0);
    while played < 2 {
        match events.next().await.ok_or("the events ended before the answer")? {
            Event::UserTranscript { transcript, .. } => println!("you: {transcript}"),
            Event::Text { delta, .. } => print!("{delta}"),
            // It comes as it is to be heard: a loudspeaker would play it at once.
            Event::Audio(chunk) => heard.extend_from_slice(&chunk.audio),
            Event::Server(event) if matches!(*event, ServerEvent::OutputAudioBufferStopped(_)) => {
                println!();
                played += 1;
                if played == 1 {
                    // After the greeting, the question: from a microphone, 20 ms at a time.
                    let (handle, asked) = (handle.clone(), asked.clone());
                    tokio::spawn(async move {
                        let mut ticks = interval(Duration::from_millis(20));
                        for frame in asked.chunks(FRAME) {
                            ticks.tick().await;
                            if handle.append_audio(frame.to_vec()).is_err() {
                                break;
                            }
                        }
                    });
                }
            }
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    handle.close().await?;

    let file = std::env::temp_dir().join("webrtc.wav");
    write(&file, &heard)?;
    println!("what was heard is in {} ({} s)", file.display(), heard.len() / 48_000);
    Ok(())
}

/// The bytes of a WAV file in the session's format: 16-bit PCM at 24 kHz, one channel, little-endian.
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
    for sample in pcm.as_chunks().0 {
        wav.write_sample(i16::from_le_bytes(*sample))?;
    }
    Ok(wav.finalize()?)
}
