//! What the model says in a call, and the tool that it calls: a server that books seats.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_emulator::brain::{Brain, Reply, Trigger, Turn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Books, hands over and hangs up, as it is asked to.
pub(crate) struct Clerk;

impl Brain for Clerk {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        match turn.trigger {
            Trigger::Speech { .. } => Reply::call("book", "{}"),
            // A worker that was lost in the moment in which its answer ended may owe another one.
            Trigger::Text(text) if text.contains("record of our conversation") => {
                Reply::say("The desk speaks.")
            }
            Trigger::Text(text) if text.contains("book") => Reply::call("book", "{}"),
            Trigger::Text(text) if text.contains("Billing") => Reply::call("handoff_to_billing", "{}"),
            Trigger::Text(text) if text.contains("desk") => Reply::call("handoff_to_desk", "{}"),
            Trigger::Text(text) if text.contains("Goodbye") => Reply::call("hang_up", "{}"),
            Trigger::ToolOutputs(outputs) if outputs.iter().any(|output| output.output.contains("seat")) => {
                Reply::say("It is booked.")
            }
            _ if turn.instructions().contains("billing") => Reply::say("Billing speaks."),
            _ => Reply::say("The desk speaks."),
        }
    }
}

/// Tells a long story to whoever speaks, and is back where it was cut.
pub(crate) struct Teller;

/// A story of half a minute.
pub(crate) const STORY: &str = "Once upon a time there was a clerk who booked seats in a train that never came, \
    and every evening the clerk counted the seats, one by one, until the lamps were out and the last of the \
    travellers had gone home to dream of trains, and of windows, and of the sea behind the windows.";

impl Brain for Teller {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        match turn.trigger {
            Trigger::Speech { .. } => Reply::say(STORY),
            Trigger::Text(text) if text.contains("line was silent") => Reply::say("I am back."),
            _ => Reply::say("Hello."),
        }
    }
}

/// The agent, whose tool is at this address.
pub(crate) fn agent(tool: &str) -> String {
    format!(
        r#"
        name = "desk"
        instructions = "You are at the desk."
        greeting = "Greet the caller."
        [[tools]]
        name = "book"
        description = "Books a seat"
        url = "{tool}"
        method = "POST"
        [[agents]]
        name = "billing"
        instructions = "You do the billing."
        greeting = "Say who you are."
        handoffs = ["desk"]
        [phone]
        hang_up = true
        "#
    )
}

/// Books seats. Returns its address, and counts.
pub(crate) async fn bookings() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, count) = (format!("http://{}/book", listener.local_addr().unwrap()), Arc::default());
    let counted: Arc<AtomicUsize> = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut request = vec![0; 16 * 1024];
                if let Ok(1..) = stream.read(&mut request).await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answer = r#"{"seat":4}"#;
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                    let text = format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, count)
}
