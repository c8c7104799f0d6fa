//! A call: one conversation, and the channels that are attached to it.
//!
//! Events of the conversation go to all channels. Errors and retrieved items go only to the channel that
//! asked. A command of any channel acts on the one conversation. Nothing ends when a channel leaves. It is as
//! pure as the connection that it drives; `channel` shares it between tasks.

mod channel;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::id::EventId;
use realtime_protocol::time::Timestamp;

use crate::connection::Sound;
use crate::connection::{Connection, Fault, Output};

pub(crate) use channel::{Channel, SharedCall};

/// One conversation and its channels.
#[derive(Debug)]
pub(crate) struct Call {
    connection: Connection,
    channels: BTreeMap<ChannelId, Waiting>,
    next: u64,
    given: u64,
}

/// Which channel.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ChannelId(u64);

/// What a channel has not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    /// All channels have the same outputs: each is kept once, until the slowest has taken it.
    outputs: VecDeque<(Arc<Output>, usize)>,
    bytes: usize,
    is_over: bool,
}

impl Call {
    /// A call without channels.
    pub(crate) fn new(mut connection: Connection) -> Self {
        // Each channel gets its own opening.
        while connection.poll_output().is_some() {}
        Self { connection, channels: BTreeMap::new(), next: 0, given: 0 }
    }

    /// Attaches a channel. Its first output is `session.created`, with the configuration that holds now.
    pub(crate) fn attach(&mut self, now: Timestamp) -> ChannelId {
        self.handle_timeout(now);
        let id = ChannelId(self.next);
        self.next += 1;
        self.channels.insert(id, Waiting::default());
        self.connection.open();
        self.share(Some(id), |_| true);
        id
    }

    /// A channel leaves.
    pub(crate) fn detach(&mut self, id: ChannelId) {
        self.channels.remove(&id);
    }

    /// Takes one wire text from a channel.
    pub(crate) fn handle_text(&mut self, now: Timestamp, from: ChannelId, text: &str) {
        self.act(now, from, |connection| connection.handle_text(now, text));
    }

    /// Takes a binary message from a channel.
    pub(crate) fn handle_binary(&mut self, now: Timestamp, from: ChannelId) {
        self.act(now, from, |connection| connection.handle_binary(now));
    }

    /// Refuses what a channel sent.
    pub(crate) fn refuse(&mut self, from: ChannelId, fault: Fault, event_id: Option<EventId>) {
        self.connection.refuse(fault, event_id);
        self.share(Some(from), is_answer);
    }

    /// Someone in the call pressed a key.
    pub(crate) fn press_key(&mut self, now: Timestamp, key: char) {
        self.connection.press_key(now, key);
        self.share(None, is_answer);
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        self.connection.handle_timeout(now);
        self.share(None, is_answer);
    }

    /// Keeps what is to be heard, for who carries the call's audio.
    pub(crate) fn carry_sound(&mut self) {
        self.connection.carry_sound();
    }

    /// Audio of the user came: samples at 24 kHz.
    pub(crate) fn handle_sound(&mut self, now: Timestamp, samples: &[i16]) {
        self.connection.handle_sound(now, samples);
        self.share(None, is_answer);
    }

    /// What is to be heard next; `None` until there is more.
    pub(crate) fn poll_sound(&mut self) -> Option<Sound> {
        self.connection.poll_sound()
    }

    /// The next thing to send to a channel; `None` until more happens.
    pub(crate) fn poll_output(&mut self, to: ChannelId) -> Option<Output> {
        let waiting = self.channels.get_mut(&to)?;
        let (output, bytes) = waiting.outputs.pop_front()?;
        waiting.bytes -= bytes;
        Some(Arc::unwrap_or_clone(output))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` after the end.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.connection.poll_timeout()
    }

    /// Returns whether the session has ended.
    pub(crate) const fn is_over(&self) -> bool {
        self.connection.is_closed()
    }

    /// How many outputs the channels were given so far.
    const fn given(&self) -> u64 {
        self.given
    }

    fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    fn act(&mut self, now: Timestamp, from: ChannelId, act: impl FnOnce(&mut Connection)) {
        // Outputs that were due before are not an answer to the channel.
        self.handle_timeout(now);
        act(&mut self.connection);
        self.share(Some(from), is_answer);
    }

    /// Gives the connection's outputs to all channels; answers go only to the channel that asked.
    fn share(&mut self, asker: Option<ChannelId>, is_for_asker: impl Fn(&Output) -> bool) {
        while let Some(output) = self.connection.poll_output() {
            let only = asker.filter(|_| is_for_asker(&output));
            let bytes = match &output {
                Output::Send(event) => event.encode(self.connection.dialect()).len(),
                _ => 0,
            };
            self.given += 1;
            let output = Arc::new(output);
            let channels = self.channels.iter_mut().filter(|(id, _)| only.is_none_or(|only| only == **id));
            channels.for_each(|(_, waiting)| waiting.push(&output, bytes));
        }
    }
}

impl Waiting {
    fn push(&mut self, output: &Arc<Output>, bytes: usize) {
        if self.is_over {
            return;
        }
        self.outputs.push_back((output.clone(), bytes));
        self.bytes += bytes;
        self.is_over = matches!(**output, Output::Close { .. });
        if self.bytes > MOST_BYTES && self.outputs.len() > 1 {
            let end = Output::Close { code: 1008, reason: "the channel takes too little".into() };
            *self = Self { outputs: [(Arc::new(end), 0)].into(), bytes: 0, is_over: true };
        }
    }
}

/// Returns whether an output is for the channel that asked, not for all.
fn is_answer(output: &Output) -> bool {
    let Output::Send(event) = output else { return false };
    matches!(**event, ServerEvent::ErrorEvent(_) | ServerEvent::ConversationItemRetrieved(_))
}

/// Bytes that a channel may leave waiting. One event may be larger.
const MOST_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use realtime_protocol::time::UnixTime;
    use serde_json::{Value, json};

    use crate::brain::Parrot;
    use crate::connection::ConnectionOptions;

    use super::*;

    fn call() -> Call {
        let options = ConnectionOptions { sideband: true, ..ConnectionOptions::default() };
        let wall = UnixTime::from_secs(1_800_000_000);
        Call::new(Connection::new(options, Box::new(Parrot::new()), Timestamp::ZERO, wall))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn take(call: &mut Call, channel: ChannelId) -> Vec<Value> {
        let outputs = std::iter::from_fn(|| call.poll_output(channel));
        let read = |output| match output {
            Output::Send(event) => serde_json::from_str(&event.encode(Dialect::Ga)).unwrap(),
            Output::Close { code, .. } => json!({"type": "close", "code": code}),
            Output::Disaster(_) => json!({"type": "disaster"}),
        };
        outputs.map(read).collect()
    }

    fn kinds(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    fn write(text: &str) -> String {
        let content = json!([{"type": "input_text", "text": text}]);
        let item = json!({"type": "message", "role": "user", "id": "item_1", "content": content});
        json!({"type": "conversation.item.create", "item": item}).to_string()
    }

    #[test]
    fn all_channels_share_one_conversation() {
        let mut call = call();
        let (first, second) = (call.attach(at(0)), call.attach(at(0)));
        assert_eq!(kinds(&take(&mut call, first)), ["session.created"]);
        assert_eq!(kinds(&take(&mut call, second)), ["session.created"]);
        call.handle_text(at(10), first, &write("hello"));
        call.handle_text(at(20), second, r#"{"type":"response.create"}"#);
        call.handle_timeout(at(20_000));
        let (seen, also) = (take(&mut call, first), take(&mut call, second));
        assert_eq!(seen, also);
        let kinds = kinds(&seen);
        assert_eq!(kinds[..3], ["conversation.item.added", "conversation.item.done", "response.created"]);
        assert!(kinds.contains(&"output_audio_buffer.started") && kinds.contains(&"response.done"));
    }

    #[test]
    fn an_answer_to_one_channel_is_for_that_one_alone() {
        let mut call = call();
        let (first, second) = (call.attach(at(0)), call.attach(at(0)));
        call.handle_text(at(0), first, &write("hello"));
        take(&mut call, first);
        take(&mut call, second);
        call.handle_text(at(1), first, r#"{"type":"response.cancel"}"#);
        call.handle_text(at(1), first, r#"{"type":"conversation.item.retrieve","item_id":"item_1"}"#);
        call.handle_binary(at(1), first);
        call.refuse(first, Fault::missing("x"), None);
        let answers = take(&mut call, first);
        assert_eq!(kinds(&answers), ["error", "conversation.item.retrieved", "error", "error"]);
        assert_eq!(take(&mut call, second), Vec::<Value>::new());
    }

    #[test]
    fn a_call_outlives_its_channels_and_shows_a_new_one_what_holds() {
        let mut call = call();
        let first = call.attach(at(0));
        let update =
            json!({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}});
        call.handle_text(at(0), first, &update.to_string());
        call.handle_text(at(0), first, &write("hello"));
        call.handle_text(at(0), first, r#"{"type":"response.create"}"#);
        let created = take(&mut call, first).remove(0);
        call.detach(first);
        assert_eq!(call.poll_output(first), None);
        // No channel drives it meanwhile, but the response is still done.
        let later = call.attach(at(60_000));
        call.handle_text(at(60_000), later, r#"{"type":"conversation.item.retrieve","item_id":"item_1"}"#);
        let events = take(&mut call, later);
        assert_eq!(kinds(&events), ["session.created", "conversation.item.retrieved"]);
        let (now, before) = (&events[0]["session"], &created["session"]);
        assert_eq!((&now["id"], &now["instructions"]), (&before["id"], &json!("Be brief.")));
        assert_ne!(events[0]["event_id"], created["event_id"]);
        call.handle_text(at(60_000), later, r#"{"type":"response.cancel"}"#);
        assert_eq!(take(&mut call, later)[0]["error"]["code"], "response_cancel_not_active");
    }

    #[test]
    fn the_end_of_the_session_is_told_to_all() {
        let mut call = call();
        let (first, second) = (call.attach(at(0)), call.attach(at(0)));
        call.handle_timeout(at(3_600_000));
        for channel in [first, second] {
            let events = take(&mut call, channel);
            assert_eq!(kinds(&events), ["session.created", "error", "close"]);
            assert_eq!((&events[2]["code"], call.is_over(), call.poll_timeout()), (&json!(1001), true, None));
        }
        let late = call.attach(at(3_600_001));
        assert_eq!(kinds(&take(&mut call, late)), ["close"]);
    }

    #[test]
    fn a_channel_that_takes_nothing_is_let_go_and_the_others_are_not() {
        let mut call = call();
        let (slow, quick) = (call.attach(at(0)), call.attach(at(0)));
        for number in 0..60 {
            let text = write(&"x".repeat(200_000)).replace("item_1", &format!("item_{number}"));
            call.handle_text(at(number), quick, &text);
            assert!(!kinds(&take(&mut call, quick)).contains(&"close"));
            assert!(call.channels[&slow].bytes <= MOST_BYTES);
        }
        let events = take(&mut call, slow);
        assert_eq!((kinds(&events), &events[0]["code"]), (vec!["close"], &json!(1008)));
    }

    #[test]
    fn a_key_is_heard_by_all() {
        let mut call = call();
        let (first, second) = (call.attach(at(0)), call.attach(at(0)));
        call.press_key(at(5), '7');
        for channel in [first, second] {
            assert_eq!(take(&mut call, channel)[1]["event"], "7");
        }
    }
}
