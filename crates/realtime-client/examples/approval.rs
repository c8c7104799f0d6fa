//! Two kinds of calls that somebody must approve: of a function on this side, and of a tool on an MCP server
//! that the service calls by itself.
//!
//! ```sh
//! cargo run -p realtime-client --features tools --example approval
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, ClientOptions};
use realtime_context::{Function, HostedServer, ToolError, Toolbox};
use realtime_protocol::call::{Event, FunctionEnd, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Payment {
    /// In euros
    amount: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let pay = Function::new("pay", "Pays", |payment: Payment| async move {
        Ok::<_, ToolError>(format!("{} euros are paid", payment.amount))
    });
    // A hook may ask a person: it is a future. Without an answer in time, the call is refused.
    let pay = pay.approval(|call| async move {
        let payment: Payment = serde_json::from_str(&call.arguments).map_err(|error| error.to_string())?;
        if payment.amount > 100 { Err("that is too much".into()) } else { Ok(()) }
    });
    let docs =
        HostedServer::at("docs", "https://mcp.example").allow(["search"]).approval(|request| async move {
            println!("({} may be called with {})", request.name, request.arguments);
            Ok(())
        });
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let session = SessionOptions::default().config(config);
    let options = ClientOptions::new(session).toolbox(Toolbox::new().with(pay).hosted(docs));
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    // The emulator calls the function that a text names.
    let (mut paid, mut refused, mut searched) = (false, false, false);
    for text in [r#"pay {"amount": 20}"#, r#"pay {"amount": 2000}"#, r#"search {"q": "parrots"}"#] {
        println!("you: {text}");
        handle.send_text(text, true).await?;
        loop {
            match events.next().await.ok_or("the events ended before the answer")? {
                Event::FunctionEnded { end: FunctionEnd::Result(_), .. } => paid = true,
                Event::FunctionEnded { end: FunctionEnd::Refused(reason), .. } => {
                    refused = reason == "that is too much"
                }
                Event::Notice(Notice::HostedApproval { approved, .. }) => searched = approved,
                Event::Text { delta, .. } => print!("{delta}"),
                // The call is a separate response; the one with text is the answer.
                Event::ResponseFinished(report) if report.timeline.first_text.is_some() => break,
                Event::Closed { reason } => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        println!();
    }
    assert!(paid && refused && searched);
    handle.close().await?;
    Ok(())
}
