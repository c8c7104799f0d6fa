//! What is counted of gateways and workers, for Prometheus.
//!
//! The names are part of what the commands promise: `docs/operations.md` lists them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use realtime_fleet::Why;
use realtime_fleet::drive::WorkerState;
use realtime_fleet::engine::OfferAnswer;
use realtime_fleet::gateway::PlaceError;

use crate::time::millis;

/// What a worker has told last, for its part of `/metrics`.
#[derive(Debug, Default)]
pub(super) struct WorkerFigures(Mutex<Option<WorkerState>>);

impl WorkerFigures {
    /// The worker is so now.
    pub(super) fn set(&self, state: Option<WorkerState>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Collector for WorkerFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*state else { return Ok(()) };
        let figures = &state.figures;
        let begun = |why: Why| figures.begun.get(&why).copied().unwrap_or_default();
        let mut gauge = |name: &str, help: &str, value: u64| {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?)
        };
        gauge("fleet_calls_held", "Calls that this worker has", figures.held as u64)?;
        gauge("fleet_calls_lost", "Lost calls of others that it finds workers for", figures.lost as u64)?;
        gauge("fleet_draining", "Whether it takes no more calls", u64::from(state.draining))?;
        let help = "For how long it may act if its lease is not renewed";
        gauge("fleet_lease_margin_milliseconds", help, millis(state.lease))?;
        let mut counter = |name: &str, help: &str, value: u64| {
            ConstCounter::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Counter,
            )?)
        };
        counter("fleet_calls_placed", "Calls that gateways placed here", begun(Why::Placed))?;
        counter("fleet_calls_taken_over", "Calls of lost workers that go on here", begun(Why::Lost))?;
        counter("fleet_calls_taken_away", "Calls that others took over from here", figures.taken_away)?;
        counter("fleet_calls_ended", "Calls that ended here", figures.ended)?;
        counter(
            "fleet_functions_unknown",
            "Functions of which nobody knows whether they ran",
            figures.unknown,
        )?;
        counter("fleet_journal_lines", "Lines written into journals", figures.lines)?;

        let moved = [("in", begun(Why::Moved)), ("out", figures.given_away)];
        let help = "Calls that moved between two turns.";
        let mut family = encoder.encode_descriptor("fleet_calls_moved", help, None, MetricType::Counter)?;
        for (direction, count) in moved {
            labelled(&mut family, &Direction { direction }, count)?;
        }
        let help = "Offers of calls that it refused.";
        let mut family =
            encoder.encode_descriptor("fleet_offers_refused", help, None, MetricType::Counter)?;
        for (answer, count) in &figures.refused {
            labelled(&mut family, &Reason { reason: refusal(*answer) }, *count)?;
        }
        Ok(())
    }
}

fn labelled(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    count: u64,
) -> Result<(), fmt::Error> {
    ConstCounter::new(count).encode(family.encode_family(labels)?)
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What a worker says to an offer, as a label.
const fn refusal(answer: OfferAnswer) -> &'static str {
    match answer {
        OfferAnswer::Full => "busy",
        OfferAnswer::Busy => "late",
        OfferAnswer::Draining => "draining",
        OfferAnswer::NoLease => "no_lease",
        _ => "other",
    }
}

/// Why a call found no worker, as a label.
pub(super) const fn reason(error: PlaceError) -> &'static str {
    match error {
        PlaceError::Full => "busy",
        PlaceError::TenantFull => "tenant_busy",
        PlaceError::BudgetSpent => "budget_spent",
        PlaceError::NoWorker => "no_worker",
        PlaceError::EngineAway => "engine_away",
        _ => "other",
    }
}

/// What a gateway counts.
pub(super) struct GatewayFigures {
    registry: Registry,
    placed: Counter,
    refused: Family<Reason, Counter>,
    workers: Gauge,
}

impl GatewayFigures {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("realtime_fleet");
        let (placed, refused, workers) = (Counter::default(), Family::default(), Gauge::default());
        registry.register("calls_placed", "Calls that got a worker", placed.clone());
        registry.register("calls_refused", "Calls that got none", Family::clone(&refused));
        registry.register("workers", "Workers that are known", workers.clone());
        Self { registry, placed, refused, workers }
    }

    /// A call has a worker.
    pub(super) fn placed(&self) {
        self.placed.inc();
    }

    /// A call has none.
    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// All of it, as OpenMetrics text.
    pub(super) fn text(&self, workers: usize) -> String {
        self.workers.set(i64::try_from(workers).unwrap_or(i64::MAX));
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for GatewayFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayFigures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_counts_under_its_names() {
        let figures = GatewayFigures::new();
        figures.placed();
        figures.refused(reason(PlaceError::Full));
        let text = figures.text(4);
        for line in [
            "realtime_fleet_calls_placed_total 1",
            "realtime_fleet_calls_refused_total{reason=\"busy\"} 1",
            "realtime_fleet_workers 4",
            "# EOF",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }
}
