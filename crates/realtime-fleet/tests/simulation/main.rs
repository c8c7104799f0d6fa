//! A fleet in virtual time with an adversary: delays, lost requests and answers, late writes, pauses,
//! partitions, kills, and an engine that is away. One seed is one history.
//!
//! `FLEET_SEEDS=10000 cargo test --release -p realtime-fleet --test simulation` runs more of them, and
//! `FLEET_SEED=7` that one, with what happens in it.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads its seed, and shows its story"
)]

mod application;
mod chance;
mod gateways;
mod network;
mod world;

use std::num::NonZero;

use crate::world::{Broken, Done, Options, World};

#[test]
fn whatever_the_adversary_does_calls_have_one_owner_and_functions_run_once() {
    let seeds = seeds(150);
    let histories = run(seeds, Options::default());
    let sum = |of: fn(&Done) -> u64| histories.iter().map(of).sum::<u64>();
    let (takeovers, moves) = (sum(|done| done.takeovers), sum(|done| done.moves));
    let (unknown, fenced) = (sum(|done| done.unknown), sum(|done| done.fenced));
    // Else the adversary did nothing.
    let count = seeds.1 - seeds.0;
    assert!(
        count < 100 || (takeovers > count && unknown > 0 && fenced > 0 && moves > count / 50),
        "{takeovers} {unknown} {fenced} {moves}"
    );
}

#[test]
fn however_many_gateways_place_calls_at_once_a_tenant_has_no_more_than_its_limit_and_no_slot_is_lost() {
    // They are long: a fifth of them.
    let (from, to) = seeds(300);
    let seeds = (from, from + (to - from).div_ceil(5));
    let histories = run(seeds, Options { limit: Some(3), ..Options::default() });
    let sum = |of: fn(&Done) -> u64| histories.iter().map(of).sum::<u64>();
    let (placed, refused) = (sum(|done| done.placed), sum(|done| done.over_limit));
    let (takeovers, late) = (sum(|done| done.takeovers), sum(|done| done.late.len() as u64));
    let count = seeds.1 - seeds.0;
    // Else nothing was at its limit.
    assert!(
        count < 20 || (placed > count * 9 && refused > count * 9 && takeovers > 0 && late < placed / 100),
        "{placed} {refused} {takeovers} {late}"
    );
}

/// The histories of these seeds, of which none may break.
fn run((from, to): (u64, u64), options: Options) -> Vec<Done> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let histories = |first: u64| -> Vec<Done> {
        let seeds = (from + first..to).step_by(threads);
        seeds.map(|seed| World::run(seed, options).unwrap_or_else(|broken| panic!("{broken}"))).collect()
    };
    std::thread::scope(|scope| {
        let histories = &histories;
        let runs: Vec<_> = (0..threads as u64).map(|first| scope.spawn(move || histories(first))).collect();
        runs.into_iter().flat_map(|run| run.join().expect("a history broke: it says so above")).collect()
    })
}

#[test]
fn without_fences_functions_run_twice_and_calls_have_two_owners() {
    let broken = broken_by(Options { fences: false, ..Options::default() });
    assert!(broken.contains(&"claimed twice") && broken.contains(&"epoch"), "{broken:?}");
}

#[test]
fn without_looking_at_the_lease_two_workers_act_for_one_call() {
    let broken = broken_by(Options { lease_checks: false, ..Options::default() });
    assert_eq!(broken, ["acted for another's call"]);
}

/// The invariants that some history breaks, each once.
fn broken_by(options: Options) -> Vec<&'static str> {
    let broken = (0..60).filter_map(|seed| World::run(seed, options).err());
    let mut broken: Vec<&'static str> = broken.map(|Broken { what, .. }| what).collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

fn seeds(default: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match number("FLEET_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("FLEET_SEEDS").unwrap_or(default)),
    }
}
