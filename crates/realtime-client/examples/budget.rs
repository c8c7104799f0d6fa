//! A call that may not cost more than so much: it warns, says a last sentence, and ends. Meanwhile the
//! conversation is kept small.
//!
//! ```sh
//! cargo run -p realtime-client --features tools --example budget
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, ClientOptions};
use realtime_context::budget::{Budget, Policy, Prices, SpendLimits};
use realtime_context::{Conversation, Message};
use realtime_protocol::call::{Event, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In any currency, for a million tokens. Prices change: give those that you pay.
    let prices = Prices { input_text: 4.0, cached_text: 0.4, output_text: 16.0, ..Prices::default() };
    let last_words = Some("I must go now. Goodbye!".to_owned());
    let budget = Budget::new(prices, SpendLimits { cost: Some(0.002), last_words, ..SpendLimits::default() });
    let conversation = Conversation::new()
        .budget(Policy::Summarise, 80)
        .summariser(|messages| format!("{} messages were said before.", messages.len()));
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let session = SessionOptions::default().config(config);
    let options = ClientOptions::new(session).conversation(conversation.clone()).listener(budget.clone());
    let (_handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    let (mut warned, mut spent, mut pruned, mut last) = (0, 0, 0, String::new());
    conversation.append_and_respond(Message::user("What does a parrot say?"));
    loop {
        match events.next().await.ok_or("the events ended before the end of the call")? {
            Event::Text { delta, .. } => last.push_str(&delta),
            Event::Notice(Notice::BudgetNearlySpent { percent }) => {
                println!("({percent} % are spent)");
                warned += 1;
            }
            Event::Notice(Notice::BudgetSpent {}) => spent += 1,
            Event::Notice(Notice::Pruned { dropped, .. }) => {
                println!("({} entries became a summary)", dropped.len());
                pruned += 1;
            }
            Event::ResponseFinished(_) => {
                println!("{last}  (so far: {:.6})", budget.spent().total());
                last.clear();
                if !budget.is_spent() {
                    conversation.append_and_respond(Message::user("And what else does a parrot say?"));
                }
            }
            Event::Closed { reason } => {
                println!("the call ended: {reason}");
                break;
            }
            _ => {}
        }
    }
    assert_eq!((warned, spent), (1, 1));
    assert!(pruned > 0 && conversation.tokens() < 160);
    Ok(())
}
