//! Random chains: stages that hand every frame on once, in rows, branches and switches.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::chain::{Parallel, Switch};

/// A stage of a random chain. All of them hand every frame on once.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Hands frames on.
    Plain,
    /// Works on every so many frames, and holds the others meanwhile.
    Holds(u64),
    /// Hands numbered frames on after so many milliseconds, in their order.
    Delays(u64),
    /// Asks at every so many frames.
    Asks(u64),
    /// Panics at this frame.
    Panics(u64),
    Row(Vec<Self>),
    Branches(Vec<Self>),
    Switches(Vec<Self>),
}

pub(super) fn plans(leaf: BoxedStrategy<Plan>) -> impl Strategy<Value = Vec<Plan>> {
    let plan = leaf.prop_recursive(3, 12, 3, |inner| {
        let some = prop::collection::vec(inner, 1..4);
        prop_oneof![
            some.clone().prop_map(Plan::Row),
            some.clone().prop_map(Plan::Branches),
            some.prop_map(Plan::Switches)
        ]
    });
    prop::collection::vec(plan, 0..4)
}

/// Stages that keep the order of frames.
pub(super) fn orderly() -> BoxedStrategy<Plan> {
    prop_oneof![
        Just(Plan::Plain),
        (2..5_u64).prop_map(Plan::Holds),
        (1..50_u64).prop_map(Plan::Delays),
        (1..4_u64).prop_map(Plan::Asks)
    ]
    .boxed()
}

pub(super) fn row(plans: &[Plan], log: &Log) -> Stages {
    plans.iter().fold(Stages::new(), |row, plan| row.then(stage(plan, log)))
}

fn stage(plan: &Plan, log: &Log) -> Box<dyn Processor> {
    match plan.clone() {
        Plan::Row(plans) => row(&plans, log).into(),
        Plan::Branches(plans) => {
            plans.iter().fold(Parallel::new(), |all, plan| all.branch(stage(plan, log))).into()
        }
        Plan::Switches(plans) => {
            let branches = plans.len();
            let choose = move |frame: &Frame, current| match frame.kind().as_custom::<Numbered>() {
                Some(Numbered(number)) => (*number / 7) as usize % branches,
                None => current,
            };
            let switch = Switch::new(choose);
            let all = plans.into_iter().fold(switch, |switch, plan| {
                let log = log.clone();
                switch.branch(move || stage(&plan, &log))
            });
            all.into()
        }
        plan => Walker { plan, log: log.clone(), late: VecDeque::new(), seen: 0, stopped: false }.into(),
    }
}

/// A stage that does what its plan says, and logs its asking and stopping.
struct Walker {
    plan: Plan,
    log: Log,
    late: VecDeque<(Timestamp, Direction, Frame)>,
    seen: u64,
    stopped: bool,
}

impl Processor for Walker {
    fn name(&self) -> &str {
        "walker"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        assert!(!self.stopped, "no frame comes after the stop");
        let Some(number) = frame.kind().as_custom::<Numbered>().map(|numbered| numbered.0) else {
            return cx.forward(frame);
        };
        self.seen += 1;
        match self.plan {
            Plan::Holds(every) if self.seen.is_multiple_of(every) => {
                let work = cx.spawn(async { 0_u64 }).hold().id();
                assert!(work.to_string().starts_with("work"));
            }
            Plan::Asks(every) if self.seen.is_multiple_of(every) => {
                self.log.add(format_args!("asked {}", cx.ask(Intent::Interrupt)));
            }
            Plan::Panics(at) if number == at => panic!("planned"),
            Plan::Delays(ms) => {
                let due = cx.now() + Duration::from_millis(ms);
                return self.late.push_back((due, cx.direction(), frame));
            }
            _ => {}
        }
        cx.forward(frame);
    }

    fn handle_answer(&mut self, ticket: Ticket, _: &Answer, _: &mut Cx<'_>) {
        self.log.add(format_args!("answered {ticket}"));
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        while self.late.front().is_some_and(|(due, ..)| *due <= cx.now()) {
            let (_, direction, frame) = self.late.pop_front().unwrap();
            cx.forward_to(direction, frame);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.late.front().map(|(due, ..)| *due)
    }

    fn is_idle(&self) -> bool {
        self.late.is_empty()
    }

    fn handle_stop(&mut self, _: &mut Cx<'_>) {
        assert!(!std::mem::replace(&mut self.stopped, true), "stopped twice");
    }
}

pub(super) fn has_branches(plans: &[Plan]) -> bool {
    plans.iter().any(|plan| match plan {
        Plan::Row(plans) => has_branches(plans),
        Plan::Branches(_) | Plan::Switches(_) => true,
        _ => false,
    })
}
