//! The HTTP calls around sessions: short-lived keys, and calls by WebRTC or SIP. Each uses its own
//! connection, made like a session's, and nothing is logged.

use std::io::ErrorKind;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::http::HeaderValue;
use realtime_protocol::http::{
    CallCreateRequest, CallReferRequest, CallRejectRequest, ClientSecretRequest, ClientSecretResponse,
};
use realtime_protocol::session_config::SessionConfig;

use crate::connect::address::percent_encode;
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::Endpoint;
use crate::connect::error::{ConnectError, is_passing, said};
use crate::connect::http::{Answer, HeadError};
use crate::connect::refusal::{Refusal, message};
use crate::connect::route::reach;

/// The HTTP calls of a server.
///
/// Address, key, headers, proxy, TLS and deadlines are those of the endpoint. Its model or call is not used.
/// [`Endpoint::connect_deadline`] bounds a whole HTTP call with its answer.
///
/// ```no_run
/// use realtime_client::{ApiKey, Endpoint, Rest};
/// use realtime_protocol::http::ClientSecretRequest;
/// use realtime_protocol::session_config::SessionConfig;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let rest = Rest::new(Endpoint::openai("sk-example", ""));
/// let request = ClientSecretRequest::default().session(Box::new(SessionConfig::realtime().model("gpt-realtime")));
/// let secret = rest.create_client_secret(&request).await?;
/// // For somebody who must not have the real key.
/// let key = ApiKey::from_client_secret(&secret).ok_or("no key came")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rest {
    endpoint: Endpoint,
}

/// A WebRTC call that the server has taken.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CreatedCall {
    /// Its id: for the other calls, and for [`Endpoint::openai_call`].
    pub call_id: String,
    /// The server's answer (SDP), for the side that made the offer.
    pub sdp: String,
}

/// Why an HTTP call did not do what it was for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// There was no connection, or the server redirected it, or it was lost before the answer; then the
    /// request may have been carried out.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// 401 or 403: another key, or another project, is needed.
    #[error("the server refused the key ({}){}", .0.status, said(&.0.message))]
    KeyRefused(Refused),
    /// 404: the call is over or never was, or the address is wrong.
    #[error("the server does not know it (404){}", said(&.0.message))]
    NotFound(Refused),
    /// 409: it does not fit the current state.
    #[error("it does not fit the server's current state (409){}", said(&.0.message))]
    Conflict(Refused),
    /// 429: too many requests. [`Refused::retry_after`] says when to ask again.
    #[error("too many requests to the server (429){}", said(&.0.message))]
    TooManyRequests(Refused),
    /// Another status: below 500 the request is at fault, above it the server.
    #[error("the server refused it with HTTP status {}{}", .0.status, said(&.0.message))]
    Refused(Refused),
    /// The answer is not what it should be.
    #[error("cannot read the answer of {address}: {reason}")]
    BadAnswer {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The answer of a server that refuses.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The error's code, if there is one.
    pub code: Option<String>,
    /// The error's text, without keys.
    pub message: Option<String>,
    /// How long the server asks to wait before the next attempt.
    pub retry_after: Option<Duration>,
}

impl RestError {
    /// Returns whether the same call may succeed later. If the connection was lost, repeating the call may do
    /// it twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_retryable(),
            Self::TooManyRequests(refused) | Self::Refused(refused) => is_passing(refused.status),
            Self::KeyRefused(_) | Self::NotFound(_) | Self::Conflict(_) | Self::BadAnswer { .. } => false,
        }
    }
}

impl Rest {
    /// The calls of the endpoint's server.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: endpoint.for_http() }
    }

    /// Makes a short-lived key.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/client_secrets`
    pub async fn create_client_secret(
        &self,
        request: &ClientSecretRequest,
    ) -> Result<ClientSecretResponse, RestError> {
        let answer = self.post("client_secrets", Form::json(request.encode())).await?;
        ClientSecretResponse::decode(&answer.body).map_err(|error| self.bad_answer(error.to_string()))
    }

    /// Begins a WebRTC call with somebody's offer.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/calls`
    pub async fn create_call(&self, request: &CallCreateRequest) -> Result<CreatedCall, RestError> {
        let session = request.session.value().map(|session| session.encode(self.endpoint.dialect()));
        let form = match session {
            Some(session) => Form::multipart(&[
                ("sdp", "application/sdp", &request.sdp),
                ("session", "application/json", &session),
            ]),
            None => Form { kind: "application/sdp".to_owned(), body: request.sdp.clone() },
        };
        let answer = self.post("calls", form).await?;
        let location = answer.location.as_deref().and_then(|location| location.split(['?', '#']).next());
        match location.and_then(|path| path.trim_end_matches('/').rsplit('/').next()) {
            Some(id) if !id.is_empty() => Ok(CreatedCall { call_id: id.to_owned(), sdp: answer.body }),
            _ => Err(self.bad_answer("it does not name the call (Location)".to_owned())),
        }
    }

    /// Takes an incoming SIP call, with this session.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/calls/{call_id}/accept`
    pub async fn accept_call(&self, call_id: &str, session: &SessionConfig) -> Result<(), RestError> {
        self.steer(call_id, "accept", Form::json(session.encode(self.endpoint.dialect()))).await
    }

    /// Turns an incoming SIP call away, with a SIP status. Default: 603, decline.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/calls/{call_id}/reject`
    pub async fn reject_call(&self, call_id: &str, status_code: Option<u16>) -> Result<(), RestError> {
        let mut request = CallRejectRequest::default();
        if let Some(code) = status_code {
            request.status_code = code.into();
        }
        self.steer(call_id, "reject", Form::json(request.encode())).await
    }

    /// Hands a SIP call on to `tel:` or `sip:`.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/calls/{call_id}/refer`
    pub async fn refer_call(&self, call_id: &str, target_uri: &str) -> Result<(), RestError> {
        let request = CallReferRequest { target_uri: target_uri.to_owned(), ..CallReferRequest::default() };
        self.steer(call_id, "refer", Form::json(request.encode())).await
    }

    /// Ends a call.
    ///
    /// # Errors
    /// [`RestError`], by who must act.
    ///
    /// # Wire
    /// `POST /v1/realtime/calls/{call_id}/hangup`
    pub async fn hang_up_call(&self, call_id: &str) -> Result<(), RestError> {
        self.steer(call_id, "hangup", Form { kind: String::new(), body: String::new() }).await
    }

    async fn steer(&self, call_id: &str, verb: &str, form: Form) -> Result<(), RestError> {
        let mut call = "calls/".to_owned();
        percent_encode(call_id, &mut call);
        call.extend(["/", verb]);
        self.post(&call, form).await.map(drop)
    }

    async fn post(&self, call: &str, form: Form) -> Result<Reply, RestError> {
        let attempt = Attempt::new(&self.endpoint);
        let key = attempt.during(Phase::Key, self.endpoint.key_for_attempt()).await?;
        let mut headers = HeaderMap::new();
        let secrets = self.endpoint.add_headers(&mut headers, key.as_ref())?;
        headers.insert("Connection", HeaderValue::from_static("close"));
        headers.insert("Content-Length", form.body.len().into());
        if !form.body.is_empty()
            && let Ok(kind) = HeaderValue::try_from(form.kind)
        {
            headers.insert("Content-Type", kind);
        }
        let target = self.endpoint.target_beside(call);
        let request = self.endpoint.request("POST", &target, headers, form.body)?;

        let stream = reach(&attempt).await?;
        let lost = |reason| ConnectError::Interrupted { address: self.endpoint.address(), reason };
        let (until, _) = attempt.limit(Phase::Http);
        let answer = attempt.during(Phase::Http, async {
            let mut answer = match Answer::to(request, stream).await {
                Ok(answer) => answer,
                Err(HeadError::HungUp(source)) if source.kind() == ErrorKind::InvalidData => {
                    return Err(ConnectError::Tls { address: self.endpoint.address(), source });
                }
                Err(HeadError::HungUp(error)) => return Err(lost(error.to_string())),
                Err(HeadError::NotHttp(reason)) => return Ok(Err(self.bad_answer(reason))),
            };
            if !(200..300).contains(&answer.status()) {
                return Ok(Ok(answer));
            }
            Ok(match answer.fill(MAX_ANSWER).await {
                Ok(false) => Ok(answer),
                Ok(true) => Err(self.bad_answer(format!("it has more than {MAX_ANSWER} bytes"))),
                // The server has answered: repeating the call would do it twice.
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    Err(self.bad_answer(error.to_string()))
                }
                Err(error) => return Err(lost(error.to_string())),
            })
        });
        let answer = answer.await??;
        if !(200..300).contains(&answer.status()) {
            let refusal = Refusal::read(answer, until).await;
            if let Some(error) = refusal.redirected(self.endpoint.address(), &secrets) {
                return Err(error.into());
            }
            let message = message(&refusal.body, &secrets);
            return Err(Refused::new(&refusal, message));
        }
        let location = answer.header("location").map(str::to_owned);
        match String::from_utf8(answer.body) {
            Ok(body) => Ok(Reply { location, body }),
            Err(_) => Err(self.bad_answer("it is no UTF-8".to_owned())),
        }
    }

    fn bad_answer(&self, reason: String) -> RestError {
        RestError::BadAnswer { address: self.endpoint.address(), reason }
    }
}

impl Refused {
    /// The error that the status stands for.
    #[expect(clippy::new_ret_no_self, reason = "a refusal is only ever part of its error")]
    fn new(refusal: &Refusal, message: Option<String>) -> RestError {
        let body: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
        let code = body["error"]["code"].as_str().map(str::to_owned);
        let refused = Self { status: refusal.status, code, message, retry_after: refusal.retry_after };
        match refusal.status {
            401 | 403 => RestError::KeyRefused(refused),
            404 => RestError::NotFound(refused),
            409 => RestError::Conflict(refused),
            429 => RestError::TooManyRequests(refused),
            _ => RestError::Refused(refused),
        }
    }
}

/// What came.
struct Reply {
    location: Option<String>,
    body: String,
}

/// A body with its media type. Both are empty if there is no body.
struct Form {
    kind: String,
    body: String,
}

impl Form {
    fn json(body: String) -> Self {
        Self { kind: "application/json".to_owned(), body }
    }

    /// Named parts with their media types.
    fn multipart(parts: &[(&str, &str, &str)]) -> Self {
        // Longer than any similar text in the parts.
        let mut boundary = "realtime-part".to_owned();
        while parts.iter().any(|(_, _, value)| value.contains(&boundary)) {
            boundary.push('-');
        }
        let mut body = String::new();
        for (name, kind, value) in parts {
            body.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n\
                 {value}\r\n"
            ));
        }
        body.push_str(&format!("--{boundary}--\r\n"));
        Self { kind: format!("multipart/form-data; boundary={boundary}"), body }
    }
}

/// The most that an answer may have (bytes).
const MAX_ANSWER: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_in_no_part() {
        let form = Form::multipart(&[("a", "text/plain", "x--realtime-part-\r\n"), ("b", "x/y", "")]);
        assert_eq!(form.kind, "multipart/form-data; boundary=realtime-part--");
        assert_eq!(
            form.body,
            "--realtime-part--\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain\r\n\r\n\
             x--realtime-part-\r\n\r\n--realtime-part--\r\nContent-Disposition: form-data; name=\"b\"\r\n\
             Content-Type: x/y\r\n\r\n\r\n--realtime-part----\r\n"
        );
    }

    #[test]
    fn calls_lie_beside_the_session() {
        for (endpoint, target) in [
            (Endpoint::openai("", "m"), "/v1/realtime/calls"),
            (Endpoint::azure("https://r", "d").unwrap(), "/openai/v1/realtime/calls"),
            (Endpoint::new("ws://h/v1/realtime/?call_id=c&key=k&", "").unwrap(), "/v1/realtime/calls?key=k"),
        ] {
            assert_eq!(endpoint.target_beside("calls"), target);
        }
    }
}
