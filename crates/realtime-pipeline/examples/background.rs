//! Sounds of one's own: a jingle before anybody speaks, and a hum under everything.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example background
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use realtime_pipeline::chain::{AudioSource, OutputAudio};
use realtime_pipeline::edges::memory;
use realtime_pipeline::{Agent, Audio, FrameKind, Playout, Samples, WavSource};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "speech", "transcript": "What time is it?", "reply": [{ "say": "It is noon." }] }
] }"#;

/// Samples per second of all that is played here.
const RATE: u32 = 24_000;

fn main() -> support::Result<()> {
    support::run(async {
        let hum = Samples::new(RATE, 1, tone(110.0, 1.0));
        let agent = Agent::new("You tell the time.").playout(Playout::new().background(&hum, 0.1));
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        let (loudspeaker, mut heard) = memory::pair();
        let user = WavSource::open(support::recording("one-turn-44k1-stereo.wav"))?.after_first_bot_turn();
        let (task, conversation) = agent.task(endpoint, (user, loudspeaker.sink))?;

        // It flows down to the playout, which plays it as soon as the call begins.
        let jingle = tone(880.0, 0.5);
        let (source, total) = (AudioSource::Clip("jingle".into()), jingle.len() as u64);
        let audio = Audio::mono(RATE, jingle);
        let clip = OutputAudio { response_id: None, source: source.clone(), start: 0, mark: None, audio };
        task.handle().queue(FrameKind::OutputAudio(clip))?;
        task.handle().queue(FrameKind::OutputFinished { source, total })?;
        task.run().await?.into_result()?;

        println!("{}", conversation.transcript());
        let mut order: Vec<AudioSource> = Vec::new();
        while let Some(kind) = heard.output.try_next() {
            if let FrameKind::PlayedAudio(played) = kind
                && order.last() != Some(&played.source)
            {
                order.push(played.source);
            }
        }
        println!("{order:?}");
        let is_jingle =
            |source: &AudioSource| matches!(source, AudioSource::Clip(name) if &**name == "jingle");
        let is_answer = |source: &AudioSource| matches!(source, AudioSource::Part { .. });
        let (jingle, answer) = (order.iter().position(is_jingle), order.iter().position(is_answer));
        assert!(jingle.is_some() && jingle < answer, "the jingle comes first");
        Ok(())
    })
}

/// A tone of so many Hz and seconds.
fn tone(hz: f32, seconds: f32) -> Vec<i16> {
    let step = hz * std::f32::consts::TAU / RATE as f32;
    (0..(seconds * RATE as f32) as u32).map(|at| ((at as f32 * step).sin() * 6_000.0) as i16).collect()
}
