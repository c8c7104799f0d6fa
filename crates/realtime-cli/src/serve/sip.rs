//! Calls by SIP at OpenAI: its webhook tells of a call, which is accepted with the agent's configuration; the
//! agent then joins it on its side channel. The audio stays at OpenAI.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use realtime_client::Rest;
use realtime_pipeline::edges::SideChannel;
use realtime_protocol::http::{IncomingCall, Webhook};
use realtime_protocol::session::{Begin, PlaybackSource};
use realtime_protocol::session_config::{SessionConfig, Transcription};

use crate::agent::{LoadedAgent, Reach};
use crate::model::Model;
use crate::serve::address::Address;
use crate::serve::answers;
use crate::serve::asking::{Asking, body};
use crate::serve::hold::hold_at;
use crate::serve::host::Host;
use crate::serve::places::Place;
use crate::serve::server::Shared;
use crate::serve::trust::Trust;
use crate::time::wall;
use crate::{Error, one_line};

/// How many webhooks are remembered, so that one that is sent again makes no second call.
const REMEMBERED: usize = 1024;

/// The SIP status of a call for which there is no place: busy.
pub(super) const BUSY: u16 = 486;

/// The webhooks that were carried out.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<VecDeque<String>>);

impl Seen {
    /// Returns whether it is new, and remembers it.
    fn is_new(&self, id: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|known| known == id) {
            return false;
        }
        if seen.len() >= REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(id.to_owned());
        true
    }
}

/// OpenAI tells of an incoming call.
pub(super) async fn webhook(State(server): State<Shared>, request: Request) -> Response {
    let incoming = match incoming(&server.address, &server.trust, &server.seen, request).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    // OpenAI wants an answer at once; the call follows.
    let place = server.host.place("openai");
    tokio::spawn(async move {
        match place {
            Ok(place) => answer(&server.host, incoming, place).await,
            Err(_) => decline(&server.host.model, &incoming.call_id, BUSY).await,
        }
    });
    StatusCode::NO_CONTENT.into_response()
}

/// The call of which a request tells, once it is verified.
///
/// # Errors
/// The answer to a request that is not from OpenAI, or tells of no new call.
pub(super) async fn incoming(
    address: &Address,
    trust: &Trust,
    seen: &Seen,
    request: Request,
) -> Result<IncomingCall, Response> {
    let (head, content) = request.into_parts();
    let content = body(content).await?;
    let asking = Asking::of(&head, address);
    let verified = trust.openai(&asking.with(&content), wall());
    verified.map_err(|refused| answers::refused("openai", refused))?;
    let event = match std::str::from_utf8(&content) {
        Ok(text) => Webhook::decode(text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match event {
        Ok(Webhook::RealtimeCallIncoming(incoming)) if !is_call_id(&incoming.data.call_id) => {
            tracing::warn!("a webhook tells of a call whose id is none: it is not taken");
        }
        Ok(Webhook::RealtimeCallIncoming(incoming)) if seen.is_new(&incoming.data.call_id) => {
            return Ok(incoming.data);
        }
        // It was told before, or of something else, to whom it may concern.
        Ok(_) => {}
        Err(error) => tracing::warn!("a webhook can't be read, and no call begins by it: {error}"),
    }
    Err(StatusCode::NO_CONTENT.into_response())
}

/// The longest id of a call (bytes).
const LONGEST_ID: usize = 256;

/// Whether it may be a call's id: it goes into addresses and tables.
fn is_call_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(is_plain) && !id.contains("..")
}

/// Accepts a call, and holds it.
async fn answer(host: &Host, incoming: IncomingCall, place: Place) {
    let (call, budget) = host.begin("openai", place);
    call.known_as(Some(incoming.call_id.clone()));
    call.between(number(&incoming, "From"), number(&incoming, "To"));
    let rest = match host.model.rest() {
        Ok(rest) => rest,
        Err(error) => return call.failed(one_line(&*error)),
    };
    if let Err(error) =
        accept(&host.agent, &host.model, host.voice.as_deref(), &rest, &incoming.call_id).await
    {
        return call.failed(one_line(&*error));
    }
    let endpoint = match host.model.side_channel(&incoming.call_id) {
        Ok(endpoint) => endpoint,
        Err(error) => return call.failed(one_line(&*error)),
    };
    let agent = host.agent(Reach::Sip).client(|mut client| {
        client.session.begin = Begin::Attach;
        client.session.playback = PlaybackSource::Server;
        client
    });
    let transport = SideChannel::new(rest.clone(), &incoming.call_id);
    hold_at(host, call, budget, endpoint, agent, transport).await;
    // One that is over needs it no more.
    let _ = rest.hang_up_call(&incoming.call_id).await;
}

/// Accepts a call with what the agent is, and its tools: a side channel declares none.
///
/// # Errors
/// The agent's names don't fit, or the model's server does not take the call.
pub(super) async fn accept(
    agent: &LoadedAgent,
    model: &Model,
    voice: Option<&str>,
    rest: &Rest,
    call_id: &str,
) -> Result<(), Error> {
    let mut config = SessionConfig::realtime().model(model.name());
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    let config = agent.session_config(config, Reach::Sip, voice)?;
    Ok(rest.accept_call(call_id, &config).await?)
}

/// Rejects a call that was not accepted, with a SIP status for its carrier.
pub(super) async fn decline(model: &Model, call_id: &str, status: u16) {
    let declined = match model.rest() {
        Ok(rest) => rest.reject_call(call_id, Some(status)).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let Err(error) = declined {
        tracing::warn!("a call could not be declined: {}", one_line(&*error));
    }
}

/// The number or the name in a SIP header such as `"Ann" <sip:+15550100001@example.com>;tag=1`.
pub(super) fn number(call: &IncomingCall, name: &str) -> Option<String> {
    let headers = call.sip_headers.value()?;
    let header =
        headers.iter().find(|header| header.name.value().is_some_and(|it| it.eq_ignore_ascii_case(name)))?;
    let value = header.value.value()?;
    let address = value.split_once('<').map_or(value.as_str(), |(_, rest)| rest);
    let address = address.split(['>', ';']).next()?.trim();
    let user = address.trim_start_matches("sips:").trim_start_matches("sip:").trim_start_matches("tel:");
    let user = user.split('@').next()?;
    (!user.is_empty()).then(|| user.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_comes_again_is_not_new() {
        let seen = Seen::default();
        assert!(seen.is_new("a") && !seen.is_new("a"));
        for number in 0..REMEMBERED {
            assert!(seen.is_new(&number.to_string()));
        }
        assert!(seen.is_new("a"));
    }

    #[test]
    fn who_calls_stands_in_the_sip_headers() {
        let call = |value: &str| {
            let text = format!(
                r#"{{"type":"realtime.call.incoming","data":{{"call_id":"c","sip_headers":[{{"name":"from","value":{value:?}}}]}}}}"#
            );
            let Webhook::RealtimeCallIncoming(call) = Webhook::decode(&text).unwrap() else {
                panic!("{text}")
            };
            number(&call.data, "From")
        };
        assert_eq!(call("\"Ann\" <sip:+15550100001@example.com>;tag=1").as_deref(), Some("+15550100001"));
        assert_eq!(call("sip:ann@example.com;tag=1").as_deref(), Some("ann"));
        assert_eq!(call("<tel:+15550100001>").as_deref(), Some("+15550100001"));
        assert_eq!(call(""), None);
    }
}
