//! Whatever a server sends to a session and an application asks of it, in whatever order, what must hold
//! holds.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| realtime_tests::steered::session::run(bytes));
