//! What came of a bench: [`Run`] learns it from the workers' lines, and [`Report`] tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use realtime_fleet::CallId;
use serde::Serialize;

use super::Told;
use crate::Error;

/// What is known of the calls.
pub(super) struct Run {
    lease: Duration,
    placed: BTreeSet<String>,
    placing_took: Duration,
    /// Who has which call.
    owners: BTreeMap<String, usize>,
    killed: BTreeMap<usize, Instant>,
    takeovers: Vec<Duration>,
    ended: BTreeSet<String>,
    ran: BTreeMap<String, usize>,
    unknown: usize,
    sent: BTreeMap<usize, u64>,
}

/// In numbers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    calls: usize,
    functions: usize,
    lost: usize,
    doubled: usize,
    unknown: usize,
    kills: usize,
    takeovers: usize,
    lease_ms: u64,
    takeover_p50_ms: u64,
    takeover_p99_ms: u64,
    placements_per_s: u64,
    messages_per_call_minute: u64,
}

impl Run {
    pub(super) fn new(lease: Duration, placed: Vec<CallId>, placing_took: Duration) -> Self {
        Self {
            lease,
            placed: placed.iter().map(ToString::to_string).collect(),
            placing_took,
            owners: BTreeMap::new(),
            killed: BTreeMap::new(),
            takeovers: Vec::new(),
            ended: BTreeSet::new(),
            ran: BTreeMap::new(),
            unknown: 0,
            sent: BTreeMap::new(),
        }
    }

    /// A worker is killed now.
    pub(super) fn kills(&mut self, worker: usize, now: Instant) {
        self.killed.insert(worker, now);
    }

    /// A worker has said something.
    pub(super) fn learn(&mut self, told: &Told) {
        let Told { worker, at, line } = told;
        let mut words = line.split(' ');
        let (Some(what), Some(of)) = (words.next(), words.next()) else { return };
        match what {
            "begun" => {
                let before = self.owners.insert(of.to_owned(), *worker);
                if let Some(killed) = before.and_then(|before| self.killed.get(&before))
                    && words.next() == Some("Lost")
                {
                    self.takeovers.push(at.saturating_duration_since(*killed));
                }
            }
            "ran" => *self.ran.entry(of.to_owned()).or_default() += 1,
            "unknown" => self.unknown += 1,
            "ended" => drop(self.ended.insert(of.to_owned())),
            "sent" => drop(self.sent.insert(*worker, of.parse().unwrap_or_default())),
            _ => {}
        }
    }

    /// Whether all calls have ended.
    pub(super) fn is_over(&self) -> bool {
        self.placed.is_subset(&self.ended)
    }

    /// `sent`: the gateway's messages. `lasted`: all of it.
    pub(super) fn report(mut self, sent: u64, lasted: Duration) -> Report {
        self.takeovers.sort_unstable();
        let takeover = |percent: usize| {
            let place = self.takeovers.len().saturating_sub(1) * percent / 100;
            self.takeovers.get(place).map_or(0, |took| took.as_millis() as u64)
        };
        let calls = self.placed.len();
        let sent = sent + self.sent.values().sum::<u64>();
        let call_minutes = calls as f64 * lasted.as_secs_f64() / 60.0;
        Report {
            calls,
            functions: self.ran.len(),
            lost: self.placed.difference(&self.ended).count(),
            doubled: self.ran.values().filter(|times| **times > 1).count(),
            unknown: self.unknown,
            kills: self.killed.len(),
            takeovers: self.takeovers.len(),
            lease_ms: self.lease.as_millis() as u64,
            takeover_p50_ms: takeover(50),
            takeover_p99_ms: takeover(99),
            placements_per_s: (calls as f64 / self.placing_took.as_secs_f64()).round() as u64,
            messages_per_call_minute: (sent as f64 / call_minutes).round() as u64,
        }
    }
}

impl Report {
    /// For a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { calls, functions, takeovers, lease_ms, .. } = self;
        vec![
            format!("{calls} calls were placed, {} a second", self.placements_per_s),
            format!(
                "{takeovers} calls of {} killed workers were taken over: p50 {} ms, p99 {} ms after the kill, \
                 with a lease of {lease_ms} ms",
                self.kills, self.takeover_p50_ms, self.takeover_p99_ms
            ),
            format!("{functions} functions ran; of {} nobody knows whether they did", self.unknown),
            format!("{} messages to the servers, a call and minute", self.messages_per_call_minute),
            format!("{} calls lost, {} functions ran twice", self.lost, self.doubled),
        ]
    }

    /// # Errors
    /// A call was lost, or a function ran twice.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        match (self.lost, self.doubled) {
            (0, 0) => Ok(()),
            (lost, doubled) => Err(format!("{lost} calls are lost, {doubled} functions ran twice").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two calls of worker 0, which is killed: worker 1 goes on with both, and ends one of them.
    #[test]
    fn what_workers_say_is_counted() {
        let calls = vec![CallId::of_bits(1), CallId::of_bits(2)];
        let [one, other] = [&calls[0], &calls[1]].map(ToString::to_string);
        let began = Instant::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let mut run = Run::new(Duration::from_secs(3), calls, Duration::from_millis(10));
        run.kills(0, after(1000));
        for (worker, ms, line) in [
            (0, 10, format!("begun {one} Placed")),
            (0, 10, format!("begun {other} Placed")),
            (0, 900, format!("ran {one}:2")),
            (0, 990, "sent 40".to_owned()),
            (1, 4100, format!("begun {one} Lost")),
            (1, 4300, format!("begun {other} Lost")),
            (1, 4400, format!("ran {one}:2")),
            (1, 4500, format!("unknown {other}:2")),
            (1, 5000, "sent 10".to_owned()),
            (1, 5100, format!("ended {one}")),
            (1, 5100, "what is this?".to_owned()),
        ] {
            run.learn(&Told { worker, at: after(ms), line });
        }
        assert!(!run.is_over());
        let report = run.report(10, Duration::from_secs(60));
        let lines = [
            "2 calls were placed, 200 a second",
            "2 calls of 1 killed workers were taken over: p50 3100 ms, p99 3100 ms after the kill, with a lease of 3000 ms",
            "1 functions ran; of 1 nobody knows whether they did",
            "30 messages to the servers, a call and minute",
            "1 calls lost, 1 functions ran twice",
        ];
        assert_eq!(report.lines(), lines);
        assert!(report.verdict().is_err());
    }
}
