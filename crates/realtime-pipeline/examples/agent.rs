//! The README's agent, as it stands there: it hears `question.wav`, speaks into `answer.wav`, and prints what
//! was said.
//!
//! ```sh
//! OPENAI_API_KEY=sk-… cargo run -p realtime-pipeline --example agent
//! ```
//!
//! Without a key it talks to `cargo xtask emulator --listen 127.0.0.1:8765` if `OPENAI_BASE_URL` is
//! `http://127.0.0.1:8765` and `OPENAI_API_KEY` is any word.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use realtime_pipeline::{Agent, Endpoint, ToolError, WavSink, WavSource};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Place {
    /// The city, such as "Paris"
    city: String,
}

async fn get_weather(place: Place) -> Result<String, ToolError> {
    Ok(format!("sunny in {}, 21 °C", place.city))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transport = (WavSource::open("question.wav")?.after_first_bot_turn(), WavSink::create("answer.wav")?);
    let agent = Agent::new("You are a weather assistant.")
        .greeting("Greet the user, and ask for the city.")
        .tool("get_weather", "Looks up today's weather in a city", get_weather);
    let call = agent.run(Endpoint::openai_from_env("gpt-realtime")?, transport).await?;
    println!("{}", call.transcript());
    Ok(())
}
