//! What whoever runs the server has of its calls: metrics, session logs, and their end.

use std::time::Duration;

use realtime_client::HttpRequest;
use realtime_tests::carriers::{Carrier, Step, call};

use crate::support::{code, start};

/// Waits until a text holds this.
async fn holds(read: impl AsyncFn() -> String, part: &str) -> String {
    let mut text = String::new();
    for _ in 0..200 {
        text = read().await;
        if text.contains(part) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {part} in {text}");
}

#[tokio::test]
async fn a_call_is_counted_recorded_and_its_log_deleted() {
    let folder = std::env::temp_dir().join(format!("realtime-serve-recordings-{}", std::process::id()));
    let record = folder.to_str().unwrap();
    let server = start(&["--record", record, "--record-content", "audio-digest", "--keep", "30"], &[]).await;
    assert!(
        server.introduction.iter().any(|line| line.contains("records") && line.contains("30 days, callers")),
        "{:?}",
        server.introduction
    );
    let about = server.get("/").await.body;
    assert!(about.contains(r#""records":true"#), "the page is told");

    let steps = vec![Step::hear(Duration::from_millis(400)), Step::hang_up()];
    call(Carrier::Twilio, &server.ws("/twilio"), &[], steps).await.unwrap();
    let metrics = async || server.get("/metrics").await.body;
    let text = holds(metrics, r#"realtime_calls_ended_total{kind="twilio",outcome="completed"} 1"#).await;
    for line in ["realtime_calls_live{kind=\"twilio\"} 0", "realtime_turns_total{speaker=\"agent\"} 1"] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    assert!(!text.contains("+1555"), "nobody's number is in the metrics");

    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let id = calls["ended"][0]["id"].as_str().unwrap();
    let log = folder.join(format!("{id}.jsonl"));
    let text = holds(async || std::fs::read_to_string(&log).unwrap(), "\"closed\"").await;
    assert!(text.starts_with(r#"{"format":"realtime-session-log""#), "{}", &text[..80]);
    assert!(text.contains("This call is recorded."), "the agent tells it");

    let delete = async |id: &str| {
        let url = server.url(&format!("/calls/{id}/log"));
        HttpRequest::new("DELETE", url).send().await.unwrap()
    };
    assert_eq!(delete(id).await.status, 204);
    assert!(!log.exists());
    assert_eq!(code(&delete(id).await), (404, "log".to_owned()));
    assert_eq!(code(&delete("..%2Fx").await), (404, "log".to_owned()));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_call_that_is_refused_is_counted() {
    let server = start(&["--most-calls", "1"], &[]).await;
    let url = server.ws("/twilio");
    let first = tokio::spawn(async move {
        let steps =
            vec![Step::hear(Duration::from_millis(200)), Step::Wait(Duration::from_secs(2)), Step::hang_up()];
        call(Carrier::Twilio, &url, &[], steps).await
    });
    server.calls(|calls| calls["live"].as_array().unwrap().len() == 1).await;
    call(Carrier::Plivo, &server.ws("/plivo"), &[], vec![Step::hang_up()]).await.unwrap_err();
    let text = server.get("/metrics").await.body;
    assert!(text.contains(r#"realtime_calls_refused_total{kind="plivo",reason="busy"} 1"#), "{text}");
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn metrics_are_for_whoever_runs_the_server() {
    let token = "a-token-of-24-characters";
    let server = start(&[], &[("REALTIME_ADMIN_TOKEN", token)]).await;
    assert_eq!(code(&server.get("/metrics").await), (401, "token".to_owned()));
    let asked =
        HttpRequest::new("GET", server.url("/metrics")).header("authorization", format!("Bearer {token}"));
    assert_eq!(asked.send().await.unwrap().status, 200);
}
