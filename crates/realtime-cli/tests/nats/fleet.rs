//! A fleet of processes: a nats-server, a gateway, workers, and the emulator as the model's server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use realtime_client::{ActiveCall, Client, Endpoint, HttpRequest};
use realtime_emulator::{Emulator, Options, Spawned};
use realtime_protocol::call::Event;
use realtime_protocol::session::{Begin, PlaybackSource, SessionOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::model;

/// A test that waits longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Fleet {
    pub(crate) emulator: Spawned,
    nats: String,
    agent: PathBuf,
    gateway: String,
    bookings: Arc<AtomicUsize>,
    workers: BTreeMap<String, Child>,
    /// Ends with the fleet.
    _rest: Vec<Child>,
}

/// Who speaks with the agent.
pub(crate) struct Caller(ActiveCall, String);

impl Fleet {
    /// Starts all but workers.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default().brain(|| model::Clerk)).await
    }

    /// The same, with this model.
    pub(crate) async fn with(model: Options) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("fleet-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (server, nats) = server(&folder).await;
        let emulator = Emulator::spawn(model).await.unwrap();
        let (tool, bookings) = model::bookings().await;
        let agent = folder.join("agent.toml");
        std::fs::write(&agent, model::agent(&tool)).unwrap();
        let (gateway, workers) = (String::new(), BTreeMap::new());
        let mut fleet = Self { emulator, nats, agent, gateway, bookings, workers, _rest: vec![server] };
        let options = fleet.speaking(&["--listen", "127.0.0.1:0"]);
        let (gateway, ready) = fleet.serving("gateway", &options).await;
        fleet.gateway = format!("http://{}", ready["listen"].as_str().unwrap());
        fleet._rest.push(gateway);
        fleet
    }

    /// Starts a worker, and waits until it has its lease.
    pub(crate) async fn start_worker(&mut self, options: &[&str]) {
        // A machine that is busy with other things is late.
        let options = self.speaking(&[&["--latest", "5000"], options].concat());
        let (process, ready) = self.serving("worker", &options).await;
        self.workers.insert(ready["worker"].as_str().unwrap().to_owned(), process);
    }

    /// Starts a leg. Returns where carriers reach it: `127.0.0.1:PORT`.
    pub(crate) async fn start_leg(&mut self) -> String {
        let here = "127.0.0.1:0".to_owned();
        let options = ["--listen".to_owned(), here.clone(), "--inside".to_owned(), here];
        let (process, ready) = self.serving("leg", &options).await;
        self._rest.push(process);
        ready["listen"].as_str().unwrap().to_owned()
    }

    /// The options of a process that has an agent.
    fn speaking(&self, options: &[&str]) -> Vec<String> {
        let agent = self.agent.to_str().unwrap();
        [&["--url", self.emulator.url(), "--agent", agent], options]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// A process of the program that serves, and what it says when it is ready.
    async fn serving(&self, what: &str, options: &[String]) -> (Child, Value) {
        let mut child = self
            .program(what)
            .args(["--json", "--log", "warn"])
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready =
            timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().expect("it says that it is ready");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["state"], "ready");
        (child, ready)
    }

    fn program(&self, what: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_realtime"));
        command.args(["fleet", what]).env("NATS_URL", &self.nats);
        command
    }

    /// Runs a command to its end. Returns what it says, or why it failed.
    pub(crate) async fn command(&self, words: &[&str]) -> Result<String, String> {
        let run = self.program(words[0]).args(&words[1..]).output();
        let output = timeout(LIMIT, run).await.unwrap().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.command(&["status", "--json"]).await.unwrap()).unwrap()
    }

    /// The model's server tells of a call. Returns the status of the answer.
    pub(crate) async fn webhook(&self, call_id: &str) -> u16 {
        let from = json!({ "name": "From", "value": "<sip:+15550100001@example.com>" });
        let data = json!({ "call_id": call_id, "sip_headers": [from] });
        let body = json!({ "type": "realtime.call.incoming", "data": data }).to_string();
        let request = HttpRequest::new("POST", format!("{}/openai", self.gateway));
        request.body("application/json", body).send().await.unwrap().status
    }

    /// Waits until the gateway has counted this.
    pub(crate) async fn counts(&self, line: &str) {
        let ask =
            async || HttpRequest::new("GET", format!("{}/metrics", self.gateway)).send().await.unwrap().body;
        self.until(line, async || ask().await.lines().any(|told| told == line)).await;
    }

    /// Waits until the gateway knows so many workers.
    pub(crate) async fn workers(&self, count: usize) {
        let url = format!("{}/workers", self.gateway);
        let known = async || {
            let told = HttpRequest::new("GET", url.as_str()).send().await.unwrap().body;
            serde_json::from_str::<Vec<Value>>(&told).unwrap().len()
        };
        self.until("workers", async || known().await == count).await;
    }

    /// Waits until the call has this many owners, and returns the last one.
    pub(crate) async fn owner_in_epoch(&self, epoch: u64) -> String {
        self.until("an owner", async || self.status().await["calls"][0]["epoch"] == epoch).await;
        self.status().await["calls"][0]["owner"].as_str().unwrap().to_owned()
    }

    /// Waits until no call is open.
    pub(crate) async fn no_calls(&self) {
        self.until("no calls", async || self.status().await["calls"] == json!([])).await;
    }

    pub(crate) fn bookings(&self) -> usize {
        self.bookings.load(Ordering::SeqCst)
    }

    /// How often the first agent was asked to greet.
    pub(crate) fn greetings(&self) -> usize {
        let asked = self.emulator.received_of("response.create");
        asked.iter().filter(|asked| asked.to_string().contains("Greet the caller.")).count()
    }

    /// Kills a worker.
    pub(crate) fn kill(&mut self, worker: &str) {
        self.workers.get_mut(worker).unwrap().start_kill().unwrap();
    }

    /// Tells a worker to end.
    pub(crate) fn terminate(&self, worker: &str) {
        let id = self.workers[worker].id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until a worker's process has ended. Returns whether it did so well.
    pub(crate) async fn ends(&mut self, worker: &str) -> bool {
        let process = self.workers.get_mut(worker).unwrap();
        timeout(LIMIT, process.wait()).await.expect("it ends in time").unwrap().success()
    }

    /// Joins a call as its caller, once it is accepted.
    pub(crate) async fn join(&self, call_id: &str) -> Caller {
        self.owner_in_epoch(1).await;
        let endpoint = Endpoint::new(self.emulator.url(), "").unwrap().query("call_id", call_id);
        let options =
            SessionOptions::default().begin(Begin::Attach).playback(PlaybackSource::Server).entropy(1);
        Caller(Client::connect(endpoint, options).await.unwrap(), String::new())
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let wait = async {
            while !holds().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(LIMIT, wait).await.is_err() {
            panic!("`{what}` did not come: {}", self.status().await);
        }
    }
}

impl Caller {
    pub(crate) async fn ask(&mut self, text: &str) {
        self.1.clear();
        self.0.handle().send_text(text, true).await.unwrap();
    }

    /// Waits until this was said, and until the model is done with it.
    pub(crate) async fn hears(&mut self, words: &str) {
        let wait = async {
            loop {
                match self.0.next().await.expect("the call goes on") {
                    Event::Text { delta, .. } => self.1.push_str(&delta),
                    Event::ResponseFinished(_) if self.1.contains(words) => return,
                    _ => {}
                }
            }
        };
        if timeout(LIMIT, wait).await.is_err() {
            panic!("expected `{words}`, heard `{}`", self.1);
        }
    }

    /// Waits until the call is over.
    pub(crate) async fn hears_the_end(mut self) {
        let wait = async { while self.0.next().await.is_some() {} };
        timeout(LIMIT, wait).await.expect("it ends in time");
    }
}

/// A nats-server on a free port.
async fn server(folder: &Path) -> (Child, String) {
    let program = std::env::var_os("NATS_SERVER")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nats/bin/nats-server"));
    assert!(
        program.exists(),
        "no {}: run `cargo xtask ci fleet`, or name one by NATS_SERVER",
        program.display()
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new(&program)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
        .arg(folder.join("js"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let connect = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, connect).await.expect("nats-server listens in time");
    (server, format!("nats://127.0.0.1:{port}"))
}
