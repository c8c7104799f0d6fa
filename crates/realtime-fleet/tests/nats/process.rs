//! What the processes of the tests run: this very program, told by its environment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use realtime_fleet::drive::{self, NatsOptions, ServedCall, Stopped};
use realtime_fleet::gateway::NewCall;
use realtime_fleet::worker::{Verdict, WorkerOptions};
use realtime_fleet::{AdmissionOptions, Leg, OnTakeover, Placing, Progress, Snapshot, Tenant};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::served;

/// Runs what the environment says, if it says anything.
pub(crate) fn run() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(what), Some(url), Some(folder)) =
        (variable("FLEET_PROCESS"), variable("FLEET_URL"), variable("FLEET_FOLDER"))
    else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nats = nats(&url);
        if what == "gateway" {
            return place_for_ever(nats).await;
        }
        let worker = match &what[..] {
            "sideband" => drive::serve(nats, options(), served::serve(folder.into())).await,
            _ => drive::serve(nats, options(), serve(folder.into())).await,
        };
        let worker = worker.unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        tokio::select! {
            () = worker.ended() => {}
            _ = terminate.recv() => {
                worker.drain();
                worker.ended().await;
            }
        }
    });
}

/// The engine of a test: everything is kept on each of these servers.
pub(crate) fn nats(urls: &str) -> NatsOptions {
    NatsOptions::new(urls, "voice").replicas(urls.split(',').count())
}

/// Workers that take calls also on a machine that is busy with other things.
pub(crate) fn options() -> WorkerOptions {
    WorkerOptions::new().admission(AdmissionOptions::new().latest(Duration::from_secs(2)))
}

pub(crate) fn placing(metadata: Value) -> Placing {
    let leg = Leg::Sideband { call_id: "rtc_1".into() };
    Placing { tenant: Tenant::unnamed(), leg, metadata: metadata.into() }
}

/// Serves calls: each has turns, and runs a function in every second one.
pub(crate) fn serve(
    folder: PathBuf,
) -> impl Fn(ServedCall) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync {
    move |call| {
        let folder = folder.clone();
        Box::pin(async move {
            let placed = call.placed();
            note(&folder, "begun", &format!("{} {} {:?}", placed.id, placed.epoch, placed.why));
            match converse(&call, &folder).await {
                Ok(()) => call.end("done").await,
                Err(Stopped { .. }) => note(&folder, "let_go", &call.placed().id.to_string()),
            }
        })
    }
}

async fn converse(call: &ServedCall, folder: &Path) -> Result<(), Stopped> {
    let placed = call.placed();
    let metadata = &placed.placing.metadata.0;
    let turns = metadata["turns"].as_u64().unwrap_or(4);
    let mut turn = 1;
    if let Some(resume) = &placed.resume {
        let app = resume.snapshot.as_ref().map(|snapshot| &snapshot.app.0["turn"]);
        turn = app.and_then(Value::as_u64).unwrap_or(0) + 1;
        if metadata["ends_at_takeover"] == true {
            return Ok(()); // the server says that there is no such call any more
        }
        for claim in &resume.functions {
            if claim.progress == Progress::Claimed {
                book(call, folder, &claim.key).await?;
            }
        }
    }
    while turn <= turns {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if turn.is_multiple_of(2) {
            book(call, folder, &format!("{}:{turn}", placed.id)).await?;
        }
        call.snap(Snapshot::new().conversation("x".repeat(1000)).app(json!({ "turn": turn }))).await?;
        note(folder, "turns", &format!("{} {turn}", placed.id));
        turn += 1;
    }
    Ok(())
}

async fn book(call: &ServedCall, folder: &Path, key: &str) -> Result<(), Stopped> {
    let output = match call.claim(key, "book", OnTakeover::Unknown).await? {
        Verdict::Run => {
            // The one thing that cannot be undone.
            note(folder, "effects", key);
            tokio::time::sleep(Duration::from_millis(20)).await;
            json!("done")
        }
        Verdict::Unknown => {
            note(folder, "unknown", key);
            json!("unknown")
        }
        _ => return Ok(()),
    };
    call.result(key, output).await?;
    call.delivered(key).await
}

async fn place_for_ever(nats: NatsOptions) {
    let gateway = drive::gateway(nats).await.unwrap();
    while gateway.workers().await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let calls = (0..16).map(|_| gateway.place(NewCall::new(placing(json!({ "turns": 2 })))));
        for placed in futures_util::future::join_all(calls).await {
            placed.unwrap();
        }
    }
}

/// A line with its time, in milliseconds.
pub(crate) fn note(folder: &Path, file: &str, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(file)).unwrap();
    file.write_all(format!("{} {} {text}\n", now(), std::process::id()).as_bytes()).unwrap();
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
