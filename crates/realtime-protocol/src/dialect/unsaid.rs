//! Members of a configuration that a dialect does not have. They are never sent, so they can't count as
//! applied.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dialect::Dialect;
use crate::field::{Extra, Field};
use crate::session_config::{SessionConfig, TurnDetection};
use crate::tool::{SpecificTool, Tool, ToolChoice};

macro_rules! take {
    ($unsaid:ident, $path:literal, $object:expr; $($member:ident),*) => {
        $(if !$object.$member.is_absent() {
            $object.$member = Field::Absent;
            $unsaid.push([$path, stringify!($member)].concat());
        })*
    };
}

impl Dialect {
    /// Takes out of a configuration the members that this dialect does not have. Returns their names.
    pub(crate) fn take_unsaid(self, config: &mut SessionConfig) -> Vec<String> {
        let mut unsaid = Vec::new();
        match self {
            Self::Ga => {
                take!(unsaid, "", config; temperature, client_secret);
            }
            Self::Beta => {
                take!(unsaid, "", config; truncation, reasoning, parallel_tool_calls);
                take_tools(config, &mut unsaid);
                take_audio(config, &mut unsaid);
            }
        }
        unsaid
    }
}

/// Beta has no MCP tools.
fn take_tools(config: &mut SessionConfig, unsaid: &mut Vec<String>) {
    if let Field::Value(ToolChoice::Tool(SpecificTool::Mcp(_))) = config.tool_choice {
        config.tool_choice = Field::Absent;
        unsaid.push("tool_choice".into());
    }
    let Some(tools) = config.tools.value_mut() else { return };
    let are_any = !tools.is_empty();
    for index in (0..tools.len()).rev() {
        if matches!(tools[index], Tool::Mcp(_)) {
            tools.remove(index);
            unsaid.push(format!("tools[{index}]"));
        }
    }
    if are_any && tools.is_empty() {
        config.tools = Field::Absent; // an empty list would remove the existing tools
    }
}

/// Beta has seven of the members that GA has in `audio`, and no others.
fn take_audio(config: &mut SessionConfig, unsaid: &mut Vec<String>) {
    let Some(audio) = config.audio.value_mut() else { return };
    take_extra(&mut audio.extra, "audio", unsaid);
    if let Some(input) = audio.input.value_mut() {
        if let Some(TurnDetection::ServerVad(vad)) = input.turn_detection.value_mut() {
            take!(unsaid, "audio.input.turn_detection.", vad; idle_timeout_ms);
        }
        take_extra(&mut input.extra, "audio.input", unsaid);
    }
    if let Some(output) = audio.output.value_mut() {
        take!(unsaid, "audio.output.", output; language);
        take_extra(&mut output.extra, "audio.output", unsaid);
    }
    config.prune();
}

fn take_extra(extra: &mut Extra, path: &str, unsaid: &mut Vec<String>) {
    unsaid.extend(extra.iter().map(|(name, _)| format!("{path}.{name}")));
    *extra = Extra::default();
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde_json::json;

    use super::*;

    fn check(dialect: Dialect, config: &serde_json::Value, unsaid: &[&str]) {
        let mut config: SessionConfig = serde_json::from_str(&config.to_string()).unwrap();
        assert_eq!(dialect.take_unsaid(&mut config), unsaid);
        assert_eq!(dialect.take_unsaid(&mut config), [""; 0]);
        // All that is left is said, and read again.
        let text = crate::dialect::session_in(dialect, &serde_json::to_string(&config).unwrap()).unwrap();
        let mut read = SessionConfig::decode(&text, dialect).unwrap();
        read.kind.clone_from(&config.kind); // beta does not say for what kind of session it is
        assert_eq!(read.encode(Dialect::Ga), config.encode(Dialect::Ga), "{text}");
    }

    #[test]
    fn what_is_left_is_said_in_full() {
        let mcp = json!({"type": "mcp", "server_label": "m"});
        let config = json!({
            "type": "realtime", "instructions": "x", "truncation": "auto", "reasoning": {"effort": "low"},
            "parallel_tool_calls": true, "temperature": 0.8, "x_new": 1, "tool_choice": mcp,
            "tools": [mcp, {"type": "function", "name": "f"}, mcp],
            "audio": {
                "x_new": 1,
                "input": {"x_new": 1, "format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad",
                    "idle_timeout_ms": 5000, "threshold": 0.5}, "transcription": {"model": "w", "x_new": 1}},
                "output": {"x_new": 1, "language": "de", "speed": 1.5, "voice": "sage"},
            },
        });
        check(Dialect::Ga, &config, &["temperature"]);
        let unsaid = [
            "truncation",
            "reasoning",
            "parallel_tool_calls",
            "tool_choice",
            "tools[2]",
            "tools[0]",
            "audio.x_new",
            "audio.input.turn_detection.idle_timeout_ms",
            "audio.input.x_new",
            "audio.output.language",
            "audio.output.x_new",
        ];
        check(Dialect::Beta, &config, &unsaid);
    }

    #[test]
    fn tools_of_which_none_is_said_are_not_taken_away() {
        check(Dialect::Beta, &json!({"tools": [{"type": "mcp", "server_label": "m"}]}), &["tools[0]"]);
        check(Dialect::Beta, &json!({"tools": []}), &[]);
    }
}
