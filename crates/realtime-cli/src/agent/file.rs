//! The file of an agent, as it is written: [`AgentFile`].

use std::collections::BTreeMap;
use std::path::Path;

use realtime_context::AgentSpec;
use realtime_context::budget::Prices;
use serde::Deserialize;

use crate::Error;
use crate::agent::{HttpTool, McpTools};

/// The longest file (bytes).
const LONGEST: u64 = 4 * 1024 * 1024;

/// The file of an agent. [The module's own text](crate::agent) has an example.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AgentFile {
    /// The name.
    #[serde(default = "usual_name")]
    pub name: String,
    /// What the model is told to be.
    pub instructions: String,
    /// What the model is told to say when the call begins.
    #[serde(default)]
    pub greeting: Option<String>,
    /// The voice.
    #[serde(default)]
    pub voice: Option<String>,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
    /// HTTP tools.
    #[serde(default)]
    pub tools: Vec<HttpTool>,
    /// MCP servers.
    #[serde(default)]
    pub mcp: Vec<McpTools>,
    /// Others to hand over to.
    #[serde(default)]
    pub agents: Vec<AgentSpec>,
    /// What a million tokens cost.
    #[serde(default)]
    pub prices: Option<Prices>,
    /// When a call ends.
    #[serde(default)]
    pub limits: Limits,
    /// What the model may do with a phone call.
    #[serde(default)]
    pub phone: PhoneFile,
}

/// What the model may do with a phone call, by tools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PhoneFile {
    /// Whether it may end the call: `hang_up`. Calls of pages, too.
    #[serde(default)]
    pub hang_up: bool,
    /// Whether it may press keys at the other end: `send_digits`.
    #[serde(default)]
    pub send_digits: bool,
    /// To whom it may give the call, by name: `transfer_call`. A number, or the address of a document that
    /// tells the carrier where.
    #[serde(default)]
    pub transfer: BTreeMap<String, String>,
}

/// When a call ends, whatever is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// How long it may take (minutes).
    #[serde(default)]
    pub minutes: Option<f64>,
    /// What it may cost, in the currency of the prices.
    #[serde(default)]
    pub cost: Option<f64>,
    /// What the model is told to say then.
    #[serde(default)]
    pub last_words: Option<String>,
}

impl AgentFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not there, it is too long, or it is not the file of an agent: the error names the line and the
    /// column.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let cannot = |reason: &dyn std::fmt::Display| format!("cannot read {}: {reason}", path.display());
        let length = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
        if length > LONGEST {
            return Err(cannot(&format_args!("expected at most {LONGEST} bytes, got {length}")).into());
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(|error| cannot(&error))?)
    }

    /// Reads a text: JSON if the path ends with `.json`, else TOML.
    ///
    /// # Errors
    /// It is not the file of an agent: the error names the line and the column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let read = if is_json { of_json(text) } else { of_toml(text) };
        let file: Self = read.map_err(|Wrong { line, column, reason }| {
            format!("{}:{line}:{column}: {reason}{}", path.display(), advice(&reason))
        })?;
        file.check().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(minutes) = self.limits.minutes.filter(|minutes| !(0.1..=1_440.0).contains(minutes)) {
            return Err(format!("expected limits.minutes of 0.1 to 1,440, got {minutes}"));
        }
        Ok(())
    }
}

/// What cannot be read, and where.
struct Wrong {
    line: usize,
    column: usize,
    reason: String,
}

fn of_json(text: &str) -> Result<AgentFile, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // Its own text repeats the place.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or(&reason).to_owned();
        Wrong { line, column, reason }
    })
}

fn of_toml(text: &str) -> Result<AgentFile, Wrong> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        Wrong { line, column, reason: error.message().to_owned() }
    })
}

/// What to do about it, where the reason does not say so.
fn advice(reason: &str) -> &'static str {
    if reason.starts_with("unknown field") {
        ": correct its name, or remove it"
    } else if reason.starts_with("missing field") {
        ": add it"
    } else {
        ""
    }
}

fn usual_name() -> String {
    "agent".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line_and_what_to_do() {
        for (name, text, expected) in [
            (
                "a.toml",
                "instructions = ''\n\nvoise = 'cedar'\n",
                "a.toml:3:1: unknown field `voise`, expected one of `name`, `instructions`",
            ),
            ("a.toml", "name = 'a'\n", "a.toml:1:1: missing field `instructions`: add it"),
            ("a.toml", "instructions = 'a\n", "a.toml:1:18: "),
            (
                "a.toml",
                "instructions = ''\n[[tools]]\nname = 7\n",
                "a.toml:3:8: invalid type: integer `7`, expected a string",
            ),
            (
                "a.toml",
                "instructions = ''\nlimits = { minutes = -1 }\n",
                "a.toml: expected limits.minutes of 0.1 to 1,440, got -1",
            ),
            ("a.JSON", "{\n  \"instructions\": \"\",\n  \"voise\": 1 }", "a.JSON:3:9: unknown field `voise`"),
            ("a.json", "{", "a.json:1:1: EOF while parsing an object"),
            ("a.json", "{}", "a.json:1:2: missing field `instructions`: add it"),
        ] {
            let error = AgentFile::parse(Path::new(name), text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let unknown = AgentFile::parse(Path::new("a.toml"), "voise = ''").unwrap_err().to_string();
        assert!(unknown.ends_with(": correct its name, or remove it"), "{unknown}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = AgentFile::read(Path::new("/nowhere/agent.toml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/agent.toml: "), "{error}");
    }

    #[test]
    fn both_forms_say_the_same() {
        let toml = "instructions = 'Be brief.'\nvoice = 'cedar'\n[limits]\nminutes = 2\n";
        let json = r#"{ "instructions": "Be brief.", "voice": "cedar", "limits": { "minutes": 2 } }"#;
        let [toml, json] = [("a.toml", toml), ("a.json", json)]
            .map(|(name, text)| format!("{:?}", AgentFile::parse(Path::new(name), text).unwrap()));
        assert_eq!(toml, json);
    }
}
