//! The demo's agent: a weather assistant with one tool. It needs no key: the emulator's built-in script knows
//! it.

use realtime_context::{AgentSpec, ToolError, Toolbox};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the agent is told to be.
const INSTRUCTIONS: &str = "You are a friendly weather assistant. Greet the user, answer briefly, and look the \
    weather up with the tool; never guess it.";

/// The agent: it greets, answers briefly, and uses all of its [`tools`].
///
/// ```
/// use realtime_pipeline::Agent;
/// use realtime_pipeline::agent::demo;
///
/// let agent = Agent::from_spec(demo::spec()).library(demo::tools());
/// # drop(agent);
/// ```
pub fn spec() -> AgentSpec {
    AgentSpec::new("agent", INSTRUCTIONS).tools(["*"]).greeting("Greet the user, and ask for the city.")
}

/// The agent's one tool, `get_weather`.
pub fn tools() -> Toolbox {
    Toolbox::new().tool("get_weather", "Looks up today's weather in a city", get_weather)
}

/// The arguments of the weather tool.
#[derive(Debug, Deserialize, JsonSchema)]
struct WeatherArgs {
    /// The city, such as "Paris"
    city: String,
}

/// It knows the weather everywhere, and never leaves the room for it.
async fn get_weather(args: WeatherArgs) -> Result<Value, ToolError> {
    if args.city.trim().is_empty() {
        return Err(ToolError::new("expected the name of a city, got nothing"));
    }
    Ok(json!({ "city": args.city, "sky": "sunny", "celsius": 21, "wind": "light" }))
}
