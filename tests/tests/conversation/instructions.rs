//! Instructions that change in a call, in whatever way, are the conversation's from then on, and every later
//! session's.

use std::time::Duration;

use realtime_context::{Conversation, Message};
use realtime_protocol::call::Command;
use realtime_protocol::event::{ClientEvent, Dialect, SessionUpdate};
use realtime_protocol::session_config::SessionConfig;

use crate::line::Line;

/// Long enough for every deadline and every pause between attempts.
const LONG: Duration = Duration::from_secs(60);

fn begin(conversation: Conversation, dialect: Dialect) -> Line {
    let mut line = Line::new(conversation, dialect);
    line.wait(LONG);
    line
}

/// The instructions of the conversation and of the server, after each of some losses and changes.
fn check(line: &mut Line, expected: &str, own: bool) {
    for round in 0..3 {
        if round == 1 {
            line.cut();
        } else if round == 2 {
            line.command(Command::Rotate { endpoint: None, urgent: false });
        }
        line.wait(LONG);
        assert_eq!(line.instructions().as_deref(), Some(expected), "round {round}");
        assert_eq!(line.conversation.instructions().as_deref(), own.then_some(expected), "round {round}");
    }
}

fn update(instructions: &str) -> Command {
    Command::UpdateConfig { config: Box::new(SessionConfig::default().instructions(instructions)) }
}

fn raw(instructions: &str) -> Command {
    let session = SessionConfig::realtime().instructions(instructions).into();
    let event = ClientEvent::SessionUpdate(SessionUpdate { session, ..SessionUpdate::default() });
    Command::SendEvent { event: Box::new(event) }
}

#[test]
fn a_raw_update_outlives_every_connection() {
    for dialect in [Dialect::Ga, Dialect::Beta] {
        for own in [true, false] {
            let history = own.then(|| Message::system("One.")).into_iter().chain([Message::user("Hi")]);
            let mut line = begin(Conversation::from_messages(history), dialect);
            line.command(raw("Raw."));
            check(&mut line, "Raw.", own);
            line.command(update("Two."));
            check(&mut line, "Two.", own);
            line.command(raw("Raw again."));
            check(&mut line, "Raw again.", own);
        }
    }
}

#[test]
fn an_update_that_is_not_acknowledged_in_time_is_what_the_next_session_acknowledges() {
    let mut line = begin(Conversation::from_messages([Message::system("One.")]), Dialect::Ga);
    line.loses_acknowledgements = true;
    line.command(update("Two."));
    line.wait(LONG);
    assert_eq!(line.conversation.instructions().as_deref(), Some("One."), "as far as it knows");
    line.loses_acknowledgements = false;
    line.cut();
    check(&mut line, "Two.", true);
}
