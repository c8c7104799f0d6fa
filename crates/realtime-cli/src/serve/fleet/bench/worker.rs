//! One of the workers of a bench: it says on standard output what it does, a line each.
//!
//! | line | |
//! |---|---|
//! | `begun CALL WHY` | it has a call now |
//! | `ran KEY`, `unknown KEY` | a function ran, or nobody knows whether it did |
//! | `ended CALL` | a call is over |
//! | `sent N` | messages to the servers so far |

use std::io::Read as _;
use std::time::Duration;

use realtime_fleet::drive::{self, NatsOptions, ServedCall, Stopped};
use realtime_fleet::worker::{Verdict, WorkerOptions};
use realtime_fleet::{OnTakeover, Progress, Snapshot};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{Error, say};

/// Calls that it takes: more than a bench has.
const SLOTS: u32 = 20_000;
/// How late its tasks may start: what is measured is the fleet, also on a busy machine.
const LATEST: Duration = Duration::from_secs(1);
/// How often it says how many messages it has sent.
const COUNTS: Duration = Duration::from_millis(500);
/// Bytes of a conversation that is saved after each turn.
const SAID: usize = 2000;

/// Serves until standard input ends, or it is killed.
pub(super) async fn serve(nats: NatsOptions) -> Result<(), Error> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new()); // nothing is said there
        std::process::exit(0);
    });
    let mut options = WorkerOptions::new();
    options.admission = options.admission.slots(SLOTS).latest(LATEST);
    let worker = drive::serve(nats, options, |call| async move {
        let placed = call.placed();
        say(format!("begun {} {:?}", placed.id, placed.why));
        if converse(&call).await.is_ok() {
            say(format!("ended {}", placed.id));
            call.end("done").await;
        }
    });
    let worker = worker.await?;
    loop {
        sleep(COUNTS).await;
        say(format!("sent {}", worker.nats().sent()));
    }
}

async fn converse(call: &ServedCall) -> Result<(), Stopped> {
    let placed = call.placed();
    let turns = placed.placing.metadata.0["turns"].as_u64().unwrap_or(1);
    let mut done = 0;
    if let Some(resume) = &placed.resume {
        let app = resume.snapshot.as_ref().map(|snapshot| &snapshot.app.0["turn"]);
        done = app.and_then(Value::as_u64).unwrap_or(0);
        for claim in resume.functions.iter().filter(|claim| claim.progress == Progress::Claimed) {
            book(call, &claim.key).await?;
        }
    }
    for turn in done + 1..=turns {
        sleep(rhythm(placed.id.as_str(), turn)).await;
        if turn.is_multiple_of(2) {
            book(call, &format!("{}:{turn}", placed.id)).await?;
        }
        let snapshot = Snapshot::new().conversation("x".repeat(SAID)).app(json!({ "turn": turn }));
        call.snap(snapshot).await?;
    }
    Ok(())
}

async fn book(call: &ServedCall, key: &str) -> Result<(), Stopped> {
    let output = match call.claim(key, "book", OnTakeover::Unknown).await? {
        Verdict::Run => {
            say(format!("ran {key}")); // what cannot be undone
            json!("done")
        }
        Verdict::Unknown => {
            say(format!("unknown {key}"));
            json!("unknown")
        }
        _ => return Ok(()),
    };
    call.result(key, output).await
}

/// How long until a turn, 2 to 3.5 s: each call has a rhythm of its own.
fn rhythm(call: &str, turn: u64) -> Duration {
    let hash = call.bytes().fold(turn, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Duration::from_millis(2000 + hash % 1500)
}
