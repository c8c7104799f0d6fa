//! Tools of MCP servers on this side: [`McpTools`].

use std::collections::BTreeMap;

use realtime_context::Toolbox;
use serde::Deserialize;

use crate::Error;
use crate::environment::Environment;

/// An MCP server whose tools the agent has: a program of this machine, or an address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct McpTools {
    /// Its name, for errors and logs.
    pub name: String,
    /// The program and what it is given. It speaks MCP on its standard input and output.
    #[serde(default)]
    pub command: Vec<String>,
    /// Variables of the program, besides those of this process.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The address of a server by streamable HTTP.
    #[serde(default)]
    pub url: Option<String>,
    /// The token that the address asks for.
    #[serde(default)]
    pub token: Option<String>,
    /// The tools that are taken, by their names there. Default: all.
    #[serde(default)]
    pub tools: Option<Vec<String>>,
    /// Stands before the names of the tools. Default: nothing.
    #[serde(default)]
    pub prefix: String,
}

/// The servers of an agent. They run as long as this is kept.
#[derive(Debug, Default)]
pub(super) struct Connections {
    #[cfg(feature = "mcp")]
    _open: Vec<realtime_client::McpConnection>,
}

impl Connections {
    /// Connects to all of them, and puts their tools into the library.
    #[cfg(feature = "mcp")]
    pub(super) async fn open(
        servers: &[McpTools],
        library: &Toolbox,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let mut open = Vec::new();
        for (index, server) in servers.iter().enumerate() {
            let wrong = |error: String| format!("mcp[{index}] (`{}`): {error}", server.name);
            let connection = server.prepare(environment).map_err(wrong)?.connect(library).await;
            open.push(connection.map_err(|error| wrong(crate::one_line(&error)))?);
        }
        Ok(Self { _open: open })
    }

    /// Refuses all of them: this build has no MCP.
    #[cfg(not(feature = "mcp"))]
    pub(super) async fn open(
        servers: &[McpTools],
        _library: &Toolbox,
        _environment: &Environment,
    ) -> Result<Self, Error> {
        match servers.first() {
            None => Ok(Self::default()),
            Some(server) => Err(format!(
                "mcp[0] (`{}`): this build has no MCP: build it with `--features mcp`, or remove the server",
                server.name
            )
            .into()),
        }
    }
}

#[cfg(feature = "mcp")]
impl McpTools {
    fn prepare(&self, environment: &Environment) -> Result<realtime_client::McpServer, String> {
        use realtime_client::McpServer;

        use crate::agent::fill::fill;

        let server = match (self.command.split_first(), &self.url) {
            (Some((program, arguments)), None) => {
                let program = fill(program, environment)?;
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| fill(argument, environment)).collect::<Result<_, _>>()?;
                let mut variables = Vec::new();
                for (name, value) in &self.env {
                    variables.push((name.clone(), fill(value, environment)?));
                }
                McpServer::child(&self.name, move || {
                    let mut command = tokio::process::Command::new(&program);
                    command.args(&arguments).envs(variables.iter().map(|(name, value)| (name, value)));
                    command
                })
            }
            (None, Some(url)) => {
                let server = McpServer::http(&self.name, fill(url, environment)?);
                match &self.token {
                    Some(token) => server.bearer(fill(token, environment)?),
                    None => server,
                }
            }
            _ => return Err("expected either `command` or `url`: give one of them".to_owned()),
        };
        let server = server.prefix(&self.prefix);
        Ok(match &self.tools {
            Some(tools) => server.allow(tools),
            None => server,
        })
    }
}

#[cfg(all(test, feature = "mcp"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let open = |text: &str| {
            let server: McpTools = toml::from_str(text).unwrap();
            async move { Connections::open(&[server], &Toolbox::new(), &Environment::default()).await.map(drop) }
        };
        let error = open("name = 'files'\ncommand = ['/nowhere/files-mcp']").await.unwrap_err().to_string();
        assert!(error.starts_with("mcp[0] (`files`): "), "{error}");
        let error = open("name = 'files'").await.unwrap_err().to_string();
        assert_eq!(error, "mcp[0] (`files`): expected either `command` or `url`: give one of them");
        let error = open("name = 'files'\nurl = 'https://h/${NO}'").await.unwrap_err().to_string();
        assert_eq!(error, "mcp[0] (`files`): expected the variable `NO`, which is not set: set it");
    }
}
