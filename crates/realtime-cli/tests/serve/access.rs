//! Who is let in, before any socket is upgraded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use realtime_client::HttpRequest;
use serde_json::json;
use sha1::Sha1;

use crate::support::{Running, code, json, open, start};

const PAGE: &str = "canary-page-token-1234";
const ADMIN: &str = "canary-admin-token-1234";

/// Nothing of what was refused was a call.
async fn no_call(server: &Running) {
    assert_eq!(server.json("/healthz").await["calls"], 0);
    let answer =
        HttpRequest::new("GET", server.url("/calls")).header("Authorization", format!("Bearer {ADMIN}"));
    assert_eq!(json(&answer.send().await.unwrap()), json!({ "live": [], "ended": [] }));
}

#[tokio::test]
async fn pages_of_other_origins_and_without_the_token_are_refused_before_the_upgrade() {
    let variables = [("REALTIME_PAGE_TOKEN", PAGE), ("REALTIME_ADMIN_TOKEN", ADMIN)];
    let server =
        start(&["--public-url", "https://v.example", "--allow-origin", "https://app.example"], &variables)
            .await;
    for path in ["/ws", "/rtvi"] {
        let with = |token: &str| server.ws(&format!("{path}?token={token}"));
        assert_eq!(open(&server.ws(path), &[]).await.map(drop), Err(401), "{path}");
        assert_eq!(open(&with("wrong"), &[]).await.map(drop), Err(403), "{path}");
        assert_eq!(
            open(&with(PAGE), &[("origin", "https://evil.example")]).await.map(drop),
            Err(403),
            "{path}"
        );
        for origin in ["https://v.example", "https://app.example"] {
            assert_eq!(open(&with(PAGE), &[("origin", origin)]).await.map(drop), Ok(()), "{path} {origin}");
        }
    }
    let closed = start(&["--public-url", "https://v.example"], &[]).await;
    assert_eq!(open(&closed.ws("/ws"), &[]).await.map(drop), Err(403));
    assert_eq!(code(&closed.get("/calls").await), (403, "closed".to_owned()));
    assert!(closed.introduction.iter().any(|line| line.contains("set REALTIME_PAGE_TOKEN")));
}

#[tokio::test]
async fn a_page_of_ones_own_gets_a_short_lived_token() {
    let variables = [("REALTIME_PAGE_TOKEN", PAGE), ("REALTIME_ADMIN_TOKEN", ADMIN)];
    let server = start(&["--allow-origin", "https://app.example"], &variables).await;
    let bearer = format!("Bearer {PAGE}");
    let own = [("Authorization", bearer.as_str()), ("Origin", "https://app.example")];
    assert_eq!(code(&server.post("/tokens", &[], "text/plain", "").await), (401, "token".to_owned()));
    let made = json(&server.post("/tokens", &own, "text/plain", "").await);
    let token = made["token"].as_str().unwrap();
    assert!(made["expires_in"] == 600 && !token.contains("canary"), "{made}");
    assert_eq!(open(&server.ws(&format!("/ws?token={token}")), &[]).await.map(drop), Ok(()));
    let started = json(&server.post("/rtvi", &own, "application/json", "{}").await);
    assert_eq!(started["ws_url"], format!("ws://{}/rtvi", server.at));
    let members: Vec<&String> = started.as_object().unwrap().keys().collect();
    assert_eq!(members, ["token", "ws_url"]);
    // With a token of its own, a page can't make others.
    let bearer = format!("Bearer {token}");
    assert_eq!(
        code(&server.post("/tokens", &[("Authorization", &bearer)], "", "").await),
        (403, "token".to_owned())
    );
}

#[tokio::test]
async fn a_carrier_that_proves_nothing_is_refused_before_the_upgrade() {
    let variables = [
        ("TWILIO_AUTH_TOKEN", "canary-twilio"),
        ("TELNYX_PUBLIC_KEY", "WmaJnLFOwrJy2BPOjaFMysQL1bEzd6T+zYyEkUb3d20="),
        ("TELNYX_STREAM_TOKEN", "canary-telnyx"),
        ("PLIVO_AUTH_TOKEN", "canary-plivo"),
        ("VONAGE_SIGNATURE_SECRET", "canary-vonage"),
        ("GENESYS_API_KEY", "canary-genesys"),
        ("EXOTEL_STREAM_USER", "us"),
        ("EXOTEL_STREAM_PASSWORD", "canary-exotel"),
        ("JAMBONZ_STREAM_USER", "us"),
        ("JAMBONZ_STREAM_PASSWORD", "canary-jambonz"),
        ("SIGNALWIRE_SIGNING_KEY", "canary-signalwire"),
        ("OPENAI_WEBHOOK_SECRET", "canary-openai"),
        ("REALTIME_ADMIN_TOKEN", ADMIN),
    ];
    let server = start(&["--public-url", "https://v.example"], &variables).await;
    for carrier in ["twilio", "telnyx", "plivo", "vonage", "genesys", "exotel", "jambonz", "signalwire"] {
        assert_eq!(open(&server.ws(&format!("/{carrier}")), &[]).await.map(drop), Err(401), "{carrier}");
        if carrier != "genesys" {
            let answer = server.post(&format!("/{carrier}"), &[], "application/json", "{}").await;
            assert_eq!(code(&answer), (401, "unverified".to_owned()), "{carrier}");
            assert!(!answer.body.contains("canary"));
        }
    }
    assert_eq!(
        code(&server.post("/openai", &[], "application/json", "{}").await),
        (401, "unverified".to_owned())
    );
    let wrong = [("x-twilio-signature", "2Mi6p27DjmRiA1qr5cnktD62fDY=")];
    assert_eq!(open(&server.ws("/twilio"), &wrong).await.map(drop), Err(403));
    no_call(&server).await;

    // The same, with the proof.
    let signature = signed("canary-twilio", "wss://v.example/twilio");
    assert!(open(&server.ws("/twilio"), &[("x-twilio-signature", &signature)]).await.is_ok());
    assert!(open(&server.ws("/telnyx?token=canary-telnyx"), &[]).await.is_ok());
    let basic = format!("Basic {}", STANDARD.encode("us:canary-jambonz"));
    let jambonz = [("authorization", basic.as_str()), ("sec-websocket-protocol", "audio.jambonz.org")];
    assert!(open(&server.ws("/jambonz"), &jambonz).await.is_ok());
    let form = "application/x-www-form-urlencoded";
    let signature = signed("canary-twilio", "https://v.example/twilioCallSidCA1");
    let answer = server.post("/twilio", &[("X-Twilio-Signature", &signature)], form, "CallSid=CA1").await;
    assert!(answer.status == 200 && answer.body.contains("wss://v.example/twilio"), "{}", answer.body);
}

fn signed(token: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn whoever_may_not_see_calls_is_told_nothing() {
    let server = start(&[], &[("REALTIME_ADMIN_TOKEN", ADMIN)]).await;
    assert_eq!(code(&server.get("/calls").await), (401, "token".to_owned()));
    assert_eq!(code(&server.get("/calls?token=wrong").await), (403, "token".to_owned()));
    no_call(&server).await;
    // A name that was made to lead to this machine, and a page of another origin.
    let server = start(&[], &[]).await;
    for (name, value) in [("Host", "evil.example"), ("Origin", "https://evil.example")] {
        let answer = HttpRequest::new("GET", server.url("/calls")).header(name, value).send().await.unwrap();
        assert_eq!(code(&answer), (403, "origin".to_owned()), "{name}");
    }
}
