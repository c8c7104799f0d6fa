//! No session log makes a replay panic: the machines accept any content, and a difference is told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_protocol::log::{Replay, read_header};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Ok(header) = read_header(lines.next().unwrap_or_default()) else { return };
    let mut replay = Replay::new(&header);
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        if let Err(error) = replay.line(number, line) {
            assert_eq!(error.line, number);
        }
    }
    let _ = replay.finish().map(|difference| difference.to_string());
});
