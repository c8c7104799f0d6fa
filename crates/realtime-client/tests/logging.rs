//! What reaches the crate `log`. Alone in its process, which has one logger.

use std::fmt::Write as _;
use std::sync::Mutex;

use realtime_client::{Client, ClientOptions, KeyPlace};
use realtime_protocol::session::SessionEvent;
use serde_json::json;

#[cfg(test)]
#[path = "client/support.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod support;

use support::*;

#[tokio::test]
async fn no_key_reaches_the_crate_log() {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    for place in [KeyPlace::Bearer, KeyPlace::ApiKeyHeader, KeyPlace::Subprotocol] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let endpoint = endpoint().key_place(place).header("x-token", "canary-token").unwrap();
        // On a thread of its own, for what the library logs for a server is not ours.
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            MINE.set(false);
            runtime.block_on(async move {
                let mut server = Server::accept(far).await;
                server.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
                server.expect("session.update").await;
            });
        });
        let (_handle, mut events) = Client::over(near, &endpoint, ClientOptions::default()).await.unwrap();
        assert!(matches!(next(&mut events).await, SessionEvent::Created { .. }));
        rest(&mut events).await;
        server.join().unwrap();
    }
    let text = LOGGED.0.lock().unwrap();
    assert!(text.contains("tungstenite"), "nothing was logged at all:\n{text}");
    assert!(!text.contains("canary"), "{text}");
}

static LOGGED: Logged = Logged(Mutex::new(String::new()));
thread_local! {
    static MINE: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Everything that `log` was told by this side, as text.
struct Logged(Mutex<String>);

impl log::Log for Logged {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if MINE.get() {
            let mut text = self.0.lock().expect("no panic while it is held");
            writeln!(text, "{} {}", record.target(), record.args()).expect("text can be written to");
        }
    }

    fn flush(&self) {}
}
