//! A fleet's worst minute, rehearsed and measured: many calls over four workers on a nats-server, while two
//! workers are killed, one is stopped and one cut off, and the server is killed and comes back.
//!
//! ```sh
//! cargo run --release -p realtime-fleet --features nats --example rehearsal -- --calls 1000 --seconds 75
//! ```
//!
//! `--no-fence` leaves fences and leases out, and must fail. `--json` makes the last line one JSON object.
//! NATS_SERVER names the server's program; without it, it is the one that `cargo xtask ci fleet` installs.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a rehearsal starts processes, reads what these write, and measures; what fails ends it"
)]

mod appends;
mod calls;
mod cost;
mod report;
#[path = "../../tests/nats/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use realtime_fleet::CallId;
use realtime_fleet::drive::{self, GatewayHandle, NatsOptions};
use realtime_fleet::gateway::NewCall;
use serde_json::json;

use crate::calls::now;
use crate::report::{Outage, Report};
use crate::server::Server;

/// Placements that are under way at once.
const AT_ONCE: usize = 64;

#[derive(Clone, Copy)]
struct Options {
    calls: usize,
    seconds: u64,
    fences: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["worker", url, folder, fences] => {
            let fences = fences == "true";
            runtime.block_on(calls::work(nats(url, fences), folder.into(), fences));
            return ExitCode::SUCCESS;
        }
        ["bare", emulator, folder] => {
            runtime.block_on(cost::hold_bare(emulator.into(), folder.into()));
            return ExitCode::SUCCESS;
        }
        ["served", url, folder, emulator] => {
            let nats = NatsOptions::new(url, "cost");
            runtime.block_on(cost::hold_in_a_fleet(nats, emulator.into(), folder.into()));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let number = |name: &str, default: u64| {
        let position = args.iter().position(|arg| arg == name);
        position.map_or(default, |position| args[position + 1].parse().expect("a number"))
    };
    let fences = !args.iter().any(|arg| arg == "--no-fence");
    let calls = number("--calls", 1000) as usize;
    let options = Options { calls, seconds: number("--seconds", 75), fences };
    let report = runtime.block_on(rehearse(options));
    let faults = report.faults();
    faults.iter().for_each(|fault| println!("{fault}"));
    match args.iter().any(|arg| arg == "--json") {
        true => println!("{}", report.line()),
        false => println!("{:#}", report.line()),
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn nats(url: &str, fences: bool) -> NatsOptions {
    let options = NatsOptions::new(url, "rehearsal");
    if fences { options } else { options.without_fences() }
}

/// What a fleet costs a worker whose calls do well.
async fn cost(server: &Server, folder: &Path) -> f64 {
    let emulator = cost::emulator().await;
    let (nats, folder_name) = (server.url(), folder.to_string_lossy());
    let gateway = drive::gateway(NatsOptions::new(&nats, "cost")).await.unwrap();
    let mut processes = [
        spawn(&["served", &nats, &folder_name, emulator.url()]),
        spawn(&["bare", emulator.url(), &folder_name]),
    ];
    while gateway.workers().await < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cost = cost::compare(&gateway, folder).await;
    for process in &mut processes {
        let _ = process.kill(); // it may have ended
        let _ = process.wait();
    }
    cost
}

/// Starts this program in another role.
fn spawn(args: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::null()).spawn().unwrap()
}

struct Stage {
    options: Options,
    folder: PathBuf,
    workers: Vec<Child>,
    /// When which process was hurt.
    hurt: BTreeMap<u32, u64>,
}

async fn rehearse(options: Options) -> Report {
    let folder = std::env::temp_dir().join(format!("rehearsal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut server = Server::new(&folder);
    let gateway = loop {
        match drive::gateway(nats(&server.url(), options.fences)).await {
            Ok(gateway) => break gateway,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await, // it starts
        }
    };
    let appends = appends::rate(&server.url(), AT_ONCE).await;
    println!("the engine takes {appends:.0} fenced lines a second, {AT_ONCE} at once");
    let cost = cost(&server, &folder).await;

    let cut = Arc::new(AtomicBool::new(false));
    let proxy = server.proxy(Arc::clone(&cut)).await;
    let mut stage = Stage { options, folder, workers: Vec::new(), hurt: BTreeMap::new() };
    for n in 0..4 {
        stage.start(if n == 3 { &proxy } else { "" }, &server);
    }
    while gateway.workers().await < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (placed, placements) = stage.place(&gateway).await;
    println!("{} calls are placed, {placements:.0} a second", placed.len());

    let lateness = report::watch_the_machine();
    let begun = now();
    let rest = Duration::from_millis(options.seconds * 1000 / 8);
    tokio::time::sleep(rest).await;
    stage.hurt(0, "-KILL", "is killed");
    stage.start("", &server);
    tokio::time::sleep(rest).await;
    stage.hurt(1, "-STOP", "is stopped");
    tokio::time::sleep(rest).await;
    stage.signal(1, "-CONT");
    println!("the engine is killed");
    let mut outage = Outage { from: now(), to: 0 };
    server.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.start();
    outage.to = now();
    println!("the engine is back");
    tokio::time::sleep(rest).await;
    stage.hurt.insert(stage.workers[3].id(), now());
    println!("worker 3 is cut off");
    cut.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(6)).await;
    cut.store(false, Ordering::Relaxed);
    println!("worker 3 is not cut off any more, and what it sent comes late");
    tokio::time::sleep(rest).await;
    stage.hurt(2, "-KILL", "is killed");

    let patience = Instant::now();
    let limit = Duration::from_secs(options.seconds + 60);
    while gateway.nats().calls().await.is_none_or(|calls| !calls.is_empty()) && patience.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let minutes = (now() - begun) as f64 / 60_000.0;
    let left = gateway.nats().calls().await.unwrap_or_default();
    let sent = gateway.nats().sent();
    let report = Report::read(report::Measured {
        folder: &stage.folder,
        placed: &placed,
        left: left.len(),
        hurt: &stage.hurt,
        outage,
        lateness,
        placements,
        appends,
        gateway_sent: sent,
        minutes,
        cost,
    });
    stage.end();
    report
}

impl Stage {
    fn start(&mut self, url: &str, server: &Server) {
        let url = if url.is_empty() { server.url() } else { url.to_owned() };
        let fences = self.options.fences.to_string();
        self.workers.push(spawn(&["worker", &url, &self.folder.to_string_lossy(), &fences]));
    }

    async fn place(&self, gateway: &GatewayHandle) -> (Vec<CallId>, f64) {
        let turns = self.options.seconds * 1000 / 2750;
        let new = || NewCall::new(calls::placing(json!({ "turns": turns })));
        let begun = Instant::now();
        let placed = futures_util::stream::iter(0..self.options.calls)
            .map(|_| async move { gateway.place(new()).await.map(|placed| placed.call) })
            .buffer_unordered(AT_ONCE);
        let placed: Vec<CallId> = placed.filter_map(async |placed| placed.ok()).collect().await;
        let rate = placed.len() as f64 / begun.elapsed().as_secs_f64();
        (placed, rate)
    }

    fn hurt(&mut self, worker: usize, signal: &str, what: &str) {
        println!("worker {worker} {what}");
        self.hurt.insert(self.workers[worker].id(), now());
        self.signal(worker, signal);
    }

    fn signal(&self, worker: usize, signal: &str) {
        let id = self.workers[worker].id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn end(mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill(); // it may be dead
            let _ = worker.wait();
        }
        let _ = std::fs::remove_dir_all::<&Path>(&self.folder);
    }
}
