//! Chooses the next endpoint: the first usable one.

use alloc::vec::Vec;
use core::time::Duration;

use crate::call::DisconnectClass;
use crate::event::Dialect;
use crate::time::Timestamp;

/// The state of each endpoint.
#[derive(Debug)]
pub(super) struct Endpoints {
    standing: Vec<Standing>,
    cooldown: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    dialect: Dialect,
    rests_until: Option<Timestamp>,
    /// Whether only time helps: it is not tried before it has rested.
    out: bool,
    /// Whether not even time helps.
    never: bool,
}

impl Standing {
    fn rests(self, now: Timestamp) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn is_out(self, now: Timestamp) -> bool {
        self.never || self.out && self.rests(now)
    }
}

impl Endpoints {
    /// The endpoints of a call. If none is named, there is one with the dialect `unnamed`.
    pub(super) fn new(dialects: &[Dialect], unnamed: Dialect, cooldown: Duration) -> Self {
        let dialects = if dialects.is_empty() { &[unnamed] } else { dialects };
        let fit =
            |dialect: &Dialect| Standing { dialect: *dialect, rests_until: None, out: false, never: false };
        Self { standing: dialects.iter().map(fit).collect(), cooldown }
    }

    /// The dialect of an endpoint.
    pub(super) fn dialect(&self, endpoint: u32) -> Dialect {
        self.standing.get(endpoint as usize).map_or_else(Dialect::default, |standing| standing.dialect)
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.standing.len()).unwrap_or(u32::MAX)
    }

    /// A connection to an endpoint failed. `passes`: whether an account error may pass by itself.
    pub(super) fn failed(&mut self, now: Timestamp, endpoint: u32, class: DisconnectClass, passes: bool) {
        let until = now + self.cooldown;
        let Some(standing) = self.standing.get_mut(endpoint as usize) else { return };
        standing.rests_until = Some(until);
        standing.out = matches!(class, DisconnectClass::Account | DisconnectClass::Configuration);
        standing.never |= standing.out && !passes;
    }

    /// Returns whether the endpoint failed recently.
    pub(super) fn rests(&self, now: Timestamp, endpoint: u32) -> bool {
        self.standing.get(endpoint as usize).is_some_and(|standing| standing.rests(now))
    }

    /// Returns the first endpoint that does not rest, else the one that has rested longest. `None`: all are
    /// out.
    pub(super) fn choose(&self, now: Timestamp) -> Option<u32> {
        let fit = (0..).zip(&self.standing).filter(|(_, standing)| !standing.is_out(now));
        let rest = |standing: &Standing| standing.rests_until.filter(|until| now < *until);
        fit.min_by_key(|(index, standing)| (rest(standing), *index)).map(|(index, _)| index)
    }

    /// Returns whether another endpoint than this one could serve.
    pub(super) fn has_other(&self, now: Timestamp, endpoint: u32) -> bool {
        (0..).zip(&self.standing).any(|(index, standing)| index != endpoint && !standing.is_out(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn the_first_endpoint_is_tried_again_only_after_it_has_rested() {
        let mut endpoints = Endpoints::new(&[Dialect::Ga; 2], Dialect::Ga, Duration::from_secs(60));
        assert_eq!(endpoints.choose(at(0)), Some(0));
        endpoints.failed(at(0), 0, DisconnectClass::Transient, false);
        assert_eq!(endpoints.choose(at(59)), Some(1));
        assert_eq!(endpoints.choose(at(60)), Some(0));
        endpoints.failed(at(10), 1, DisconnectClass::Transient, false);
        assert_eq!(endpoints.choose(at(11)), Some(0), "both rest: the one that has rested longest");
    }

    #[test]
    fn a_quota_may_pass_and_a_key_does_not() {
        let mut endpoints = Endpoints::new(&[Dialect::Ga; 2], Dialect::Ga, Duration::from_secs(60));
        endpoints.failed(at(0), 0, DisconnectClass::Account, true);
        endpoints.failed(at(1), 1, DisconnectClass::Account, false);
        assert_eq!(endpoints.choose(at(2)), None);
        assert!(!endpoints.has_other(at(2), 1));
        assert_eq!(endpoints.choose(at(60)), Some(0));
    }

    #[test]
    fn where_no_endpoint_is_named_there_is_one() {
        let endpoints = Endpoints::new(&[], Dialect::Beta, Duration::ZERO);
        assert_eq!((endpoints.count(), endpoints.dialect(0)), (1, Dialect::Beta));
    }
}
