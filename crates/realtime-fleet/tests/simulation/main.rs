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
mod network;
mod world;

use std::num::NonZero;

use crate::world::{Broken, Options, World};

#[test]
fn whatever_the_adversary_does_calls_have_one_owner_and_functions_run_once() {
    let (from, to) = seeds(150);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let histories = |first: u64| {
        let mut sums = [0; 4];
        for seed in (from + first..to).step_by(threads) {
            let done = World::run(seed, Options::default()).unwrap_or_else(|broken| panic!("{broken}"));
            let counts = [done.takeovers, done.unknown, done.fenced, done.moves];
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums
    };
    let [takeovers, unknown, fenced, moves] = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads as u64).map(|first| scope.spawn(move || histories(first))).collect();
        let sums = runs.into_iter().map(|run| run.join().expect("a history broke: it says so above"));
        sums.fold([0; 4], |all, more: [u64; 4]| std::array::from_fn(|n| all[n] + more[n]))
    });
    // Else the adversary did nothing.
    let seeds = to - from;
    assert!(
        seeds < 100 || (takeovers > seeds && unknown > 0 && fenced > 0 && moves > seeds / 50),
        "{takeovers} {unknown} {fenced} {moves}"
    );
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
