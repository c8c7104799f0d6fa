//! Requests that make a call.

use serde_json::{Value, json};

use super::requests::{json_body, without_plus};
use super::{Account, Body, Dial, HttpRequest, Login, RestError};
use crate::answer::json::vonage_connect;
use crate::answer::xml::telnyx_formats;
use crate::answer::{AnswerError, StreamProof};
use crate::kind::CarrierKind;

impl Account {
    /// The request that makes a call. The stream comes when it is answered.
    ///
    /// # Errors
    /// [`RestError::NeedsUrl`] where the carrier asks a webhook for its instructions, [`RestError::Account`]
    /// if the account lacks what dials out, and [`RestError::Answer`] if the stream is not what the carrier
    /// can do.
    pub fn dial(&self, dial: &Dial) -> Result<HttpRequest, RestError> {
        let seconds = dial.ring_for.map(|limit| limit.as_secs().max(1));
        match &self.login {
            Login::Twilio { .. } | Login::SignalWire { .. } => self.dial_twilio(dial, seconds),
            Login::Telnyx { connection_id, .. } => {
                let connection = connection_id.as_deref().ok_or(RestError::Account("connection_id"))?;
                self.dial_telnyx(dial, connection, seconds)
            }
            Login::Plivo { .. } => {
                let mut body = json!({
                    "to": dial.to,
                    "from": dial.from,
                    "answer_url": self.answer_url(dial)?,
                    "answer_method": "POST",
                });
                set(&mut body, "ring_timeout", seconds);
                set(&mut body, "hangup_url", dial.status_url.as_ref());
                set(&mut body, "ring_url", dial.status_url.as_ref());
                set(&mut body, "machine_detection", dial.detects_machines.then_some("true"));
                Ok(self.request("POST", "/Call/", json_body(&body)))
            }
            Login::Vonage { .. } => {
                let phone = |number: &str| json!({"type": "phone", "number": without_plus(number)});
                let mut body = json!({
                    "to": [phone(&dial.to)],
                    "from": phone(&dial.from),
                    "ncco": [vonage_connect(&dial.stream)?],
                });
                set(&mut body, "ringing_timer", seconds);
                set(&mut body, "event_url", dial.status_url.as_ref().map(|url| vec![url]));
                set(&mut body, "machine_detection", dial.detects_machines.then_some("continue"));
                Ok(self.request("POST", "/v1/calls", json_body(&body)))
            }
            Login::Jambonz { application_sid, .. } => {
                let hook = |url: &str| json!({"url": url, "method": "POST"});
                let mut body = json!({"from": dial.from, "to": {"type": "phone", "number": dial.to}});
                match (&dial.answer_url, application_sid) {
                    (Some(url), _) => set(&mut body, "call_hook", Some(hook(url))),
                    (None, Some(application)) => set(&mut body, "application_sid", Some(application)),
                    (None, None) => return Err(RestError::NeedsUrl(CarrierKind::Jambonz)),
                }
                set(&mut body, "timeout", seconds);
                set(&mut body, "call_status_hook", dial.status_url.as_deref().map(hook));
                Ok(self.request("POST", "/Calls", json_body(&body)))
            }
            Login::Exotel { .. } => {
                // Exotel calls the number under `From` first, and shows it the number under `CallerId`.
                let mut form = vec![
                    ("From", dial.to.clone()),
                    ("CallerId", dial.from.clone()),
                    ("Url", self.answer_url(dial)?.to_owned()),
                    ("CallType", "trans".to_owned()),
                ];
                form.extend(seconds.map(|seconds| ("TimeOut", seconds.to_string())));
                form.extend(dial.status_url.clone().map(|url| ("StatusCallback", url)));
                Ok(self.request("POST", "/Calls/connect.json", Body::Form(form)))
            }
        }
    }

    fn dial_twilio(&self, dial: &Dial, seconds: Option<u64>) -> Result<HttpRequest, RestError> {
        let mut form = vec![("To", dial.to.clone()), ("From", dial.from.clone())];
        match (&dial.answer_url, self.kind()) {
            (Some(url), _) => form.push(("Url", url.clone())),
            (None, CarrierKind::Twilio) => {
                form.push(("Twiml", dial.stream.document(CarrierKind::Twilio)?.body))
            }
            (None, kind) => return Err(RestError::NeedsUrl(kind)),
        }
        if let Some(url) = &dial.status_url {
            form.push(("StatusCallback", url.clone()));
            let events = ["initiated", "ringing", "answered", "completed"];
            form.extend(events.map(|event| ("StatusCallbackEvent", event.to_owned())));
        }
        form.extend(seconds.map(|seconds| ("Timeout", seconds.to_string())));
        if dial.detects_machines {
            form.push(("MachineDetection", "Enable".to_owned()));
            form.push(("AsyncAmd", "true".to_owned()));
            form.extend(dial.status_url.clone().map(|url| ("AsyncAmdStatusCallback", url)));
        }
        Ok(self.request("POST", "/Calls.json", Body::Form(form)))
    }

    fn dial_telnyx(
        &self,
        dial: &Dial,
        connection: &str,
        seconds: Option<u64>,
    ) -> Result<HttpRequest, RestError> {
        if !dial.stream.url.starts_with("wss://") && !dial.stream.url.starts_with("ws://") {
            return Err(AnswerError::NotWebSocket.into());
        }
        let (input, (output, rate)) = telnyx_formats(&dial.stream)?;
        let parameters: Vec<Value> = dial
            .stream
            .parameters
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut body = json!({
            "connection_id": connection,
            "to": dial.to,
            "from": dial.from,
            "stream_url": dial.stream.url,
            "stream_track": "inbound_track",
            // Without it the stream is one way.
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": output,
            "stream_bidirectional_sampling_rate": rate,
        });
        set(&mut body, "stream_codec", dial.stream.format.is_some().then_some(input));
        set(&mut body, "custom_parameters", (!parameters.is_empty()).then_some(parameters));
        set(&mut body, "webhook_url", dial.status_url.as_ref());
        set(&mut body, "timeout_secs", seconds);
        set(&mut body, "answering_machine_detection", dial.detects_machines.then_some("detect"));
        match &dial.stream.proof {
            StreamProof::Usual => {}
            StreamProof::Token(token) => set(&mut body, "stream_auth_token", Some(token.expose())),
            StreamProof::Basic { .. } | StreamProof::Signed => {
                return Err(AnswerError::Proof(CarrierKind::Telnyx).into());
            }
        }
        Ok(self.request("POST", "/v2/calls", json_body(&body)))
    }

    fn answer_url<'a>(&self, dial: &'a Dial) -> Result<&'a str, RestError> {
        dial.answer_url.as_deref().ok_or_else(|| RestError::NeedsUrl(self.kind()))
    }
}

/// Sets a member, if there is a value.
fn set<T: serde::Serialize>(body: &mut Value, name: &str, value: Option<T>) {
    if let (Some(value), Value::Object(members)) = (value, body)
        && let Ok(value) = serde_json::to_value(value)
    {
        members.insert(name.to_owned(), value);
    }
}
