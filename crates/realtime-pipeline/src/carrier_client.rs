//! Requests to phone carriers over HTTP: [`CarrierClient`].
//!
//! ```no_run
//! use realtime_pipeline::carrier_client::CarrierClient;
//! use realtime_pipeline::media::Phone;
//! use realtime_pipeline::media::phone::Requests;
//! use realtime_pipeline::telephony::answer::StreamAnswer;
//! use realtime_pipeline::telephony::rest::{Account, Dial, Login};
//! use realtime_pipeline::telephony::{CarrierKind, StreamOptions};
//!
//! # async fn run(token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let login = Login::Twilio { account_sid: "AC1".to_owned(), key: None, secret: token.into() };
//! let requests = Requests::new(Account::new(login), CarrierClient::new());
//! let stream = StreamAnswer::new("wss://voice.example.com/twilio");
//! let id = requests.dial(&Dial::new("+15550100002", "+15550100001", stream)).await?;
//! // When it is answered, Twilio opens a socket to that address.
//! let phone = Phone::new(CarrierKind::Twilio, StreamOptions::default()).requests(requests);
//! # let _ = (id, phone);
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use futures_util::future::BoxFuture;
use realtime_client::HttpRequest as ClientRequest;
use realtime_telephony::rest::HttpRequest;

use crate::media::phone::{HttpReply, NoReply, SendRequest};

/// Sends requests to carriers on the client's own way: the proxy that the environment names, TLS with the
/// roots of this build's features, a connection for each. It follows no redirect, and logs nothing.
#[derive(Clone, Copy, Debug)]
pub struct CarrierClient {
    deadline: Duration,
}

impl CarrierClient {
    /// Requests take at most 5 s.
    pub const fn new() -> Self {
        Self { deadline: Duration::from_secs(5) }
    }

    /// How long a request may take, from the look-up of the name to the last byte of the answer.
    #[must_use]
    pub const fn deadline(self, deadline: Duration) -> Self {
        Self { deadline }
    }
}

impl Default for CarrierClient {
    fn default() -> Self {
        Self::new()
    }
}

impl SendRequest for CarrierClient {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpReply, NoReply>> {
        let mut asked = ClientRequest::new(request.method, &request.url).deadline(self.deadline);
        for (name, value) in request.headers {
            asked = asked.header(name, value);
        }
        if let Some(kind) = request.body.content_type() {
            asked = asked.body(kind, request.body.text());
        }
        Box::pin(async move {
            let answer = asked.send().await?;
            Ok(HttpReply { status: answer.status, body: answer.body })
        })
    }
}

#[cfg(test)]
mod tests {
    use realtime_telephony::rest::{Account, Login};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::chain::Category;
    use crate::media::phone::{RequestFailed, Requests};

    /// A carrier that gives one answer, or none. Gives what it was sent.
    async fn carrier(answer: Option<String>) -> (Requests, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let carrier = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut sent, mut piece) = (String::new(), [0; 4_096]);
            while !sent.ends_with("Status=completed") {
                let read = stream.read(&mut piece).await.unwrap();
                sent.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            match answer {
                // Who asked may have had enough.
                Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                None => drop(stream.read(&mut piece).await),
            }
            sent
        });
        let login = Login::Twilio { account_sid: "AC1".to_owned(), key: None, secret: "hidden".into() };
        let client = CarrierClient::new().deadline(Duration::from_millis(500));
        (Requests::new(Account::new(login).base_url(url), client), carrier)
    }

    #[tokio::test]
    async fn a_request_goes_out_whole_and_its_answer_is_read() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned();
        let (requests, carrier) = carrier(Some(answer)).await;
        requests.hang_up("CA1").await.unwrap();
        let sent = carrier.await.unwrap();
        assert!(sent.starts_with("POST /2010-04-01/Accounts/AC1/Calls/CA1.json HTTP/1.1\r\n"), "{sent}");
        let lower = sent.to_lowercase();
        for header in
            ["authorization: basic qumxomhpzgrlbg==", "content-type: application/x-www-form-urlencoded"]
        {
            assert!(lower.contains(header), "{header}: {sent}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_refuses_that_never_comes_or_never_ends_is_told() {
        let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nsecret".to_owned();
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 * 1024 * 1024));
        for (answer, category) in [
            (Some(refused), Category::Authentication),
            (Some(endless), Category::Unreachable),
            (None, Category::Unreachable),
        ] {
            let (requests, carrier) = carrier(answer).await;
            let failed = requests.hang_up("CA1").await.unwrap_err();
            assert_eq!(failed.category(), category, "{failed}");
            let told = format!("{failed}{failed:?}");
            assert!(!told.contains("secret") && !told.contains("hidden"), "{told}");
            if let RequestFailed::NoReply(cause) = failed {
                assert!(!cause.to_string().contains("hidden"), "{cause}");
            }
            carrier.await.unwrap();
        }
    }
}
