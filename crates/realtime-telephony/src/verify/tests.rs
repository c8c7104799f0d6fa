//! Requests that the carriers' own libraries signed, and forged ones.

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors(carrier: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/signatures.json")).unwrap();
    all[carrier].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// The parameters of a case as a form.
fn form(parameters: &Value) -> String {
    let Some(parameters) = parameters.as_object() else { return String::new() };
    let encode =
        |text: &str| text.replace('%', "%25").replace('+', "%2B").replace(' ', "+").replace('&', "%26");
    let pairs = parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(text(value))));
    pairs.collect::<Vec<_>>().join("&")
}

#[test]
fn twilio_s_own_signatures_are_trusted() {
    let vectors = vectors("twilio");
    for case in vectors["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        let form = form(&case["params"]);
        let body = case["body"].as_str().unwrap_or(&form);
        let mut headers = vec![("X-Twilio-Signature", text(&case["signature"]))];
        let settings = "X-Twilio-Webhooks-Signature-Settings";
        let proof = match case["headers"][settings].as_str() {
            Some(value) => {
                headers.push((settings, value));
                let key = "webhooks_sharedkey_invented".to_owned();
                Proof::TwilioShared { key, secret: text(&vectors["token"]).into() }
            }
            None => Proof::Twilio { auth_token: text(&vectors["token"]).into() },
        };
        let request = Request::post(text(&case["url"]), &headers, body.as_bytes());
        let expected = if case["valid"] == false { Err(Untrusted::Wrong) } else { Ok(()) };
        assert_eq!(proof.verify(&request, at(0)), expected, "{name}");
        check_changes(&proof, &request, 0, name);
    }
}

#[test]
fn twilio_s_port_may_be_there_or_not() {
    let proof = Proof::Twilio { auth_token: "invented-auth-token-0123456789".into() };
    let headers = [("x-twilio-signature", "2Mi6p27DjmRiA1qr5cnktD62fDY=")];
    for (url, is_right) in [
        ("wss://voice.example.com/ws", true),
        ("wss://voice.example.com:443/ws", true),
        ("wss://voice.example.com/ws/", false),
        ("https://voice.example.com/ws", false),
    ] {
        assert_eq!(proof.verify(&Request::upgrade(url, &headers), at(0)).is_ok(), is_right, "{url}");
    }
}

#[test]
fn plivo_s_own_signatures_are_trusted() {
    let vectors = vectors("plivo");
    let proof = Proof::Plivo { auth_token: text(&vectors["token"]).into() };
    for case in vectors["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        let form = form(&case["params"]);
        let list = format!("AAAA, {}", text(&case["signature"]));
        let headers =
            [("X-Plivo-Signature-V3", list.as_str()), ("X-Plivo-Signature-V3-Nonce", text(&case["nonce"]))];
        let request = Request {
            method: text(&case["method"]),
            url: text(&case["url"]),
            headers: &headers,
            body: form.as_bytes(),
        };
        assert_eq!(proof.verify(&request, at(0)), Ok(()), "{name}");
        if name == "upgrade-as-get" {
            let upgrade = Request::upgrade("wss://voice.example.com/ws", &headers);
            assert_eq!(proof.verify(&upgrade, at(0)), Ok(()));
        }
        check_changes(&proof, &request, 0, name);
    }
}

#[test]
fn telnyx_s_webhook_is_trusted_for_five_minutes() {
    let vectors = vectors("telnyx");
    let proof = Proof::TelnyxWebhook { public_key: text(&vectors["public_key"]).to_owned() };
    let case = &vectors["cases"][0];
    let headers = [
        ("telnyx-timestamp", text(&case["timestamp"])),
        ("telnyx-signature-ed25519", text(&case["signature"])),
    ];
    let request = Request::post("https://voice.example.com/telnyx", &headers, text(&case["body"]).as_bytes());
    let signed = 1_768_473_000;
    assert_eq!(proof.verify(&request, at(signed)), Ok(()));
    assert_eq!(proof.verify(&request, at(signed + 300)), Ok(()));
    assert_eq!(proof.verify(&request, at(signed + 301)), Err(Untrusted::Expired { age_secs: 301 }));
    assert_eq!(proof.verify(&request, at(signed - 301)), Err(Untrusted::Expired { age_secs: -301 }));
    let forged = Request { body: b"{}", ..request };
    assert_eq!(proof.verify(&forged, at(signed)), Err(Untrusted::Wrong));
    let broken = Proof::TelnyxWebhook { public_key: "AAAA".to_owned() };
    assert_eq!(broken.verify(&request, at(signed)), Err(Untrusted::Configuration("public_key")));
}

#[test]
fn vonage_s_token_is_trusted_and_one_without_algorithm_is_not() {
    let vectors = vectors("vonage");
    let proof = Proof::Vonage { signature_secret: text(&vectors["secret"]).into(), application_id: None };
    for (case, expected) in vectors["cases"].as_array().unwrap().iter().zip([
        Ok(()),
        Err(Untrusted::Wrong),
        Err(Untrusted::Unreadable("authorization")),
    ]) {
        let bearer = format!("Bearer {}", text(&case["jwt"]));
        let headers = [("Authorization", bearer.as_str())];
        let request = Request::upgrade("wss://voice.example.com/vonage", &headers);
        assert_eq!(proof.verify(&request, at(1_768_473_010)), expected);
        if expected.is_ok() {
            let late = proof.verify(&request, at(1_768_474_000));
            assert_eq!(late, Err(Untrusted::Expired { age_secs: 1_000 }));
            let secret = text(&vectors["secret"]);
            let other =
                Proof::Vonage { signature_secret: secret.into(), application_id: Some("other".to_owned()) };
            assert_eq!(other.verify(&request, at(1_768_473_010)), Err(Untrusted::Wrong));
            check_changes(&proof, &request, 1_768_473_010, "vonage");
        }
    }
}

#[test]
fn genesys_signatures_are_trusted_for_ten_seconds() {
    let vectors = vectors("genesys");
    let secret = text(&vectors["client_secret_base64"]);
    let proof = Proof::Genesys { api_key: "invented-key".into(), client_secret: Some(secret.into()) };
    let signed = 1_768_473_000;
    for case in vectors["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        let headers: Vec<(&str, &str)> = case["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), text(value)))
            .collect();
        let url = format!("wss://voice.example.com{}", text(&case["request_target"]));
        let request = Request::upgrade(&url, &headers);
        assert_eq!(proof.verify(&request, at(signed + 5)), Ok(()), "{name}");
        assert_eq!(proof.verify(&request, at(signed + 11)), Err(Untrusted::Expired { age_secs: 11 }));
        let elsewhere = Request::upgrade("wss://other.example.com/audiohook/ws?tenant=1", &headers);
        assert_eq!(proof.verify(&elsewhere, at(signed)), Err(Untrusted::Wrong), "{name}");
        check_changes(&proof, &request, signed + 5, name);
    }
}

#[test]
fn a_signature_must_cover_what_matters() {
    let secret = base64::engine::general_purpose::STANDARD.encode("secret");
    let proof = Proof::Genesys { api_key: "k".into(), client_secret: Some(secret.into()) };
    let input = "sig1=(\"@request-target\");keyid=\"k\";nonce=\"0123456789012345678901\";\
                 alg=\"hmac-sha256\";created=5";
    let base = format!("\"@request-target\": /\n\"@signature-params\": {}", &input[5..]);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(base.as_bytes());
    let tag = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let signature = format!("sig1=:{tag}:");
    let headers = [("x-api-key", "k"), ("signature-input", input), ("signature", signature.as_str())];
    let request = Request::upgrade("wss://voice.example.com", &headers);
    assert_eq!(proof.verify(&request, at(5)), Err(Untrusted::Unreadable("signature-input")));
}

#[test]
fn plain_secrets_must_be_the_same() {
    let url = "wss://voice.example.com/ws?token=a%20b";
    for (proof, header, expected) in [
        (basic(), ("Authorization", "Basic a2V5OnRva2Vu"), Ok(())),
        (basic(), ("authorization", "basic a2V5OnRva2Vu"), Ok(())),
        (basic(), ("Authorization", "Basic a2V5OnRva2Vv"), Err(Untrusted::Wrong)),
        (basic(), ("Authorization", "Basic"), Err(Untrusted::Unreadable("authorization"))),
        (basic(), ("X", ""), Err(Untrusted::Missing("authorization"))),
        (Proof::Bearer { token: "t".into() }, ("Authorization", "Bearer t"), Ok(())),
        (Proof::Bearer { token: "t".into() }, ("Authorization", "Bearer tt"), Err(Untrusted::Wrong)),
        (Proof::TelnyxStream { token: "t".into() }, ("X-Telnyx-Streaming-Auth-Token", "t"), Ok(())),
        (
            Proof::TelnyxStream { token: "t".into() },
            ("X-Telnyx-Streaming-Auth-Token", ""),
            Err(Untrusted::Wrong),
        ),
        (Proof::Query { name: "token".to_owned(), value: "a b".into() }, ("X", ""), Ok(())),
        (Proof::Query { name: "token".to_owned(), value: "a".into() }, ("X", ""), Err(Untrusted::Wrong)),
        (Proof::Header { name: "x-own".to_owned(), value: "v".into() }, ("X-Own", " v "), Ok(())),
    ] {
        assert_eq!(proof.verify(&Request::upgrade(url, &[header]), at(0)), expected, "{proof:?} {header:?}");
    }
}

#[test]
fn no_secret_is_shown() {
    for shown in [
        format!("{:?}", basic()),
        format!("{:?}", Proof::Twilio { auth_token: "token".into() }),
        format!("{:?}", Request::upgrade("wss://a/?token=token", &[("authorization", "token")])),
    ] {
        assert!(!shown.contains("\"token\"") && !shown.contains("token=token"), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        method in "GET|POST|\\PC{0,5}", url in "wss://\\PC{0,20}|\\PC{0,40}", value in "\\PC{0,80}",
        input in "sig1=\\(\"[a-z@\"= ;]{0,30}\\);[a-z=\";]{0,30}",
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let names = ["authorization", "x-twilio-signature", "x-plivo-signature-v3", "telnyx-signature-ed25519"];
        for name in names {
            for value in [value.clone(), format!("Bearer {value}"), format!("Basic {value}")] {
                let headers = [
                    (name, value.as_str()), ("x-plivo-signature-v3-nonce", "1"), ("telnyx-timestamp", &value),
                    ("x-api-key", "k"), ("signature-input", &input), ("signature", &value),
                    ("webhook-id", "1"), ("webhook-timestamp", &value), ("webhook-signature", &value),
                ];
                let request = Request { method: &method, url: &url, headers: &headers, body: &body };
                for proof in [
                    basic(),
                    Proof::Twilio { auth_token: "t".into() },
                    Proof::Plivo { auth_token: "t".into() },
                    Proof::TelnyxWebhook { public_key: TELNYX_KEY.to_owned() },
                    Proof::Vonage { signature_secret: "s".into(), application_id: None },
                    Proof::Genesys { api_key: "k".into(), client_secret: Some("c2VjcmV0".into()) },
                    Proof::StandardWebhook { secret: "s".into() },
                    Proof::Query { name: "t".to_owned(), value: "token".into() },
                ] {
                    prop_assert!(proof.verify(&request, at(0)).is_err());
                }
            }
        }
    }
}

/// The vector of the Standard Webhooks libraries.
#[test]
fn a_standard_webhook_is_trusted_for_five_minutes() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let proof = Proof::StandardWebhook { secret: secret.into() };
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let signed_at = 1_614_265_330;
    let check = |signatures: &str, body: &str, now| {
        let headers = [
            ("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("Webhook-Timestamp", "1614265330"),
            ("Webhook-Signature", signatures),
        ];
        let request = Request::post("https://voice.example.com/openai", &headers, body.as_bytes());
        check_changes(&proof, &request, now, signatures);
        proof.verify(&request, at(now))
    };
    let body = r#"{"test": 2432232314}"#;
    assert_eq!(check(signature, body, signed_at), Ok(()));
    assert_eq!(check(&format!("v1,AAAA v2,AAAA {signature}"), body, signed_at + 300), Ok(()));
    assert_eq!(check(signature, body, signed_at + 301), Err(Untrusted::Expired { age_secs: 301 }));
    assert_eq!(check(signature, r#"{"test": 2432232315}"#, signed_at), Err(Untrusted::Wrong));
    assert_eq!(check("v1,AAAA", body, signed_at), Err(Untrusted::Wrong));
    assert_eq!(
        check(signature.trim_start_matches("v1,"), body, signed_at),
        Err(Untrusted::Unreadable("webhook-signature"))
    );
    let unreadable = Proof::StandardWebhook { secret: "whsec_!".into() };
    let request = Request::post("https://voice.example.com/openai", &[], b"");
    assert_eq!(unreadable.verify(&request, at(0)), Err(Untrusted::Configuration("secret")));
    // Without a key anybody could have signed.
    for (secret, is_good) in [
        (secret, true),
        (" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA\n", true),
        ("canary-openai", true),
        ("whsec_", false),
        ("whsec_!!!", false),
        ("whsec_AAAA", false),
        ("", false),
    ] {
        let proof = Proof::StandardWebhook { secret: secret.into() };
        assert_eq!(proof.check().is_ok(), is_good, "{secret}");
        let refused = proof.verify(&request, at(0)) == Err(Untrusted::Configuration("secret"));
        assert_eq!(refused, !is_good, "{secret}");
    }
}

/// The public key of the fixtures.
const TELNYX_KEY: &str = "WmaJnLFOwrJy2BPOjaFMysQL1bEzd6T+zYyEkUb3d20=";

fn basic() -> Proof {
    Proof::Basic { user: "key".to_owned(), password: "token".into() }
}

/// Asserts that nothing is trusted once its address or its signature is another.
#[track_caller]
fn check_changes(proof: &Proof, request: &Request<'_>, now: u64, name: &str) {
    let is_signed_by_address = !matches!(proof, Proof::Vonage { .. } | Proof::StandardWebhook { .. });
    let url = format!("{}x", request.url);
    if is_signed_by_address {
        assert!(proof.verify(&Request { url: &url, ..*request }, at(now)).is_err(), "{name}: address");
    }
    let without = Request { headers: &[], ..*request };
    assert!(matches!(proof.verify(&without, at(now)), Err(Untrusted::Missing(_))), "{name}: no headers");
}
