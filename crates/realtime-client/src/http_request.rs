//! One HTTP request to any server, on the client's own way there: [`HttpRequest`].

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::http::HeaderValue;

use crate::connect::ConnectError;
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::Endpoint;
use crate::connect::http::{Answer, HeadError};
use crate::connect::route::reach;
use crate::rest::RestError;

/// The longest that an answer may be (bytes).
const LONGEST_ANSWER: usize = 1024 * 1024;

/// An HTTP request to any server, such as a carrier's, or one behind a tool.
///
/// It takes the way of a session: the proxy that the environment names, TLS with the roots of this build's
/// features, and one deadline. It has a connection of its own, follows no redirect, and nothing of it is
/// logged. `Debug` shows the method alone.
///
/// ```no_run
/// use realtime_client::HttpRequest;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let request = HttpRequest::new("POST", "https://weather.example.com/today")
///     .header("Authorization", "Bearer …")
///     .body("application/json", r#"{"city":"Paris"}"#);
/// let answer = request.send().await?;
/// assert_eq!(answer.status, 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until it is sent"]
pub struct HttpRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    content: Option<(String, Vec<u8>)>,
    deadline: Duration,
}

/// The answer to an [`HttpRequest`]. `Debug` shows no content.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, as the header `Content-Type` has it.
    pub content_type: Option<String>,
    /// The body. What is no UTF-8 is replaced.
    pub body: String,
}

impl HttpAnswer {
    /// Returns whether the server did what it was asked for.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl HttpRequest {
    /// A request of this method to this address, `http://…` or `https://…`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let (method, url) = (method.into(), url.into());
        Self { method, url, headers: Vec::new(), content: None, deadline: Duration::from_secs(10) }
    }

    /// Adds a header. Its value counts as secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, a text or bytes, and its media type.
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.content = Some((content_type.into(), body.into()));
        self
    }

    /// How long it may take, from the look-up of the name to the last byte of the answer. Default: 10 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends it, and reads the answer, whatever its status is.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`RestError::Connect`]: the address or a header cannot be used, there was no connection, or it was
    /// lost before the answer; then the request may have been carried out. [`RestError::BadAnswer`]: the
    /// answer cannot be read, or has more than 1 MiB.
    pub async fn send(self) -> Result<HttpAnswer, RestError> {
        let Self { method, url, headers, content, deadline } = self;
        let mut endpoint = Endpoint::for_any_http(&url)?.connect_deadline(deadline);
        for (name, value) in &headers {
            endpoint = endpoint.header(name, value)?;
        }
        let mut all = HeaderMap::new();
        drop(endpoint.add_headers(&mut all, None)?);
        all.insert("Connection", HeaderValue::from_static("close"));
        let (kind, body) = content.unwrap_or_default();
        all.insert("Content-Length", body.len().into());
        if let Some(kind) = HeaderValue::try_from(kind).ok().filter(|kind| !kind.is_empty()) {
            all.insert("Content-Type", kind);
        }
        let request = endpoint.request(&method, &endpoint.target(), all, body)?;

        let attempt = Attempt::new(&endpoint);
        let stream = reach(&attempt).await?;
        let address = || endpoint.address();
        let lost = |reason| ConnectError::Interrupted { address: address(), reason };
        let bad = |reason| RestError::BadAnswer { address: address(), reason };
        let answer = attempt.during(Phase::Http, async {
            let mut answer = match Answer::to(request, stream).await {
                Ok(answer) => answer,
                Err(HeadError::HungUp(source)) if source.kind() == ErrorKind::InvalidData => {
                    return Err(ConnectError::Tls { address: address(), source });
                }
                Err(HeadError::HungUp(error)) => return Err(lost(error.to_string())),
                Err(HeadError::NotHttp(reason)) => return Ok(Err(bad(reason))),
            };
            Ok(match answer.fill(LONGEST_ANSWER).await {
                Ok(false) => Ok(answer),
                Ok(true) => Err(bad(format!("it has more than {LONGEST_ANSWER} bytes"))),
                // The server has answered: repeating the request would do it twice.
                Err(error) => Err(bad(error.to_string())),
            })
        });
        let answer = answer.await??;
        Ok(HttpAnswer {
            status: answer.status(),
            content_type: answer.header("content-type").map(str::to_owned),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        })
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
