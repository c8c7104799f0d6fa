//! Stages of one's own: a processor, and two stages of one function.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example custom_processor
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use realtime_pipeline::chain::{BotSpeech, Map, Tap, UserSpeech};
use realtime_pipeline::edges::Discard;
use realtime_pipeline::{Agent, Audio, Cx, Frame, FrameKind, Intent, Processor, WavSource};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "speech", "transcript": "What time is it?", "reply": [{ "say": "It is noon." }] },
    { "reply": [{ "say": "Is there anything else?" }] }
] }"#;

/// Has the model ask once more after its first answer.
struct AskAgain(u32);

impl Processor for AskAgain {
    fn name(&self) -> &str {
        "ask_again"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if matches!(frame.kind(), FrameKind::Bot(BotSpeech::Stopped)) {
            self.0 += 1;
            if self.0 == 1 {
                cx.ask(Intent::Say { text: "Is there anything else?".into() });
            }
        }
        cx.forward(frame);
    }
}

fn main() -> support::Result<()> {
    support::run(async {
        // A microphone that is too quiet: all that it hears becomes twice as loud.
        let louder = Map::new(|kind| match kind {
            FrameKind::InputAudio(audio) => audio.pcm().map(|samples| {
                let twice: Vec<i16> = samples.as_slice().iter().map(|s| s.saturating_mul(2)).collect();
                FrameKind::InputAudio(Audio::mono(samples.rate(), twice))
            }),
            other => Some(other.clone()),
        });
        let tell = Tap::new(|frame, cx| match frame.kind() {
            FrameKind::User(UserSpeech::Started { .. }) => println!("{}: the user speaks", cx.now()),
            FrameKind::User(UserSpeech::Stopped { .. }) => println!("{}: the user is silent", cx.now()),
            FrameKind::Bot(BotSpeech::Started) => println!("{}: the agent speaks", cx.now()),
            FrameKind::Bot(BotSpeech::Stopped) => println!("{}: the agent is silent", cx.now()),
            _ => {}
        });
        let agent = Agent::new("You tell the time.").listen(louder).listen(tell).listen(AskAgain(0));
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        let user = WavSource::open(support::recording("one-turn-44k1-stereo.wav"))?;
        let call = agent.run(endpoint, (user, Discard::new())).await?;

        println!("{}", call.transcript());
        let answers = call.conversation.messages().into_iter().filter(|m| m.role.as_str() == "assistant");
        assert_eq!(answers.count(), 2, "one to the user, one to the processor");
        Ok(())
    })
}
