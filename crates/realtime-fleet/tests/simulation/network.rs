//! The way between the machines and the engine, on which everything may go wrong but what is taken.

use realtime_fleet::engine::{Answer, Key, OfferAnswer, Push, Request, RequestId};
use realtime_fleet::{CallId, Line};
use realtime_protocol::time::Timestamp;

use crate::world::{Broken, Happening, Node, World};

/// How long a driver waits for an answer, ms.
const PATIENCE: u64 = 750;

impl World {
    pub(crate) fn ask_engine(&mut self, node: Node, id: RequestId, request: &Request) -> Result<(), Broken> {
        let now = Timestamp::from_millis(self.now);
        if let Request::Offer { to, offer } = request {
            if let Some(to) = self.names.get(to).copied() {
                let at = self.now + self.delay();
                self.at(at, Happening::Offer { from: node, request: id, to, offer: offer.clone() });
            }
            return Ok(());
        }
        for push in self.engine.expire(now) {
            self.tell_all(&push);
        }
        let before = match request {
            Request::Append { call, .. } => Some(self.record(call)),
            _ => None,
        };
        let answer = self.engine.handle(now, request).expect("it is no offer");
        if let (Request::Append { call, entry, .. }, Answer::Done(_), Some(before)) =
            (request, &answer, before)
        {
            self.show(format_args!("the engine takes {call} {entry:?}"));
            self.check_line(call, &before, &entry.line)?;
            if let Line::Placed { .. } = entry.line {
                self.check_limit(call)?;
            }
        }
        if let Request::Announce { by, calls } = request {
            let calls: Vec<&CallId> = calls.iter().map(|(call, _)| call).collect();
            self.show(format_args!("{by} announces {calls:?}"));
            self.check_announced(&calls, by)?;
        }
        match request {
            Request::Append { call, entry, .. } if matches!(entry.line, Line::Ended { .. }) => {
                self.tell_gateways(&Push::Over(call.clone()));
            }
            Request::Put { key, value, .. } => self.tell_gateways(&Push::Put(key.clone(), value.clone())),
            _ => {}
        }
        if let (Request::Renew { worker, card, .. }, Answer::Done(_)) = (request, &answer) {
            self.tell_all(&Push::Renewed(worker.clone(), card.clone()));
            if let Some(at) = self.engine.poll_timeout() {
                self.at(at.as_micros().div_ceil(1000), Happening::Expire);
            }
        }
        let is_no_call_s = |request: &Request| match request {
            Request::Put { key: Key::Gateway(_), .. } => false,
            Request::Renew { .. } | Request::ReadLease { .. } | Request::Put { .. } => true,
            Request::Get { .. } | Request::Over { .. } | Request::Count { .. } => true,
            _ => false,
        };
        if is_no_call_s(request) {
            self.show(format_args!("{node} asks {request:?}: {answer:?}"));
        }
        self.answer(node, id, answer);
        Ok(())
    }

    pub(crate) fn send(&mut self, node: Node, id: RequestId, request: Request) {
        self.waiting.insert((node, id));
        self.at(self.now + PATIENCE, Happening::Answer(node, id, Answer::Unclear));
        if self.is_hostile() && self.chance.permille(15) {
            return;
        }
        let at = self.now + self.delay();
        self.at(at, Happening::Ask(node, id, request));
    }

    pub(crate) fn answer(&mut self, node: Node, id: RequestId, answer: Answer) {
        if self.is_hostile() && self.chance.permille(30) {
            return;
        }
        let at = self.now + self.delay();
        self.at(at, Happening::Answer(node, id, answer));
    }

    pub(crate) fn reply(&mut self, node: Node, n: u64, answer: OfferAnswer) {
        let Some((from, request)) = self.processes[&node].offers.get(n as usize).copied() else { return };
        self.answer(from, request, Answer::Offered(answer));
    }

    pub(crate) fn tell_all(&mut self, push: &Push) {
        let nodes: Vec<Node> = self.processes.keys().chain(self.gateways.keys()).copied().collect();
        self.tell_each(&nodes, push);
    }

    /// Tells these, if nothing gets lost.
    pub(crate) fn tell_each(&mut self, nodes: &[Node], push: &Push) {
        for node in nodes.iter().copied() {
            if !(self.is_hostile() && self.chance.permille(200)) {
                let at = self.now + self.delay();
                self.at(at, Happening::Push(node, push.clone()));
            }
        }
    }

    /// A few milliseconds, and now and then seconds.
    pub(crate) fn delay(&mut self) -> u64 {
        match self.is_hostile() && self.chance.permille(20) {
            true => self.chance.between(500, 6_000),
            false => self.chance.between(1, 25),
        }
    }

    /// The engine is away for some seconds before the planned end of that.
    pub(crate) fn is_away(&self) -> bool {
        self.now < self.away && self.now + 5_000 > self.away
    }

    pub(crate) fn held_back(&self, node: Node) -> Option<u64> {
        self.cut.get(&node).copied().filter(|until| self.now < *until && self.now + 8_000 > *until)
    }

    pub(crate) fn stopped(&self, node: Node) -> Option<u64> {
        let until = self.processes.get(&node)?.stopped;
        (self.now < until && self.now + 8_000 > until).then_some(until)
    }
}
