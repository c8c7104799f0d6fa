//! The README's agent, run as a program in a folder of its own: against an emulator, in real time and over a
//! real socket, to its end.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use tokio::task::spawn_blocking;

type Error = Box<dyn std::error::Error>;

/// What the server says, briefly: it is heard in real time.
const SCRIPT: &str = r#"{ "turns": [
    { "on": "request", "reply": [{ "say": "Hello! Which city?" }] },
    { "on": "speech", "transcript": "Paris, please.",
      "reply": [{ "call": "get_weather", "arguments": { "city": "Paris" } }] },
    { "on": { "tool": "get_weather" }, "reply": [{ "say": "It is sunny, with 21 degrees." }] }
] }"#;

/// What the program prints.
const TRANSCRIPT: &str = r#"assistant: Hello! Which city?
user: Paris, please.
tool: get_weather({"city":"Paris"}) -> "sunny in Paris, 21 °C"
assistant: It is sunny, with 21 degrees."#;

#[tokio::test]
async fn the_readmes_agent_greets_calls_its_tool_and_prints_what_was_said() {
    let folder = Folder::new().unwrap();
    let question = folder.0.join("question.wav");
    write_speech(&question).unwrap();

    let began = Instant::now();
    let output = run(&folder.0).await.unwrap();
    let (told, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(told.trim_end(), TRANSCRIPT);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());

    let answer: Vec<i16> =
        WavReader::open(folder.0.join("answer.wav")).unwrap().samples().map(Result::unwrap).collect();
    // The greeting and the answer are two stretches of sound.
    let spoken = answer.iter().filter(|sample| sample.unsigned_abs() > 500).count();
    assert!(spoken > 24_000, "{spoken} of {} samples hold sound", answer.len());
}

#[test]
fn the_example_is_the_readmes_only_block_of_rust() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("\n```rust").skip(1).collect();
    let [block] = blocks[..] else { panic!("README.md has {} blocks of Rust", blocks.len()) };
    let (_, block) = block.split_once('\n').unwrap();
    let (block, _) = block.split_once("```").unwrap();

    let example = root.join("crates/realtime-pipeline/examples/agent.rs");
    let example = std::fs::read_to_string(example).unwrap();
    let begin = example.find("\nuse ").unwrap() + 1;
    assert_eq!(&example[begin..], block);
}

/// Runs the program in this folder, with an emulator as its server.
async fn run(folder: &Path) -> Result<Output, Error> {
    let options = Options::default().script(Script::parse(SCRIPT)?);
    let emulator = Emulator::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_readme-agent"));
    program
        .current_dir(folder)
        .env("OPENAI_API_KEY", "sk-emulator")
        .env("OPENAI_BASE_URL", format!("http://{}/v1", emulator.local_addr()));
    tokio::spawn(emulator.serve(pending::<()>()));
    Ok(spawn_blocking(move || program.output()).await??)
}

/// A second of a tone that swells and falls four times, as syllables do.
fn write_speech(path: &Path) -> Result<(), Error> {
    let spec =
        WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut wav = WavWriter::create(path, spec)?;
    for at in 0..16_000 {
        let time = f64::from(at) / 16_000.0;
        let loudness = (time * 4.0 * std::f64::consts::PI).sin().abs();
        let tone = (time * 180.0 * std::f64::consts::TAU).sin();
        wav.write_sample((loudness * tone * 9_000.0) as i16)?;
    }
    Ok(wav.finalize()?)
}

/// A new folder, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("readme-agent-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
