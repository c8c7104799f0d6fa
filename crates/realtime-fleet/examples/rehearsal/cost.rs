//! What a fleet costs its worker: the same side channels without audio, held by a worker and by a process
//! without a fleet, at the same time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_client::{ActiveCall, Client, ClientOptions, Endpoint, Rest};
use realtime_context::{Conversation, Function, FunctionContext, Toolbox};
use realtime_emulator::brain::{Brain, Reply, Trigger, Turn};
use realtime_emulator::{Emulator, Options, Spawned};
use realtime_fleet::drive::{self, GatewayHandle, NatsOptions, ServedCall};
use realtime_fleet::gateway::NewCall;
use realtime_fleet::worker::WorkerOptions;
use realtime_fleet::{Leg, Placing, Tenant};
use realtime_protocol::call::{Event, Reconnect};
use realtime_protocol::session::{Begin, PlaybackSource};
use realtime_protocol::session_config::{Modality, SessionConfig};
use realtime_protocol::tool::{FunctionTool, Tool};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::calls::{note, rhythm};
use crate::report::lines;

/// Side channels of each process.
const CALLS: usize = 200;
/// How long their CPU time is taken.
const WHILE: Duration = Duration::from_secs(15);

/// Answers with a sentence, or calls a function first.
struct Clerk;

impl Brain for Clerk {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        match turn.trigger {
            Trigger::Text("book") => Reply::call("book", r#"{"row":7}"#),
            _ => Reply::say("It is eighteen degrees in Rome, and tomorrow it will rain a little."),
        }
    }
}

/// An emulator whose calls the processes attach to.
pub(crate) async fn emulator() -> Spawned {
    let emulator = Emulator::spawn(Options::default().brain(|| Clerk)).await.unwrap();
    let rest = Rest::new(Endpoint::new(emulator.url(), "gpt-realtime").unwrap());
    let tool: Tool = FunctionTool::default().name("book").into();
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]).tools(vec![tool]);
    for (who, n) in ["bare", "worker"].into_iter().flat_map(|who| (0..CALLS).map(move |n| (who, n))) {
        rest.accept_call(&name(who, n), &config).await.unwrap();
    }
    emulator
}

/// Places the worker's calls. Returns its CPU time for that of the process without a fleet.
pub(crate) async fn compare(gateway: &GatewayHandle, folder: &Path) -> f64 {
    for n in 0..CALLS {
        let leg = Leg::Sideband { call_id: name("worker", n) };
        let metadata = Value::Null.into();
        gateway.place(NewCall::new(Placing { tenant: Tenant::unnamed(), leg, metadata })).await.unwrap();
    }
    loop {
        let costs = lines(folder, "cost");
        let of = |who: &str| {
            let cost =
                costs.iter().find_map(|(_, _, text)| text.strip_prefix(who)?.trim().parse::<f64>().ok());
            cost.filter(|cost| *cost > 0.0)
        };
        if let (Some(worker), Some(bare)) = (of("worker"), of("bare")) {
            println!("{CALLS} side channels: {worker:.0} ms of CPU with a fleet, {bare:.0} without");
            return worker / bare;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Holds the calls without a fleet.
pub(crate) async fn hold_bare(emulator: String, folder: PathBuf) {
    let attached = Attached::new("bare", folder);
    for n in 0..CALLS {
        let (emulator, attached) = (emulator.clone(), Arc::clone(&attached));
        tokio::spawn(async move {
            let mut options = ClientOptions::default().toolbox(tools()).conversation(Conversation::new());
            options.session.begin = Begin::Attach;
            options.session.playback = PlaybackSource::Server;
            options.reconnect = Some(Reconnect::default());
            let call = name("bare", n);
            let client = Client::connect(endpoint(&emulator, &call), options).await.unwrap();
            converse(client, &call, &attached).await;
        });
    }
    attached.measure().await;
}

/// Holds them as a worker.
pub(crate) async fn hold_in_a_fleet(nats: NatsOptions, emulator: String, folder: PathBuf) {
    let attached = Attached::new("worker", folder);
    let here = Arc::clone(&attached);
    let serve = move |served: ServedCall| {
        let (emulator, attached) = (emulator.clone(), Arc::clone(&here));
        async move {
            let Leg::Sideband { call_id } = &served.placed().placing.leg else { return };
            let options = ClientOptions::default().toolbox(tools());
            let client = served.attach(endpoint(&emulator, call_id), options).await.unwrap();
            converse(client, call_id, &attached).await;
        }
    };
    let mut options = WorkerOptions::new();
    options.admission = options.admission.slots(5000).latest(Duration::from_secs(1));
    let _worker = drive::serve(nats, options, serve).await.unwrap();
    attached.measure().await;
}

/// Asks something every 2 to 3.5 s, and every second time for a function.
async fn converse(mut client: ActiveCall, call: &str, attached: &Attached) {
    let handle = client.handle().clone();
    let asks = async {
        for turn in 1.. {
            sleep(rhythm(call, turn)).await;
            let text = if turn.is_multiple_of(2) { "book" } else { "How is it in Rome?" };
            if handle.send_text(text, true).await.is_err() {
                break; // the process ends
            }
        }
    };
    let hears = async {
        while let Some(event) = client.next().await {
            if let Event::Ready { .. } = event {
                attached.count.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    tokio::join!(asks, hears);
}

/// The calls of a process that are attached.
struct Attached {
    who: &'static str,
    folder: PathBuf,
    count: AtomicUsize,
}

impl Attached {
    fn new(who: &'static str, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { who, folder, count: AtomicUsize::new(0) })
    }

    /// Notes the CPU time that the calls take, once all are attached and have begun.
    async fn measure(&self) {
        while self.count.load(Ordering::Relaxed) < CALLS {
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(4)).await;
        let before = cpu();
        sleep(WHILE).await;
        note(&self.folder, "cost", &format!("{} {}", self.who, (cpu() - before).as_millis()));
    }
}

/// CPU time of this thread, which does everything here.
fn cpu() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

fn tools() -> Toolbox {
    let book = |_: Value, _: FunctionContext| async { Ok::<_, String>(json!({ "seat": 4 })) };
    Toolbox::new().with(Function::raw("book", "Books a seat.", json!({ "type": "object" }), book))
}

fn endpoint(emulator: &str, call: &str) -> Endpoint {
    Endpoint::new(emulator, "").unwrap().query("call_id", call)
}

fn name(who: &str, n: usize) -> String {
    format!("rtc_{who}{n}")
}
