//! Session logs in files.

use std::future::pending;
use std::io;
use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use realtime_client::{ClientOptions, FileLog, LogSink, audio_path};
use realtime_protocol::call::{Command, Event, Notice};
use realtime_protocol::item::Item;
use realtime_protocol::log::{Filter, LogContent, read_header, restore};
use serde_json::Value;

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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_slow_disk_ends_a_log_by_lines_or_bytes_and_what_was_taken_is_written() {
    use std::io::{BufRead, BufReader};
    use std::os::fd::AsRawFd;

    // With lines of that many bytes, this many are taken; some more are with the thread.
    for (length, least, most) in [(1 << 20, 32, 36), (8, 16_384, 40_000)] {
        // Nobody reads it yet.
        let (disk, slow) = io::pipe().unwrap();
        let mut log = Box::new(FileLog::create(format!("/proc/self/fd/{}", slow.as_raw_fd())).unwrap());
        drop(slow);
        let line = "x".repeat(length);
        let taken = (0..most).take_while(|_| log.write(&line).is_ok()).count();
        assert!((least..most).contains(&taken), "{taken}");
        let finished = log.finish();
        let reader = std::thread::spawn(move || BufReader::new(disk).lines().count());
        finished.await.unwrap();
        assert_eq!(reader.join().unwrap(), taken);
    }
}

/// The log of a session in which both sides spoke, and the audio beside it.
async fn recorded(name: &str, filter: Filter) -> (String, Vec<u8>) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{name}.jsonl"));
    let log = FileLog::create(&path).unwrap().filter(filter).unwrap();
    let (handle, mut events, mut server) = ready(ClientOptions::default().log(log)).await;
    handle.append_audio(&b"\x01\x02\x03\x04"[..]).unwrap();
    server.expect("input_audio_buffer.append").await;
    drop(handle.send(Command::CreateItem {
        item: Item::user_text("secret").into(),
        after: None,
        respond: false,
    }));
    server.expect("conversation.item.create").await;
    server.begin_response("resp_1", "item_1").await;
    server.audio("resp_1", "item_1", "BQYHCA==").await;
    server.end_response("resp_1").await;
    server.ws.close(None).await.unwrap();
    rest(&mut events).await;
    (std::fs::read_to_string(&path).unwrap(), std::fs::read(audio_path(&path)).unwrap_or_default())
}

#[tokio::test]
async fn audio_aside_makes_a_log_whole() {
    let (text, audio) = recorded("aside", Filter::new(LogContent::AudioAside)).await;
    assert!(!text.contains("AQIDBA") && !text.contains("BQYHCA") && text.contains("secret"), "{text}");
    // The command, the event that it became, and the answer.
    assert_eq!(audio, [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8]);
    let whole: Vec<_> = text.lines().map(|line| restore(line, &audio)).collect();
    replays(&whole.join("\n"));
}

#[tokio::test]
async fn a_log_holds_no_more_than_it_should() {
    let (text, audio) = recorded("digest", Filter::new(LogContent::AudioDigest)).await;
    assert!(!text.contains("AQIDBA") && text.contains("digest:4 bytes") && text.contains("secret"), "{text}");
    assert_eq!(audio.len(), 0);
    let (text, _) = recorded("metadata", Filter::new(LogContent::Metadata)).await;
    assert!(!text.contains("AQIDBA") && !text.contains("secret") && text.contains("item_1"), "{text}");
    let header = read_header(text.lines().next().unwrap()).unwrap();
    assert_eq!((header.content, header.content.replays()), (LogContent::Metadata, false));
    let hide = |entry: &mut Value| {
        if let Some(text) = entry.pointer_mut("/command/create_item/item/content/0/text") {
            *text = "***".into();
        }
    };
    let (text, _) = recorded("hook", Filter::default().redact(hide)).await;
    assert!(text.contains("***"), "{text}");
    assert_eq!(read_header(text.lines().next().unwrap()).unwrap().redacted.len(), 2);
}

#[test]
fn an_older_log_stays_until_there_is_a_new_one() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-older.jsonl");
    std::fs::write(&path, "older").unwrap();
    let mut log = FileLog::direct(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "older");
    log.write("new\n").unwrap();
    assert!(Box::new(log).finish().now_or_never().unwrap().is_ok());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_the_log_and_not_the_call() {
    struct Full(usize);
    impl LogSink for Full {
        fn write(&mut self, _line: &str) -> io::Result<()> {
            self.0 += 1;
            if self.0 > 3 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }
    let (handle, mut events, mut server) = connect(ClientOptions::default().log(Full(0))).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Notice(Notice::LogFailed { .. })) {}
    assert_eq!((handle.counters().log_lines, handle.counters().log_failed), (3, true));
    handle.append_audio(vec![0, 0]).unwrap();
    server.expect("input_audio_buffer.append").await;
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
