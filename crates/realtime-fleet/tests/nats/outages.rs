//! What an engine or a zone may lose.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::server::{Server, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_of_a_cluster_are_restarted_one_after_the_other_and_no_call_is_lost() {
    let mut fleet = Fleet::start_on_a_cluster(3).await;
    fleet.place(20, 80).await;
    fleet.wait_for_turns(20).await;
    for server in 0..3 {
        fleet.servers[server].kill();
        sleep(Duration::from_secs(3)).await;
        fleet.servers[server].start();
        // It catches up: two of three have to be there.
        sleep(Duration::from_secs(3)).await;
    }
    fleet.kill(0);
    fleet.wait_for_takeovers(1).await;
    fleet.all_end().await;
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_worker_that_dies_while_the_engine_is_away_wait_and_are_adopted_afterwards() {
    let mut fleet = Fleet::start(3).await;
    fleet.place(30, 14).await;
    fleet.wait_for_turns(30).await;
    fleet.servers[0].kill();
    fleet.kill(0);
    sleep(Duration::from_secs(6)).await;
    assert!(fleet.takeovers().is_empty(), "nobody can adopt them");
    fleet.servers[0].start();
    fleet.all_end().await;
    assert!(!fleet.takeovers().is_empty());
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_lost_what_it_had_acknowledged_loses_no_call() {
    let mut fleet = Fleet::start(3).await;
    fleet.place(20, 20).await;
    fleet.wait_for_turns(20).await;
    fleet.servers[0].kill();
    let (now, kept) = (fleet.servers[0].folder.clone(), fleet.folder.join("kept"));
    copy(&now, &kept);
    fleet.servers[0].start();
    fleet.wait_for_turns(60).await;
    fleet.servers[0].kill();
    std::fs::remove_dir_all(&now).unwrap();
    copy(&kept, &now);
    fleet.servers[0].start();
    fleet.all_end().await;
    fleet.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_of_half_of_the_workers_is_lost_and_the_other_half_goes_on_with_its_calls() {
    let mut fleet = Fleet::start(6).await;
    fleet.place(90, 12).await;
    fleet.wait_for_turns(90).await;
    (0..3).for_each(|worker| fleet.kill(worker));
    fleet.all_end().await;
    fleet.check();
    fleet.check_takeovers();
}

/// Three servers, each of which keeps everything.
pub(crate) fn cluster(folder: &Path) -> Vec<Server> {
    let ports = [free_port(), free_port(), free_port()];
    let routes = ports.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
    let member = |(n, port): (usize, u16)| {
        let (name, listen) = (format!("nats-{n}"), format!("nats://127.0.0.1:{port}"));
        let cluster = ["-n", &name, "-cluster_name", "fleet", "-cluster", &listen, "-routes", &routes];
        Server::with(folder.join(&name), cluster.map(str::to_owned).to_vec())
    };
    ports.into_iter().enumerate().map(member).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}
