//! A `Session` that talks to the emulator, in virtual time: the user mutes the microphone in mid-speech, or
//! speaks while a response is being made.

use std::time::Duration;

use bytes::Bytes;
use realtime_emulator::brain::Parrot;
use realtime_emulator::{Connection, ConnectionOptions, Output as Sent, voice};
use realtime_protocol::call::{Command, CommandId, Event, Media, Outcome};
use realtime_protocol::event::Dialect;
use realtime_protocol::item::Item;
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};

/// A session, a server, and no time between them.
struct Talk {
    session: Session,
    server: Connection,
    now: Timestamp,
    commands: u64,
    told: Vec<(Timestamp, Event)>,
}

impl Talk {
    fn new() -> Self {
        let wall = UnixTime::from_secs(1_800_000_000);
        let server =
            Connection::new(ConnectionOptions::default(), Box::new(Parrot::new()), Timestamp::ZERO, wall);
        let mut session = Session::new(SessionOptions::default());
        session.handle_connected(Timestamp::ZERO, wall);
        let mut talk = Self { session, server, now: Timestamp::ZERO, commands: 0, told: Vec::new() };
        talk.exchange();
        assert!(talk.session.is_ready());
        talk
    }

    /// Each hears what the other said, until both are silent.
    fn exchange(&mut self) {
        loop {
            if let Some(output) = self.session.poll_output() {
                match output {
                    Output::Send(event) => {
                        self.server.handle_text(self.now, &event.encode(Dialect::Ga));
                    }
                    Output::Event(event) => self.told.push((self.now, event)),
                    Output::Close => panic!("the session closes"),
                }
            } else if let Some(Sent::Send(event)) = self.server.poll_output() {
                self.session.handle_text(self.now, &event.encode(Dialect::Ga));
            } else {
                return;
            }
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let due = self.session.poll_timeout().into_iter().chain(self.server.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = due.max(self.now);
            self.session.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.exchange();
        }
        self.now = end;
    }

    fn ask(&mut self, command: Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.session.handle_command(self.now, id, command).unwrap();
        self.exchange();
        id
    }

    /// Speaks until the server hears it.
    fn begin_to_speak(&mut self) {
        for frame in voice::speak("Well, I should like to know").pcm().chunks(960) {
            self.session.handle_media(self.now, Media::Append(Bytes::copy_from_slice(frame))).unwrap();
            self.exchange();
            self.run(20);
            if self.told.iter().any(|(_, event)| matches!(event, Event::SpeechStarted { .. })) {
                return;
            }
        }
        panic!("the server hears nothing");
    }

    fn hush(&mut self, millis: u64) {
        for _ in 0..millis / 20 {
            self.session.handle_media(self.now, Media::Append(Bytes::from_static(&[0; 960]))).unwrap();
            self.exchange();
            self.run(20);
        }
    }

    fn type_text(&mut self) {
        let item = Item::user_text("Never mind.").into();
        self.ask(Command::CreateItem { item, after: None, respond: true });
    }

    /// How long after `since` a response began.
    fn response_after(&self, since: Timestamp) -> Option<Duration> {
        let started = |(at, event): &(Timestamp, Event)| {
            matches!(event, Event::ResponseStarted { .. }).then(|| at.saturating_since(since))
        };
        self.told.iter().find_map(started)
    }
}

#[test]
fn typed_text_is_answered_at_once_after_a_clear_in_mid_speech() {
    let mut talk = Talk::new();
    talk.begin_to_speak();
    talk.ask(Command::ClearAudio {});
    let since = talk.now;
    talk.type_text();
    talk.run(1_000);
    let waited = talk.response_after(since).unwrap();
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert!(talk.told.iter().any(|(_, event)| matches!(event, Event::SpeechStopped { .. })));
}

#[test]
fn typed_text_is_answered_soon_after_the_microphone_is_muted_in_mid_speech() {
    let mut talk = Talk::new();
    talk.begin_to_speak();
    let since = talk.now;
    talk.type_text();
    talk.run(10_000);
    let waited = talk.response_after(since).unwrap();
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

#[test]
fn an_answer_that_is_asked_for_as_the_user_begins_is_not_heard() {
    let mut talk = Talk::new();
    // Asked for in the moment in which the server hears the user.
    let greeting = talk.ask(Command::CreateResponse { params: None, protected: false });
    talk.begin_to_speak();
    let began = talk.now;
    talk.hush(2_000);
    talk.run(10_000);
    let ends: Vec<&Outcome> = talk
        .told
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Settled { id, outcome } if *id == greeting => Some(outcome),
            _ => None,
        })
        .collect();
    let [Outcome::Responded { response_id, .. }] = ends.as_slice() else { panic!("{ends:?}") };
    let heard = talk.told.iter().filter(|(at, event)| match event {
        Event::Audio(chunk) => chunk.response_id == *response_id && *at >= began,
        _ => false,
    });
    assert_eq!(heard.count(), 0, "nothing of it is heard once the user speaks");
    let answered = talk.told.iter().any(|(at, event)| match event {
        Event::Audio(chunk) => chunk.response_id != *response_id && *at > began,
        _ => false,
    });
    assert!(answered, "and the user is answered");
}
