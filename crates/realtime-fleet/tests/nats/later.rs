//! A worker of a later release, as far as the engine sees it.

use realtime_fleet::CallId;
use serde_json::Value;

use crate::server::Server;

/// A worker of a later release, as far as the engine sees it.
pub(crate) struct Later {
    client: async_nats::Client,
}

impl Later {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self { client: async_nats::connect(server.url()).await.unwrap() }
    }

    pub(crate) async fn write(&self, call: &CallId, lines: &[(&str, Value)]) {
        for (n, (kind, line)) in lines.iter().enumerate() {
            let mut line = line.clone();
            line["by"] = "w_later".into();
            line["n"] = n.into();
            let subject = format!("rt.voice.call.{:x}.{call}.{kind}", call.shard());
            let answer = self.client.request(subject, line.to_string().into()).await.unwrap();
            assert!(!String::from_utf8_lossy(&answer.payload).contains("error"));
        }
    }
}
