//! A worker's own yes or no to an offer: [`Admission`].
//!
//! The rules kept here: a slot is reserved when the worker says yes, not when the call begins. Load is judged
//! by how late the runtime's tasks run, which is what a caller hears, and not by the share of a CPU. Lost
//! calls are adopted at a pace, so that a dead machine's calls do not stop a living one.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::engine::OfferAnswer;

/// How much a worker takes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AdmissionOptions {
    /// Calls at once. Default: 600.
    pub slots: u32,
    /// New calls are refused while tasks start later than this after they could. Default: 20 ms.
    pub latest: Duration,
    /// Lost calls that are adopted per second, and at once. Default: 200.
    pub adoptions: u32,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self { slots: 600, latest: Duration::from_millis(20), adoptions: 200 }
    }
}

impl AdmissionOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces how many calls are taken.
    #[must_use]
    pub const fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Replaces from which lateness on new calls are refused.
    #[must_use]
    pub const fn latest(mut self, latest: Duration) -> Self {
        self.latest = latest;
        self
    }

    /// Replaces how many lost calls are adopted per second, and at once.
    #[must_use]
    pub const fn adoptions(mut self, adoptions: u32) -> Self {
        self.adoptions = adoptions;
        self
    }
}

/// What a call is offered as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// It is new.
    New,
    /// It was lost elsewhere.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Admission {
    options: AdmissionOptions,
    lateness: Duration,
    draining: bool,
    /// When the next lost call may be adopted if one second's worth is adopted at once.
    next_adoption: Timestamp,
}

impl Admission {
    pub(crate) const fn new(options: AdmissionOptions) -> Self {
        Self { options, lateness: Duration::ZERO, draining: false, next_adoption: Timestamp::ZERO }
    }

    /// How late tasks run.
    pub(crate) const fn handle_lateness(&mut self, lateness: Duration) {
        self.lateness = lateness;
    }

    pub(crate) const fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    pub(crate) const fn slots(&self) -> u32 {
        self.options.slots
    }

    /// The answer to an offer. `calls`: those that it has, with those that it is about to have.
    pub(crate) fn answer(
        &mut self,
        now: Timestamp,
        asked: Asked,
        calls: usize,
        may_act: bool,
    ) -> OfferAnswer {
        if self.draining {
            return OfferAnswer::Draining;
        }
        if !may_act {
            return OfferAnswer::NoLease;
        }
        if calls >= self.options.slots as usize {
            return OfferAnswer::Full;
        }
        match asked {
            Asked::New if self.lateness > self.options.latest => return OfferAnswer::Busy,
            Asked::Lost => {
                let second = Duration::from_secs(1);
                let next = self.next_adoption.max(now - second);
                if next > now {
                    return OfferAnswer::Busy;
                }
                self.next_adoption = next + second / self.options.adoptions.max(1);
            }
            Asked::New => {}
        }
        OfferAnswer::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn it_says_why_not() {
        let mut admission = Admission::new(AdmissionOptions::new().slots(2));
        assert_eq!(admission.answer(at(0), Asked::New, 1, true), OfferAnswer::Taken);
        assert_eq!(admission.answer(at(0), Asked::New, 2, true), OfferAnswer::Full);
        assert_eq!(admission.answer(at(0), Asked::New, 0, false), OfferAnswer::NoLease);
        admission.handle_lateness(Duration::from_millis(21));
        assert_eq!(admission.answer(at(0), Asked::New, 0, true), OfferAnswer::Busy);
        assert_eq!(
            admission.answer(at(0), Asked::Lost, 0, true),
            OfferAnswer::Taken,
            "else nobody serves it"
        );
        admission.drain();
        assert_eq!(admission.answer(at(0), Asked::Lost, 0, true), OfferAnswer::Draining);
    }

    #[test]
    fn lost_calls_are_adopted_at_a_pace() {
        let mut admission = Admission::new(AdmissionOptions::new().adoptions(10));
        let mut adopted = |ms: u64| {
            let mut taken = |_: &i32| admission.answer(at(ms), Asked::Lost, 0, true) == OfferAnswer::Taken;
            (0..100).filter(&mut taken).count()
        };
        assert_eq!(adopted(10_000), 11, "a second's worth at once");
        assert_eq!(adopted(10_500), 5);
        assert_eq!(adopted(99_000), 11);
    }
}
