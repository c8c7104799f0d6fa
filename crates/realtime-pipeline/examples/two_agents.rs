//! Two agents in one call: the front desk hands over to billing, which greets and has a tool of its own.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example two_agents
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use realtime_pipeline::chain::Tap;
use realtime_pipeline::context::AgentSpec;
use realtime_pipeline::edges::Discard;
use realtime_pipeline::protocol::call::{Event, Notice};
use realtime_pipeline::{Agent, FrameKind, ToolError, Toolbox, WavSource};

const SCRIPT: &str = r#"{ "turns": [
    { "on": "speech", "transcript": "My invoice is wrong.",
      "reply": [{ "call": "handoff_to_billing", "arguments": {} }] },
    { "on": { "tool": "handoff_to_billing" }, "reply": [{ "say": "This is billing. Which invoice is it?" }] },
    { "on": "speech", "transcript": "The last one.",
      "reply": [{ "call": "find_invoice", "arguments": {} }] },
    { "on": { "tool": "find_invoice" }, "reply": [{ "say": "It is paid." }] }
] }"#;

fn main() -> support::Result<()> {
    support::run(async {
        let tools = Toolbox::new()
            .tool("find_invoice", "Looks an invoice up", |(): ()| async { Ok::<_, ToolError>("paid") });
        let billing = AgentSpec::new("billing", "You help with invoices.")
            .description("Knows all invoices")
            .tools(["find_invoice"])
            .greeting("Say that you are from billing, and ask which invoice it is.");
        let tell = Tap::new(|frame, _| {
            if let FrameKind::Event(event) = frame.kind()
                && let Event::Notice(Notice::AgentChanged { from, to, .. }) = &**event
            {
                println!("({from} hands over to {to})");
            }
        });
        let agent = Agent::new("You find out what the caller wants, and hand over.")
            .library(tools)
            .hands_over_to(billing)
            .speak(tell);
        let (agent, endpoint) = support::model(agent, SCRIPT)?;
        let user = WavSource::open(support::recording("demo.wav"))?;
        let call = agent.run(endpoint, (user, Discard::new())).await?;

        let told = call.transcript().to_string();
        println!("{told}");
        assert!(told.contains("tool: find_invoice"), "billing used its tool");
        Ok(())
    })
}
