//! Reads a script from JSON, strictly: every mistake is an error that names the place.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::item::{McpListedTool, McpToolExecutionError};
use realtime_protocol::response::StatusReason;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::brain::script::{On, ScriptError, ScriptTurn};
use crate::brain::{AudioSource, Ending, McpCall, Reply, Step};
use crate::disaster::Disaster;

/// The whole file.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) turns: Vec<ScriptTurn>,
    pub(super) disasters: Vec<Disaster>,
    pub(super) mcp: BTreeMap<String, Result<Vec<McpListedTool>, String>>,
}

pub(super) fn read_file(text: &str) -> Result<Contents, ScriptError> {
    let file: File = serde_json::from_str(text).map_err(|error| fault("script", &error))?;
    let turns = file.turns.into_iter().enumerate().map(|(n, turn)| read_turn(n, turn));
    let mcp = file.mcp.into_iter().map(|(label, tools)| {
        let path = format!("mcp.{label}");
        let tools = match tools {
            Value::String(reason) => Err(reason),
            tools => Ok(read(&path, tools)?),
        };
        Ok((label, tools))
    });
    Ok(Contents {
        turns: turns.collect::<Result<_, _>>()?,
        disasters: read_disasters(&file.disasters, "disasters")?,
        mcp: mcp.collect::<Result<_, _>>()?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    turns: Vec<Value>,
    #[serde(default)]
    disasters: Vec<Value>,
    #[serde(default)]
    mcp: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTurn {
    on: Option<Value>,
    transcript: Option<String>,
    #[serde(default)]
    repeat: bool,
    reply: Vec<Value>,
    #[serde(default)]
    disasters: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    say: Option<String>,
    text: Option<String>,
    call: Option<String>,
    arguments: Option<Value>,
    delay_ms: Option<u64>,
    fail: Option<String>,
    incomplete: Option<String>,
    mcp: Option<String>,
    tool: Option<String>,
    output: Option<String>,
    error: Option<String>,
    #[serde(default)]
    ask: bool,
}

fn read_turn(index: usize, value: Value) -> Result<ScriptTurn, ScriptError> {
    let path = format!("turns[{index}]");
    let turn: FileTurn = read(&path, value)?;
    let on = turn.on.map_or(Ok(On::Any), |on| read_on(&format!("{path}.on"), &on))?;
    if turn.transcript.is_some() && !matches!(on, On::Any | On::Speech) {
        return Err(fault(&format!("{path}.transcript"), "only a turn that fits speech is heard"));
    }
    let mut reply = Reply::default();
    for (index, step) in turn.reply.into_iter().enumerate() {
        let path = format!("{path}.reply[{index}]");
        if reply.ending != Ending::Completed {
            return Err(fault(&path, "nothing may follow `fail` or `incomplete`"));
        }
        read_step(&path, read(&path, step)?, &mut reply)?;
    }
    reply.disasters = read_disasters(&turn.disasters, &format!("{path}.disasters"))?;
    Ok(ScriptTurn { on, transcript: turn.transcript, repeat: turn.repeat, reply })
}

fn read_disasters(list: &[Value], path: &str) -> Result<Vec<Disaster>, ScriptError> {
    let all = list.iter().enumerate();
    all.map(|(index, value)| {
        Disaster::parse(value, &format!("{path}[{index}]"))
            .map_err(|error| ScriptError { path: error.path, reason: error.reason })
    })
    .collect()
}

fn read_on(path: &str, on: &Value) -> Result<On, ScriptError> {
    if let Some(word) = on.as_str() {
        return match word {
            "any" => Ok(On::Any),
            "request" => Ok(On::Request),
            "speech" => Ok(On::Speech),
            "text" => Ok(On::Text),
            "idle" => Ok(On::Idle),
            _ => Err(fault(
                path,
                format_args!("expected `any`, `request`, `speech`, `text` or `idle`, got `{word}`"),
            )),
        };
    }
    let members: BTreeMap<String, String> = read(path, on.clone())?;
    let mut members = members.into_iter();
    match (members.next(), members.next()) {
        (Some((key, part)), None) if key == "text" => Ok(On::TextWith(part.to_lowercase())),
        (Some((key, name)), None) if key == "tool" => Ok(On::Tool(name)),
        (Some((key, name)), None) if key == "approval" => Ok(On::Approval(name)),
        _ => Err(fault(path, "expected one member, `text`, `tool` or `approval`")),
    }
}

fn read_step(path: &str, step: FileStep, reply: &mut Reply) -> Result<(), ScriptError> {
    let FileStep { say, text, call, arguments, delay_ms, fail, incomplete, mcp, tool, output, error, ask } =
        step;
    if arguments.is_some() && call.is_none() && mcp.is_none() {
        return Err(fault(path, "`arguments` needs `call` or `mcp` beside it"));
    }
    if mcp.is_none() && (tool.is_some() || output.is_some() || error.is_some() || ask) {
        return Err(fault(path, "`tool`, `output`, `error` and `ask` need `mcp` beside them"));
    }
    let arguments = match arguments {
        None => "{}".into(),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    let mut found = 0;
    let mut push = |step| {
        found += 1;
        reply.steps.push(step);
    };
    if let Some(transcript) = say {
        push(Step::Say { transcript, audio: AudioSource::Tones });
    }
    if let Some(text) = text {
        push(Step::Text(text));
    }
    if let Some(name) = call {
        push(Step::Call { name, arguments: arguments.clone() });
    }
    if let Some(server_label) = mcp {
        let Some(name) = tool else { return Err(fault(path, "`mcp` needs `tool` beside it")) };
        let call = McpCall { server_label, name, arguments };
        push(match (ask, error) {
            (true, _) => Step::AskApproval(call),
            (false, Some(message)) => {
                let error = McpToolExecutionError::default().message(message).into();
                Step::Mcp { call, approval: None, outcome: Err(error) }
            }
            (false, None) => Step::Mcp { call, approval: None, outcome: Ok(output.unwrap_or_default()) },
        });
    }
    if let Some(millis) = delay_ms {
        push(Step::Wait(Duration::from_millis(millis)));
    }
    if let Some(code) = fail {
        found += 1;
        let message = format!("The script says that this response fails: {code}.");
        reply.ending = Ending::Failed { code, message };
    }
    if let Some(reason) = incomplete {
        found += 1;
        reply.ending = Ending::Incomplete(StatusReason::from(reason.as_str()));
    }
    match found {
        1 => Ok(()),
        _ => Err(fault(
            path,
            "expected exactly one of `say`, `text`, `call`, `mcp`, `delay_ms`, `fail` and `incomplete`",
        )),
    }
}

fn read<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, ScriptError> {
    serde_json::from_value(value).map_err(|error| fault(path, &error))
}

fn fault(path: &str, reason: impl std::fmt::Display) -> ScriptError {
    ScriptError { path: path.into(), reason: reason.to_string() }
}
