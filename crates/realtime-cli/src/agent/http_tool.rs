//! A tool that is an HTTP request: [`HttpTool`].

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_client::{HttpAnswer, HttpRequest};
use realtime_context::{Function, OnTakeover, ToolError, ToolPolicy};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::agent::fill::fill;
use crate::environment::Environment;

/// The longest answer that the model reads (bytes).
const LONGEST_ANSWER: usize = 32 * 1024;

/// A tool that is an HTTP request. The arguments are its body as JSON, or its query for `GET` and `DELETE`.
/// What is answered goes to the model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpTool {
    /// The name that the model calls it by.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The address.
    pub url: String,
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What it is given: a JSON Schema of an object, or names with their descriptions, which are then texts
    /// that must be given. Default: nothing.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// How long it may take (s).
    #[serde(default = "ten")]
    pub timeout_secs: u64,
    /// What becomes of it in a fleet if its worker is lost while it runs: `unknown` (the model is told that
    /// nobody knows whether it was done), `again` (it is asked for again) or `ask` (the user is asked).
    /// Default: `again` for `GET`, and `unknown` for the others.
    #[serde(default)]
    pub on_takeover: Option<OnTakeover>,
}

impl HttpTool {
    /// Its name, for errors.
    pub(super) fn shown(&self) -> String {
        format!(" (`{}`)", self.name)
    }

    /// The tool, as it runs.
    ///
    /// # Errors
    /// It can't be asked for like this.
    pub(super) fn function(&self, environment: &Environment) -> Result<Function, String> {
        let method = self.method.to_ascii_uppercase();
        if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(format!("expected one of GET, POST, PUT, PATCH and DELETE, got `{}`", self.method));
        }
        let url = fill(&self.url, environment)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err("expected an address that begins with http:// or https://, got another one".into());
        }
        if !(1..=600).contains(&self.timeout_secs) {
            return Err(format!("expected timeout_secs of 1 to 600, got {}", self.timeout_secs));
        }
        let deadline = Duration::from_secs(self.timeout_secs);
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let value = fill(value, environment).map_err(|error| format!("headers.{name}: {error}"))?;
            headers.push((name.clone(), value));
        }
        let request = Request { method, url, headers, deadline };
        let schema = schema(&self.parameters)?;
        let function = Function::raw(&self.name, &self.description, schema, move |arguments: Value| {
            let request = request.clone();
            async move { request.send(&arguments).await }
        });
        let only_looks = self.method.eq_ignore_ascii_case("GET");
        let rule =
            self.on_takeover.unwrap_or(if only_looks { OnTakeover::Again } else { OnTakeover::Unknown });
        Ok(function.policy(ToolPolicy::new().timeout(deadline).on_takeover(rule)))
    }
}

/// What is sent for each call.
#[derive(Clone)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    deadline: Duration,
}

impl Request {
    async fn send(self, arguments: &Value) -> Result<Value, ToolError> {
        let Self { method, mut url, headers, deadline } = self;
        let has_query = matches!(method.as_str(), "GET" | "DELETE");
        if has_query {
            add_query(&mut url, arguments);
        }
        let mut request =
            HttpRequest::new(method, url).deadline(deadline).header("Accept", "application/json");
        if !has_query {
            request = request.body("application/json", arguments.to_string());
        }
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        match request.send().await {
            Ok(answer) => read(answer),
            Err(error) => {
                tracing::warn!("a tool's server cannot be asked: {error}");
                Err(ToolError::new("the service behind this tool cannot be reached now"))
            }
        }
    }
}

/// What the model is told of an answer.
fn read(answer: HttpAnswer) -> Result<Value, ToolError> {
    let mut body = answer.body.as_str();
    if body.len() > LONGEST_ANSWER {
        let end = (0..=LONGEST_ANSWER).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
        body = &body[..end];
    }
    if !answer.is_success() {
        let start: String = body.chars().take(500).collect();
        return Err(ToolError::new(format_args!(
            "the service answered with status {}: {start}",
            answer.status
        )));
    }
    Ok(serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
}

/// Adds arguments to an address: texts as they are, anything else as its JSON.
fn add_query(url: &mut String, arguments: &Value) {
    for (name, value) in arguments.as_object().into_iter().flatten() {
        url.push(if url.contains('?') { '&' } else { '?' });
        encode(name, url);
        url.push('=');
        match value {
            Value::String(text) => encode(text, url),
            other => encode(&other.to_string(), url),
        }
    }
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The schema of the parameters.
fn schema(parameters: &Map<String, Value>) -> Result<Value, String> {
    if parameters.get("type").is_some_and(|kind| kind == "object") {
        return Ok(Value::Object(parameters.clone()));
    }
    let mut properties = Map::new();
    for (name, value) in parameters {
        let property = match value {
            Value::String(description) => json!({ "type": "string", "description": description }),
            Value::Object(_) => value.clone(),
            _ => {
                return Err(format!(
                    "expected a description or a schema for the parameter `{name}`, got {value}: correct it"
                ));
            }
        };
        properties.insert(name.clone(), property);
    }
    let required: Vec<&String> = parameters.keys().collect();
    Ok(json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    }))
}

fn post() -> String {
    "POST".to_owned()
}

const fn ten() -> u64 {
    10
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn names_with_descriptions_are_a_schema_and_a_schema_is_itself() {
        let short: Map<String, Value> =
            serde_json::from_str(r#"{"day": "The day", "rooms": {"type": "integer"}}"#).unwrap();
        assert_eq!(
            schema(&short).unwrap(),
            json!({
                "type": "object", "required": ["day", "rooms"], "additionalProperties": false,
                "properties": {"day": {"type": "string", "description": "The day"}, "rooms": {"type": "integer"}},
            })
        );
        let whole: Map<String, Value> =
            serde_json::from_str(r#"{"type": "object", "properties": {}}"#).unwrap();
        assert_eq!(schema(&whole).unwrap(), Value::Object(whole));
        let odd: Map<String, Value> = serde_json::from_str(r#"{"day": 7}"#).unwrap();
        assert!(schema(&odd).unwrap_err().contains("parameter `day`, got 7"));
    }

    #[test]
    fn what_only_looks_runs_again_in_a_fleet_and_what_acts_does_not_unless_it_says_so() {
        for (member, expected) in [
            ("", OnTakeover::Unknown),
            (r#""method": "get","#, OnTakeover::Again),
            (r#""method": "PUT", "on_takeover": "again","#, OnTakeover::Again),
            (r#""method": "GET", "on_takeover": "ask","#, OnTakeover::Ask),
        ] {
            let text = format!(r#"{{ {member} "name": "a", "description": "", "url": "http://h" }}"#);
            let tool: HttpTool = serde_json::from_str(&text).unwrap();
            let function = tool.function(&Environment::default()).unwrap();
            assert_eq!(function.tool_policy().on_takeover, expected, "{member}");
        }
    }

    #[test]
    fn arguments_stand_in_the_query_as_they_are() {
        let mut url = "http://h/r?a=1".to_owned();
        add_query(&mut url, &json!({"city": "New York & más", "n": 2, "list": [1]}));
        assert_eq!(url, "http://h/r?a=1&city=New%20York%20%26%20m%C3%A1s&list=%5B1%5D&n=2");
    }

    #[tokio::test]
    async fn the_model_is_told_what_the_server_answers() {
        for (method, answer, expected) in [
            ("POST", "HTTP/1.1 200 OK\r\n\r\n{\"free\":3}", Ok(json!({"free": 3}))),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nthree", Ok(json!("three"))),
            (
                "POST",
                "HTTP/1.1 404 X\r\n\r\nno such day",
                Err("the service answered with status 404: no such day"),
            ),
            ("POST", "SSH", Err("the service behind this tool cannot be reached now")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/rooms", listener.local_addr().unwrap());
            let headers = vec![("X-Key".to_owned(), "k".to_owned())];
            let deadline = Duration::from_secs(5);
            let request = Request { method: method.to_owned(), url, headers, deadline };
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                stream.write_all(answer.as_bytes()).await.unwrap();
                head
            };
            let arguments = json!({"day": "today"});
            let (told, head) = tokio::join!(request.send(&arguments), server);
            assert_eq!(told.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
            assert!(head.to_ascii_lowercase().contains("x-key: k"), "{head}");
            let first =
                if method == "GET" { "GET /rooms?day=today HTTP/1.1" } else { "POST /rooms HTTP/1.1" };
            assert!(head.starts_with(first), "{head}");
        }
    }
}
