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
//! A translation session's bodies read as these too: what it has of its own stays in `extra`.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/realtime-sessions>,
//! <https://platform.openai.com/docs/api-reference/realtime-calls>,
//! <https://platform.openai.com/docs/api-reference/webhook-events/realtime>.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::field::Field;
use crate::session_config::SessionConfig;
use crate::tool::Secret;
use crate::wire::{wire_enum, wire_struct};

wire_struct! {
    /// Asks for a short-lived key, for a browser or another client that must not hold the real one.
    pub struct ClientSecretRequest {
        /// When the key ends.
        expires_after: Field<ExpiresAfter>,
        /// What sessions made with the key begin with.
        session: Field<Box<SessionConfig>>,
    }

    /// When a key ends.
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
        /// When it ends: seconds since 1970.
        expires_at: Field<u64>,
        /// What sessions made with it begin with.
        session: Field<Box<SessionConfig>>,
    }

    /// Begins a WebRTC call.
    pub struct CallCreateRequest {
        /// The offer (SDP).
        sdp: String,
        /// What the session begins with.
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
