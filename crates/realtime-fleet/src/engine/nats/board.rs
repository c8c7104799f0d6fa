//! What people are shown of a fleet, as the engine has it now, and what they ask of a worker.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use realtime_protocol::time::UnixTime;
use serde_json::{Value, json};

use crate::board::{OpenCall, Stored, WorkerSeen, open_calls};
use crate::engine::Owners;
use crate::engine::nats::{EngineError, Nats, NatsOptions, PATIENCE, data, named, sequence};
use crate::id::{SHARDS, WorkerId};

/// The server's number for a stream that is not there.
const NO_STREAM: u64 = 10_059;
/// The most workers that are listed.
const WORKERS: usize = 10_000;

impl Nats {
    /// Connects, for who looks and asks: nothing is made.
    pub(crate) async fn look(options: NatsOptions) -> Result<Self, EngineError> {
        let client = Self::client(&options, Self::connecting()).await?;
        let nats = Self { client, options: Arc::new(options), sent: Arc::default() };
        let stream = nats.leases_stream();
        let info = nats.api(format!("$JS.API.STREAM.INFO.{stream}"), &json!({}), PATIENCE).await;
        let Some(info) = info else {
            return Err(EngineError::Refused { stream, reason: "JetStream does not answer".to_owned() });
        };
        match (info["error"]["err_code"].as_u64(), info["error"]["description"].as_str()) {
            (None, None) => Ok(nats),
            (Some(NO_STREAM), _) => Err(EngineError::NoFleet { fleet: nats.options.fleet.clone() }),
            (_, reason) => {
                let reason = reason.unwrap_or("it says no reason").to_owned();
                Err(EngineError::Refused { stream, reason })
            }
        }
    }

    /// The calls that are not over, as their journals say it. `None`: the engine does not answer.
    pub async fn open_calls(&self) -> Option<Vec<OpenCall>> {
        let shards: Vec<u8> = (0..SHARDS).collect();
        let messages = self.messages(&Owners::All, &shards).await?;
        Some(open_calls(messages.iter().filter_map(stored).collect()))
    }

    /// The workers that have a lease, as their cards show them. `None`: the engine does not answer.
    pub async fn workers(&self) -> Option<Vec<WorkerSeen>> {
        let stream = self.leases_stream();
        let now = self.engine_time(&stream).await?;
        let mut workers = Vec::new();
        let mut from = 1;
        while workers.len() < WORKERS {
            let question = json!({ "seq": from, "next_by_subj": self.subject("lease.*") });
            let Some((sequence, message)) = self.message(&stream, &question).await? else { break };
            from = sequence.0 + 1;
            workers.extend(worker(&message, now));
        }
        workers.sort_by(|a: &WorkerSeen, b| a.worker.cmp(&b.worker));
        Some(workers)
    }

    /// The time of day at the engine: the clock of this machine may be another.
    pub(super) async fn engine_time(&self, stream: &str) -> Option<UnixTime> {
        let info = self.api(format!("$JS.API.STREAM.INFO.{stream}"), &json!({}), PATIENCE).await?;
        info["ts"].as_str().and_then(time)
    }

    /// Asks a worker to drain, as its own [`drain`](crate::drive::WorkerHandle::drain) does. Returns whether
    /// it has heard it.
    pub async fn drain(&self, worker: &WorkerId) -> bool {
        let request = async_nats::Request::new().timeout(Some(PATIENCE));
        self.client.send_request(self.subject(&format!("drain.{worker}")), request).await.is_ok()
    }

    /// Removes the fleet with all that is kept of it: of one that nobody needs any more. Returns whether all
    /// of it is gone.
    pub async fn remove(&self) -> bool {
        let mut is_gone = true;
        for stream in self.streams() {
            let answer = self.api(format!("$JS.API.STREAM.DELETE.{stream}"), &json!({}), PATIENCE).await;
            is_gone &= answer.is_some_and(|answer| answer["success"] == true);
        }
        is_gone
    }

    /// What is asked of this name besides offers: to drain.
    pub(crate) async fn orders(&self, worker: &WorkerId) -> Option<Subscriber> {
        self.client.subscribe(self.subject(&format!("drain.{worker}"))).await.ok()
    }

    /// Says that an order was heard.
    pub(crate) async fn confirm(&self, order: Message) {
        if let Some(reply) = order.reply {
            // Where it can't be sent, it is asked again.
            let _ = self.client.publish(reply, "true".into()).await;
        }
    }
}

/// A line of a journal, where this release can read it.
fn stored(message: &Message) -> Option<Stored> {
    let (call, _) = named(message)?;
    let at = message.headers.as_ref().and_then(|headers| headers.get("Nats-Time-Stamp"));
    let at = at.and_then(|at| time(at.as_str()));
    let entry = serde_json::from_slice(&message.payload).ok()?;
    Some(Stored { call, sequence: sequence(message), at, entry })
}

/// A lease that is told as JSON.
fn worker(message: &Value, now: UnixTime) -> Option<WorkerSeen> {
    let worker = message["subject"].as_str()?.rsplit('.').next()?;
    let at = message["time"].as_str().and_then(time);
    Some(WorkerSeen {
        worker: WorkerId::new(worker).ok()?,
        card: data(message)?,
        age: at.map_or(Duration::ZERO, |at| now.saturating_since(at)),
    })
}

/// A time as the server writes it: `2026-11-28T05:29:23.123456789Z`, with less or no digits of the second.
fn time(text: &str) -> Option<UnixTime> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let numbers = |text: &str, between: char| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text.split(between).map(|part| part.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
    let is_right = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_right || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March here, so that a leap day is the last of its year.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(UnixTime::from_micros(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_time_of_the_server_is_read_and_written_again() {
        for text in [
            "1970-01-01T00:00:00.000000Z",
            "2000-02-29T23:59:59.000001Z",
            "2026-11-28T05:29:23.123456Z",
            "2100-03-01T00:00:00.100000Z",
        ] {
            assert_eq!(time(text).unwrap().to_string(), text);
        }
        let nanos = time("2026-11-28T05:29:23.123456789Z").unwrap();
        assert_eq!(nanos.to_string(), "2026-11-28T05:29:23.123456Z");
        assert_eq!(time("2026-11-28T05:29:23Z").unwrap().to_string(), "2026-11-28T05:29:23.000000Z");
        for wrong in ["", "Z", "2026-11-28", "2026-13-01T00:00:00Z", "2026-1-1T0:0Z", "1969-01-01T00:00:00Z"]
        {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_lease_shows_its_worker_and_one_that_can_not_be_read_does_not() {
        let card = STANDARD.encode(r#"{"slots":9,"calls":2}"#);
        let message = json!({
            "subject": "rt.voice.lease.w_1", "data": card, "time": "2026-11-28T05:29:23.5Z",
        });
        let now = time("2026-11-28T05:29:24Z").unwrap();
        let seen = worker(&message, now).unwrap();
        assert_eq!((seen.worker.as_str(), seen.card.slots, seen.card.calls), ("w_1", 9, 2));
        assert_eq!(seen.age, Duration::from_millis(500));
        assert_eq!(worker(&json!({ "subject": "rt.voice.lease.w_1", "data": "?" }), now), None);
    }
}
