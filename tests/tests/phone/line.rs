//! A call: the carrier's stand-in at one end of a line, an agent at the other.

use std::error::Error;
use std::time::Duration;

use futures_util::{Sink, Stream};
use realtime_context::{Function, ToolError};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::media::Phone;
use realtime_pipeline::sockets::{MediaSocket, WebSocketMessage};
use realtime_pipeline::task::TaskHandle;
use realtime_protocol::audio::AudioFormat;
use realtime_telephony::StreamOptions;
use realtime_telephony::caller::Caller;
use realtime_tests::carriers::{Carrier, Report, Step, call_over};
use realtime_tests::seen::Seen;
use serde_json::{Value, json};
use tokio::io::duplex;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::server::Server;

/// What both ends know of a call that is over.
pub(crate) struct Held {
    pub(crate) carrier: Carrier,
    pub(crate) report: Report,
    pub(crate) seen: Seen,
    /// The words of the conversation.
    pub(crate) words: Vec<String>,
}

/// Half a minute, in which anybody would lose patience.
pub(crate) const LONG: &str = "It is sunny, and it will be so for the whole of the day, and the day after \
    that, and on the day that follows it, and I could go on like this for a good while.";

pub(crate) fn script() -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there." }] },
        { "on": "speech", "transcript": "What is the weather?", "reply": [{ "call": "look", "arguments": {} }] },
        { "on": { "tool": "look" }, "reply": [{ "say": LONG }] },
        { "on": "speech", "transcript": "Enough.", "repeat": true, "reply": [{ "say": "As you wish." }] },
    ] })
}

pub(crate) fn host() -> Agent {
    let look = |_: Value| async {
        sleep(Duration::from_millis(100)).await;
        Ok::<_, ToolError>(json!({ "sky": "sunny" }))
    };
    let look = Function::raw("look", "Looks", json!({ "type": "object" }), look);
    Agent::new("You are a friendly host.").greeting("Say hello.").function(look)
}

/// A loud voice for so long.
pub(crate) fn voice(carrier: Carrier, ms: u32) -> Step {
    let loud = |n: u32| if n % 16 < 8 { 12_000 } else { -12_000 };
    Step::Say((0..Caller::rate_of(carrier) / 1_000 * ms).map(loud).collect())
}

/// The caller is greeted, asks, speaks over the answer, hears the next one, and then does `last`.
pub(crate) fn barges_in(carrier: Carrier, last: Step) -> Vec<Step> {
    vec![
        Step::Hear(Duration::from_millis(300)),
        Step::Silence(Duration::from_millis(600)),
        voice(carrier, 1_000),
        Step::Spoken,
        Step::Hear(Duration::from_millis(2_000)),
        voice(carrier, 1_000),
        Step::Cleared(1),
        Step::Spoken,
        Step::Hear(Duration::from_millis(300)),
        Step::Silence(Duration::from_millis(1_000)),
        last,
    ]
}

/// The agent's side of a call: it answers whoever is on the socket. `act` acts on the run.
pub(crate) async fn answer<S, M, E>(
    phone: Phone,
    socket: S,
    agent: Agent,
    script: &Value,
    act: impl AsyncFnOnce(TaskHandle),
) -> (Seen, Vec<String>)
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin + Send + 'static,
    M: WebSocketMessage,
    E: Error + Send + Sync + 'static,
{
    let (server, agent, endpoint) = Server::new(agent, script);
    let mut socket = MediaSocket::new(socket, phone);
    socket.ready().await.unwrap();
    let (task, conversation) = agent.task(endpoint, socket).unwrap();
    let handle = task.handle().clone();
    let (finished, ()) = tokio::join!(task.run(), act(handle));
    finished.unwrap().into_result().unwrap();
    // What the emulator writes down last, it writes when its connection is over.
    sleep(Duration::from_millis(100)).await;
    let word = |message: realtime_context::Message| format!("{}: {}", message.role.as_str(), message.text());
    (server.seen(), conversation.messages().into_iter().map(word).collect())
}

/// The phone of a carrier's call.
pub(crate) fn phone(carrier: Carrier) -> Phone {
    let options = match carrier {
        Carrier::Telnyx => StreamOptions::default().output(AudioFormat::Pcmu),
        _ => StreamOptions::default(),
    };
    Phone::new(carrier, options)
}

/// A call over a socket in memory.
pub(crate) async fn hold(
    carrier: Carrier,
    agent: Agent,
    script: &Value,
    steps: Vec<Step>,
    act: impl AsyncFnOnce(TaskHandle),
) -> Held {
    hold_with(carrier, phone(carrier), agent, script, steps, act).await
}

/// The same, with a phone that was changed.
pub(crate) async fn hold_with(
    carrier: Carrier,
    phone: Phone,
    agent: Agent,
    script: &Value,
    steps: Vec<Step>,
    act: impl AsyncFnOnce(TaskHandle),
) -> Held {
    let (here, there) = duplex(1 << 20);
    let caller = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    let socket = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
    let (report, (seen, words)) =
        tokio::join!(call_over(carrier, caller, steps), answer(phone, socket, agent, script, act));
    Held { carrier, report: report.unwrap(), seen, words }
}

impl Held {
    /// The caller was greeted, cut one answer off and heard the next one to its end: what the server was told
    /// to be heard of the one that was cut is what sounded of it. Returns by how much they differ (ms).
    pub(crate) fn assert_one_barge_in(&self) -> u64 {
        let Self { carrier, report, seen, words } = self;
        let name = carrier.name();
        assert_eq!(report.violations, [""; 0], "{name}");
        let [cut_at] = report.cleared_at[..] else { panic!("{name}: {report:?}") };
        assert!(seen.errors().is_empty(), "{name}: {:?}", seen.errors());

        let (caller, agent, bytes_per_second) = match carrier {
            Carrier::Telnyx => ("audio/pcma", "audio/pcmu", 8_000),
            Carrier::Vonage | Carrier::Exotel | Carrier::Jambonz => ("audio/pcm", "audio/pcm", 48_000),
            _ => ("audio/pcmu", "audio/pcmu", 8_000),
        };
        assert_eq!(seen.formats(), (caller.to_owned(), agent.to_owned()), "{name}");

        let spoken = seen.spoken(bytes_per_second);
        let [(_, greeting), (cut_id, long), _] = &spoken[..] else { panic!("{name}: {spoken:?}") };
        let cuts = seen.cuts();
        let [(id, told)] = &cuts[..] else { panic!("{name}: {cuts:?}") };
        assert_eq!(id, cut_id, "{name}");
        // The end of the greeting may have been filled up with silence.
        let heard = u64::try_from(cut_at.as_millis()).unwrap() - greeting;
        assert!((1_500..*long).contains(told), "{name}: {told} of {long} ms");

        // The third one is the function's call, the fourth its answer.
        assert_eq!(words.len(), 7, "{name}: {words:?}");
        assert_eq!(words[..2], ["assistant: Hello there.", "user: What is the weather?"], "{name}");
        let said = words[4].strip_prefix("assistant: ").unwrap();
        assert!(LONG.starts_with(said) && said.len() < LONG.len(), "{name}: {said}");
        assert_eq!(words[5..], ["user: Enough.", "assistant: As you wish."], "{name}");
        heard.abs_diff(*told)
    }
}
