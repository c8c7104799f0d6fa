//! A server on a free port, and what asks it.

use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use realtime_cli::environment::Environment;
use realtime_cli::serve::{Args, Server, Stopper};
use realtime_client::{HttpAnswer, HttpRequest};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A command line that has the server's options.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    serve: Args,
}

/// The options of this command line.
pub(crate) fn args(words: &[&str]) -> Args {
    Cli::try_parse_from(["realtime"].iter().chain(words)).unwrap().serve
}

/// A server that runs.
pub(crate) struct Running {
    /// `127.0.0.1:PORT`.
    pub(crate) at: String,
    pub(crate) introduction: Vec<String>,
    pub(crate) stopper: Stopper,
    pub(crate) serving: JoinHandle<Result<(), realtime_cli::Error>>,
}

/// Starts a server with these options and variables.
pub(crate) async fn start(words: &[&str], variables: &[(&str, &str)]) -> Running {
    let args = args(&[&["--listen", "127.0.0.1:0", "--threads", "1"], words].concat());
    let server = Server::bind(&args, &Environment::of(variables.iter().copied())).await.unwrap();
    let (at, introduction, stopper) = (server.at().to_string(), server.introduction(), server.stopper());
    Running { at, introduction, stopper, serving: tokio::spawn(server.serve()) }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.at)
    }

    pub(crate) async fn get(&self, path: &str) -> HttpAnswer {
        HttpRequest::new("GET", self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        kind: &str,
        body: &str,
    ) -> HttpAnswer {
        let request = HttpRequest::new("POST", self.url(path)).body(kind, body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    /// The answer to a path, as JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        json(&self.get(path).await)
    }

    /// Waits until the list of calls is as it should be.
    pub(crate) async fn calls(&self, is_right: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let calls = self.json("/calls").await;
                if is_right(&calls) {
                    return calls;
                }
                sleep(Duration::from_millis(30)).await;
            }
        };
        match timeout(Duration::from_secs(20), wait).await {
            Ok(calls) => calls,
            Err(_) => panic!("{}", self.json("/calls").await),
        }
    }
}

pub(crate) fn json(answer: &HttpAnswer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.body))
}

/// The code of an error.
pub(crate) fn code(answer: &HttpAnswer) -> (u16, String) {
    (answer.status, json(answer)["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// An open socket.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket, or gives the status with which it was refused.
pub(crate) async fn open(url: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(SocketError::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{url}: {error}"),
    }
}

pub(crate) async fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// Reads until a text of this type comes. What else comes is given to `other`.
pub(crate) async fn expect(socket: &mut Socket, kind: &str, mut other: impl FnMut(&Message)) -> Value {
    let wait = async {
        loop {
            let message = socket.next().await.unwrap_or_else(|| panic!("closed before `{kind}`")).unwrap();
            if let Message::Text(text) = &message {
                let value: Value = serde_json::from_str(text).unwrap();
                if value["type"] == kind {
                    return value;
                }
            }
            other(&message);
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("no `{kind}` came"))
}
