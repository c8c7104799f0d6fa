//! placeholder
use super::scenario::Scenario;
use super::trace::Trace;
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
}
pub(super) const RULES: &[Rule] = &[];
pub(super) struct Pair {
    pub(super) seed: Trace,
    pub(super) ours: Trace,
}
impl Pair {
    pub(super) fn new(_scenario: &Scenario, seed: Trace, ours: Trace) -> Self {
        Self { seed, ours }
    }
    pub(super) fn apply(&mut self) -> Vec<&'static str> {
        Vec::new()
    }
}
