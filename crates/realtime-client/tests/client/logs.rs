//! Session logs in files.

use std::future::pending;
use std::io;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use realtime_client::{ClientOptions, FileLog, LogSink};

use crate::support::*;

#[tokio::test]
async fn a_file_log_is_whole_when_the_events_end() {
    for (name, create) in [("direct", FileLog::direct as fn(_) -> _), ("thread", FileLog::create)] {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{name}.jsonl"));
        let log: std::io::Result<FileLog> = create(path.clone());
        let (handle, mut events, server) = ready(ClientOptions::default().log(log.unwrap())).await;
        drop(server);
        rest(&mut events).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count() as u64, handle.counters().log_lines);
        assert!(text.ends_with('\n') && text.lines().last().unwrap().contains("closed"), "{name}: {text}");
        assert!(!handle.counters().log_failed);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_noticed_by_a_file_log() {
    for create in [FileLog::direct, FileLog::create] {
        let mut log: Box<FileLog> = Box::new(create("/dev/full").unwrap());
        let long = "x".repeat(100_000);
        let written = log.write(&long).and_then(|()| log.write(&long));
        let finished = log.finish().await;
        assert!(written.is_err() || finished.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_whose_end_nobody_waits_for_any_longer_counts_as_failed() {
    struct Endless;
    impl LogSink for Endless {
        fn write(&mut self, _line: &str) -> io::Result<()> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
            pending().boxed()
        }
    }
    let (handle, mut events, server) = ready(ClientOptions::default().log(Endless)).await;
    drop(server);
    rest(&mut events).await;
    assert!(handle.counters().log_failed);
}
