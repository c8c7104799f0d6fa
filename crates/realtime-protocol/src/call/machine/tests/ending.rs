//! The end of a call: it is told once, and nothing after it.

use super::*;
use crate::flow::Shortfall;

#[test]
fn nothing_is_told_after_the_end_of_a_call() {
    let one_connection = CallOptions::from(SessionOptions::default());
    let many = CallOptions { session: SessionOptions::default(), reconnect: reconnect() };
    for options in [one_connection, many] {
        let mut call = Driven { call: Call::new(options), now: 0 };
        call.open(0);
        call.command(1, Command::Close {}).unwrap();
        call.cut(0, Some(1000), "");
        assert_eq!(call.drain().last().map(String::as_str), Some("closed requested"));
        call.call.handle_connected(at(1), ConnectionId(0), UnixTime::from_secs(2));
        call.hear(0, json!({"type": "response.created", "response": {"id": "r1"}}));
        call.cut(0, None, "again");
        for shortfall in [Shortfall::Unsent { bytes: 960 }, Shortfall::TooSlow] {
            call.call.handle_shortfall(at(2), shortfall);
        }
        call.call.handle_seed(at(3), ConnectionId(0), Seed::default());
        call.call.handle_timeout(at(600_000));
        assert!(call.command(2, Command::Interrupt {}).is_err());
        assert!(call.drain().is_empty());
        assert_eq!(call.call.poll_timeout(), None);
    }
}
