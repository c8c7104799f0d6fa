//! An MCP server by streamable HTTP, by hand: each POST is answered with a stream of events that ends.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::mcp_server::McpDemo;

pub(crate) struct HttpServer {
    url: String,
    heads: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl HttpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let heads: Arc<Mutex<String>> = Arc::default();
        let server: Arc<Mutex<McpDemo>> = Arc::default();
        let task = tokio::spawn({
            let heads = Arc::clone(&heads);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    // A client may leave at any time.
                    drop(tokio::spawn(serve(stream, Arc::clone(&server), Arc::clone(&heads))));
                }
            }
        });
        Self { url, heads, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns whether a head of a request had this line.
    pub(crate) fn saw(&self, line: &str) -> bool {
        self.heads.lock().unwrap().lines().any(|seen| seen == line)
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn serve(
    stream: TcpStream,
    server: Arc<Mutex<McpDemo>>,
    heads: Arc<Mutex<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
            if let Some((name, value)) = head[start..].split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        heads.lock().unwrap().push_str(&head);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let answer = if head.starts_with("POST") {
            let message: Value = serde_json::from_slice(&body).unwrap();
            let messages = server.lock().unwrap().handle(&message);
            if messages.is_empty() { accepted() } else { events(&messages) }
        } else {
            // It sends nothing by itself.
            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".into()
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn accepted() -> String {
    "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".into()
}

fn events(messages: &[Value]) -> String {
    let body: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}")
}
