//! How many fenced lines the engine takes, without a fleet.

use std::time::Instant;

use futures_util::StreamExt;

/// Lines that are written.
const LINES: usize = 4000;

/// Lines of 2 KB a second, with so many at once.
pub(crate) async fn rate(url: &str, at_once: usize) -> f64 {
    let client = async_nats::connect(url).await.unwrap();
    let text = "x".repeat(2000);
    let begun = Instant::now();
    let written = futures_util::stream::iter(0..LINES).map(|n| {
        let (client, text) = (client.clone(), text.clone());
        async move {
            let call = format!("rt.rehearsal.call.f.append{n}");
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", format!("{call}.>"));
            client.request_with_headers(format!("{call}.log"), headers, text.into()).await.is_ok()
        }
    });
    let written: Vec<bool> = written.buffer_unordered(at_once).collect().await;
    assert!(written.iter().all(|written| *written));
    LINES as f64 / begun.elapsed().as_secs_f64()
}
