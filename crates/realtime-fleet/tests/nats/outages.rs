//! What an engine or a zone may lose.

use std::path::Path;
use std::time::Duration;

use realtime_fleet::drive::{self, EngineError, NatsOptions};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_a_name_and_a_password_gets_those_of_its_address() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-login-{}", std::process::id()));
    let login = ["--user", "u", "--pass", "p@ss:w"].map(str::to_owned).to_vec();
    let server = Server::with(folder.clone(), login);
    let address = server.url();
    let at = address.strip_prefix("nats://").unwrap();
    let connects = async |login: &str| {
        drive::gateway(NatsOptions::new(format!("nats://{login}{at}"), "voice")).await.map(drop)
    };
    assert!(connects("u:p%40ss%3Aw@").await.is_ok());
    for wrong in ["u:p@", "token@", ""] {
        let refused = connects(wrong).await;
        assert!(matches!(refused, Err(EngineError::Denied)), "{wrong:?}: {refused:?}");
    }
    for (address, is_bad) in [("nats://127.0.0.1:99999", true), ("tls://127.0.0.1:1", false)] {
        let refused = drive::gateway(NatsOptions::new(address, "voice")).await.map(drop);
        assert_eq!(matches!(refused, Err(EngineError::BadAddress)), is_bad, "{refused:?}");
    }
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
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
