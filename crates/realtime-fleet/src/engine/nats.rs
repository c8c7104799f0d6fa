//! NATS 2.12 or later with JetStream as an engine: [`Nats`]. The one file that knows `async-nats`, with
//! `nats/options.rs`, where the servers are; `nats/values.rs`, which keeps what is neither a call's nor a
//! worker's; and `nats/board.rs`, which shows people what is in it.
//!
//! Only the core of that client is used: every question is one request with a deadline of its own, and no
//! consumer has to be made anew after the server was away.
//!
//! | subject | what |
//! |---|---|
//! | `rt.F.new.GATEWAY` | calls that a gateway of fleet F is about to place |
//! | `rt.F.call.S.CALL.new.WORKER` | the first owner of a call in shard S |
//! | `rt.F.call.S.CALL.own.WORKER` | a later one |
//! | `rt.F.call.S.CALL.log` | functions, and snapshots, of which each replaces what stands here before it |
//! | `rt.F.call.S.CALL.hand`, `….end` | a handover, the last line |
//! | `rt.F.lease.WORKER` | a lease: it goes by itself when its time is over |
//! | `rt.F.offer.WORKER` | offers |
//! | `rt.F.drain.WORKER` | somebody wants the worker to drain |
//!
//! A line is taken only behind the last one of `rt.F.call.S.CALL.>`.

mod board;
mod options;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, HeaderMap, Message, ServerAddr, Subscriber};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use realtime_protocol::time::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::engine::{Answer, Card, Offer, OfferAnswer, Owners, Push, Request};
use crate::id::{CallId, SHARDS, Sequence, WorkerId};
use crate::line::{Entry, Line, Listed, Placing, Whose};
use crate::record::CallRecord;

pub use options::{EngineError, NatsOptions};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(1000);
/// How long a worker has to say yes or no.
const OFFER: Duration = Duration::from_millis(200);
/// How long a request that can't be sent is held before it counts as unanswered.
const AWAY: Duration = Duration::from_millis(50);
/// Lines that one request reads.
const BATCH: usize = 1000;
/// Calls whose owners are looked for by one request.
const TOGETHER: usize = 128;
/// How far back a call is looked for that nobody owns.
const RECENT: Duration = Duration::from_secs(20);
/// How long announcements are kept.
const ANNOUNCED: Duration = Duration::from_secs(60);
/// Bytes of one message of several calls at most.
const MESSAGE: usize = 256 * 1024;
/// Bytes of a message besides what the application says: names, and what the server adds.
const ENVELOPE: usize = 2048;
/// How long the lines of calls are kept, at most.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// The server's number for a line that stands behind another one.
const WRONG_SEQUENCE: u64 = 10_071;
/// The server's number for a message that is not there.
const NO_MESSAGE: u64 = 10_037;
/// The status after the last message of an answer.
const NO_MORE: u16 = 204;
/// The status where no message matches.
const NOT_THERE: u16 = 404;
/// The status where more messages match than are sent at once.
const TOO_MANY: u16 = 413;

/// NATS as an engine. Clones are the same connection.
#[derive(Clone, Debug)]
pub struct Nats {
    client: Client,
    options: Arc<NatsOptions>,
    sent: Arc<AtomicU64>,
}

/// Offers that came in one message.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// `None`: one that this release can't read.
    pub(crate) offers: Vec<Option<Offer>>,
    pub(crate) reply: async_nats::Subject,
}

impl Nats {
    /// Connects, and makes the streams if they are missing. What it tells by itself comes from the receiver.
    ///
    /// # Errors
    /// [`EngineError`]: no server, or one that can't be used.
    pub(crate) async fn connect(
        options: NatsOptions,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Push>), EngineError> {
        let (pushes, told) = mpsc::unbounded_channel();
        let backs = pushes.clone();
        let connect = Self::connecting().event_callback(move |event| {
            let backs = backs.clone();
            async move {
                match event {
                    async_nats::Event::Connected => {
                        tracing::info!("the NATS server answers");
                        let _ = backs.send(Push::Back); // nobody listens any more
                    }
                    async_nats::Event::Disconnected => {
                        tracing::warn!("the NATS server is away: calls go on, and nothing new begins");
                    }
                    _ => {}
                }
            }
        });
        let client = Self::client(&options, connect).await?;
        let nats = Self { client, options: Arc::new(options), sent: Arc::default() };
        nats.make_streams().await?;
        let cards = nats.client.subscribe(nats.subject("lease.*")).await;
        let cards = cards.map_err(|_| nats.options.unreachable())?;
        tokio::spawn(watch(cards, pushes));
        Ok((nats, told))
    }

    fn connecting() -> ConnectOptions {
        ConnectOptions::new()
            .ping_interval(Duration::from_secs(2))
            .connection_timeout(Duration::from_secs(1))
            .reconnect_delay_callback(|attempts| Duration::from_millis(50 * attempts.min(5) as u64))
    }

    async fn client(options: &NatsOptions, connect: ConnectOptions) -> Result<Client, EngineError> {
        let servers = options.servers.split(',').map(str::trim);
        let servers: Result<Vec<ServerAddr>, _> = servers.map(str::parse).collect();
        let servers = servers.map_err(|_| EngineError::BadAddress)?;
        // The library reads no name and no password from an address.
        let login = servers.iter().find_map(|server| Some((server.username()?, server.password())));
        let connect = match login {
            Some((name, Some(password))) => connect.user_and_password(decoded(name), decoded(password)),
            Some((token, None)) => connect.token(decoded(token)),
            None => connect,
        };
        // Where the process has several providers and has chosen none, TLS would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        connect.connect(servers).await.map_err(|error| match error.kind() {
            ConnectErrorKind::ServerParse => EngineError::BadAddress,
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                EngineError::Denied
            }
            _ => options.unreachable(),
        })
    }

    /// Does what is asked.
    pub(crate) async fn handle(&self, request: Request) -> Answer {
        if self.is_away().await {
            return Answer::Unclear;
        }
        let is_offer = matches!(request, Request::Offer { .. }); // it counts its messages itself
        self.sent.fetch_add(u64::from(!is_offer), Ordering::Relaxed);
        match request {
            Request::Announce { by, calls } => self.announce(&by, &calls).await,
            Request::Append { call, after, entry } => self.append(&call, after, &entry).await,
            Request::Read { call } => {
                self.journal(&call).await.map_or(Answer::Unclear, |lines| Answer::Lines(entries(lines)))
            }
            Request::List { of, shards } => {
                self.list(&of, &shards).await.map_or(Answer::Unclear, Answer::Calls)
            }
            Request::Forget { call } => {
                let kinds = ["new.*", "own.*", "log", "hand"];
                for kind in kinds {
                    self.purge(&self.calls_stream(), &format!("{}.{kind}", self.call(&call))).await;
                }
                Answer::Done(Sequence::default())
            }
            Request::Renew { worker, after, card } => {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Expected-Last-Subject-Sequence", after.0.to_string());
                headers.insert("Nats-TTL", self.options.ttl.as_secs().to_string());
                let card = serde_json::to_vec(&card).expect("numbers and strings are JSON");
                let subject = self.subject(&format!("lease.{worker}"));
                self.publish(subject, headers, card, self.options.ttl / 4).await
            }
            Request::ReadLease { worker } => self.read_lease(&worker).await,
            Request::Release { worker } => {
                self.purge(&self.leases_stream(), &self.subject(&format!("lease.{worker}"))).await;
                Answer::Done(Sequence::default())
            }
            Request::Put { key, after, value } => self.put(&key, after, &value).await,
            Request::Get { key } => self.get(&key).await,
            Request::Over { gateway, calls } => {
                self.over(&gateway, &calls).await.map_or(Answer::Unclear, Answer::Over)
            }
            Request::Count { gateway, tenant } => {
                self.count(&gateway, &tenant).await.map_or(Answer::Unclear, Answer::Count)
            }
            Request::Spent { tenant, day } => self.spent(&tenant, day).await.unwrap_or(Answer::Unclear),
            Request::Offer { to, offer } => self.offer(&to, &[offer]).await.pop().unwrap_or(Answer::Unclear),
        }
    }

    /// Whether there is no server now: what would be sent would come late, and in a heap. That is said after
    /// a moment.
    async fn is_away(&self) -> bool {
        let is_away = self.client.connection_state() != State::Connected;
        if is_away {
            tokio::time::sleep(AWAY).await;
        }
        is_away
    }

    /// Whether a call can be announced and offered: together with others it would keep them waiting, too.
    pub(crate) fn takes(&self, placing: &Placing) -> bool {
        let text = serde_json::to_string(placing).expect("names and JSON values are JSON");
        text.len() < self.longest()
    }

    /// Bytes of one message of several calls, less than the server takes.
    fn longest(&self) -> usize {
        MESSAGE.min(self.client.server_info().max_payload.saturating_sub(ENVELOPE))
    }

    /// The offers to this name.
    pub(crate) async fn offers(&self, worker: &WorkerId) -> Option<Subscriber> {
        self.client.subscribe(self.subject(&format!("offer.{worker}"))).await.ok()
    }

    /// Reads offers. `None`: nobody waits for an answer, or they are none.
    pub(crate) fn incoming(message: Message) -> Option<Incoming> {
        let offers = match serde_json::from_slice::<Vec<Offer>>(&message.payload) {
            Ok(offers) => offers.into_iter().map(Some).collect(),
            Err(_) => {
                let offers = serde_json::from_slice::<Vec<Value>>(&message.payload).ok()?;
                offers.into_iter().map(|offer| serde_json::from_value(offer).ok()).collect()
            }
        };
        Some(Incoming { offers, reply: message.reply? })
    }

    /// Answers the offers of one message, in their order.
    pub(crate) async fn reply(&self, to: async_nats::Subject, answers: &[OfferAnswer]) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_vec(answers).expect("words are JSON");
        // Where it can't be sent, the other side asks somebody else.
        let _ = self.client.publish(to, text.into()).await;
    }

    /// The calls that are not over, each with its last owner, and those that gateways have announced and
    /// nobody owns. `None`: the engine does not answer.
    pub async fn calls(&self) -> Option<Vec<Listed>> {
        let shards: Vec<u8> = (0..SHARDS).collect();
        let unowned = self.list(&Owners::Nobody, &shards).await?;
        let owned = self.list(&Owners::All, &shards).await?;
        // One that found its owner in between is in both.
        let calls = unowned.into_iter().chain(owned).map(|listed| (listed.call.clone(), listed));
        Some(calls.collect::<BTreeMap<CallId, Listed>>().into_values().collect())
    }

    /// What a call's journal says. `None`: the engine does not answer.
    pub async fn record(&self, call: &CallId) -> Option<CallRecord> {
        match self.handle(Request::Read { call: call.clone() }).await {
            Answer::Lines(lines) => Some(CallRecord::fold(&lines)),
            _ => None,
        }
    }

    /// Requests and messages that this side sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    async fn make_streams(&self) -> Result<(), EngineError> {
        let replicas = self.options.replicas;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let calls = json!({
            "name": self.calls_stream(), "subjects": [self.subject("call.>")], "num_replicas": replicas,
            "storage": "file", "retention": "limits", "discard": "old", "max_age": nanos(KEPT),
            "max_msgs_per_subject": 1024, "allow_direct": true, "allow_rollup_hdrs": true,
        });
        let leases = json!({
            "name": self.leases_stream(), "subjects": [self.subject("lease.*")], "num_replicas": replicas,
            "storage": "file", "retention": "limits", "discard": "old", "max_msgs_per_subject": 1,
            "allow_msg_ttl": true,
        });
        let announced = json!({
            "name": self.announced_stream(), "subjects": [self.subject("new.*")], "num_replicas": replicas,
            "storage": "file", "retention": "limits", "discard": "old", "max_age": nanos(ANNOUNCED),
            "allow_direct": true,
        });
        for (name, stream) in self.streams().into_iter().zip([announced, calls, leases, self.values()]) {
            let subject = format!("$JS.API.STREAM.CREATE.{name}");
            let answer = self.api(subject, &stream, Duration::from_secs(5)).await;
            let reason = match answer {
                Some(answer) => answer["error"]["description"].as_str().map(str::to_owned),
                None => Some("JetStream does not answer".to_owned()),
            };
            if let Some(reason) = reason {
                return Err(EngineError::Refused { stream: name, reason });
            }
        }
        Ok(())
    }

    /// In as many messages as it takes.
    async fn announce(&self, by: &WorkerId, calls: &[(CallId, Placing)]) -> Answer {
        let mut answer = Answer::Unclear;
        for (_, text) in packed(calls, self.longest()) {
            let subject = self.subject(&format!("new.{by}"));
            answer = self.publish(subject, HeaderMap::new(), text.into_bytes(), PATIENCE).await;
            if !matches!(answer, Answer::Done(_)) {
                break;
            }
        }
        answer
    }

    async fn append(&self, call: &CallId, after: Sequence, entry: &Entry) -> Answer {
        let call = self.call(call);
        let mut headers = HeaderMap::new();
        if self.options.fences {
            headers.insert("Nats-Expected-Last-Subject-Sequence", after.0.to_string());
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", format!("{call}.>"));
        }
        if let Line::Snap { .. } = entry.line {
            headers.insert("Nats-Rollup", "sub");
        }
        let kind = match &entry.line {
            Line::Placed { worker, .. } => format!("new.{worker}"),
            Line::Owner { worker, .. } => format!("own.{worker}"),
            Line::Handover { .. } => "hand".to_owned(),
            Line::Ended { .. } => "end".to_owned(),
            Line::Claim { .. } | Line::Result { .. } | Line::Delivered { .. } | Line::Snap { .. } => {
                "log".to_owned()
            }
        };
        let text = serde_json::to_vec(entry).expect("strings, numbers and JSON values are JSON");
        self.publish(format!("{call}.{kind}"), headers, text, PATIENCE).await
    }

    async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        text: Vec<u8>,
        patience: Duration,
    ) -> Answer {
        let request =
            async_nats::Request::new().headers(headers).payload(text.into()).timeout(Some(patience));
        let Ok(message) = self.client.send_request(subject, request).await else { return Answer::Unclear };
        let Ok(answer) = serde_json::from_slice::<Value>(&message.payload) else { return Answer::Unclear };
        match (answer["error"]["err_code"].as_u64(), answer["seq"].as_u64()) {
            (Some(WRONG_SEQUENCE), _) => Answer::Refused,
            (None, Some(sequence)) => Answer::Done(Sequence(sequence)),
            _ => Answer::Unclear,
        }
    }

    /// By the stream's leader: a copy may be behind.
    async fn read_lease(&self, worker: &WorkerId) -> Answer {
        let question = json!({ "last_by_subj": self.subject(&format!("lease.{worker}")) });
        match self.message(&self.leases_stream(), &question).await {
            Some(found) => Answer::Lease(found.map(|(sequence, _)| sequence)),
            None => Answer::Unclear,
        }
    }

    /// Makes offers to a worker. The answers come in their order.
    pub(crate) async fn offer(&self, to: &WorkerId, offers: &[Offer]) -> Vec<Answer> {
        if self.is_away().await {
            return vec![Answer::Unclear; offers.len()];
        }
        let messages = packed(offers, self.longest()).into_iter().map(async |(count, text)| {
            self.sent.fetch_add(1, Ordering::Relaxed);
            let request = async_nats::Request::new().payload(text.into()).timeout(Some(OFFER));
            let message = self.client.send_request(self.subject(&format!("offer.{to}")), request).await.ok();
            let answers = message.and_then(|message| serde_json::from_slice(&message.payload).ok());
            let answers: Vec<OfferAnswer> = answers.unwrap_or_default();
            match answers.len() == count {
                true => answers.into_iter().map(Answer::Offered).collect(),
                false => vec![Answer::Unclear; count],
            }
        });
        join_all(messages).await.concat()
    }

    async fn list(&self, of: &Owners, shards: &[u8]) -> Option<Vec<Listed>> {
        match of {
            Owners::Nobody => self.list_unowned(shards).await,
            Owners::One(_) | Owners::All => self.messages(of, shards).await.map(|found| listed(&found)),
        }
    }

    /// The last lines that say whose calls are.
    async fn messages(&self, of: &Owners, shards: &[u8]) -> Option<Vec<Message>> {
        let kinds: &[&str] = match of {
            Owners::One(worker) => &[&format!("new.{worker}"), &format!("own.{worker}")],
            Owners::All | Owners::Nobody => &["new.*", "own.*", "end"],
        };
        let filters = |shard: &u8| {
            let shard = self.subject(&format!("call.{shard:x}.*"));
            kinds.iter().map(move |kind| format!("{shard}.{kind}"))
        };
        let together: Vec<String> = shards.iter().flat_map(filters).collect();
        if let Some(found) = self.last(&together).await? {
            return Some(found);
        }
        // Too many for one answer.
        let mut messages = Vec::new();
        for shard in shards {
            let filters: Vec<String> = filters(shard).collect();
            match self.last(&filters).await? {
                Some(found) => messages.extend(found),
                None => {
                    for filter in filters {
                        let stream = self.calls_stream();
                        messages.extend(self.lines(&stream, &filter, Start::At(Sequence(1))).await?);
                    }
                }
            }
        }
        Some(messages)
    }

    /// Calls that were announced in the last while and have no line.
    async fn list_unowned(&self, shards: &[u8]) -> Option<Vec<Listed>> {
        let (stream, all) = (self.announced_stream(), self.subject("new.*"));
        // The engine's own clock: that of this machine may be another.
        let now = self.engine_time(&stream).await?;
        let recent = u64::try_from(RECENT.as_micros()).unwrap_or(u64::MAX);
        let since = UnixTime::from_micros(now.as_micros().saturating_sub(recent));
        let recent = self.lines(&stream, &all, Start::From(since)).await?;
        let mut calls = announced(&recent);
        calls.retain(|call, _| shards.contains(&call.shard()));
        let all: Vec<CallId> = calls.keys().cloned().collect();
        for some in all.chunks(TOGETHER) {
            // The first line of a call is one of these, and it has one of each at most.
            let filters = some.iter().flat_map(|call| {
                let call = self.call(call);
                [format!("{call}.new.*"), format!("{call}.end")]
            });
            let found = self.last(&filters.collect::<Vec<_>>()).await??;
            for (call, _) in found.iter().filter_map(named) {
                calls.remove(&call);
            }
        }
        let listed = |(call, (gateway, placing))| Listed::new(call, Whose::Nobody { gateway, placing });
        Some(calls.into_iter().map(listed).collect())
    }

    /// A call's lines. The last of each subject comes by an index of the server's, which is quick however
    /// long the stream is; then those of the one subject that has more. What comes in between is left out, so
    /// that the last sequence is that of a moment at which everything before it was read.
    async fn journal(&self, call: &CallId) -> Option<Vec<Message>> {
        let call = self.call(call);
        let mut all = self.last(&[format!("{call}.>")]).await??;
        let sequences = || all.iter().map(sequence);
        if let (Some(first), Some(last)) = (sequences().min(), sequences().max()) {
            let stream = self.calls_stream();
            let log = self.lines(&stream, &format!("{call}.log"), Start::At(first)).await?;
            all.retain(|message| !matches!(named(message), Some((_, Kind::Log))));
            all.extend(log.into_iter().filter(|message| sequence(message) <= last));
        }
        all.sort_by_key(sequence);
        Some(all)
    }

    /// All messages of a stream that match.
    async fn lines(&self, stream: &str, filter: &str, start: Start) -> Option<Vec<Message>> {
        let mut all: Vec<Message> = Vec::new();
        loop {
            let mut question = json!({ "next_by_subj": filter, "batch": BATCH });
            match (all.last().map(sequence), start) {
                (Some(last), _) => question["seq"] = json!(last.0 + 1),
                (None, Start::At(first)) => question["seq"] = json!(first.0.max(1)),
                (None, Start::From(time)) => question["start_time"] = json!(time.to_string()),
            }
            let (status, found) = self.direct(stream, &question).await?;
            let count = found.len();
            all.extend(found);
            match status {
                NOT_THERE => return Some(all),
                NO_MORE if count < BATCH => return Some(all),
                NO_MORE => {}
                _ => return None,
            }
        }
    }

    /// The last message of each subject that matches one of these. `Some(None)`: they are too many.
    async fn last(&self, filters: &[String]) -> Option<Option<Vec<Message>>> {
        if filters.is_empty() {
            return Some(Some(Vec::new()));
        }
        let question = json!({ "multi_last": filters, "batch": BATCH });
        let (status, found) = self.direct(&self.calls_stream(), &question).await?;
        match status {
            NO_MORE | NOT_THERE if found.len() < BATCH => Some(Some(found)),
            NO_MORE | TOO_MANY => Some(None),
            _ => None,
        }
    }

    /// Asks for several messages. They come one by one, and a status last.
    async fn direct(&self, stream: &str, question: &Value) -> Option<(u16, Vec<Message>)> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.ok()?;
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        self.client.publish_with_reply(subject, inbox, question.to_string().into()).await.ok()?;
        let mut found = Vec::new();
        loop {
            let message = tokio::time::timeout(PATIENCE, answers.next()).await.ok()??;
            match message.status {
                Some(status) => return Some((status.as_u16(), found)),
                None => found.push(message),
            }
        }
    }

    /// Asks the stream's leader for one message. `Some(None)`: there is none that is meant.
    async fn message(&self, stream: &str, question: &Value) -> Option<Option<(Sequence, Value)>> {
        let mut answer = self.api(format!("$JS.API.STREAM.MSG.GET.{stream}"), question, PATIENCE).await?;
        match (answer["error"]["err_code"].as_u64(), answer["message"]["seq"].as_u64()) {
            (Some(NO_MESSAGE), _) => Some(None),
            (None, Some(sequence)) => Some(Some((Sequence(sequence), answer["message"].take()))),
            _ => None,
        }
    }

    async fn purge(&self, stream: &str, filter: &str) {
        let subject = format!("$JS.API.STREAM.PURGE.{stream}");
        self.api(subject, &json!({ "filter": filter }), PATIENCE).await; // if not, its age ends it
    }

    async fn api(&self, subject: String, question: &Value, patience: Duration) -> Option<Value> {
        let request = async_nats::Request::new().payload(question.to_string().into()).timeout(Some(patience));
        let message = self.client.send_request(subject, request).await.ok()?;
        serde_json::from_slice(&message.payload).ok()
    }

    fn subject(&self, rest: &str) -> String {
        format!("rt.{}.{rest}", self.options.fleet)
    }

    fn call(&self, call: &CallId) -> String {
        self.subject(&format!("call.{:x}.{call}", call.shard()))
    }

    fn streams(&self) -> [String; 4] {
        [self.announced_stream(), self.calls_stream(), self.leases_stream(), self.values_stream()]
    }

    fn announced_stream(&self) -> String {
        format!("RT_{}_NEW", self.options.fleet)
    }

    fn calls_stream(&self) -> String {
        format!("RT_{}_CALLS", self.options.fleet)
    }

    fn leases_stream(&self) -> String {
        format!("RT_{}_LEASES", self.options.fleet)
    }
}

/// Tells of the renewals that others send. A renewal that the engine refuses is told, too: it is a hint.
async fn watch(mut cards: Subscriber, pushes: mpsc::UnboundedSender<Push>) {
    while let Some(message) = cards.next().await {
        let worker = message.subject.rsplit('.').next().and_then(|name| WorkerId::new(name).ok());
        let card = serde_json::from_slice::<Card>(&message.payload).ok();
        if let (Some(worker), Some(card)) = (worker, card)
            && pushes.send(Push::Renewed(worker, card)).is_err()
        {
            return;
        }
    }
}

/// Values as JSON arrays that each fit into a message, with the number of values in each.
fn packed<T: Serialize>(values: &[T], longest: usize) -> Vec<(usize, String)> {
    let mut arrays: Vec<(usize, String)> = Vec::new();
    for value in values {
        let text = serde_json::to_string(value).expect("strings, numbers and JSON values are JSON");
        match arrays.last_mut() {
            Some((count, array)) if array.len() + text.len() < longest => {
                *count += 1;
                array.push(',');
                array.push_str(&text);
            }
            _ => arrays.push((1, format!("[{text}"))),
        }
    }
    arrays.iter_mut().for_each(|(_, array)| array.push(']'));
    arrays
}

fn entries(messages: Vec<Message>) -> Vec<(Sequence, Entry)> {
    let read = |message: Message| Some((sequence(&message), serde_json::from_slice(&message.payload).ok()?));
    messages.into_iter().filter_map(read).collect()
}

/// The calls of announcements, each with its gateway.
fn announced(messages: &[Message]) -> BTreeMap<CallId, (WorkerId, Placing)> {
    let read = |message: &Message| {
        let gateway = WorkerId::new(subject(message)?.rsplit('.').next()?).ok()?;
        let calls: Vec<(CallId, Placing)> = serde_json::from_slice(&message.payload).ok()?;
        Some(calls.into_iter().map(move |(call, placing)| (call, (gateway.clone(), placing))))
    };
    messages.iter().filter_map(read).flatten().collect()
}

/// Each call that is not over, with its last owner.
fn listed(messages: &[Message]) -> Vec<Listed> {
    let mut last: BTreeMap<CallId, (Sequence, Kind)> = BTreeMap::new();
    for message in messages {
        if let Some((call, kind)) = named(message) {
            let here = (sequence(message), kind);
            let there = last.entry(call).or_insert_with(|| here.clone());
            if there.0 < here.0 {
                *there = here;
            }
        }
    }
    let open = last.into_iter().filter_map(|(call, (_, kind))| match kind {
        Kind::Owner(owner) => Some(Listed::new(call, Whose::Worker(owner))),
        Kind::Log | Kind::Other | Kind::End => None,
    });
    open.collect()
}

/// From where on messages are read.
#[derive(Clone, Copy)]
enum Start {
    At(Sequence),
    From(UnixTime),
}

/// What a subject says of its line.
#[derive(Clone)]
enum Kind {
    Owner(WorkerId),
    Log,
    End,
    Other,
}

/// The subject under which a message is kept.
fn subject(message: &Message) -> Option<&str> {
    Some(message.headers.as_ref()?.get("Nats-Subject")?.as_str())
}

/// What a message's subject says.
fn named(message: &Message) -> Option<(CallId, Kind)> {
    let mut tokens = subject(message)?.split('.').skip(4);
    let call = CallId::new(tokens.next()?).ok()?;
    let kind = match (tokens.next()?, tokens.next()) {
        ("new" | "own", Some(owner)) => Kind::Owner(WorkerId::new(owner).ok()?),
        ("log", _) => Kind::Log,
        ("end", _) => Kind::End,
        _ => Kind::Other,
    };
    Some((call, kind))
}

/// What stands in a message that is told as JSON.
fn data<T: DeserializeOwned>(message: &Value) -> Option<T> {
    serde_json::from_slice(&STANDARD.decode(message["data"].as_str()?).ok()?).ok()
}

fn sequence(message: &Message) -> Sequence {
    let header = message.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
    Sequence(header.and_then(|sequence| sequence.as_str().parse().ok()).unwrap_or_default())
}

/// A part of an address, without its escapes.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Offered;
    use crate::samples::id;

    #[test]
    fn many_calls_go_in_messages_that_a_server_takes() {
        let calls: Vec<(u32, String)> = (0..50).map(|n| (n, "x".repeat(20_000))).collect();
        let messages = packed(&calls, MESSAGE);
        assert!(messages.iter().all(|(_, text)| text.len() <= MESSAGE + 1));
        let read = |(count, text): &(usize, String)| {
            let some: Vec<(u32, String)> = serde_json::from_str(text).unwrap();
            assert_eq!(some.len(), *count);
            some
        };
        assert_eq!(messages.iter().flat_map(read).collect::<Vec<_>>(), calls);
        assert_eq!(packed(&["x".repeat(2 * MESSAGE)], MESSAGE).len(), 1, "the server refuses it");
    }

    #[test]
    fn an_offer_of_a_later_release_spoils_no_other_one() {
        let offer = Offer { call: CallId::of_bits(1), state: Offered::Lost { of: id("w1") } };
        let mut offers = vec![serde_json::to_value(&offer).unwrap(); 2];
        offers[0]["state"] = json!({ "sold": {} });
        let message = message(&json!(offers));
        assert_eq!(Nats::incoming(message).unwrap().offers, [None, Some(offer)]);
    }

    fn message(payload: &Value) -> Message {
        let payload = payload.to_string().into();
        let (subject, reply) = ("rt.voice.offer.w1".into(), Some("inbox".into()));
        Message { subject, reply, payload, headers: None, status: None, description: None, length: 0 }
    }
}
