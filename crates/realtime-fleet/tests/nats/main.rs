//! Fleets on a real nats-server: workers and gateways are processes, and what goes wrong does go wrong.
//!
//! `cargo xtask ci fleet` installs the server and runs this. By hand:
//! `NATS_SERVER=…/nats-server cargo test -p realtime-fleet --features nats --test nats`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests start processes, read what these write, and measure"
)]

mod calls;
mod fleet;
mod later;
mod limits;
mod outages;
mod process;
mod served;
mod server;
mod takeover;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_context::{FunctionContext, ToolError, Toolbox};
use realtime_fleet::drive::{self, NatsOptions, ServedCall};
use realtime_fleet::gateway::NewCall;
use realtime_fleet::{Ownership, SNAPSHOT_VERSION};
use realtime_protocol::call::{FunctionCall, FunctionOutput};
use serde_json::json;

use crate::fleet::Fleet;
use crate::process::placing;

/// Not a test: what the processes of the tests run.
#[test]
fn process() {
    process::run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_killed_workers_go_on_elsewhere_and_nothing_runs_twice() {
    let mut fleet = Fleet::start(4).await;
    fleet.place(60, 12).await;
    fleet.wait_for_turns(60).await;
    fleet.kill(0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    fleet.kill(1);
    fleet.all_end().await;
    fleet.check();
    fleet.check_takeovers();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_loses_its_calls_and_is_a_good_worker_when_it_wakes() {
    let mut fleet = Fleet::start(3).await;
    fleet.place(30, 16).await;
    fleet.wait_for_turns(30).await;
    fleet.signal(0, "-STOP");
    tokio::time::sleep(Duration::from_secs(8)).await;
    fleet.signal(0, "-CONT");
    fleet.all_end().await;
    fleet.check();
    fleet.check_takeovers();
    // It has a new name, and takes calls.
    fleet.kill(1);
    fleet.kill(2);
    fleet.place_in_time(2).await;
    fleet.all_end().await;
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cut_off_worker_sent_comes_late_and_changes_nothing() {
    let mut fleet = Fleet::start_behind_a_proxy(3).await;
    fleet.place(30, 16).await;
    fleet.wait_for_turns(30).await;
    fleet.cut(0, true);
    tokio::time::sleep(Duration::from_secs(8)).await;
    fleet.cut(0, false);
    fleet.all_end().await;
    fleet.check();
    fleet.check_takeovers();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_away_ends_no_call_and_afterwards_take_over_is_as_quick_as_before() {
    let mut fleet = Fleet::start(4).await;
    fleet.place(40, 14).await;
    fleet.wait_for_turns(40).await;
    fleet.servers[0].kill();
    tokio::time::sleep(Duration::from_secs(10)).await;
    fleet.servers[0].start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fleet.let_go(), 0, "each worker took its own calls back");
    fleet.kill(2);
    fleet.all_end().await;
    fleet.check();
    fleet.check_takeovers();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_gateway_is_killed_finds_a_worker() {
    let mut fleet = Fleet::start(2).await;
    let gateway = fleet.start_gateway();
    while fleet.known_calls().await < 50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fleet.kill_process(gateway);
    fleet.all_end().await;
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_adopter_is_killed_at_once_are_adopted_by_the_next_one() {
    let mut fleet = Fleet::start(4).await;
    fleet.place(60, 10).await;
    fleet.wait_for_turns(60).await;
    fleet.kill(0);
    fleet.wait_for_takeovers(1).await;
    fleet.kill(1);
    fleet.all_end().await;
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_its_adopter_cannot_attach_to_is_over_and_not_offered_again() {
    let mut fleet = Fleet::start(2).await;
    fleet.place_with(json!({ "turns": 100, "ends_at_takeover": true }), 10).await;
    fleet.wait_for_turns(10).await;
    fleet.kill(0);
    fleet.kill(1);
    fleet.start_worker(None);
    fleet.all_end().await;
    assert_eq!(fleet.takeovers().len(), 10, "each was taken over once");
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_a_later_release_waits_for_a_worker_that_reads_it() {
    let fleet = Fleet::start(1).await;
    let later = later::Later::connect(&fleet.servers[0]).await;
    let call = realtime_fleet::CallId::new("c_later").unwrap();
    let placing = json!({ "tenant": "default", "leg": { "direct": {} } });
    let placed = json!({ "t": "placed", "worker": "w_later", "gateway": "g_later", "placing": placing });
    later
        .write(
            &call,
            &[
                ("new.w_later", placed),
                ("log", json!({ "t": "snap", "v": SNAPSHOT_VERSION + 1, "body": {}, "claims": [] })),
            ],
        )
        .await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let record = fleet.gateway.nats().record(&call).await.unwrap();
    assert!(matches!(record.ownership(), Ownership::Owned { epoch: 1, .. }), "{record:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_drains_ends_after_its_last_call_and_gets_no_other_one() {
    let mut fleet = Fleet::start(0).await;
    let options = NatsOptions::new(fleet.urls(), "voice");
    let worker =
        drive::serve(options, process::options(), process::serve(fleet.folder.clone())).await.unwrap();
    fleet.wait_for_workers(1).await;
    fleet.place(5, 2).await;
    worker.drain();
    worker.ended().await;
    assert_eq!(fleet.known_calls().await, 0);
    assert!(fleet.gateway.place(NewCall::new(placing(json!({})))).await.is_err());
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_runs_once_and_is_answered_from_the_journal_afterwards() {
    let mut fleet = Fleet::start(0).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let serve = move |call: ServedCall| {
        let (counted, tell) = (Arc::clone(&counted), tell.clone());
        async move {
            let count = move |(): ()| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, ToolError>(7) }
            };
            let tools = call.tools(&Toolbox::new().tool("count", "Counts", count)).tools();
            let function = tools.get("count").unwrap();
            let (key, name) = ("key_1".to_owned(), "count".to_owned());
            let arguments = "{}".to_owned();
            let made = FunctionCall { call_id: "call_1".into(), item_id: None, name, arguments, key };
            let made = Arc::new(made);
            for _ in 0..2 {
                let run = function.start(&made, FunctionContext::of(&made)).unwrap();
                tell.send(run.await).unwrap();
            }
            call.end("done").await;
        }
    };
    let options = NatsOptions::new(fleet.urls(), "voice");
    let _worker = drive::serve(options, process::options(), serve).await.unwrap();
    fleet.wait_for_workers(1).await;
    fleet.place_in_time(1).await;
    for _ in 0..2 {
        assert_eq!(told.recv().await, Some(FunctionOutput::Result(json!(7))));
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}
