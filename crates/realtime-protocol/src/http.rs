//! Bodies of the HTTP calls around a session: short-lived keys, WebRTC and SIP calls, and the webhooks that
//! announce them. The calls themselves are any HTTP client's work.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /v1/realtime/client_secrets` | [`ClientSecretRequest`] | [`ClientSecretResponse`] |
//! | `POST /v1/realtime/calls` | [`CallCreateRequest`] (multipart), or SDP alone | SDP; the call's id is in `Location` |
//! | `POST /v1/realtime/calls/{call_id}/accept` | [`SessionConfig`] | none |
//! | `POST /v1/realtime/calls/{call_id}/reject` | [`CallRejectRequest`] | none |
//! | `POST /v1/realtime/calls/{call_id}/refer` | [`CallReferRequest`] | none |
//! | `POST /v1/realtime/calls/{call_id}/hangup` | none | none |
//! | beta: `POST /v1/realtime/sessions`, `…/transcription_sessions` | [`SessionConfig`] | [`SessionConfig`] with a `client_secret` |
//! | a webhook to your server | [`Webhook`] | none |
//!
//! A translation session's bodies can be read as these too: their special members stay in `extra`.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/realtime-sessions>,
//! <https://platform.openai.com/docs/api-reference/realtime-calls>,
//! <https://platform.openai.com/docs/api-reference/webhook-events/realtime>.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::compare::first_difference;
use crate::dialect::{self, Body, Dialect, Spelling};
use crate::event::scan;
use crate::field::Field;
use crate::session_config::SessionConfig;
use crate::tool::Secret;
use crate::wire::{Mismatch, Mismatches, Path, Wire, repair, wire_enum, wire_struct};

wire_struct! {
    /// Asks for a short-lived key, for a browser or another client that must not hold the real one.
    pub struct ClientSecretRequest {
        /// When the key expires.
        expires_after: Field<ExpiresAfter>,
        /// The initial configuration of sessions made with the key.
        session: Field<Box<SessionConfig>>,
    }

    /// When a key expires.
    pub struct ExpiresAfter {
        /// What it is counted from; always `created_at`.
        anchor: Field<String>,
        /// Seconds: 10 to 7,200, default 600.
        seconds: Field<u32>,
    }

    /// A short-lived key.
    pub struct ClientSecretResponse {
        /// The key.
        value: Field<Secret>,
        /// When it expires: seconds since 1970.
        expires_at: Field<u64>,
        /// The initial configuration of sessions made with it.
        session: Field<Box<SessionConfig>>,
    }

    /// Begins a WebRTC call.
    pub struct CallCreateRequest {
        /// The offer (SDP).
        sdp: String,
        /// The initial configuration of the session.
        session: Field<Box<SessionConfig>>,
    }

    /// Hands a SIP call on.
    pub struct CallReferRequest {
        /// To whom: `tel:` or `sip:`.
        target_uri: String,
    }

    /// Turns a SIP call away.
    pub struct CallRejectRequest {
        /// The SIP status code; absent: 603, decline.
        status_code: Field<u16>,
    }

    /// A SIP call comes in: accept, reject or refer it.
    pub (tagged) struct RealtimeCallIncoming {
        /// The webhook event's id.
        id: Field<String>,
        /// Always `event`.
        object: Field<String>,
        /// When: seconds since 1970.
        created_at: Field<u64>,
        /// The call.
        data: IncomingCall,
    }

    /// An incoming call.
    pub struct IncomingCall {
        /// The call's id, for the calls above and for `?call_id=` of a WebSocket beside it.
        call_id: String,
        /// The headers of the SIP INVITE.
        sip_headers: Field<Vec<SipHeader>>,
    }

    /// A SIP call comes in for the Live API, which this crate does not speak.
    pub (tagged) struct LiveCallIncoming {
        /// The webhook event's id.
        id: Field<String>,
        /// Always `event`.
        object: Field<String>,
        /// When: seconds since 1970.
        created_at: Field<u64>,
        /// The call.
        data: IncomingLiveCall,
    }

    /// An incoming call of the Live API.
    pub struct IncomingLiveCall {
        /// The session's id.
        session_id: String,
        /// The headers of the SIP INVITE.
        sip_headers: Field<Vec<SipHeader>>,
    }

    /// A SIP header.
    pub struct SipHeader {
        /// Its name.
        name: Field<String>,
        /// Its value.
        value: Field<String>,
    }
}

wire_enum! {
    /// What OpenAI sends to your server. Check its signature before you read it.
    pub enum Webhook {
        /// A SIP call comes in.
        RealtimeCallIncoming(RealtimeCallIncoming) = "realtime.call.incoming",
        /// A SIP call comes in for the Live API.
        LiveCallIncoming(LiveCallIncoming) = "live.call.incoming",
    }
}

/// Gives bodies the same reading and writing that events have.
macro_rules! bodies {
    ($($name:ident),*) => { $(
        impl $name {
            /// Reads a body. Members that do not fit are kept and read as absent: see
            /// [`mismatches`](Self::mismatches).
            ///
            /// # Errors
            /// [`Mismatch`] if the text is not such a body: not JSON, or without a required member.
            pub fn decode(text: &str) -> Result<Self, Mismatch> {
                scan::read(text)
            }

            /// Writes the body as it came, unknown members included.
            pub fn encode(&self) -> String {
                let mut text = String::new();
                scan::write(self, &mut text);
                text
            }

            /// Members that are there but not of the expected shape.
            pub fn mismatches(&self) -> Vec<Mismatch> {
                let mut found = Mismatches::default();
                Wire::mismatches(self, &Path::ROOT, &mut found);
                found.into_vec()
            }

            /// The paths of members that this version has no field for.
            pub fn unknown_members(&self) -> Vec<String> {
                let mut found = Vec::new();
                Wire::unknown_members(self, &Path::ROOT, &mut found);
                found
            }
        }
    )* };
}

bodies!(
    ClientSecretRequest,
    ClientSecretResponse,
    CallCreateRequest,
    CallReferRequest,
    CallRejectRequest,
    Webhook
);

impl SessionConfig {
    /// Reads a session that is a whole body, in either dialect's spelling or a mixture.
    ///
    /// # Errors
    /// [`Mismatch`] if the text is not a JSON object.
    pub fn decode(text: &str, dialect: Dialect) -> Result<Self, Mismatch> {
        let plain: Self = scan::read(text)?;
        let body = Body::Session(&plain);
        if dialect == Dialect::Ga && !body.is_beta_spelled() && !body.has_beta_only_fields() {
            return Ok(plain);
        }
        let text = &*repair::clean(text);
        let mut config = match dialect::session_to_ga(text) {
            Some(ga) => scan::read(&ga)?,
            None => plain,
        };
        if first_difference(text, &config.encode(dialect)).is_some() {
            config.extra.keep_spelling(Spelling::Text(dialect, text.into()));
        }
        Ok(config)
    }

    /// Writes the session as a whole body, in the spelling of `dialect`.
    pub fn encode(&self, dialect: Dialect) -> String {
        if let Some(Spelling::Text(read_in, text)) = self.extra.spelling()
            && *read_in == dialect
            && Self::decode(text, dialect).is_ok_and(|config| config == *self)
        {
            return (**text).into();
        }
        let mut ga = String::new();
        scan::write(self, &mut ga);
        match dialect {
            Dialect::Ga if !Body::Session(self).has_beta_only_fields() => ga,
            Dialect::Ga | Dialect::Beta => dialect::session_in(dialect, &ga).unwrap_or(ga),
        }
    }

    /// Members that are there but not of the expected shape.
    pub fn mismatches(&self) -> Vec<Mismatch> {
        let mut found = Mismatches::default();
        Wire::mismatches(self, &Path::ROOT, &mut found);
        found.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use serde_json::json;

    #[test]
    fn a_key_is_asked_for_and_comes_without_being_shown() {
        let request = ClientSecretRequest::default()
            .expires_after(ExpiresAfter::default().anchor("created_at").seconds(600))
            .session(SessionConfig::realtime());
        assert_eq!(
            request.encode(),
            r#"{"expires_after":{"anchor":"created_at","seconds":600},"session":{"type":"realtime"}}"#
        );
        let text = json!({"value": "ek_123", "expires_at": 1_756_310_470, "session": {"type": "realtime"}, "new": 1});
        let response = ClientSecretResponse::decode(&text.to_string()).unwrap();
        assert!(!alloc::format!("{response:?}").contains("ek_123"));
        assert_eq!(response.value.value().unwrap().0, "ek_123");
        assert_eq!(first_difference(&text.to_string(), &response.encode()), None);
        assert_eq!(response.unknown_members(), ["new"]);
    }

    #[test]
    fn an_incoming_call_is_told_by_its_webhook() {
        let text = json!({"id": "evt_1", "type": "realtime.call.incoming", "created_at": 1_719_168_000,
            "data": {"call_id": "rtc_1", "sip_headers": [{"name": "Max-Forwards", "value": "63"}]}});
        let webhook = Webhook::decode(&text.to_string()).unwrap();
        let Webhook::RealtimeCallIncoming(call) = &webhook else { panic!("{webhook:?}") };
        assert_eq!(call.data.call_id, "rtc_1");
        assert_eq!(first_difference(&text.to_string(), &webhook.encode()), None);
    }

    #[test]
    fn betas_session_comes_flat_with_its_key() {
        let text = json!({"id": "sess_1", "object": "realtime.session", "modalities": ["audio", "text"],
            "voice": "alloy", "input_audio_format": "pcm16", "turn_detection": null, "temperature": 0.7,
            "client_secret": {"value": "ek_123", "expires_at": 1_234_567_890}});
        for dialect in [Dialect::Beta, Dialect::Ga] {
            let config = SessionConfig::decode(&text.to_string(), dialect).unwrap();
            assert_eq!(config.client_secret.value().unwrap().value.value().unwrap().0, "ek_123");
            assert!(config.turn_detection().is_null());
            assert_eq!(first_difference(&text.to_string(), &config.encode(dialect)), None);
        }
    }
}
