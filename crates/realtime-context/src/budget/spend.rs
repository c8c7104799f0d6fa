//! A leash on what a call spends: soft and hard limits of cost and time, as a listener.

use std::time::Duration;

use realtime_protocol::call::{Command, CommandId, Event, Listener, Notice, Out};
use realtime_protocol::response::ResponseParams;
use realtime_protocol::time::{Timestamp, UnixTime};

use crate::budget::{Cost, Prices};

/// Limits of a call. Default: none.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "limits: built with `..Default::default()`")]
pub struct SpendLimits {
    /// The most that the call may cost, in the currency of the prices.
    pub cost: Option<f64>,
    /// The longest that the call may last, from its first session on.
    pub duration: Option<Duration>,
    /// What the model is told to say when a limit is reached, before the call ends. `None`: it ends at once.
    pub last_words: Option<String>,
}

/// The share of a limit at which the application is told.
const SOFT: f64 = 0.8;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Counts what a call spends. It tells the application at 80 % of a limit, by
/// [`Notice::BudgetNearlySpent`]; at 100 % by [`Notice::BudgetSpent`], has the last words said, and ends the
/// call. Add it to the call's listeners.
#[derive(Debug)]
pub struct Budget {
    prices: Prices,
    limits: SpendLimits,
    spent: Cost,
    latest: Cost,
    began: Option<Timestamp>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Below,
    /// The soft limit was told.
    Warned,
    /// The last words are asked for by this command.
    Ending {
        id: CommandId,
        until: Timestamp,
    },
    Ended,
}

impl Budget {
    /// Counts by these prices, up to these limits.
    pub fn new(prices: Prices, limits: SpendLimits) -> Self {
        let zero = Cost::default();
        Self { prices, limits, spent: zero, latest: zero, began: None, stage: Stage::Below }
    }

    /// What all responses cost so far.
    pub const fn spent(&self) -> Cost {
        self.spent
    }

    /// What the latest response cost.
    pub const fn latest(&self) -> Cost {
        self.latest
    }

    fn check(&mut self, now: Timestamp, out: &mut Out<'_>) {
        let of_cost = self.limits.cost.map_or(0.0, |most| self.spent.total() / most);
        let lasted = self.began.map_or(Duration::ZERO, |began| now.saturating_since(began));
        let of_time = self.limits.duration.map_or(0.0, |most| lasted.as_secs_f64() / most.as_secs_f64());
        let share = of_cost.max(of_time);
        if share >= 1.0 && matches!(self.stage, Stage::Below | Stage::Warned) {
            out.tell(Notice::BudgetSpent {});
            self.end(now, out);
        } else if share >= SOFT && self.stage == Stage::Below {
            self.stage = Stage::Warned;
            out.tell(Notice::BudgetNearlySpent { percent: (share * 100.0) as u32 });
        }
    }

    fn end(&mut self, now: Timestamp, out: &mut Out<'_>) {
        let Some(words) = &self.limits.last_words else {
            self.stage = Stage::Ended;
            out.ask(Command::Close {});
            return;
        };
        out.ask(Command::Interrupt {});
        let instructions = format!("Say this, and nothing else: {words}");
        let params = Some(Box::new(ResponseParams::default().instructions(instructions)));
        let id = out.ask(Command::CreateResponse { params, protected: true });
        self.stage = Stage::Ending { id, until: now + LAST_WORDS };
    }
}

impl Listener for Budget {
    fn on_event(&mut self, now: Timestamp, _wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        match event {
            Event::Created { .. } => drop(self.began.get_or_insert(now)),
            Event::ResponseFinished(report) => {
                if let Some(usage) = &report.usage {
                    self.latest = self.prices.cost(usage);
                    let latest = self.latest;
                    self.spent.add(&latest);
                }
                self.check(now, out);
            }
            Event::Settled { id, .. } if matches!(self.stage, Stage::Ending { id: last, .. } if last == *id) =>
            {
                self.stage = Stage::Ended;
                out.ask(Command::Close {});
            }
            Event::Closed { .. } => self.stage = Stage::Ended,
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Below => {
                self.limits.duration.zip(self.began).map(|(most, began)| began + most.mul_f64(SOFT))
            }
            Stage::Warned => self.limits.duration.zip(self.began).map(|(most, began)| began + most),
            Stage::Ending { until, .. } => Some(until),
            Stage::Ended => None,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        match self.stage {
            Stage::Ending { until, .. } if until <= now => {
                self.stage = Stage::Ended;
                out.ask(Command::Close {});
            }
            Stage::Below | Stage::Warned => self.check(now, out),
            Stage::Ending { .. } | Stage::Ended => {}
        }
    }
}
