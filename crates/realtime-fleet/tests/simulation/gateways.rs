//! The gateways of the world: what they are asked for, and how many calls there are at once.

use realtime_fleet::engine::{Key, Push};
use realtime_fleet::gateway::{Gateway, GatewayOutput, NewCall, PlaceError};
use realtime_fleet::{CallId, Content, Leg, Placing, Tenant, WorkerId};
use realtime_protocol::time::Timestamp;

use crate::world::{Broken, GATEWAY, Happening, Node, TTL, World};

/// Gateways of a tenant with a limit.
const GATEWAYS: usize = 3;
/// Bursts of calls, each of twice as many as there may be.
const BURSTS: u64 = 6;
/// When all is over and well, and no announcement of before is kept any more: then there is room for as many
/// calls as there may be, ms.
const AFTERWARDS: u64 = 100_000;

impl World {
    /// Calls come in bursts, at all gateways at once.
    pub(crate) fn plan_bursts(&mut self, limit: u32) {
        (0..GATEWAYS).for_each(|_| self.open_gateway());
        for burst in 0..BURSTS {
            let at = self.chance.between(2_000 + burst * 3_500, 5_500 + burst * 3_500);
            for _ in 0..limit * 2 {
                let gateway = self.chance.between(0, GATEWAYS as u64 - 1) as usize;
                let late = self.chance.between(0, 30);
                self.plan_call(at + late, gateway, false);
            }
        }
        for n in 0..self.chance.between(0, 3) {
            let at = self.chance.between(3_000, 20_000);
            let gateway = self.chance.between(0, GATEWAYS as u64 - 1) as usize;
            let long = self.chance.between(500, 9_000);
            match n {
                0 => drop(self.cut.insert(GATEWAY - gateway, at + long)),
                _ => self.at(at, Happening::KillGateway(gateway)),
            }
        }
        for n in 0..u64::from(limit) {
            self.plan_call(AFTERWARDS + 10 * n, n as usize % GATEWAYS, true);
        }
    }

    pub(crate) fn plan_call(&mut self, at: u64, gateway: usize, must: bool) {
        self.expected += 1;
        self.at(at, Happening::Place { gateway, must });
    }

    pub(crate) fn open_gateway(&mut self) {
        let node = GATEWAY - self.opened;
        self.opened += 1;
        let entropy = self.chance.bits();
        self.gateways.insert(node, Gateway::new(TTL, entropy));
    }

    /// Another one begins in its place. Who waited for it hears nothing.
    pub(crate) fn kill_gateway(&mut self, gateway: usize) -> Result<(), Broken> {
        let Some(node) = self.gateways.keys().rev().nth(gateway).copied() else { return Ok(()) };
        self.show(format_args!("gateway {} is killed", GATEWAY - node));
        self.gateways.remove(&node);
        self.expected -= self.asked.remove(&node).unwrap_or(0);
        self.open_gateway();
        Ok(())
    }

    pub(crate) fn place(&mut self, gateway: usize, must: bool) -> Result<(), Broken> {
        let node = *self.gateways.keys().rev().nth(gateway).expect("there are always so many");
        let now = Timestamp::from_millis(self.now);
        let leg = Leg::Sideband { call_id: "rtc_1".into() };
        let new = NewCall::new(Placing { tenant: Tenant::unnamed(), leg, metadata: Content::default() });
        let new = match self.options.limit {
            Some(limit) => new.tenant_limit(limit),
            None => new,
        };
        *self.asked.entry(node).or_default() += 1;
        let call = self.gateways.get_mut(&node).expect("it was found").place(now, new);
        if must {
            self.musts.insert(call);
        }
        self.settle(node)
    }

    pub(crate) fn settle_gateway(&mut self, node: Node) -> Result<(), Broken> {
        while let Some(output) = self.gateways.get_mut(&node).and_then(Gateway::poll_output) {
            match output {
                GatewayOutput::Request(id, request) => self.send(node, id, request),
                GatewayOutput::Placed { call, result } => {
                    self.show(format_args!("{call} is placed by {}: {result:?}", GATEWAY - node));
                    self.expected -= 1;
                    *self.asked.entry(node).or_default() -= 1;
                    self.done.over_limit += u64::from(result == Err(PlaceError::TenantFull));
                    if result.is_ok() {
                        self.done.placed += 1;
                        self.placed.insert(call);
                    } else if self.musts.contains(&call) {
                        if self.now > AFTERWARDS + 8_000 {
                            return Err(self.broken("a slot is lost", Some(&call)));
                        }
                        let place = usize::try_from(self.now).unwrap_or(0) % GATEWAYS;
                        self.plan_call(self.now + 700, place, true);
                    }
                }
                GatewayOutput::Checked { .. } => {}
            }
        }
        if let Some(at) = self.gateways.get(&node).and_then(Gateway::poll_timeout) {
            self.wake(node, at);
        }
        Ok(())
    }

    /// The engine took an announcement.
    pub(crate) fn check_announced(&mut self, calls: &[&CallId], by: &WorkerId) -> Result<(), Broken> {
        let has_lease = self.engine.value(&Key::Gateway(by.clone())).is_some();
        for call in calls.iter().copied() {
            if has_lease {
                self.announced.insert(call.clone());
            } else if !self.announced.contains(call) {
                self.done.late.insert(call.clone());
            }
        }
        calls.iter().try_for_each(|call| self.check_limit(call))
    }

    /// One more call has begun, or may begin.
    pub(crate) fn check_limit(&self, call: &CallId) -> Result<(), Broken> {
        let Some(limit) = self.options.limit else { return Ok(()) };
        match self.engine.open_calls().filter(|call| !self.done.late.contains(*call)).count() {
            open if open > limit as usize => Err(self.broken("more calls than the limit", Some(call))),
            _ => Ok(()),
        }
    }

    /// What gateways are told by the engine besides: also of a last line that is refused.
    pub(crate) fn tell_gateways(&mut self, push: &Push) {
        let nodes: Vec<Node> = self.gateways.keys().copied().collect();
        self.tell_each(&nodes, push);
    }
}
