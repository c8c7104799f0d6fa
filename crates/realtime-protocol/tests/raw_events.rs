//! Events that an application sends as they are: whatever their spelling and the session's, the log of the
//! session replays.

use realtime_protocol::call::{Call, Command, CommandId, ConnectionId, Output};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::log::{Header, LogWriter, Replay};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::time::{Timestamp, UnixTime};

const DIALECTS: [Dialect; 2] = [Dialect::Ga, Dialect::Beta];

/// One event of every kind in both spellings, and some that are of neither.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        [include_str!("fixtures/ga_client.jsonl"), include_str!("fixtures/beta_client.jsonl")]
            .iter()
            .flat_map(|fixtures| fixtures.lines().map(str::to_owned))
            .collect();
    let odd = [
        r#"{"type":"session.update","session":{"turn_detection":null}}"#,
        r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":null}}}}"#,
        r#"{"type":"session.update","session":{"modalities":["audio"],"audio":{"output":{"voice":"a"}},"voice":"b"}}"#,
        r#"{"type":"response.create","response":{"modalities":["text"],"temperature":0.7}}"#,
        r#"{"type":"response.create","response":{"output_modalities":["text"],"temperature":0.7}}"#,
        r#"{"type":"transcription_session.update","session":{"input_audio_format":"pcm16"}}"#,
        r#"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"text","text":"x"}]}}"#,
        r#"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}}"#,
        r#"{"type":"response.audio.delta","item_id":"i","delta":"AAEC"}"#,
        r#"{"type":"conversation.item.delete"}"#,
        "no JSON",
        "no\nJSON",
        "\"text\"",
    ];
    texts.extend(odd.map(str::to_owned));
    // In several lines as well.
    let in_lines: Vec<String> = texts.iter().map(|text| text.replace(",\"", ",\n  \"")).collect();
    texts.extend(in_lines);
    texts
}

/// A ready call in whose log everything stands.
struct Logged {
    header: Header,
    call: Call,
    log: String,
}

const NOW: Timestamp = Timestamp::ZERO;

impl Logged {
    fn new(dialect: Dialect) -> Self {
        let options = SessionOptions::default().dialect(dialect);
        let header = Header::new(options, "m", UnixTime::from_secs(1_790_000_000));
        let call = Call::new(header.options.clone());
        let mut logged = Self { header, call, log: String::new() };
        logged.drain();
        let (writer, started) = (LogWriter::default(), logged.header.started_us);
        writer.connected(&mut logged.log, NOW, ConnectionId(0), started);
        logged.call.handle_connected(NOW, ConnectionId(0), started);
        logged.drain();
        for text in [r#"{"type":"session.created"}"#, r#"{"type":"session.updated","session":{}}"#] {
            writer.text(&mut logged.log, NOW, ConnectionId(0), text);
            logged.call.handle_text(NOW, ConnectionId(0), text);
            logged.drain();
        }
        logged
    }

    /// Sends an event as it is, and gives back what went out.
    fn send(&mut self, event: ClientEvent) -> Vec<ClientEvent> {
        let command = Command::SendEvent { event: event.into() };
        LogWriter::default().command(&mut self.log, NOW, CommandId(1), &command);
        self.call.handle_command(NOW, CommandId(1), command).expect("the event is within the limits");
        self.drain()
    }

    fn drain(&mut self) -> Vec<ClientEvent> {
        let mut sent = Vec::new();
        while let Some(output) = self.call.poll_output() {
            LogWriter::default().output(&mut self.log, NOW, &output);
            if let Output::Send { event, .. } = output {
                sent.push(event);
            }
        }
        sent
    }

    fn replay(&self) -> Option<String> {
        let mut replay = Replay::new(&self.header);
        for (index, line) in self.log.lines().enumerate() {
            replay.line(index + 2, line).unwrap_or_else(|error| panic!("{error}\n{line}"));
        }
        replay.finish().map(|difference| difference.to_string())
    }
}

#[test]
fn a_log_with_events_of_any_spelling_replays() {
    for (session, read_in) in DIALECTS.iter().flat_map(|one| DIALECTS.map(|other| (*one, other))) {
        for text in texts() {
            let event = ClientEvent::decode(&text, read_in);
            let mut logged = Logged::new(session);
            assert_eq!(logged.send(event.clone()), [event], "{text}");
            assert_eq!(logged.replay(), None, "{session:?}, read in {read_in:?}: {text}");
        }
    }
}

#[test]
fn an_event_read_in_the_sessions_dialect_is_sent_as_it_came() {
    for dialect in DIALECTS {
        for text in texts() {
            let mut logged = Logged::new(dialect);
            for sent in logged.send(ClientEvent::decode(&text, dialect)) {
                let difference = realtime_protocol::compare::first_difference(&text, &sent.encode(dialect));
                assert_eq!(difference, None, "{dialect:?}: {text}");
            }
        }
    }
}
