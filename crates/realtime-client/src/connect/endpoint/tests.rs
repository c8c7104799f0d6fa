//! Addresses, headers and what is shown of them.

use super::*;

#[test]
fn the_address_is_completed_and_nothing_given_is_lost() {
    for (base, model, whole) in [
        ("wss://api.openai.com", "gpt-realtime", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("ws://127.0.0.1:9000/", "m", "ws://127.0.0.1:9000/v1/realtime?model=m"),
        ("ws://[::1]:9000", "m", "ws://[::1]:9000/v1/realtime?model=m"),
        ("wss://h/v1/realtime", "a b/c&d", "wss://h/v1/realtime?model=a%20b%2Fc%26d"),
        ("wss://h?x=1", "m", "wss://h/v1/realtime?x=1&model=m"),
        ("wss://h/p?x=1&", "m", "wss://h/p?x=1&model=m"),
        ("wss://h/p?model=theirs", "m", "wss://h/p?model=theirs"),
        ("wss://h/p?a=1&call_id=rtc_1", "m", "wss://h/p?a=1&call_id=rtc_1"),
        ("wss://h/p?deployment=d", "m", "wss://h/p?deployment=d"),
        ("wss://h/p", "", "wss://h/p"),
        ("wss://h:443/p#x", "", "wss://h/p"),
        ("ws://h:443/p", "", "ws://h:443/p"),
        ("https://api.openai.com/v1", "m", "wss://api.openai.com/v1/realtime?model=m"),
        ("https://api.openai.com/v1/realtime/", "", "wss://api.openai.com/v1/realtime/"),
        ("http://localhost:8000", "m", "ws://localhost:8000/v1/realtime?model=m"),
        (" wss://h/p \n", "", "wss://h/p"),
    ] {
        assert_eq!(Endpoint::new(base, model).unwrap().url(), whole, "{base}");
        if model.is_empty() {
            assert_eq!(base.parse::<Endpoint>().unwrap().url(), whole);
        }
    }
}

#[test]
fn an_address_that_cannot_work_says_why_and_hides_its_query() {
    for (base, reason) in [
        ("ftp://api.openai.com/v1?api-key=hidden", "expected ws://, wss://, http:// or https://, got ftp://"),
        ("api.openai.com", "no scheme before the host"),
        ("/v1/realtime", "no scheme before the host"),
        ("ws://user:hidden@host", "expected no user in the address"),
        ("ws://ho st", "the character ' ' is not allowed"),
        ("", "empty"),
    ] {
        let error = Endpoint::new(base, "m").unwrap_err().to_string();
        assert!(error.contains(reason), "{base}: {error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[test]
fn each_server_has_its_address_its_dialect_and_its_place_for_the_key() {
    let azure = |resource| Endpoint::azure(resource, "d").unwrap().key("k");
    let preview = Endpoint::azure_preview("https://r.openai.azure.com/", "2025-04-01-preview", "d 1");
    let v1 = "wss://r.openai.azure.com/openai/v1/realtime?model=d";
    for (endpoint, url, dialect, header) in [
        (
            Endpoint::openai("k", "gpt-realtime"),
            "wss://api.openai.com/v1/realtime?model=gpt-realtime",
            Dialect::Ga,
            "authorization: Bearer k\r\n",
        ),
        (
            Endpoint::openai_call("k", "rtc_1"),
            "wss://api.openai.com/v1/realtime?call_id=rtc_1",
            Dialect::Ga,
            "authorization: Bearer k\r\n",
        ),
        (azure("https://r.openai.azure.com"), v1, Dialect::Ga, "api-key: k\r\n"),
        (azure("https://r.openai.azure.com/openai/v1/"), v1, Dialect::Ga, "api-key: k\r\n"),
        (azure("wss://r.openai.azure.com/openai/v1/realtime"), v1, Dialect::Ga, "api-key: k\r\n"),
        (
            azure("https://gateway/ours/openai"),
            "wss://gateway/ours/openai/v1/realtime?model=d",
            Dialect::Ga,
            "api-key: k\r\n",
        ),
        (
            preview.unwrap().key("k"),
            "wss://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d%201",
            Dialect::Beta,
            "api-key: k\r\n",
        ),
        (
            Endpoint::new("wss://h/openai/realtime?api-version=x&deployment=d", "").unwrap().key("k"),
            "wss://h/openai/realtime?api-version=x&deployment=d",
            Dialect::Beta,
            "authorization: Bearer k\r\n",
        ),
        (
            Endpoint::openai("k", "m").beta(),
            "wss://api.openai.com/v1/realtime?model=m",
            Dialect::Beta,
            "openai-beta: realtime=v1\r\n",
        ),
    ] {
        assert_eq!((endpoint.url().as_str(), endpoint.dialect()), (url, dialect));
        let head = head(&endpoint);
        assert!(head.contains(header), "{url}: {head}");
        let says_beta = endpoint.dialect() == Dialect::Beta && !url.contains("api-version");
        assert_eq!(head.contains("openai-beta"), says_beta, "{url}: {head}");
    }
}

#[test]
fn headers_go_along_and_those_of_the_connection_are_refused() {
    let endpoint = Endpoint::openai("k", "m").organization("org-1").unwrap().project("proj_1").unwrap();
    let endpoint = endpoint.header("User-Agent", "mine").unwrap();
    let sent = head(&endpoint);
    for header in ["openai-organization: org-1", "openai-project: proj_1", "user-agent: mine"] {
        assert!(sent.contains(&format!("{header}\r\n")), "{sent}");
    }
    assert!(!sent.contains("realtime-client/"), "{sent}");
    for (name, value) in
        [("a b", "x"), ("", "x"), ("a", "x\r\ny: z"), ("Upgrade", "h2c"), ("sec-websocket-key", "x")]
    {
        let error = endpoint.clone().header(name, value).unwrap_err();
        assert!(matches!(error, ConnectError::BadHeader { .. }), "{error}");
    }
}

#[test]
fn a_key_in_the_query_is_taken_out_of_what_the_server_says() {
    let endpoint = Endpoint::new("wss://h/p?api-key=canary&model=gpt-realtime", "").unwrap();
    let secrets = endpoint.add_headers(&mut HeaderMap::new(), None).unwrap();
    let text = secrets.redact("no such model gpt-realtime for canary");
    assert_eq!(text, "no such model gpt-realtime for [redacted]");
}

#[test]
fn secrets_do_not_show() {
    let endpoint = Endpoint::openai("sk-canary", "m").header("api-key", "canary").unwrap();
    let shown = format!("{endpoint:?} {:?}", endpoint.clone().token_provider(async || Err("canary")));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_key_from_a_file_loses_its_newline_and_one_within_is_refused() {
    assert!(head(&Endpoint::openai("sk-1\n", "m")).contains("authorization: Bearer sk-1\r\n"));
    let endpoint = Endpoint::openai("", "m");
    let error = endpoint.add_headers(&mut HeaderMap::new(), Some(&ApiKey::new("sk\n1"))).err().unwrap();
    assert_eq!(error.to_string(), "cannot send the header Authorization: HTTP does not allow its value");
}

/// The headers as lines.
fn head(endpoint: &Endpoint) -> String {
    let mut headers = HeaderMap::new();
    let KeySource::Fixed(key) = &endpoint.key else { panic!("{endpoint:?}") };
    endpoint.add_headers(&mut headers, Some(key)).unwrap();
    headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect()
}
