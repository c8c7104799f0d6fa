//! What a worker of the rehearsal serves: calls with a turn every 2 to 3.5 s, and a function in every second
//! one. What happens is noted in files, since the process may be killed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use realtime_fleet::drive::{self, NatsOptions, ServedCall, Stopped};
use realtime_fleet::worker::{Verdict, WorkerOptions};
use realtime_fleet::{Leg, OnTakeover, Placing, Progress, Snapshot, Tenant};
use serde_json::{Value, json};

/// Runs a worker, until it is killed.
pub(crate) async fn work(nats: NatsOptions, folder: PathBuf, checks: bool) {
    let mut options = WorkerOptions::new();
    options.admission = options.admission.slots(5000).latest(Duration::from_secs(1));
    if !checks {
        options = options.without_lease_checks();
    }
    let notes = folder.clone();
    let serve = move |call: ServedCall| {
        let notes = notes.clone();
        async move {
            let placed = call.placed();
            note(&notes, "begun", &format!("{} {:?}", placed.id, placed.why));
            if converse(&call, &notes).await.is_ok() {
                note(&notes, "ended", placed.id.as_str());
                call.end("done").await;
            }
        }
    };
    let worker = drive::serve(nats, options, serve).await.unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        note(&folder, "sent", &worker.nats().sent().to_string());
    }
}

async fn converse(call: &ServedCall, folder: &Path) -> Result<(), Stopped> {
    let placed = call.placed();
    let turns = placed.placing.metadata.0["turns"].as_u64().unwrap_or(1);
    let mut done = 0;
    if let Some(resume) = &placed.resume {
        let app = resume.snapshot.as_ref().map(|snapshot| &snapshot.app.0["turn"]);
        done = app.and_then(Value::as_u64).unwrap_or(0);
        for claim in &resume.functions {
            if claim.progress == Progress::Claimed {
                book(call, folder, &claim.key).await?;
            }
        }
    }
    for turn in done + 1..=turns {
        tokio::time::sleep(rhythm(placed.id.as_str(), turn)).await;
        if turn.is_multiple_of(2) {
            book(call, folder, &format!("{}:{turn}", placed.id)).await?;
        }
        let snapshot = Snapshot::new().conversation("x".repeat(2000)).app(json!({ "turn": turn }));
        call.snap(snapshot).await?;
    }
    Ok(())
}

/// How long until a turn, 2 to 3.5 s. Each call has a rhythm of its own, and the same one on each run.
pub(crate) fn rhythm(call: &str, turn: u64) -> Duration {
    let hash = call.bytes().fold(turn, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
    Duration::from_millis(2000 + hash % 1500)
}

async fn book(call: &ServedCall, folder: &Path, key: &str) -> Result<(), Stopped> {
    let output = match call.claim(key, "book", OnTakeover::Unknown).await? {
        Verdict::Run => {
            note(folder, "effects", key); // what cannot be undone
            json!("done")
        }
        Verdict::Unknown => {
            note(folder, "unknown", key);
            json!("unknown")
        }
        _ => return Ok(()),
    };
    call.result(key, output).await
}

pub(crate) fn placing(metadata: Value) -> Placing {
    let leg = Leg::Sideband { call_id: "rtc_1".into() };
    Placing { tenant: Tenant::unnamed(), leg, metadata: metadata.into() }
}

/// A line with its time, in milliseconds, and its process. Files stay open: to open one costs more than the
/// line.
pub(crate) fn note(folder: &Path, file: &'static str, text: &str) {
    thread_local! {
        static FILES: RefCell<BTreeMap<&'static str, File>> = const { RefCell::new(BTreeMap::new()) };
    }
    let open = || OpenOptions::new().create(true).append(true).open(folder.join(file)).unwrap();
    let line = format!("{} {} {text}\n", now(), std::process::id());
    FILES.with_borrow_mut(|files| files.entry(file).or_insert_with(open).write_all(line.as_bytes())).unwrap();
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
