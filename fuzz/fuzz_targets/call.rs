//! The same of a call, over its connections and its owners; the log of each owner replays.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| realtime_tests::steered::call::run(bytes));
