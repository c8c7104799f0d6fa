//! The end of a server, and TLS.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use realtime_client::HttpRequest;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{expect, open, say, start};

#[tokio::test]
async fn a_server_that_ends_takes_no_more_calls_and_waits_for_those_that_run() {
    let server = start(&["--drain", "20"], &[]).await;
    let mut page = open(&server.ws("/ws"), &[]).await.unwrap();
    say(&mut page, &json!({ "type": "hello", "version": 1 })).await;
    expect(&mut page, "ready", |_| {}).await;
    server.calls(|calls| calls["live"][0]["state"] == "live").await;

    server.stopper.stop();
    let health = loop {
        let answer = server.get("/healthz").await;
        if answer.status == 503 {
            break answer.body;
        }
    };
    assert!(health.contains(r#""status":"draining""#), "{health}");
    assert_eq!(open(&server.ws("/twilio"), &[]).await.map(drop), Err(503));
    // Whoever can't wait cuts it off.
    server.stopper.hurry();
    assert_eq!(expect(&mut page, "ended", |_| {}).await["type"], "ended");
    let served = timeout(Duration::from_secs(15), server.serving).await.unwrap();
    assert!(served.unwrap().is_ok());
}

#[tokio::test]
async fn a_certificate_and_its_key_make_it_speak_tls() {
    let folder = std::env::temp_dir().join(format!("realtime-serve-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let words = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = start(&words, &[]).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        server.introduction[0].starts_with("listening on https://127.0.0.1:"),
        "{:?}",
        server.introduction
    );
    // Nobody trusts this certificate, and that is what the client says: there was TLS.
    let error = HttpRequest::new("GET", format!("https://{}/healthz", server.at)).send().await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    assert!(HttpRequest::new("GET", server.url("/healthz")).send().await.is_err());
}
