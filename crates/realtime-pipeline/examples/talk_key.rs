//! Push to talk: the user's turn is what is said while a key is held, and a press stops the agent.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example talk_key
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::time::Duration;

use realtime_pipeline::edges::Discard;
use realtime_pipeline::protocol::field::Field;
use realtime_pipeline::protocol::session_config::{SessionConfig, Transcription};
use realtime_pipeline::turns::{PushToTalk, Turns};
use realtime_pipeline::{Agent, WavSource};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "speech", "transcript": "What time is it?", "reply": [{ "say": "It is noon." }] }
] }"#;

fn main() -> support::Result<()> {
    support::run(async {
        // The server detects no turns.
        let mut config = SessionConfig::realtime();
        config.input_mut().turn_detection = Field::Null;
        config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();

        let agent = Agent::new("You tell the time.").session(config).listen(Turns::push_to_talk());
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        let user = WavSource::open(support::recording("one-turn-44k1-stereo.wav"))?;
        let said = user.duration();
        let (task, conversation) = agent.task(endpoint, (user, Discard::new()))?;

        let handle = task.handle().clone();
        let key = PushToTalk::new(move |frame| {
            // The call may be over.
            let _ = handle.queue(frame);
        });
        let hand = async {
            key.press();
            println!("(the key is down)");
            tokio::time::sleep(said + Duration::from_millis(500)).await;
            key.release();
            println!("(the key is up)");
        };
        let (finished, ()) = tokio::join!(task.run(), hand);
        finished?.into_result()?;

        println!("{}", conversation.transcript());
        let words: Vec<String> = conversation.messages().iter().map(|message| message.text()).collect();
        assert_eq!(words.len(), 2, "a question and an answer: {words:?}");
        Ok(())
    })
}
