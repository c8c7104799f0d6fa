//! The model calls a Rust function.
//!
//! ```sh
//! cargo run -p realtime-client --features tools --example tools
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use realtime_client::{Client, ClientOptions};
use realtime_context::{ToolError, Toolbox};
use realtime_protocol::call::Event;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use serde_json::{Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct WeatherArgs {
    /// The city, such as "Paris"
    city: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let toolbox =
        Toolbox::new().tool("get_weather", "Looks up the weather", |args: WeatherArgs| async move {
            println!("(get_weather is called for {})", args.city);
            Ok::<Value, ToolError>(json!({ "city": args.city, "celsius": 21 }))
        });
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let session = SessionOptions::default().config(config);
    // The tools are declared, and every call is answered exactly once, whatever the function does.
    let options = ClientOptions::new(session).toolbox(toolbox);
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();

    // The emulator calls the function that a text names.
    handle.send_text(r#"get_weather {"city":"Paris"}"#, true).await?;
    let mut answered = false;
    while !answered {
        let event = events.next().await.ok_or("the events ended before the answer")?;
        match event {
            Event::Text { delta, .. } => print!("{delta}"),
            Event::FunctionEnded { call, end } => println!("({}: {end:?})", call.call_id),
            // The function call is a separate response; the one with text is the answer.
            Event::ResponseFinished(report) => answered = report.timeline.first_text.is_some(),
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    println!();
    handle.close().await?;
    Ok(())
}
