//! A fleet of a test's own, and what is checked of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use realtime_fleet::CallId;
use realtime_fleet::drive::{self, GatewayHandle};
use realtime_fleet::gateway::NewCall;
use serde_json::{Value, json};

use crate::outages;
use crate::process::{self, now, placing};
use crate::server::Server;

const LEASE: Duration = Duration::from_secs(3);
/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Fleet {
    /// One, or a cluster of three.
    pub(crate) servers: Vec<Server>,
    pub(crate) gateway: GatewayHandle,
    pub(crate) folder: PathBuf,
    emulator: Option<String>,
    workers: Vec<Child>,
    cuts: Vec<Arc<AtomicBool>>,
    /// When which process was hurt, in milliseconds.
    hurt: BTreeMap<u32, u64>,
    placed: BTreeSet<CallId>,
    begun: Instant,
    late: Arc<AtomicU64>,
}

impl Fleet {
    pub(crate) async fn start(workers: usize) -> Self {
        Self::new().await.with_workers(workers).await
    }

    /// As [`start`](Self::start); the workers serve real calls of this emulator.
    pub(crate) async fn start_with_emulator(workers: usize, emulator: &str) -> Self {
        let mut fleet = Self::new().await;
        fleet.emulator = Some(emulator.to_owned());
        fleet.with_workers(workers).await
    }

    /// As [`start`](Self::start); the first worker can be cut off.
    pub(crate) async fn start_behind_a_proxy(workers: usize) -> Self {
        let mut fleet = Self::new().await;
        let cut = Arc::new(AtomicBool::new(false));
        let proxy = fleet.servers[0].proxy(Arc::clone(&cut)).await;
        fleet.cuts.push(cut);
        fleet.start_worker(Some(proxy));
        fleet.with_workers(workers).await
    }

    /// As [`start`](Self::start); the engine is a cluster of three servers.
    pub(crate) async fn start_on_a_cluster(workers: usize) -> Self {
        Self::on(outages::cluster).await.with_workers(workers).await
    }

    /// Has so many workers, and waits until all are known.
    async fn with_workers(mut self, workers: usize) -> Self {
        (self.workers.len()..workers).for_each(|_| self.start_worker(None));
        self.wait_for_workers(workers).await;
        self
    }

    async fn new() -> Self {
        Self::on(|folder| vec![Server::new(folder)]).await
    }

    async fn on(servers: impl FnOnce(&Path) -> Vec<Server>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("fleet-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let servers = servers(&folder);
        let urls = urls(&servers);
        let begun = Instant::now();
        let gateway = loop {
            match drive::gateway(process::nats(&urls)).await {
                Ok(gateway) => break gateway,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let late = Arc::new(AtomicU64::new(0));
        tokio::spawn(watch_the_machine(Arc::clone(&late)));
        let (workers, cuts) = (Vec::new(), Vec::new());
        let (hurt, placed) = (BTreeMap::new(), BTreeSet::new());
        Self { servers, gateway, folder, emulator: None, workers, cuts, hurt, placed, begun, late }
    }

    pub(crate) fn start_worker(&mut self, url: Option<String>) {
        let what = if self.emulator.is_some() { "sideband" } else { "worker" };
        let worker = self.spawn(what, url.unwrap_or_else(|| self.urls()));
        self.workers.push(worker);
    }

    /// A gateway that places calls for ever.
    pub(crate) fn start_gateway(&mut self) -> Child {
        self.spawn("gateway", self.urls())
    }

    pub(crate) fn urls(&self) -> String {
        urls(&self.servers)
    }

    fn spawn(&self, what: &str, url: String) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["process", "--exact", "--nocapture"])
            .env("FLEET_PROCESS", what)
            .env("FLEET_URL", url)
            .env("FLEET_FOLDER", &self.folder)
            .env("FLEET_EMULATOR", self.emulator.as_deref().unwrap_or_default())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub(crate) async fn place(&mut self, calls: usize, turns: u64) {
        self.place_with(json!({ "turns": turns }), calls).await;
    }

    pub(crate) async fn place_with(&mut self, metadata: Value, calls: usize) {
        let calls = (0..calls).map(|_| self.gateway.place(NewCall::new(placing(metadata.clone()))));
        for placed in futures_util::future::join_all(calls).await {
            self.placed.insert(placed.unwrap().call);
        }
    }

    /// Places a call as soon as somebody has room.
    pub(crate) async fn place_in_time(&mut self, turns: u64) {
        let new = || NewCall::new(placing(json!({ "turns": turns })));
        let placed = loop {
            match self.gateway.place(new()).await {
                Ok(placed) => break placed.call,
                Err(error) => assert!(self.begun.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        self.placed.insert(placed);
    }

    pub(crate) async fn wait_for_workers(&self, workers: usize) {
        self.until(async || self.gateway.workers().await >= workers).await;
    }

    pub(crate) async fn wait_for_turns(&self, turns: usize) {
        self.until(async || self.lines("turns").len() >= turns).await;
    }

    pub(crate) async fn wait_for_takeovers(&self, takeovers: usize) {
        self.until(async || self.takeovers().len() >= takeovers).await;
    }

    /// Waits until so much is noted.
    pub(crate) async fn wait_for_lines(&self, file: &str, lines: usize) {
        self.until(async || self.lines(file).len() >= lines).await;
    }

    /// Waits until this is noted.
    pub(crate) async fn wait_for_text(&self, file: &str, text: &str) {
        self.until(async || self.texts(file).iter().any(|noted| noted == text)).await;
    }

    /// What is noted, without times and processes.
    pub(crate) fn texts(&self, file: &str) -> Vec<String> {
        self.lines(file).into_iter().map(|(_, _, text)| text).collect()
    }

    /// The worker that began the call last.
    pub(crate) fn owner(&self, call: &str) -> usize {
        let begun = self.lines("begun");
        let (_, owner, _) = begun.iter().rfind(|(_, _, text)| text.starts_with(call)).expect("it has begun");
        self.workers.iter().position(|worker| worker.id() == *owner).expect("it is a worker of this fleet")
    }

    pub(crate) async fn all_end(&self) {
        self.until(async || self.known_calls().await == 0).await;
    }

    /// The calls that are not over.
    pub(crate) async fn known_calls(&self) -> usize {
        self.gateway.nats().calls().await.map_or(usize::MAX, |calls| calls.len())
    }

    pub(crate) fn kill(&mut self, worker: usize) {
        let child = &mut self.workers[worker];
        self.hurt.insert(child.id(), now());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn kill_process(&mut self, mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn signal(&mut self, worker: usize, signal: &str) {
        let id = self.workers[worker].id();
        self.hurt.entry(id).or_insert_with(now);
        assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
    }

    /// Returns whether the test may go on.
    pub(crate) fn runs_in_time(&self) -> bool {
        self.begun.elapsed() < LIMIT
    }

    /// Waits until a process has ended by itself.
    pub(crate) async fn wait_for_end(&mut self, worker: usize) {
        let begun = Instant::now();
        while self.workers[worker].try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < LIMIT, "it does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// When each line was noted, in milliseconds.
    pub(crate) fn times(&self, file: &str) -> Vec<u64> {
        self.lines(file).into_iter().map(|(at, _, _)| at).collect()
    }

    pub(crate) fn cut(&mut self, worker: usize, is_cut: bool) {
        self.hurt.entry(self.workers[worker].id()).or_insert_with(now);
        self.cuts[worker].store(is_cut, Ordering::Relaxed);
    }

    /// How often a worker let go of a call because another one had it.
    pub(crate) fn let_go(&self) -> usize {
        self.lines("let_go").len()
    }

    /// How long after its worker was hurt each call was taken over, in milliseconds.
    pub(crate) fn takeovers(&self) -> Vec<u64> {
        let mut owners: BTreeMap<String, u32> = BTreeMap::new();
        let mut takeovers = Vec::new();
        for (at, process, text) in self.lines("begun") {
            let call = text.split(' ').next().unwrap().to_owned();
            let before = owners.insert(call, process);
            if text.ends_with("Lost")
                && let Some(hurt) = before.and_then(|before| self.hurt.get(&before))
            {
                takeovers.push(at.saturating_sub(*hurt));
            }
        }
        takeovers.sort_unstable();
        takeovers
    }

    /// No call is lost, and no function ran twice.
    pub(crate) fn check(&self) {
        let effects = self.lines("effects");
        let keys: BTreeSet<&str> = effects.iter().map(|(_, _, key)| &key[..]).collect();
        assert_eq!(keys.len(), effects.len(), "a function ran twice");
        let turns: BTreeSet<String> = self.lines("turns").into_iter().map(|(_, _, text)| text).collect();
        for call in &self.placed {
            assert!(turns.iter().any(|turn| turn.starts_with(call.as_str())), "{call} had no turn");
        }
        println!("{} functions ran once, {} are unknown", effects.len(), self.lines("unknown").len());
    }

    /// Calls were taken over within a lease and a second, but for what the machine itself was late.
    pub(crate) fn check_takeovers(&self) {
        let takeovers = self.takeovers();
        assert!(!takeovers.is_empty());
        let at = |percent: usize| takeovers[(takeovers.len() - 1) * percent / 100];
        let late = self.late.load(Ordering::Relaxed);
        println!(
            "{} taken over: p50 {} ms, p99 {} ms; the machine was late by {late} ms",
            takeovers.len(),
            at(50),
            at(99)
        );
        let most = LEASE.as_millis() as u64 + 1000 + late;
        assert!(at(99) <= most, "p99 {} ms, expected {most} ms at most", at(99));
    }

    fn lines(&self, file: &str) -> Vec<(u64, u32, String)> {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let read = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let (at, process, text) = (parts.next()?, parts.next()?, parts.next()?);
            Some((at.parse().ok()?, process.parse().ok()?, text.to_owned()))
        };
        text.lines().filter_map(read).collect()
    }

    async fn until(&self, holds: impl AsyncFn() -> bool) {
        while !holds().await {
            assert!(
                self.begun.elapsed() < LIMIT,
                "it takes too long: {} calls are left",
                self.known_calls().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The servers' addresses, by commas.
fn urls(servers: &[Server]) -> String {
    servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill(); // it may be dead
            let _ = worker.wait();
        }
        self.servers.iter_mut().for_each(Server::kill);
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The most that a timer was late, in milliseconds: what a busy machine adds to everything.
async fn watch_the_machine(late: Arc<AtomicU64>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let by = begun.elapsed().saturating_sub(Duration::from_millis(21));
        late.fetch_max(by.as_millis() as u64, Ordering::Relaxed);
    }
}
