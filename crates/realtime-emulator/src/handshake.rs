//! The request that opens a WebSocket: the session that it asks for, or why it is refused.
//!
//! It is answered here and not by the WebSocket library, which closes the connection if it does not accept a
//! request.

use realtime_protocol::audio::Audio;
use realtime_protocol::event::Dialect;
use realtime_protocol::session_config::{SessionConfig, SessionKind};
use realtime_protocol::tool::Secret;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::access::{self, Access};
use crate::http::{Answer, Request};
use crate::options::Options;
use crate::registry::CallState;

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Empty if none was named.
    pub(crate) model: String,
    pub(crate) kind: SessionKind,
    pub(crate) dialect: Dialect,
    /// The initial configuration of the session.
    pub(crate) session: Box<SessionConfig>,
    /// The client's key. Empty if it has none.
    pub(crate) key: Secret,
    /// The call that the client joins.
    pub(crate) call: Option<AskedCall>,
    /// Whether the client offers the subprotocol `realtime`, which is selected then.
    pub(crate) selects_realtime: bool,
}

/// A call that a client joins.
#[derive(Debug)]
pub(crate) struct AskedCall {
    pub(crate) id: String,
    /// Tells of its end.
    pub(crate) ended: watch::Receiver<bool>,
}

/// The head that switches the connection to WebSocket, in answer to a request that [is whole](is_whole).
pub(crate) fn switch(request: &Request, asked: &Asked) -> Vec<u8> {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let protocol = if asked.selects_realtime { "Sec-WebSocket-Protocol: realtime\r\n" } else { "" };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n{protocol}\r\n",
        derive_accept_key(key.as_bytes())
    )
    .into_bytes()
}

/// Refuses a request for a WebSocket that violates RFC 6455.
pub(crate) fn is_whole(request: &Request) -> Result<(), Answer> {
    if !request.is_http_11 {
        let message = "A WebSocket needs HTTP/1.1.";
        return Err(Answer::refusal(400, "bad_request", message));
    }
    if request.header("sec-websocket-version") != Some("13") {
        let message = "The version of the WebSocket must be 13.";
        let refusal = Answer::refusal(426, "upgrade_required", message);
        return Err(refusal.header("Sec-WebSocket-Version", "13"));
    }
    let asks = request.list("connection").any(|option| option.eq_ignore_ascii_case("upgrade"));
    if request.method != "GET" || !asks {
        let message = "This is no whole request for a WebSocket.";
        return Err(Answer::refusal(400, "bad_request", message));
    }
    let mut keys = request.headers("sec-websocket-key");
    // 16 bytes in base64.
    let is_key =
        |key: &str| key.len() == 24 && key.ends_with("==") && Audio::from_base64(key).bytes().is_ok();
    if !keys.next().is_some_and(is_key) || keys.next().is_some() {
        let message = "The header Sec-WebSocket-Key must be there once, with 16 bytes in base64.";
        return Err(Answer::refusal(400, "bad_request", message));
    }
    Ok(())
}

/// Reads the request.
pub(crate) fn accept(request: &Request, options: &Options) -> Result<Asked, Answer> {
    let offers = |name: &str| request.list("sec-websocket-protocol").any(|protocol| protocol == name);
    let dialect = match request.path.as_str() {
        "/openai/realtime" => Dialect::Beta,
        "/v1/realtime" | "/openai/v1/realtime" if says_beta(request) || offers("openai-beta.realtime-v1") => {
            Dialect::Beta
        }
        "/v1/realtime" | "/openai/v1/realtime" => Dialect::Ga,
        _ => return Err(Answer::refusal(404, "not_found", "The path of the WebSocket is /v1/realtime.")),
    };
    let access = access::check(request, options)?;
    let mut asked = Asked {
        model: request.query("model").or_else(|| request.query("deployment")).unwrap_or_default().into(),
        kind: SessionKind::Realtime,
        dialect,
        session: Box::default(),
        key: access::key(request).unwrap_or_default().into(),
        call: None,
        selects_realtime: offers("realtime"),
    };
    if request.query("intent") == Some("transcription") {
        asked.kind = SessionKind::Transcription;
    }
    if let Access::Secret(session) = access {
        asked.begin_with(session);
    }
    if let Some(id) = request.query("call_id") {
        let is_hidden = options.registry.is_fresh(id, options.hides_calls_for());
        match options.registry.call(id).filter(|_| !is_hidden) {
            Some(CallState::Running(_, Some(spoken), _)) if spoken != options.dialect(dialect) => {
                let message = format!("The call with id '{id}' is spoken in the other dialect already.");
                return Err(Answer::refusal(400, "dialect_mismatch", &message));
            }
            Some(CallState::Running(session, _, ended)) => {
                asked.begin_with(session);
                asked.call = Some(AskedCall { id: id.into(), ended });
            }
            Some(CallState::Ended) | None => {
                let message = format!("No call with id '{id}' was found.");
                return Err(Answer::refusal(404, "call_id_not_found", &message));
            }
        }
    }
    if request.path == "/openai/realtime" && request.query("api-version").is_none() {
        return Err(Answer::refusal(404, "404", "Resource not found"));
    }
    if asked.model.is_empty() && asked.kind == SessionKind::Realtime {
        if asked.call.is_none() {
            let message = "You must provide a model parameter, for example ?model=gpt-realtime.";
            return Err(Answer::refusal(400, "missing_model", message));
        }
        asked.model = "gpt-realtime".into();
    }
    Ok(asked)
}

impl Asked {
    /// The session begins with the configuration of a key or a call.
    pub(crate) fn begin_with(&mut self, session: Box<SessionConfig>) {
        if let Some(kind) = session.kind.value() {
            self.kind = kind.clone();
        }
        if let Some(model) = session.model.value().filter(|_| self.model.is_empty()) {
            self.model = model.clone();
        }
        self.session = session;
    }
}

/// Returns whether the client asks for beta by its header.
fn says_beta(request: &Request) -> bool {
    request.list("openai-beta").any(|value| value == "realtime=v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model, or the status of the refusal.
    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<Asked, u16> {
        let options = Options::default().api_key("sk-1");
        accept(&Request::test("GET", uri, headers), &options).map_err(|refusal| {
            assert!(refusal.body().contains("\"error\""));
            refusal.status
        })
    }

    const KEY: (&str, &str) = ("authorization", "Bearer sk-1");

    #[test]
    fn the_key_comes_by_header_by_subprotocol_or_as_azure_has_it() {
        let uri = "/v1/realtime?x=1&model=gpt%20realtime";
        let asked = check(uri, &[KEY]).unwrap();
        assert_eq!((asked.model.as_str(), asked.selects_realtime), ("gpt realtime", false));
        let protocols = ("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-1");
        assert!(check(uri, &[protocols]).unwrap().selects_realtime);
        assert_eq!(check(uri, &[("authorization", "Bearer sk-2")]).unwrap_err(), 401);
        assert_eq!(check(uri, &[]).unwrap_err(), 401);
        assert_eq!(check(uri, &[("api-key", "sk-1")]).unwrap_err(), 401);
        assert!(check("/openai/v1/realtime?model=m", &[("api-key", "sk-1")]).is_ok());
        assert!(check("/openai/v1/realtime?model=m&api-key=sk-1", &[]).is_ok());
    }

    #[test]
    fn the_path_and_the_headers_say_which_dialect() {
        let dialect = |uri: &str, headers: &[(&str, &str)]| check(uri, headers).map(|asked| asked.dialect);
        let uri = "/v1/realtime?model=m";
        assert_eq!(dialect(uri, &[KEY]), Ok(Dialect::Ga));
        assert_eq!(dialect(uri, &[KEY, ("OpenAI-Beta", "realtime=v1")]), Ok(Dialect::Beta));
        let protocols = ("sec-websocket-protocol", "realtime, openai-beta.realtime-v1");
        assert_eq!(dialect(uri, &[KEY, protocols]), Ok(Dialect::Beta));
        let azure = "/openai/realtime?api-version=2024-10-01-preview&deployment=d";
        assert_eq!(dialect(azure, &[("api-key", "sk-1")]), Ok(Dialect::Beta));
        assert_eq!(dialect("/openai/realtime?deployment=d", &[("api-key", "sk-1")]), Err(404));
        assert_eq!(check(azure, &[("api-key", "sk-1")]).unwrap().model, "d");
    }

    #[test]
    fn a_session_needs_a_model_unless_it_transcribes_or_joins_a_call() {
        assert_eq!(check("/v1/realtime", &[KEY]).unwrap_err(), 400);
        assert_eq!(check("/v1/realtime?model=", &[KEY]).unwrap_err(), 400);
        assert_eq!(check("/v2/realtime?model=m", &[KEY]).unwrap_err(), 404);
        let asked = check("/v1/realtime?intent=transcription", &[KEY]).unwrap();
        assert_eq!((asked.kind, asked.model.as_str()), (SessionKind::Transcription, ""));
        assert_eq!(check("/v1/realtime?call_id=rtc_none", &[KEY]).unwrap_err(), 404);
    }
}
