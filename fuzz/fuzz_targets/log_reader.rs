//! No bytes make reading a session log panic: a line is an entry, or an error that names it. And what a log
//! leaves out comes back if it is only put aside.

#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_protocol::log::{Entry, Filter, LogContent, read_header, restore};

fuzz_target!(|text: &str| {
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Err(error) = read_header(line) {
            assert_eq!(error.line, 1);
        }
        if let Err(error) = Entry::read(number, line) {
            assert_eq!(error.line, number);
        }
    }
    for content in [LogContent::Full, LogContent::AudioAside, LogContent::AudioDigest, LogContent::Metadata] {
        let (mut filter, mut aside) = (Filter::new(content), Vec::new());
        for line in text.lines() {
            let left = filter.line(line, &mut aside);
            let is_whole = content.replays() && !line.contains("aside:");
            assert!(!is_whole || restore(&left, &aside) == line);
        }
    }
});
