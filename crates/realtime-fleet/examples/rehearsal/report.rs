//! What the rehearsal measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use realtime_fleet::CallId;
use serde_json::{Value, json};

use crate::calls::now;

const LEASE_MS: u64 = 3000;

/// When the engine was away, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

pub(crate) struct Measured<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) placed: &'a [CallId],
    pub(crate) left: usize,
    pub(crate) hurt: &'a BTreeMap<u32, u64>,
    pub(crate) outage: Outage,
    pub(crate) lateness: std::sync::mpsc::Receiver<(u64, u64)>,
    pub(crate) placements: f64,
    pub(crate) appends: f64,
    pub(crate) gateway_sent: u64,
    pub(crate) minutes: f64,
    /// A worker's CPU time for that of a process with the same calls and no fleet.
    pub(crate) cost: f64,
}

pub(crate) struct Report {
    line: Value,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn read(measured: Measured<'_>) -> Self {
        let Measured { folder, placed, outage, .. } = measured;
        let lateness: Vec<(u64, u64)> = measured.lateness.try_iter().collect();
        let late = |from: u64, to: u64| {
            let within = lateness.iter().filter(|(at, _)| (from..=to).contains(at));
            within.map(|(_, late)| *late).max().unwrap_or(0)
        };
        let ended: BTreeSet<String> = lines(folder, "ended").into_iter().map(|(_, _, call)| call).collect();
        let unended = placed.iter().filter(|call| !ended.contains(call.as_str())).count();
        let effects = lines(folder, "effects");
        let keys: BTreeSet<&str> = effects.iter().map(|(_, _, key)| &key[..]).collect();

        // How long after its worker was hurt each call went on, less the outage and the machine's delay.
        let mut owners: BTreeMap<String, u32> = BTreeMap::new();
        let mut takeovers: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for (at, process, text) in lines(folder, "begun") {
            let call = text.split(' ').next().unwrap_or_default().to_owned();
            let before = owners.insert(call, process);
            if let Some((before, hurt)) =
                before.and_then(|before| Some((before, *measured.hurt.get(&before)?)))
                && text.ends_with("Lost")
                && hurt < at
            {
                let away = outage.to.min(at).saturating_sub(outage.from.max(hurt));
                let raw = at - hurt;
                takeovers.entry(before).or_default().push((raw, raw.saturating_sub(away + late(hurt, at))));
            }
        }
        let mut faults = Vec::new();
        let mut worst = 0;
        let mut all: Vec<u64> = Vec::new();
        for of in takeovers.values_mut() {
            of.sort_unstable_by_key(|(_, own)| *own);
            let own: Vec<u64> = of.iter().map(|(_, own)| *own).collect();
            let raw: Vec<u64> = of.iter().map(|(raw, _)| *raw).collect();
            println!(
                "{} calls were taken over: p50 {} ms, p99 {} ms; without outage and delay p99 {} ms",
                of.len(),
                percentile(&raw, 50),
                percentile(&raw, 99),
                percentile(&own, 99)
            );
            worst = worst.max(percentile(&own, 99));
            all.extend(own);
        }
        all.sort_unstable();
        let lost = unended.max(measured.left);
        let doubled = effects.len() - keys.len();
        let mut sent: BTreeMap<u32, u64> = BTreeMap::new();
        for (_, process, count) in lines(folder, "sent") {
            sent.insert(process, count.parse().unwrap_or(0));
        }
        let messages = (measured.gateway_sent + sent.values().sum::<u64>()) as f64;
        let per_append = measured.placements / measured.appends;
        let mut expect = |holds: bool, what: String| {
            if !holds {
                faults.push(what);
            }
        };
        expect(lost == 0, format!("{lost} calls are lost"));
        expect(doubled == 0, format!("{doubled} functions ran twice"));
        expect(
            worst <= LEASE_MS + 1000,
            format!("a fault's take-over took {worst} ms, expected 4000 at most"),
        );
        let line = json!({
            "calls": placed.len(), "lost": lost, "doubled": doubled, "unknown": lines(folder, "unknown").len(),
            "functions": keys.len(), "lease_ms": LEASE_MS, "takeovers": all.len(),
            "takeover_p50_ms": percentile(&all, 50), "takeover_p99_ms": worst,
            "engine_away_ms": outage.to - outage.from, "machine_late_ms": late(0, u64::MAX),
            "placements_per_s": measured.placements.round(),
            "placements_per_engine_append": (per_append * 1000.0).round() / 1000.0,
            "worker_cpu_per_bare_client": (measured.cost * 1000.0).round() / 1000.0,
            "messages_per_call_minute":
                (messages / (placed.len() as f64 * measured.minutes)).round(),
        });
        Self { line, faults }
    }

    pub(crate) fn line(&self) -> &Value {
        &self.line
    }

    /// What did not hold.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }
}

/// How late a timer of 20 ms was, and when.
pub(crate) fn watch_the_machine() -> std::sync::mpsc::Receiver<(u64, u64)> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        loop {
            let begun = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let late = begun.elapsed().as_millis() as u64 - 20;
            if late > 10 && sender.send((now(), late)).is_err() {
                return;
            }
        }
    });
    receiver
}

pub(crate) fn lines(folder: &Path, file: &str) -> Vec<(u64, u32, String)> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let read = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    text.lines().filter_map(read).collect()
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0)
}
