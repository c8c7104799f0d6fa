//! What is kept besides journals and leases of workers, and what gateways are told of it.
//!
//! | subject | what |
//! |---|---|
//! | `rt.F.kept.gate.GATEWAY` | a gateway's lease: it goes by itself when its time is over |
//! | `rt.F.kept.slots.TENANT` | how many calls of a tenant which gateway may have |
//! | `rt.F.kept.money.TENANT` | what a tenant may spend |
//! | `rt.F.kept.spent.TENANT.DAY.WORKER` | what a worker's calls have cost, kept for three days |
//!
//! A value is taken only behind the last one of its subject.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;
use realtime_protocol::time::UnixTime;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::board::{OpenCall, TenantSeen, tenants};
use crate::content::Content;
use crate::engine::nats::{
    BATCH, EngineError, Kind, NO_MORE, NOT_THERE, Nats, PATIENCE, Start, TOGETHER, TOO_MANY, announced, data,
    listed, named, sequence, subject,
};
use crate::engine::{Answer, Day, Key, Owners, Push};
use crate::id::{CallId, SHARDS, Sequence, Tenant, WorkerId};
use crate::line::{Entry, Line, Placing};
use crate::quota::Table;

/// How long it is kept what was spent.
const SPENT: Duration = Duration::from_secs(3 * 24 * 3600);

impl Nats {
    /// The stream of values, as it is made.
    pub(super) fn values(&self) -> Value {
        json!({
            "name": self.values_stream(), "subjects": [self.subject("kept.>")],
            "num_replicas": self.options.replicas, "storage": "file", "retention": "limits",
            "discard": "old", "max_msgs_per_subject": 1, "allow_msg_ttl": true, "allow_direct": true,
        })
    }

    pub(super) async fn put(&self, key: &Key, after: Sequence, value: &Content) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", after.0.to_string());
        let mut patience = PATIENCE;
        if let Key::Gateway(_) = key {
            headers.insert("Nats-TTL", self.options.ttl.as_secs().to_string());
            patience = self.options.ttl / 4;
        }
        if let Key::Spent { .. } = key {
            headers.insert("Nats-TTL", SPENT.as_secs().to_string());
        }
        let text = serde_json::to_vec(value).expect("a JSON value is JSON");
        self.publish(self.kept(key), headers, text, patience).await
    }

    /// By the stream's leader: a copy may be behind.
    pub(super) async fn get(&self, key: &Key) -> Answer {
        let question = json!({ "last_by_subj": self.kept(key) });
        match self.message(&self.values_stream(), &question).await {
            Some(None) => Answer::Value(None),
            Some(Some((sequence, message))) => match data(&message) {
                Some(value) => Answer::Value(Some((sequence, Content(value)))),
                None => Answer::Unclear,
            },
            None => Answer::Unclear,
        }
    }

    /// Those of these calls that have a last line, or neither a line nor an announcement that is kept. Lines
    /// are read first: a call whose announcement goes in between is not offered for long.
    pub(super) async fn over(&self, gateway: &WorkerId, calls: &[CallId]) -> Option<Vec<CallId>> {
        let (mut over, mut unowned) = (Vec::new(), Vec::new());
        for some in calls.chunks(TOGETHER) {
            let filters = some.iter().flat_map(|call| {
                let call = self.call(call);
                [format!("{call}.new.*"), format!("{call}.end")]
            });
            let found = self.last(&filters.collect::<Vec<_>>()).await??;
            let found: Vec<(CallId, Kind)> = found.iter().filter_map(named).collect();
            let has = |call: &CallId, is_meant: fn(&Kind) -> bool| {
                found.iter().any(|(of, kind)| of == call && is_meant(kind))
            };
            for call in some {
                if has(call, |kind| matches!(kind, Kind::End)) {
                    over.push(call.clone());
                } else if !has(call, |_| true) {
                    unowned.push(call.clone());
                }
            }
        }
        if !unowned.is_empty() {
            let announced = self.announced_by(gateway).await?;
            over.extend(unowned.into_iter().filter(|call| !announced.contains_key(call)));
        }
        Some(over)
    }

    /// The calls of a tenant that this gateway announced and that are not over.
    pub(super) async fn count(&self, gateway: &WorkerId, tenant: &Tenant) -> Option<u32> {
        let mut unowned = self.announced_by(gateway).await?;
        let shards: Vec<u8> = (0..SHARDS).collect();
        let messages = self.messages(&Owners::All, &shards).await?;
        for (call, _) in messages.iter().filter_map(named) {
            unowned.remove(&call);
        }
        let unowned = unowned.values().filter(|(_, placing)| placing.tenant == *tenant).count();
        let open: BTreeSet<CallId> = listed(&messages).into_iter().map(|listed| listed.call).collect();
        let is_meant = |message: &&Message| {
            let Some((call, Kind::Owner(_))) = named(message) else { return false };
            let line = serde_json::from_slice::<Entry>(&message.payload).map(|entry| entry.line);
            let Ok(Line::Placed { gateway: by, placing, .. }) = line else { return false };
            open.contains(&call) && by == *gateway && placing.tenant == *tenant
        };
        u32::try_from(unowned + messages.iter().filter(is_meant).count()).ok()
    }

    /// The calls that this gateway announced, as long as that is kept.
    async fn announced_by(&self, gateway: &WorkerId) -> Option<BTreeMap<CallId, (WorkerId, Placing)>> {
        let (stream, of) = (self.announced_stream(), self.subject(&format!("new.{gateway}")));
        self.lines(&stream, &of, Start::At(Sequence(1))).await.map(|found| announced(&found))
    }

    /// What all workers have spent for a tenant in a day, and its limit.
    pub(super) async fn spent(&self, tenant: &Tenant, day: Day) -> Option<Answer> {
        let limit = self.subject(&format!("kept.money.{tenant}"));
        let spent = self.subject(&format!("kept.spent.{tenant}.{}.*", day.0));
        let stream = self.values_stream();
        let question = json!({ "multi_last": [&limit, &spent], "batch": BATCH });
        let (status, mut found) = self.direct(&stream, &question).await?;
        if status == TOO_MANY || found.len() >= BATCH {
            found = self.lines(&stream, &limit, Start::At(Sequence(1))).await?;
            found.extend(self.lines(&stream, &spent, Start::At(Sequence(1))).await?);
        } else if !matches!(status, NO_MORE | NOT_THERE) {
            return None;
        }
        let (mut sum, mut known, mut after) = (0_u64, None, Sequence(0));
        for message in &found {
            if subject(message) == Some(&limit) {
                known = serde_json::from_slice(&message.payload).ok();
                after = sequence(message);
            } else {
                sum = sum.saturating_add(serde_json::from_slice(&message.payload).unwrap_or(0));
            }
        }
        Some(Answer::Spent { spent: sum, day, limit: known, after })
    }

    /// Tells a gateway which calls end, and what is written of tenants. A line or value that the engine
    /// refuses is told, too: it is a hint.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`].
    pub(crate) async fn tell_gateway(&self) -> Result<mpsc::UnboundedReceiver<Push>, EngineError> {
        let (pushes, told) = mpsc::unbounded_channel();
        let subscribe = async |subject| {
            self.client.subscribe(self.subject(subject)).await.map_err(|_| self.options.unreachable())
        };
        let (mut ends, mut slots) = (subscribe("call.*.*.end").await?, subscribe("kept.slots.*").await?);
        tokio::spawn(async move {
            loop {
                let push = tokio::select! {
                    Some(end) = ends.next() => end.subject.split('.').nth(4).and_then(|call| {
                        Some(Push::Over(CallId::new(call).ok()?))
                    }),
                    Some(slots) = slots.next() => slots.subject.split('.').nth(4).and_then(|tenant| {
                        let value = Content(serde_json::from_slice(&slots.payload).ok()?);
                        Some(Push::Put(Key::Slots(Tenant::new(tenant).ok()?), value))
                    }),
                    else => return,
                };
                if push.is_some_and(|push| pushes.send(push).is_err()) {
                    return;
                }
            }
        });
        Ok(told)
    }

    /// The tenants that have a limit, one of these calls, or spent something today, as people are shown them.
    /// `wall`: the time of day. `None`: the engine does not answer.
    pub async fn tenants(&self, wall: UnixTime, calls: &[OpenCall]) -> Option<Vec<TenantSeen>> {
        let (stream, spent) = (self.values_stream(), format!("kept.spent.*.{}.*", Day::of(wall).0));
        let mut seen: BTreeMap<Tenant, TenantSeen> = BTreeMap::new();
        for filter in ["kept.slots.*", "kept.money.*", &spent] {
            for message in self.lines(&stream, &self.subject(filter), Start::At(Sequence(1))).await? {
                let mut tokens = subject(&message).unwrap_or_default().split('.').skip(3);
                let (kind, tenant) = (tokens.next(), tokens.next().and_then(|name| Tenant::new(name).ok()));
                let Some(tenant) = tenant else { continue };
                let seen = seen.entry(tenant.clone()).or_insert_with(|| TenantSeen::new(tenant));
                let text = &message.payload;
                match kind {
                    Some("slots") => {
                        seen.call_limit = serde_json::from_slice(text).ok().map(|table: Table| table.limit);
                    }
                    Some("money") => seen.money = serde_json::from_slice(text).ok(),
                    _ => seen.spent += serde_json::from_slice::<u64>(text).unwrap_or(0),
                }
            }
        }
        Some(tenants(calls, seen))
    }

    fn kept(&self, key: &Key) -> String {
        match key {
            Key::Gateway(gateway) => self.subject(&format!("kept.gate.{gateway}")),
            Key::Slots(tenant) => self.subject(&format!("kept.slots.{tenant}")),
            Key::Money(tenant) => self.subject(&format!("kept.money.{tenant}")),
            Key::Spent { tenant, day, worker } => {
                self.subject(&format!("kept.spent.{tenant}.{}.{worker}", day.0))
            }
        }
    }

    pub(super) fn values_stream(&self) -> String {
        format!("RT_{}_KEPT", self.options.fleet)
    }
}
