//! The default brain: it says your own words back.

use realtime_protocol::time::MediaTime;
use realtime_protocol::tool::{ApprovalMode, RequireApproval};
use serde_json::value::RawValue;

use crate::brain::{AudioSource, Brain, McpCall, Reply, Step, Trigger, Turn};
use crate::voice;

/// Says the user's own audio back, and answers text by rule.
///
/// - If `tool_choice` requires a function, it is called with `{}` (not again in answer to its output).
/// - Text that contains a function's name calls it, with the JSON object after the name as its arguments if
///   there is one: `please get_weather {"city":"Paris"}`.
/// - Other text is answered by voice for at least 2 s, or at least 8 s if it asks for something long.
/// - Text that contains the name of an MCP server's tool (one of its `allowed_tools`) calls that, and asks
///   for an approval first if the server needs one; the call returns its arguments.
/// - Tool outputs are read out.
/// - Asked to say certain words and nothing else (`ResponseParams::saying`), it says them.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Parrot;

impl Parrot {
    /// A parrot.
    pub const fn new() -> Self {
        Self
    }
}

impl Brain for Parrot {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        if let Some(name) = turn.required_function()
            && !matches!(turn.trigger, Trigger::ToolOutputs(_))
        {
            let text = if let Trigger::Text(text) = turn.trigger { text } else { "" };
            return Reply::call(name, arguments_after(text, name));
        }
        if let Some(words) = turn.params.words_to_say() {
            return Reply::say(words);
        }
        match turn.trigger {
            Trigger::Speech { speech, transcript } => Reply::default()
                .then(Step::Say { transcript: transcript.into(), audio: echo(speech.samples) }),
            Trigger::Text(text) => match (named_function(turn, text), named_mcp(turn, text)) {
                (Some(name), _) => Reply::call(name, arguments_after(text, name)),
                (None, Some(step)) => Reply::default().then(step),
                (None, None) => Reply::say(answer(text)),
            },
            Trigger::Approval(approval) if approval.approve => {
                let call = approval.call.clone();
                let outcome = Ok(call.arguments.clone());
                Reply::default().then(Step::Mcp {
                    call,
                    approval: Some(approval.request_id.clone()),
                    outcome,
                })
            }
            Trigger::Approval(_) => Reply::say(fill("Then I will not call it.".into(), SHORT)),
            Trigger::Idle => Reply::say(fill("Are you still there?".into(), SHORT)),
            Trigger::ToolOutputs(outputs) => {
                let read: Vec<_> =
                    outputs.iter().map(|o| format!("The tool {} returned {}.", o.name, o.output)).collect();
                Reply::say(fill(read.join(" "), SHORT))
            }
            Trigger::Request => Reply::say(fill("Hello! I am a parrot.".into(), SHORT)),
        }
    }
}

/// The user's words, again and again until they are long enough to be interrupted.
fn echo(samples: &[i16]) -> AudioSource {
    let least = (SHORT.as_micros() * 24 / 1000) as usize;
    let mut sound = samples.to_vec();
    while !samples.is_empty() && sound.len() < least {
        sound.extend_from_slice(samples);
    }
    AudioSource::Pcm(sound)
}

/// The function whose name the text contains; the longest, if one name contains another.
fn named_function<'a>(turn: &Turn<'a>, text: &str) -> Option<&'a str> {
    let named = turn.function_names().filter(|name| !name.is_empty() && text.contains(name));
    named.max_by_key(|name| name.len()).filter(|_| turn.may_call())
}

/// The call to an MCP server whose tool the text names: asked for first, unless the server needs no approval.
/// It returns its own arguments.
fn named_mcp(turn: &Turn<'_>, text: &str) -> Option<Step> {
    let named = turn.mcp_tools().filter(|(_, name)| !name.is_empty() && text.contains(name));
    let (server, name) = named.max_by_key(|(_, name)| name.len()).filter(|_| turn.may_call())?;
    let arguments = arguments_after(text, name);
    let server_label = server.server_label.value().cloned().unwrap_or_default();
    let call = McpCall { server_label, name: name.into(), arguments: arguments.clone() };
    let needs_none = matches!(
        server.require_approval.value().map(|approval| &**approval),
        Some(RequireApproval::Mode(ApprovalMode::Never))
    );
    Some(if needs_none {
        Step::Mcp { call, approval: None, outcome: Ok(arguments) }
    } else {
        Step::AskApproval(call)
    })
}

/// The JSON object that follows the function's name, or an empty one.
fn arguments_after(text: &str, name: &str) -> String {
    let after = text.find(name).map_or("", |at| &text[at + name.len()..]);
    let object = after.find('{').map(|at| &after[at..]).and_then(|from| {
        let mut values = serde_json::Deserializer::from_str(from).into_iter::<&RawValue>();
        values.next()?.ok().map(RawValue::get)
    });
    object.unwrap_or("{}").into()
}

fn answer(text: &str) -> String {
    let long = text.to_lowercase().contains("long");
    let excerpt: String = text.chars().take(200).collect();
    fill(format!("You wrote: {excerpt}."), if long { LONG } else { SHORT })
}

/// Adds sentences until the voice takes at least that long.
fn fill(mut text: String, least: MediaTime) -> String {
    let mut more = FILLER.iter().cycle();
    while voice::speak(&text).duration() < least {
        text.push(' ');
        text.push_str(more.next().copied().unwrap_or_default());
    }
    text
}

const SHORT: MediaTime = MediaTime::from_millis(2000);
const LONG: MediaTime = MediaTime::from_millis(8000);
const FILLER: [&str; 4] = [
    "I am only an emulator, but I can talk for as long as you like.",
    "Once upon a time a parrot lived in a harbour town.",
    "Every ship that came in taught it a new word.",
    "In the end it could greet the whole world.",
];

#[cfg(test)]
mod tests {
    use realtime_protocol::field::Field;
    use realtime_protocol::response::ResponseParams;
    use realtime_protocol::session_config::SessionConfig;
    use realtime_protocol::tool::{FunctionTool, Tool, ToolChoice, ToolMode};

    use super::*;

    fn reply(trigger: Trigger<'_>, choice: ToolMode) -> Step {
        let tools: Vec<Tool> =
            ["get", "get_weather"].map(|name| FunctionTool::default().name(name).into()).into();
        let session = SessionConfig::realtime().tools(tools).tool_choice(ToolChoice::Mode(choice));
        let params = ResponseParams { input: Field::Absent, ..ResponseParams::default() };
        Parrot.reply(&Turn::new(trigger, &session, &params)).steps.remove(0)
    }

    fn call(name: &str, arguments: &str) -> Step {
        Step::Call { name: name.into(), arguments: arguments.into() }
    }

    #[test]
    fn text_with_a_tools_name_calls_it() {
        let text = Trigger::Text(r#"get_weather {"city": "Paris"} please"#);
        assert_eq!(reply(text, ToolMode::Auto), call("get_weather", r#"{"city": "Paris"}"#));
        assert_eq!(reply(Trigger::Text("get_weather {oops"), ToolMode::Auto), call("get_weather", "{}"));
        assert!(matches!(reply(text, ToolMode::None), Step::Say { .. }));
    }

    #[test]
    fn a_required_tool_is_called_but_not_for_its_own_output() {
        assert_eq!(reply(Trigger::Text("hi"), ToolMode::Required), call("get", "{}"));
        assert!(matches!(reply(Trigger::ToolOutputs(&[]), ToolMode::Required), Step::Say { .. }));
    }

    #[test]
    fn answers_are_long_enough_to_interrupt() {
        for (text, least) in [("hi", 2000), ("tell me a long story", 8000)] {
            let Step::Say { transcript, .. } = reply(Trigger::Text(text), ToolMode::Auto) else { panic!() };
            assert!(voice::speak(&transcript).duration().as_millis() >= least, "{transcript}");
        }
    }
}
