//! Sends what an exporter has, by HTTP: [`Post`]. It takes the client's own way there, with its TLS and the
//! proxies that the environment names, so the feature brings no second HTTP client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use realtime_client::HttpRequest;
use tokio::runtime::{Builder, Runtime};

use crate::one_line;

/// Sends requests of exporters, which have threads of their own.
#[derive(Debug)]
pub(super) struct Post {
    runtime: Runtime,
    deadline: Duration,
    /// Whether it was told that something could not be sent.
    has_told: AtomicBool,
}

impl Post {
    /// `deadline`: how long a request may take.
    pub(super) fn new(deadline: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, deadline, has_told: AtomicBool::new(false) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut kind = String::new();
        let mut post = HttpRequest::new(parts.method.as_str(), parts.uri.to_string()).deadline(self.deadline);
        for (name, value) in &parts.headers {
            let value = value.to_str()?;
            match name.as_str() {
                "content-type" => value.clone_into(&mut kind),
                name => post = post.header(name, value),
            }
        }
        let answer = post.body(kind, body).send().await?;
        if !answer.is_success() {
            self.tell(&format!("{} answers with status {}", parts.uri, answer.status));
        }
        Ok(Response::builder().status(answer.status).body(answer.body.into())?)
    }

    /// Tells the first time that something could not be sent.
    fn tell(&self, why: &str) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            tracing::warn!("traces or metrics cannot be sent, which is not told again: {why}");
        }
    }
}

impl HttpClient for Post {
    // As the trait's macro has it.
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        // An exporter's thread has no runtime, and may wait.
        Box::pin(async move {
            let sent = self.runtime.block_on(self.send(request));
            sent.inspect_err(|error| self.tell(&one_line(&**error)))
        })
    }
}
