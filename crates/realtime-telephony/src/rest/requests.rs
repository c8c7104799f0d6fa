//! Requests about a call that is under way, and what their answers say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Account, Body, HttpRequest, Login, RestError, Transfer};
use crate::answer::StreamAnswer;
use crate::answer::json::encoded;
use crate::answer::xml::Element;
use crate::carrier::Digit;
use crate::json::Object;
use crate::kind::CarrierKind;

impl Account {
    /// The requests that end a call, in order.
    ///
    /// # Errors
    /// [`RestError::NotSupported`] for Exotel: close the socket.
    pub fn hang_up(&self, call_id: &str) -> Result<Vec<HttpRequest>, RestError> {
        let call = encoded(call_id);
        let request = match &self.login {
            Login::Twilio { .. } | Login::SignalWire { .. } => {
                self.request("POST", &format!("/Calls/{call}.json"), form([("Status", "completed")]))
            }
            Login::Telnyx { .. } => {
                self.request("POST", &format!("/v2/calls/{call}/actions/hangup"), json_body(&json!({})))
            }
            Login::Plivo { .. } => self.request("DELETE", &format!("/Call/{call}/"), Body::Empty),
            Login::Vonage { .. } => {
                self.request("PUT", &format!("/v1/calls/{call}"), json_body(&json!({"action": "hangup"})))
            }
            Login::Jambonz { .. } => self.request(
                "PUT",
                &format!("/Calls/{call}"),
                json_body(&json!({"call_status": "completed"})),
            ),
            Login::Exotel { .. } => return Err(self.not_supported("hang up")),
        };
        Ok(vec![request])
    }

    /// The requests that give a call to somebody else, in order. The stream ends with it.
    ///
    /// # Errors
    /// [`RestError::NeedsUrl`] where only a document can say where the call goes: Plivo, SignalWire, jambonz.
    /// [`RestError::NotSupported`] for Exotel, where the flow goes on when the socket is closed, and for a
    /// document with Telnyx.
    pub fn transfer(&self, call_id: &str, to: &Transfer) -> Result<Vec<HttpRequest>, RestError> {
        let call = encoded(call_id);
        let kind = self.kind();
        let request = match (&self.login, to) {
            (Login::Twilio { .. }, Transfer::Number(number)) => {
                let dial = Element::new("Response").child(&Element::new("Dial").text(number)).close();
                self.request("POST", &format!("/Calls/{call}.json"), form([("Twiml", dial.as_str())]))
            }
            (Login::Twilio { .. } | Login::SignalWire { .. }, Transfer::Document(url)) => {
                self.request("POST", &format!("/Calls/{call}.json"), form([("Url", url.as_str())]))
            }
            (Login::Telnyx { .. }, Transfer::Number(number)) => {
                let body = json_body(&json!({"to": number}));
                self.request("POST", &format!("/v2/calls/{call}/actions/transfer"), body)
            }
            (Login::Plivo { .. }, Transfer::Document(url)) => {
                let body = json_body(&json!({"legs": "aleg", "aleg_url": url, "aleg_method": "POST"}));
                self.request("POST", &format!("/Call/{call}/"), body)
            }
            (Login::Vonage { .. }, to) => {
                let destination = match to {
                    Transfer::Number(number) => {
                        let phone = json!({"type": "phone", "number": without_plus(number)});
                        json!({"type": "ncco", "ncco": [{"action": "connect", "endpoint": [phone]}]})
                    }
                    Transfer::Document(url) => json!({"type": "ncco", "url": [url]}),
                };
                let body = json_body(&json!({"action": "transfer", "destination": destination}));
                self.request("PUT", &format!("/v1/calls/{call}"), body)
            }
            (Login::Jambonz { .. }, Transfer::Document(url)) => {
                let body = json_body(&json!({"call_hook": {"url": url, "method": "POST"}}));
                self.request("PUT", &format!("/Calls/{call}"), body)
            }
            (Login::Plivo { .. } | Login::SignalWire { .. } | Login::Jambonz { .. }, Transfer::Number(_)) => {
                return Err(RestError::NeedsUrl(kind));
            }
            (Login::Exotel { .. } | Login::Telnyx { .. }, _) => return Err(self.not_supported("transfer")),
        };
        Ok(vec![request])
    }

    /// The requests that send digits as tones, in order.
    ///
    /// Twilio ends the stream to do so: `then` starts the next one, which is another call to this server.
    ///
    /// # Errors
    /// [`RestError::NotDigits`]; [`RestError::NeedsStream`] for Twilio without `then`;
    /// [`RestError::NotSupported`] for Exotel and SignalWire, which takes digits on the socket.
    pub fn send_digits(
        &self,
        call_id: &str,
        digits: &str,
        then: Option<&StreamAnswer>,
    ) -> Result<Vec<HttpRequest>, RestError> {
        let keys: Option<String> = digits.chars().map(|key| Digit::of(key).map(Digit::as_char)).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or(RestError::NotDigits)?;
        let call = encoded(call_id);
        let digits = json_body(&json!({"digits": keys}));
        let request = match &self.login {
            Login::Twilio { .. } => {
                let then = then.ok_or(RestError::NeedsStream(CarrierKind::Twilio))?;
                let stream = then.document(CarrierKind::Twilio)?.body;
                let play = Element::new("Play").attribute("digits", &keys).close();
                let both = stream.replacen("<Response>", &format!("<Response>{play}"), 1);
                self.request("POST", &format!("/Calls/{call}.json"), form([("Twiml", both.as_str())]))
            }
            Login::Telnyx { .. } => {
                self.request("POST", &format!("/v2/calls/{call}/actions/send_dtmf"), digits)
            }
            Login::Plivo { .. } => self.request("POST", &format!("/Call/{call}/DTMF/"), digits),
            Login::Vonage { .. } => self.request("PUT", &format!("/v1/calls/{call}/dtmf"), digits),
            Login::Jambonz { .. } => {
                let each = keys.chars().map(|key| {
                    let body = json_body(&json!({"dtmf": {"digit": key.to_string(), "duration": 250}}));
                    self.request("PUT", &format!("/Calls/{call}"), body)
                });
                return Ok(each.collect());
            }
            Login::Exotel { .. } | Login::SignalWire { .. } => return Err(self.not_supported("send digits")),
        };
        Ok(vec![request])
    }

    /// Returns whether the answer to a request about a call says that the call is over already.
    pub fn says_call_is_over(&self, status: u16, body: &str) -> bool {
        match self.login {
            // 422 has many reasons; this code is the one of a call that is over.
            Login::Telnyx { .. } => status == 404 || (status == 422 && body.contains("90018")),
            _ => matches!(status, 404 | 410),
        }
    }

    /// The id of a call, from the answer to a request that dialled.
    pub fn dialled_call_id(&self, body: &str) -> Option<String> {
        let answer = Object::read(body)?;
        match self.login {
            Login::Twilio { .. } | Login::SignalWire { .. } | Login::Jambonz { .. } => answer.owned(&["sid"]),
            Login::Telnyx { .. } => answer.object(&["data"])?.owned(&["call_control_id"]),
            Login::Exotel { .. } => answer.object(&["Call"])?.owned(&["Sid"]),
            Login::Plivo { .. } => answer.owned(&["request_uuid"]),
            Login::Vonage { .. } => answer.owned(&["uuid"]),
        }
    }

    /// A request below the account's address.
    pub(super) fn request(&self, method: &'static str, path: &str, body: Body) -> HttpRequest {
        let base = self.base_url.as_deref().map(|base| base.trim_end_matches('/'));
        let basic =
            |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let bearer = |token: &str| format!("Bearer {token}");
        let (own, account, authorization) = match &self.login {
            Login::Twilio { account_sid, key, secret } => (
                "https://api.twilio.com".to_owned(),
                format!("/2010-04-01/Accounts/{}", encoded(account_sid)),
                basic(key.as_ref().unwrap_or(account_sid), secret.expose()),
            ),
            Login::SignalWire { space, project_id, api_token } => (
                format!("https://{space}.signalwire.com"),
                format!("/api/laml/2010-04-01/Accounts/{}", encoded(project_id)),
                basic(project_id, api_token.expose()),
            ),
            Login::Telnyx { api_key, .. } => {
                ("https://api.telnyx.com".to_owned(), String::new(), bearer(api_key.expose()))
            }
            Login::Plivo { auth_id, auth_token } => (
                "https://api.plivo.com".to_owned(),
                format!("/v1/Account/{}", encoded(auth_id)),
                basic(auth_id, auth_token.expose()),
            ),
            Login::Exotel { account_sid, api_key, api_token } => (
                "https://api.exotel.com".to_owned(),
                format!("/v1/Accounts/{}", encoded(account_sid)),
                basic(api_key, api_token.expose()),
            ),
            Login::Vonage { token } => {
                ("https://api.nexmo.com".to_owned(), String::new(), bearer(token.expose()))
            }
            Login::Jambonz { account_sid, api_key, .. } => (
                "https://api.jambonz.cloud".to_owned(),
                format!("/v1/Accounts/{}", encoded(account_sid)),
                bearer(api_key.expose()),
            ),
        };
        let url = format!("{}{account}{path}", base.unwrap_or(&own));
        let headers = vec![("Authorization", authorization), ("Accept", "application/json".to_owned())];
        HttpRequest { method, url, headers, body }
    }
}

pub(super) fn json_body(value: &Value) -> Body {
    Body::Json(value.to_string())
}

fn form<const N: usize>(pairs: [(&'static str, &str); N]) -> Body {
    Body::Form(pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}

/// Vonage writes numbers without the plus.
pub(super) fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}
