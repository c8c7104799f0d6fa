//! The connection breaks in the middle of an answer, and nothing is lost: the next session is told what was
//! said, and the answer is asked for again.
//!
//! ```sh
//! cargo run -p realtime-client --features tools --example reconnect
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use realtime_client::{ActiveCall, Client, ClientOptions, Endpoint};
use realtime_context::{Conversation, Message};
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::{ConnectionEvent, Event, Reconnect, ResponseEnd, Warning};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::session::SessionOptions;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A server that does to its clients what they ask for.
    let options = Options::default().control(true);
    let emulator = Emulator::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let endpoint = Endpoint::new(&emulator.url(), "gpt-realtime")?;
    tokio::spawn(emulator.serve(pending::<()>()));

    let conversation = Conversation::from_messages([Message::system("Be brief.")]);
    let reconnect = Reconnect::default().ask_again(true);
    let options =
        ClientOptions::new(SessionOptions::default()).conversation(conversation.clone()).reconnect(reconnect);
    let mut call = Client::connect(endpoint, options).await?;

    let disaster = json!({ "do": "break", "at": "response.output_audio.delta", "nth": 30 });
    let event = json!({ "type": "emulator.disaster", "disaster": disaster });
    call.handle().send_event(ClientEvent::decode(&event.to_string(), Dialect::Ga))?;
    for question in ["My name is Ada.", "Tell me something long."] {
        println!("you: {question}");
        conversation.append_and_respond(Message::user(question));
        let cuts = until_answered(&mut call).await?;
        println!("(the answer is whole; the connection broke {cuts} times)");
    }
    println!("{}", conversation.transcript());
    call.handle().close().await?;
    Ok(())
}

/// Waits for a whole answer. Returns how often the connection broke before.
async fn until_answered(call: &mut ActiveCall) -> Result<u32, Box<dyn Error>> {
    let mut cuts = 0;
    loop {
        match call.next().await.ok_or("the events ended before the answer")? {
            Event::Connection(ConnectionEvent::Lost { reason, .. }) => {
                println!("(lost: {reason})");
                cuts += 1;
            }
            Event::Connection(ConnectionEvent::Resumed { gap, .. }) => {
                println!("(resumed after {} ms)", gap.as_millis());
            }
            Event::ResponseFinished(report) if report.end == ResponseEnd::Completed => return Ok(cuts),
            Event::ResponseFinished(report) => println!("(the answer ended as {:?})", report.end),
            Event::Warning(Warning::ReplyGivenUp) => return Err("the answer was given up".into()),
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
}
