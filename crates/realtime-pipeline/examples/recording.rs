//! Records a call twice: as a whole in a stereo file, and turn by turn.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example recording
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::sync::mpsc;

use realtime_pipeline::edges::{Discard, RecordedVoice};
use realtime_pipeline::{Agent, Recorder, Recording, WavSource};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "request", "reply": [{ "say": "Hello! What do you want to know?" }] },
    { "on": "speech", "transcript": "What time is it?", "reply": [{ "say": "It is noon." }] }
] }"#;

fn main() -> support::Result<()> {
    support::run(async {
        let file = std::env::temp_dir().join("recording.wav");
        let whole = Recorder::to_file(&file, Recording::stereo())?;
        // The function is called on a thread of its own.
        let (clips, recorded) = mpsc::channel();
        let per_turn = Recorder::to(Recording::per_turn(), move |clip| {
            // Nobody may be left to listen.
            let _ = clips.send(clip);
        });

        let agent = Agent::new("You tell the time.").greeting("Greet the user.").speak(whole).speak(per_turn);
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        let user = WavSource::open(support::recording("one-turn-44k1-stereo.wav"))?.after_first_bot_turn();
        let call = agent.run(endpoint, (user, Discard::new())).await?;
        println!("{}", call.transcript());

        let mut voices = Vec::new();
        for clip in recorded {
            let millis = clip.audio.frames() * 1_000 / u64::from(clip.audio.rate());
            println!("turn {}, {:?}: {millis} ms", clip.turn.unwrap_or_default(), clip.voice);
            voices.push(clip.voice);
        }
        assert_eq!(voices, [RecordedVoice::Bot, RecordedVoice::User, RecordedVoice::Bot]);

        let wav = hound::WavReader::open(&file)?;
        let seconds = f64::from(wav.duration()) / f64::from(wav.spec().sample_rate);
        println!("all of it, the user left and the agent right: {} ({seconds:.1} s)", file.display());
        assert_eq!(wav.spec().channels, 2);
        assert!(seconds > 3.0);
        Ok(())
    })
}
