//! A phone menu: keys choose what is said and who answers. 1 says the hours, 2 is billing, 0 is a person, 9
//! hangs up. What the caller says is answered by the model as ever.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example phone_menu
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[expect(dead_code, reason = "the caller speaks by keys")]
mod support;

use std::time::Duration;

use realtime_pipeline::chain::{Answer, BotSpeech, Keys, PhoneAction, Ticket};
use realtime_pipeline::edges::memory;
use realtime_pipeline::protocol::session_config::SessionConfig;
use realtime_pipeline::{Agent, Cx, Frame, FrameKind, Intent, Processor};
use tokio::time::{sleep, timeout};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "request", "reply": [{ "say": "Press 1 for our hours, 2 for billing, 0 for a person, 9 to end." }] },
    { "on": "request", "reply": [{ "say": "We are open from nine to five." }] },
    { "on": "request", "reply": [{ "say": "This is billing. Which invoice is it?" }] },
    { "on": "request", "reply": [{ "say": "Nobody can take your call now." }] },
    { "on": "request", "reply": [{ "say": "Goodbye." }] }
] }"#;

/// What each key does.
#[derive(Default)]
struct PhoneMenu {
    /// A transfer that was asked for, and a goodbye.
    transfer: Option<Ticket>,
    goodbye: Option<Ticket>,
}

impl PhoneMenu {
    fn pressed(&mut self, key: char, cx: &mut Cx<'_>) {
        // Who presses a key knows the menu, and need not hear the rest of it.
        cx.ask(Intent::Interrupt);
        match key {
            '1' => {
                say("We are open from nine to five.", cx);
            }
            '2' => {
                let billing = SessionConfig::default().instructions("You help with invoices.");
                cx.ask(Intent::Settings(Box::new(billing)));
                cx.ask(Intent::Run { params: None, protected: false });
            }
            '0' => {
                let to = "+15550100001".into();
                self.transfer = Some(cx.ask(Intent::Phone(PhoneAction::Transfer { to })));
            }
            '9' => self.goodbye = Some(say("Goodbye.", cx)),
            key => {
                // The model makes something of it.
                if let Some(keys) = Keys::new(&key.to_string()) {
                    cx.ask(Intent::Dtmf { keys, run: true });
                }
            }
        }
    }
}

impl Processor for PhoneMenu {
    fn name(&self) -> &str {
        "phone_menu"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if let FrameKind::InputDtmf(keys) = frame.kind() {
            keys.as_str().chars().for_each(|key| self.pressed(key, cx));
        }
        cx.forward(frame);
    }

    fn handle_answer(&mut self, ticket: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        if self.transfer.take_if(|transfer| *transfer == ticket).is_some()
            && let Answer::Refused(why) = answer
        {
            println!("(the call was not transferred: {why})");
            say("Nobody can take your call now.", cx);
        }
        if self.goodbye.take_if(|goodbye| *goodbye == ticket).is_some() {
            // It takes effect once the goodbye has been heard.
            cx.ask(Intent::Phone(PhoneAction::HangUp));
        }
    }
}

fn say(text: &str, cx: &mut Cx<'_>) -> Ticket {
    cx.ask(Intent::Say { text: text.into() })
}

fn main() -> support::Result<()> {
    support::run(async {
        let agent = Agent::new("You answer the phone of a small shop.")
            .greeting("Tell the menu: 1 for the hours, 2 for billing, 0 for a person, 9 to end.")
            .listen(PhoneMenu::default());
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        // With a carrier's socket in place of it, 0 would transfer the call.
        let (transport, mut caller) = memory::pair();
        let (task, conversation) = agent.task(endpoint, transport)?;
        let hand = async {
            for key in ["1", "2", "0", "9"] {
                wait_for_silence(&mut caller).await;
                println!("(the caller presses {key})");
                let keys = Keys::new(key).ok_or("a key")?;
                caller.input.push(FrameKind::InputDtmf(keys))?;
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        };
        let (finished, pressed) = tokio::join!(task.run(), hand);
        finished?.into_result()?;
        pressed?;

        let told = conversation.transcript().to_string();
        println!("{told}");
        for said in ["nine to five", "This is billing", "Nobody can take", "Goodbye"] {
            assert!(told.contains(said), "{said}");
        }
        Ok(())
    })
}

/// Waits until the agent has said something.
async fn wait_for_silence(caller: &mut memory::MemoryPeer) {
    let silence = async {
        while let Some(frame) = caller.output.next().await {
            if matches!(frame, FrameKind::Bot(BotSpeech::Stopped)) {
                return;
            }
        }
    };
    // A model of flesh and blood may take its time, or say nothing at all.
    let _ = timeout(Duration::from_secs(20), silence).await;
    sleep(Duration::from_millis(300)).await;
}
