//! The HTTP request that opens a connection: which are taken, and how the others are answered.

use std::sync::Arc;

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};

/// Checks the request, and names what it asks for in the response: the subprotocol `realtime`, if it was offered.
///
/// Returns the model and the response.
#[expect(clippy::result_large_err, reason = "the shape that the WebSocket library asks for")]
pub(crate) fn accept(
    request: &Request,
    mut response: Response,
    api_key: Option<&Arc<str>>,
) -> Result<(String, Response), ErrorResponse> {
    if request.uri().path() != "/v1/realtime" {
        return Err(refusal(StatusCode::NOT_FOUND, "not_found", "The only path here is /v1/realtime."));
    }
    let protocols = subprotocols(request);
    let given = bearer(request)
        .or_else(|| protocols.iter().find_map(|protocol| protocol.strip_prefix("openai-insecure-api-key.")));
    if let Some(key) = api_key
        && given != Some(key)
    {
        let message = match given {
            Some(_) => "Incorrect API key provided.",
            None => "Missing bearer or basic authentication in header",
        };
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", message));
    }
    let Some(model) = query(request, "model").filter(|model| !model.is_empty()) else {
        let message = "You must provide a model parameter, for example ?model=gpt-realtime.";
        return Err(refusal(StatusCode::BAD_REQUEST, "missing_model", message));
    };
    if protocols.contains(&"realtime") {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
    }
    Ok((model, response))
}

/// The key of `Authorization: Bearer KEY`.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The subprotocols that the client offers.
fn subprotocols(request: &Request) -> Vec<&str> {
    let headers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    headers.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim).collect()
}

/// A parameter of the URL's query, with `%` escapes undone.
fn query(request: &Request, name: &str) -> Option<String> {
    let pairs = request.uri().query()?.split('&');
    let (_, value) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    Some(unescaped(value))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|hex| {
            let hex =
                std::str::from_utf8(hex).ok().filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(hex, 16).ok()
        });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer in the service's form: an error object as JSON.
fn refusal(status: StatusCode, code: &str, message: &str) -> ErrorResponse {
    let error = json!({"type": "invalid_request_error", "code": code, "message": message, "param": null});
    let body = json!({ "error": error }).to_string();
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    *response.body_mut() = Some(body);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The subprotocol that is selected, or the status of the refusal.
    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<Option<String>, u16> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        for (name, value) in headers {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let key: Arc<str> = "sk-1".into();
        match accept(&request, Response::new(()), Some(&key)) {
            Ok((model, response)) => {
                assert_eq!(model, "gpt realtime");
                let selected = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
                Ok(selected.map(|value| value.to_str().unwrap().into()))
            }
            Err(refusal) => {
                assert!(refusal.body().as_ref().unwrap().contains("\"error\""));
                Err(refusal.status().as_u16())
            }
        }
    }

    #[test]
    fn the_key_comes_by_header_or_by_subprotocol() {
        let uri = "/v1/realtime?x=1&model=gpt%20realtime";
        assert_eq!(check(uri, &[("authorization", "Bearer sk-1")]), Ok(None));
        let protocols = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1");
        assert_eq!(check(uri, &[protocols]), Ok(Some("realtime".into())));
        assert_eq!(check(uri, &[("authorization", "Bearer sk-2")]), Err(401));
        assert_eq!(check(uri, &[]), Err(401));
    }

    #[test]
    fn only_the_one_path_with_a_model_is_served() {
        let key = [("authorization", "bearer sk-1")];
        assert_eq!(check("/v1/realtime", &key), Err(400));
        assert_eq!(check("/v1/realtime?model=", &key), Err(400));
        assert_eq!(check("/v2/realtime?model=m", &key), Err(404));
        assert_eq!(unescaped("a%2Fb%zz%4"), "a/b%zz%4");
    }
}
