//! Sessions and calls that random bytes steer, and spoiled golden sessions: what the fuzz targets `session`
//! and `call` look for, in small.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_tests::golden::Golden;
use realtime_tests::steered::{Plan, call, session};

/// The golden sessions, and each as bytes.
static GOLDENS: LazyLock<Vec<(Plan, Vec<u8>)>> = LazyLock::new(|| {
    let plan = |(_, golden): (String, Golden)| {
        let plan = Plan::of(&golden);
        let bytes = plan.write();
        (plan, bytes)
    };
    Golden::all().into_iter().map(plan).collect()
});

#[test]
fn a_golden_session_reads_as_it_was_written() {
    for (plan, bytes) in &*GOLDENS {
        assert_eq!(Plan::read(bytes), *plan);
        session::run(bytes);
        call::run(bytes);
    }
}

/// Bytes of steps: mostly small ones, for what a byte chooses is taken from the front of a list.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => 0_u8..32, 2 => any::<u8>()], 0..400)
}

/// A golden session with other bytes in some places, and more at its end.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let place = (any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    (any::<prop::sample::Index>(), vec(place, 0..6), any::<prop::sample::Index>(), bytes()).prop_map(
        |(which, places, end, more)| {
            let mut bytes = which.get(&GOLDENS).1.clone();
            for (place, byte, inserted) in places {
                let place = place.index(bytes.len());
                if inserted {
                    bytes.insert(place, byte);
                } else {
                    bytes[place] = byte;
                }
            }
            bytes.truncate(end.index(2 * bytes.len()));
            bytes.extend(more);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_steer_a_session(bytes in bytes()) {
        session::run(&bytes);
    }

    #[test]
    fn bytes_steer_a_call(bytes in bytes()) {
        call::run(&bytes);
    }

    #[test]
    fn a_spoiled_golden_session_keeps_the_invariants(bytes in spoiled()) {
        session::run(&bytes);
        call::run(&bytes);
    }
}
