//! The HTTP calls around a session: short-lived keys, calls, models, whether the server is up, and the page.

use realtime_protocol::event::Dialect;
use realtime_protocol::http::ClientSecretResponse;
use realtime_protocol::session_config::{ClientSecret, SessionConfig, SessionKind};
use realtime_protocol::tool::Secret;
use serde_json::{Value, json};

use crate::access::{self, Access};
use crate::connection::{Fault, opening_session};
use crate::http::{Answer, Request, body, multipart, page, sdp, sessions};
use crate::options::Options;
use crate::registry::CallState;

/// Answers a request that does not ask for a WebSocket.
pub(crate) fn answer(request: &Request, options: &Options) -> Answer {
    let path = request.path.strip_prefix("/openai").unwrap_or(&request.path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if request.method == "OPTIONS" {
        return Answer::empty(204)
            .header("Access-Control-Allow-Methods", "GET, POST")
            .header("Access-Control-Allow-Headers", "*, Authorization");
    }
    if parts == ["healthz"] {
        return only("GET", request, || {
            Answer::json(200, &json!({"status": "ok", "sessions": options.registry.sessions()}))
        });
    }
    if request.path.is_empty() {
        return only("GET", request, page::answer);
    }
    let access = match access::check(request, options) {
        Ok(access) => access,
        Err(refusal) => return refusal,
    };
    let result = match parts.as_slice() {
        ["emulator", "sessions", rest @ ..] => {
            return only("GET", request, || sessions::answer(rest, request, &access, options));
        }
        ["v1", "models"] => return only("GET", request, || Answer::json(200, &models())),
        ["v1", "models", name] => return only("GET", request, || Answer::json(200, &model(name))),
        ["v1", "realtime"] if request.method == "GET" => {
            let message = "This is a WebSocket: ask for an upgrade.";
            return Answer::refusal(426, "upgrade_required", message).header("Upgrade", "websocket");
        }
        ["v1", "realtime", ..] if request.method != "POST" => return not_allowed("POST"),
        ["v1", "realtime", "client_secrets"] => client_secret(request, options),
        ["v1", "realtime", "sessions"] => beta_session(request, SessionKind::Realtime, options),
        ["v1", "realtime", "transcription_sessions"] => {
            beta_session(request, SessionKind::Transcription, options)
        }
        // Without `calls` it is beta's way.
        ["v1", "realtime"] | ["v1", "realtime", "calls"] => create_call(request, access, options),
        ["v1", "realtime", "calls", id, verb @ ("accept" | "reject" | "refer" | "hangup")] => {
            steer_call(request, id, verb, options)
        }
        _ => return Answer::refusal(404, "not_found", &format!("Invalid URL ({} {path})", request.method)),
    };
    result.unwrap_or_else(|fault| Answer::fault(&fault))
}

fn client_secret(request: &Request, options: &Options) -> Result<Answer, Fault> {
    let asked = body::client_secret(request)?;
    let seconds = asked.expires_after.value().and_then(|after| after.seconds.value()).copied().unwrap_or(600);
    if !(10..=7200).contains(&seconds) {
        let message =
            format!("Invalid 'expires_after.seconds': expected a value from 10 to 7200, got {seconds}.");
        return Err(Fault::invalid_value("expires_after.seconds", message));
    }
    let given = asked.session.into_value().map_or_else(SessionConfig::realtime, |session| *session);
    let shown = opening_session(&given, Dialect::Ga)?;
    let (value, expires_at) =
        options.registry.add_secret(&given, Dialect::Ga, seconds.into(), options.now(), options.key_seed);
    let response = ClientSecretResponse::default()
        .value(Secret(value))
        .expires_at(expires_at)
        .session(Box::new(shown.expires_at(0_u64)));
    Ok(Answer::text(200, "application/json", response.encode()))
}

/// Beta's short-lived keys come inside of the session.
fn beta_session(request: &Request, kind: SessionKind, options: &Options) -> Result<Answer, Fault> {
    let given = body::session(body::json(request), Dialect::Beta)?.kind(kind);
    let mut shown = opening_session(&given, Dialect::Beta).map_err(|fault| fault.spelled(Dialect::Beta))?;
    let (value, expires_at) =
        options.registry.add_secret(&given, Dialect::Beta, 60, options.now(), options.key_seed);
    shown.client_secret = ClientSecret::default().value(Secret(value)).expires_at(expires_at).into();
    shown.expires_at = 0_u64.into();
    Ok(Answer::text(200, "application/json", shown.encode(Dialect::Beta)))
}

fn create_call(request: &Request, access: Access, options: &Options) -> Result<Answer, Fault> {
    let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let (offer, session) = if is_form {
        let offer = multipart::part(request, "sdp").ok_or_else(|| Fault::missing("sdp"))?;
        (offer, multipart::part(request, "session"))
    } else {
        (request.text(), None)
    };
    let session = match (session, access) {
        (Some(text), _) => body::session(text, Dialect::Ga)?,
        (None, Access::Secret(session)) => *session,
        (None, Access::Key) => SessionConfig::realtime(),
    };
    opening_session(&session, Dialect::Ga)?;
    #[cfg(feature = "webrtc")]
    if crate::webrtc::is_real(offer) {
        let (id, answer) = crate::webrtc::take(offer, &session, options)
            .map_err(|reason| Fault::invalid_value("sdp", reason))?;
        return Ok(created(&id, answer));
    }
    let answer = sdp::answer(offer)
        .ok_or_else(|| Fault::invalid_value("sdp", "Expected an SDP offer, which begins with 'v=0'."))?;
    let id = options.registry.add_call(&session, options.key_seed);
    tracing::info!(id, "a WebRTC call without media: it can be joined by ?call_id=");
    Ok(created(&id, answer))
}

fn created(id: &str, answer: String) -> Answer {
    Answer::text(201, "application/sdp", answer).header("Location", format!("/v1/realtime/calls/{id}"))
}

/// Accepts, rejects, refers or ends a call. Any id can be accepted or rejected: it stands for a ringing SIP
/// call.
fn steer_call(request: &Request, id: &str, verb: &str, options: &Options) -> Result<Answer, Fault> {
    let registry = &options.registry;
    let state = registry.call(id);
    match (verb, state) {
        ("accept", None) => {
            let session = body::session(body::json(request), Dialect::Ga)?;
            opening_session(&session, Dialect::Ga)?;
            registry.accept_call(id, &session);
        }
        ("accept", Some(CallState::Running(..))) => {
            let message = format!("The call with id '{id}' is answered already.");
            return Ok(Answer::refusal(400, "call_already_accepted", &message));
        }
        ("reject", None | Some(CallState::Running(..))) => {
            body::reject(request)?;
            registry.end_call(id);
        }
        ("refer", Some(CallState::Running(..))) => {
            body::refer(request)?;
            registry.end_call(id);
        }
        ("hangup", Some(CallState::Running(..))) => registry.end_call(id),
        _ => {
            let message = format!("No call with id '{id}' was found.");
            return Ok(Answer::refusal(404, "call_id_not_found", &message));
        }
    }
    Ok(Answer::empty(200))
}

fn models() -> Value {
    json!({"object": "list", "data": MODELS.iter().map(|name| model(name)).collect::<Vec<_>>()})
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 1_756_310_470, "owned_by": "system"})
}

fn only(method: &'static str, request: &Request, answer: impl FnOnce() -> Answer) -> Answer {
    if request.method == method { answer() } else { not_allowed(method) }
}

fn not_allowed(method: &'static str) -> Answer {
    Answer::refusal(405, "method_not_allowed", "This method is not allowed here.").header("Allow", method)
}

const MODELS: &[&str] = &[
    "gpt-realtime",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-mini",
    "gpt-realtime-2",
    "gpt-4o-realtime-preview",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "whisper-1",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, body: &str, options: &Options) -> Answer {
        let mut request = Request::test("POST", path, &[("authorization", "Bearer sk-1")]);
        request.body = body.into();
        answer(&request, options)
    }

    fn json(answer: &Answer) -> Value {
        serde_json::from_str(answer.body()).unwrap()
    }

    #[test]
    fn a_client_secret_opens_sessions_until_it_expires() {
        let options = Options::default()
            .api_key("sk-1")
            .wall_clock(|| realtime_protocol::time::UnixTime::from_secs(1000));
        let body = r#"{"expires_after":{"anchor":"created_at","seconds":60},
            "session":{"type":"realtime","model":"gpt-realtime-mini","instructions":"Be brief."}}"#;
        let made = post("/v1/realtime/client_secrets", body, &options);
        assert_eq!(made.status, 200);
        let made = json(&made);
        assert_eq!(
            (&made["expires_at"], &made["session"]["instructions"]),
            (&json!(1060), &json!("Be brief."))
        );
        assert_eq!(
            (&made["session"]["expires_at"], &made["session"]["model"]),
            (&json!(0), &json!("gpt-realtime-mini"))
        );
        let value = made["value"].as_str().unwrap();
        assert!(value.starts_with("ek_"));

        let bearer = format!("Bearer {value}");
        let with_secret = Request::test("GET", "/v1/realtime", &[("authorization", bearer.as_str())]);
        assert!(matches!(access::check(&with_secret, &options), Ok(Access::Secret(_))));
        let later = options.wall_clock(|| realtime_protocol::time::UnixTime::from_secs(1061));
        assert_eq!(access::check(&with_secret, &later).unwrap_err().status, 401);
    }

    #[test]
    fn a_client_secret_can_be_foretold_only_with_a_seed() {
        let first = |options: Options| {
            json(&post("/v1/realtime/client_secrets", "{}", &options))["value"].as_str().unwrap().to_owned()
        };
        assert_ne!(first(Options::default()), first(Options::default()));
        assert_eq!(first(Options::default().seed(7)), first(Options::default().seed(7)));
        assert_ne!(first(Options::default().seed(7)), first(Options::default().seed(8)));
    }

    #[test]
    fn a_bad_body_is_refused_with_its_member() {
        let options = Options::default();
        let check = |path: &str, body: &str, code: &str, param: &Value| {
            let refused = post(path, body, &options);
            assert_eq!(refused.status, 400, "{}", refused.body());
            assert_eq!(
                (&json(&refused)["error"]["code"], &json(&refused)["error"]["param"]),
                (&json!(code), param)
            );
        };
        let secrets = "/v1/realtime/client_secrets";
        check(secrets, "{", "invalid_json", &json!(null));
        check(
            secrets,
            r#"{"expires_after":{"seconds":5}}"#,
            "invalid_value",
            &json!("expires_after.seconds"),
        );
        let session = r#"{"session":{"type":"realtime","output_modalities":["smell"]}}"#;
        check(secrets, session, "invalid_value", &json!("session.output_modalities"));
        check("/v1/realtime/calls/rtc_1/accept", r#"{"type":"x"}"#, "invalid_value", &json!("session.type"));
        let calls = "/v1/realtime/calls/rtc_1";
        for (path, body, param) in [
            (secrets, r#"{"session":[[[[]]]]}"#, "session"),
            (secrets, r#"{"session":"realtime"}"#, "session"),
            (secrets, r#"{"expires_after":600}"#, "expires_after"),
            (secrets, r#"{"expires_after":{"seconds":"60"}}"#, "expires_after.seconds"),
            (secrets, r#"{"session":{"type":"realtime","tools":{}}}"#, "session.tools"),
            (secrets, r#"{"session":{"type":"realtime","audio":{"input":[]}}}"#, "session.audio.input"),
            ("/v1/realtime/sessions", r#"{"instructions":7}"#, "session.instructions"),
            (&format!("{calls}/accept"), r#"{"type":"realtime","tools":7}"#, "session.tools"),
            (&format!("{calls}/reject"), r#"{"status_code":"486"}"#, "status_code"),
        ] {
            check(path, body, "invalid_type", &json!(param));
        }
        let detection = r#"{"turn_detection":{"threshold":0.5}}"#;
        let param = json!("session.turn_detection.type");
        check("/v1/realtime/sessions", detection, "missing_required_parameter", &param);
        for (path, body, param) in [
            (secrets, r#"{"sesion":{}}"#, "sesion"),
            (secrets, r#"{"expires_after":{"second":60}}"#, "expires_after.second"),
            (&format!("{calls}/reject"), r#"{"status":486}"#, "status"),
        ] {
            check(path, body, "unknown_parameter", &json!(param));
        }
        for text in ["[]", "7", "null", "\"x\"", ""] {
            for path in [secrets, "/v1/realtime/sessions", &format!("{calls}/accept")] {
                let refused = post(path, text, &options);
                assert!(text.is_empty() || refused.status == 400, "{path} {text}: {}", refused.body());
            }
        }
        let mut request = Request::test("POST", secrets, &[]);
        request.body = b"{\"session\":\xff}".to_vec();
        assert_eq!(answer(&request, &options).status, 400);
        assert_eq!(post(&format!("{calls}/accept"), r#"{"type":"realtime"}"#, &options).status, 200);
        check(&format!("{calls}/refer"), "{}", "missing_required_parameter", &json!("target_uri"));
        check(&format!("{calls}/refer"), r#"{"target_uri":7}"#, "invalid_type", &json!("target_uri"));
        check(&format!("{calls}/reject"), r#"{"status_code":200}"#, "invalid_value", &json!("status_code"));
    }

    #[test]
    fn a_call_is_accepted_referred_and_gone() {
        let options = Options::default();
        let call =
            |verb: &str, body: &str| post(&format!("/v1/realtime/calls/rtc_9/{verb}"), body, &options).status;
        assert_eq!(call("hangup", ""), 404);
        assert_eq!(call("accept", r#"{"type":"realtime","model":"gpt-realtime"}"#), 200);
        assert_eq!(call("accept", r#"{"type":"realtime"}"#), 400);
        assert_eq!(call("refer", r#"{"target_uri":"tel:+1"}"#), 200);
        assert_eq!(call("hangup", ""), 404);
        assert_eq!(post("/v1/realtime/calls/rtc_8/reject", r#"{"status_code":486}"#, &options).status, 200);
        let made = post("/v1/realtime/calls", "v=0\r\nm=audio 9 UDP 111\r\n", &options);
        assert_eq!(made.status, 201);
        let location = made.location().unwrap().to_owned();
        assert!(location.starts_with("/v1/realtime/calls/rtc_"));
        assert_eq!(post(&format!("{location}/hangup"), "", &options).status, 200);
    }

    #[test]
    fn paths_methods_and_keys_are_checked() {
        let options = Options::default().api_key("sk-1").forbidden_key("sk-2");
        let status = |method: &str, path: &str, key: &str| {
            let key = format!("Bearer {key}");
            answer(&Request::test(method, path, &[("authorization", key.as_str())]), &options).status
        };
        assert_eq!(status("GET", "/healthz", ""), 200);
        assert_eq!(status("GET", "/v1/models", "sk-1"), 200);
        assert_eq!(status("GET", "/v1/models/gpt-realtime", "sk-1"), 200);
        assert_eq!(status("GET", "/v1/models", "sk-3"), 401);
        assert_eq!(status("GET", "/v1/models", "sk-2"), 403);
        assert_eq!(status("GET", "/v1/realtime", "sk-1"), 426);
        assert_eq!(status("GET", "/v1/realtime/client_secrets", "sk-1"), 405);
        assert_eq!(status("DELETE", "/v1/models", "sk-1"), 405);
        assert_eq!(status("POST", "/v1/chat/completions", "sk-1"), 404);
        assert_eq!(status("OPTIONS", "/v1/realtime/calls", "sk-3"), 204);
    }

    #[test]
    fn betas_sessions_come_with_a_key_inside() {
        let options = Options::default();
        let made =
            post("/v1/realtime/sessions", r#"{"model":"m","voice":"sage","modalities":["text"]}"#, &options);
        let made = json(&made);
        assert_eq!((&made["voice"], &made["modalities"]), (&json!("sage"), &json!(["text"])));
        assert!(made["client_secret"]["value"].as_str().unwrap().starts_with("ek_"));
        let made = json(&post("/v1/realtime/transcription_sessions", "{}", &options));
        assert_eq!(made["object"], "realtime.transcription_session");
    }
}
