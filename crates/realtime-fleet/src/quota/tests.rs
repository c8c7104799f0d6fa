use super::*;
use crate::engine::memory::Memory;
use crate::id::Sequence;
use crate::line::{Entry, Line, Placing};
use crate::samples::{at, id, placing};

#[test]
fn slots_are_taken_in_batches_and_used_again_once_the_engine_says_that_a_call_is_over() {
    let mut bench = Bench::new(100);
    let calls: Vec<CallId> = (0..8).map(|_| bench.place(0, 10).expect("there is room")).collect();
    assert_eq!(bench.table().slots.values().sum::<u32>(), 8);
    assert_eq!(bench.writes, 1, "of eight calls");
    bench.end(&calls[0]);
    for call in &calls {
        bench.quotas[0].handle_over(at(20), call); // of all but the first it is not true
    }
    assert_eq!(bench.place(0, 20).map(|_| bench.writes), Ok(1), "none is taken");
    assert_eq!(bench.place(0, 30).map(|_| bench.writes), Ok(2));
}

#[test]
fn the_last_slot_is_one_gateway_s_and_the_others_are_refused_at_once() {
    let mut bench = Bench::new(3);
    let placed: Vec<bool> = (0..6).map(|n| bench.place(n % 2, 10).is_ok()).collect();
    assert_eq!(placed.iter().filter(|is_placed| **is_placed).count(), 3, "{placed:?}");
    let asked = bench.requests;
    assert_eq!(bench.place(0, 600), Err(PlaceError::TenantFull));
    assert_eq!(bench.place(1, 600), Err(PlaceError::TenantFull));
    assert_eq!(bench.requests, asked, "nobody was asked again");
    assert_eq!(bench.check(0, 600, 0), Err(PlaceError::TenantFull));
}

#[test]
fn slots_that_another_gateway_does_not_use_are_given_away() {
    let mut bench = Bench::new(8);
    let calls: Vec<CallId> = (0..6).map(|_| bench.place(0, 10).expect("there is room")).collect();
    assert_eq!(bench.place(1, 10).map(|_| bench.place(1, 10).is_ok()), Ok(true));
    assert_eq!(bench.table().room(8), 0);
    for call in &calls[..4] {
        bench.end(call);
    }
    assert!(bench.place(1, 1000).is_ok());
    assert_eq!(bench.table().room(8), 1, "half of what was free, and it is not used up");
    assert!(bench.table().wants.is_empty());
}

#[test]
fn a_gateway_that_is_gone_leaves_the_slots_of_its_open_calls_and_no_others() {
    let mut bench = Bench::new(4);
    let calls: Vec<CallId> = (0..4).map(|_| bench.place(0, 10).expect("there is room")).collect();
    bench.quotas.remove(0);
    bench.end(&calls[0]);
    assert_eq!(bench.place(0, 600), Err(PlaceError::TenantFull), "its lease is still there");
    assert!(bench.place(0, 5000).is_ok(), "its lease has ended, and so has one of its calls");
    assert_eq!(bench.place(0, 5001), Err(PlaceError::TenantFull));
}

#[test]
fn a_call_that_was_announced_keeps_its_slot_without_a_line_as_long_as_it_may_find_a_worker() {
    let mut bench = Bench::new(1);
    let call = bench.announce(0, 10).expect("there is room");
    // What says that it is over is a hint, and the engine does not say so.
    bench.quotas[0].handle_over(at(20), &call);
    assert_eq!(bench.place(0, 600), Err(PlaceError::TenantFull));
    let gone = bench.quotas.remove(0).name().clone();
    assert_eq!(bench.place(0, 9_000), Err(PlaceError::TenantFull), "a worker may say yes");
    // One has, and its line says who announced the call.
    bench.write_placed(&call, gone);
    assert_eq!(bench.place(0, 70_000), Err(PlaceError::TenantFull));
    bench.end(&call);
    assert!(bench.place(0, 80_000).is_ok());
}

#[test]
fn a_call_that_nobody_took_gives_its_slot_back_with_its_announcement() {
    let mut bench = Bench::new(1);
    bench.announce(0, 10).expect("there is room");
    bench.quotas.remove(0);
    assert_eq!(bench.place(0, 59_000), Err(PlaceError::TenantFull));
    assert!(bench.place(0, 66_000).is_ok());
}

#[test]
fn without_a_lease_no_slot_is_used_and_a_new_life_leaves_the_old_calls_to_be_counted() {
    let mut bench = Bench::new(4);
    bench.place(0, 10).expect("there is room");
    let name = bench.quotas[0].name().clone();
    assert!(bench.quotas[0].may_place(at(2000), &name) && !bench.quotas[0].may_place(at(2500), &name));
    // It was stopped for longer than its lease.
    assert!(bench.place(0, 9000).is_ok());
    let new = bench.quotas[0].name().clone();
    assert_ne!(new, name);
    assert!(!bench.quotas[0].may_place(at(9000), &name) && bench.quotas[0].may_place(at(9000), &new));
    assert!(bench.place(0, 9010).is_ok() && bench.place(0, 9020).is_ok());
    assert_eq!(bench.place(0, 9030), Err(PlaceError::TenantFull), "with that of the first life there are 4");
}

#[test]
fn a_gift_whose_answer_was_lost_counts_as_given_until_it_is_sure() {
    let (me, other) = (id("a"), id("b"));
    let mut hold = Hold::default();
    let table = Table::default().with(4, &me, 4).wanted(4, &other);
    let value = |table: &Table| serde_json::to_value(table).unwrap().into();
    hold.take(at(0), &me, 4, Waiter::Check { id: 1, besides: 0 });
    assert_eq!(hold.advance(at(0), &me, true), Some(Step::Read));
    hold.handle_answer(at(1), Answer::Value(Some((Sequence(7), value(&table)))));
    hold.handle_table(&me, &table.wanted(4, &me));
    assert_eq!(hold.advance(at(1), &me, true), Some(Step::Read), "somebody needs more");
    hold.handle_answer(at(2), Answer::Value(Some((Sequence(7), value(&table)))));
    let Some(Step::Write(Sequence(7), given)) = hold.advance(at(2), &me, true) else { panic!() };
    assert_eq!(given.of(&me), 2);
    hold.handle_answer(at(800), Answer::Unclear);
    assert_eq!(hold.advance(at(900), &me, true), Some(Step::Read));
    hold.handle_answer(at(901), Answer::Value(Some((Sequence(7), value(&table)))));
    // It was not taken, and may be yet: two slots are left, and not four.
    hold.take(at(902), &me, 4, Waiter::Check { id: 2, besides: 2 });
    let settles = Step::Write(Sequence(7), table.with(4, &me, 4));
    assert_eq!(hold.advance(at(902), &me, true), Some(settles));
    assert_eq!(hold.poll_decided().map(|(_, result)| result), Some(Ok(())), "of before");
    assert_eq!(hold.poll_decided(), None);
    // What was just asked settles it: nothing earlier is taken behind that.
    hold.handle_answer(at(903), Answer::Done(Sequence(8)));
    hold.advance(at(903), &me, true);
    assert_eq!(hold.poll_decided().map(|(_, result)| result), Some(Ok(())));
}

/// Gateways of a tenant with a limit, and an engine.
struct Bench {
    limit: u32,
    engine: Memory,
    quotas: Vec<Quota>,
    bits: u128,
    requests: usize,
    /// Of slots.
    writes: usize,
}

impl Bench {
    fn new(limit: u32) -> Self {
        let ttl = Duration::from_secs(3);
        let quotas = (1..3).map(|seed| Quota::new(ttl, seed)).collect();
        Self { limit, engine: Memory::new(ttl), quotas, bits: 0, requests: 0, writes: 0 }
    }

    /// A call is to be placed by this gateway, and is in its journal if it finds a slot.
    fn place(&mut self, gateway: usize, ms: u64) -> Result<CallId, PlaceError> {
        let call = self.announce(gateway, ms)?;
        let by = self.quotas[gateway].name().clone();
        self.write_placed(&call, by);
        Ok(call)
    }

    /// A call is announced by this gateway if it finds a slot.
    fn announce(&mut self, gateway: usize, ms: u64) -> Result<CallId, PlaceError> {
        self.bits += 1;
        let call = CallId::of_bits(self.bits);
        self.ask(gateway, ms, Waiter::Place(call.clone()))?;
        let by = self.quotas[gateway].name().clone();
        assert!(self.quotas[gateway].may_place(at(ms), &by));
        let announce = Request::Announce { by: by.clone(), calls: vec![(call.clone(), placing())] };
        assert!(matches!(self.engine.handle(at(ms), &announce), Some(Answer::Done(_))));
        Ok(call)
    }

    fn write_placed(&mut self, call: &CallId, gateway: WorkerId) {
        let line = Line::Placed { worker: id("w"), gateway, placing: Box::new(placing()) };
        self.append(call, Entry { by: id("w"), n: 0, line });
    }

    fn check(&mut self, gateway: usize, ms: u64, besides: u32) -> Result<(), PlaceError> {
        self.ask(gateway, ms, Waiter::Check { id: 1, besides })
    }

    fn ask(&mut self, gateway: usize, ms: u64, who: Waiter) -> Result<(), PlaceError> {
        let Placing { tenant, .. } = placing();
        self.quotas[gateway].take(at(ms), &tenant, self.limit, who);
        for ms in ms..ms + 400 {
            for n in 0..self.quotas.len() {
                self.quotas[n].handle_timeout(at(ms));
                self.run(at(ms), n);
            }
            if let Some((_, result)) = self.quotas[gateway].poll_decided() {
                return result;
            }
        }
        panic!("nothing is decided");
    }

    fn run(&mut self, now: Timestamp, n: usize) {
        while let Some((asked, life, request)) = self.quotas[n].poll(now) {
            let answer = self.engine.handle(now, &request).expect("it is no offer");
            self.requests += usize::from(!matches!(asked, Asked::Renewal | Asked::LeaseRead));
            if let (Request::Put { key: Key::Slots(tenant), value, .. }, Answer::Done(_)) =
                (&request, &answer)
            {
                self.writes += 1;
                self.quotas.iter_mut().for_each(|quota| quota.handle_table(tenant, value));
            }
            self.quotas[n].handle_answer(now, asked, life, answer);
        }
    }

    fn end(&mut self, call: &CallId) {
        let line = Line::Ended { why: "over".to_owned() };
        self.append(call, Entry { by: self.quotas[0].name().clone(), n: 1, line });
        self.quotas.iter_mut().for_each(|quota| quota.handle_over(at(15), call));
    }

    fn append(&mut self, call: &CallId, entry: Entry) {
        let after = self.engine.journal(call).last().map_or(Sequence(0), |(sequence, _)| *sequence);
        let request = Request::Append { call: call.clone(), after, entry };
        assert!(matches!(self.engine.handle(at(15), &request), Some(Answer::Done(_))));
    }

    fn table(&self) -> Table {
        let (_, value) = self.engine.value(&Key::Slots(Tenant::unnamed())).expect("it was written");
        serde_json::from_value(value.0.clone()).unwrap()
    }
}
