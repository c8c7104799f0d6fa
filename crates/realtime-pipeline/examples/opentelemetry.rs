//! A call as a trace of OpenTelemetry: session, turns, responses and functions, with the names of its
//! conventions for generative AI.
//!
//! ```sh
//! cargo run -p realtime-pipeline --example opentelemetry
//! ```
//!
//! The spans go to a collector in this process. For another one, give its exporter to the provider:
//! `with_batch_exporter(opentelemetry_otlp::SpanExporter::builder().with_http().build()?)`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use realtime_pipeline::edges::Discard;
use realtime_pipeline::{Agent, ToolError, WavSource};
use tracing_subscriber::layer::SubscriberExt;

const SCRIPT: &str = r#"{ "turns": [
    { "on": "request", "reply": [{ "say": "Hello! Which city are you curious about?" }] },
    { "on": "speech", "transcript": "What is the weather in Paris today?",
      "reply": [{ "call": "get_weather", "arguments": { "city": "Paris" } }] },
    { "on": { "tool": "get_weather" },
      "reply": [{ "say": "It is sunny, and the afternoon will be warm. If you stay out until the evening," },
                { "say": "take a jacket with you, because it cools down quickly after sunset." }] },
    { "on": "speech", "transcript": "Thank you. And how about tomorrow?", "reply": [{ "say": "It will rain." }] }
] }"#;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Place {
    city: String,
}

async fn get_weather(place: Place) -> Result<String, ToolError> {
    // What a tool traces is in the span of its call.
    tracing::info_span!("look_up").in_scope(|| Ok(format!("sunny in {}", place.city)))
}

fn main() -> support::Result<()> {
    let tree = tree(&traced()?);
    print!("{tree}");
    for name in ["realtime_session", "  realtime_turn", "    realtime_response", "      execute_tool"] {
        assert!(tree.lines().any(|line| line.starts_with(name)), "{name} is missing");
    }
    Ok(())
}

/// What the collector gets of a call.
fn traced() -> support::Result<Vec<SpanData>> {
    let collector = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(collector.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("agent"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || support::run(call()))?;
    provider.force_flush()?;
    Ok(collector.get_finished_spans()?)
}

async fn call() -> support::Result<()> {
    let agent = Agent::new("You are a weather assistant.")
        .greeting("Greet the user, and ask for the city.")
        .tool("get_weather", "Looks up today's weather in a city", get_weather);
    let (agent, endpoint) = support::model(agent, SCRIPT)?;
    let user = WavSource::open(support::recording("demo.wav"))?.after_first_bot_turn();
    agent.run(endpoint, (user, Discard::new())).await?;
    Ok(())
}

/// The spans, each below its parent and in the order of their beginnings.
fn tree(spans: &[SpanData]) -> String {
    let mut tree = String::new();
    let roots = spans.iter().filter(|span| !spans.iter().any(|other| is_parent(other, span)));
    roots.for_each(|root| write(&mut tree, root, spans, 0));
    tree
}

fn write(tree: &mut String, span: &SpanData, spans: &[SpanData], depth: usize) {
    let kept = |name: &str| ["gen_ai.", "turn.", "error."].iter().any(|prefix| name.starts_with(prefix));
    let mut members: Vec<String> =
        span.attributes.iter().filter(|member| kept(member.key.as_str())).map(member).collect();
    members.sort();
    tree.push_str(&format!("{}{} {}\n", "  ".repeat(depth), span.name, members.join(" ")));
    let mut children: Vec<&SpanData> = spans.iter().filter(|other| is_parent(span, other)).collect();
    children.sort_by_key(|child| child.start_time);
    children.iter().for_each(|child| write(tree, child, spans, depth + 1));
}

fn member(member: &opentelemetry::KeyValue) -> String {
    format!("{}={}", member.key, member.value)
}

fn is_parent(parent: &SpanData, child: &SpanData) -> bool {
    child.parent_span_id == parent.span_context.span_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_turns_these_have_responses_and_these_have_functions() {
        let tree = tree(&traced().unwrap());
        let mut shape = String::new();
        for line in tree.lines() {
            let depth = line.len() - line.trim_start().len();
            let (name, members) = line.trim_start().split_once(' ').unwrap();
            let kept = |member: &&str| !member.contains(".id=") && !member.contains("tokens=");
            let members: Vec<&str> = members.split(' ').filter(kept).collect();
            let line = format!("{}{name} {}", " ".repeat(depth), members.join(" "));
            shape.push_str(line.trim_end());
            shape.push('\n');
        }
        assert_eq!(shape, SHAPE);
        let responses = tree.lines().filter(|line| line.contains("realtime_response"));
        for response in responses {
            for member in
                ["gen_ai.response.id=resp_", "gen_ai.usage.input_tokens=", "gen_ai.usage.output_tokens="]
            {
                assert!(response.contains(member), "{member} is not in {response}");
            }
        }
        let function = tree.lines().find(|line| line.contains("execute_tool")).unwrap();
        assert!(function.contains("gen_ai.tool.call.id=call_"), "{function}");
    }

    /// The tree without ids and counts.
    const SHAPE: &str = "\
realtime_session gen_ai.operation.name=realtime gen_ai.provider.name=openai gen_ai.request.model=gpt-realtime
  realtime_turn turn.number=1 turn.type=conversation turn.was_interrupted=false
    realtime_response gen_ai.operation.name=chat gen_ai.response.finish_reasons=stop
  realtime_turn turn.number=2 turn.type=conversation turn.was_interrupted=true
    realtime_response gen_ai.operation.name=chat gen_ai.response.finish_reasons=stop
      execute_tool gen_ai.operation.name=execute_tool gen_ai.tool.name=get_weather
        look_up
    realtime_response gen_ai.operation.name=chat gen_ai.response.finish_reasons=stop
  realtime_turn turn.number=3 turn.type=conversation turn.was_interrupted=false
    realtime_response gen_ai.operation.name=chat gen_ai.response.finish_reasons=stop
";
}
