//! Every carrier's caller holds a whole call with the demo's agent, over sockets and in real time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options, voice};
use realtime_telephony::caller::Caller;
use realtime_tests::carriers::{Carrier, End, Report, Step, call};
use realtime_tests::seen::Seen;
use tokio::time::{Instant, sleep_until};

use crate::support::start;

/// By how much what a caller heard and what the model is told of it may differ (ms), on a machine that does
/// everything at its time. How late this one is comes on top.
const MOST_APART: u64 = 200;

/// How late a timer fires at most (ms), until the test ends.
fn lateness() -> Arc<AtomicU64> {
    let latest = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&latest);
    tokio::spawn(async move {
        loop {
            let due = Instant::now() + Duration::from_millis(10);
            sleep_until(due).await;
            told.fetch_max(u64::try_from(due.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
        }
    });
    latest
}

/// Words of 24 kHz, at a carrier's rate.
fn words(carrier: Carrier, text: &str) -> Step {
    let spoken = voice::speak(text).samples;
    let step = 24_000.0 / f64::from(Caller::rate_of(carrier));
    let at = |n: usize| spoken.get((n as f64 * step) as usize).copied();
    Step::say((0..).map_while(at).collect())
}

/// The caller is greeted, asks, speaks over the answer, hears the next one, and hangs up.
fn conversation(carrier: Carrier) -> Vec<Step> {
    vec![
        Step::hear(Duration::from_secs(1)),
        Step::Silence(Duration::from_millis(600)),
        words(carrier, "What is the weather in Paris today?"),
        Step::Spoken,
        Step::hear(Duration::from_secs(2)),
        words(carrier, "Thank you. And how about tomorrow?"),
        Step::Cleared(1),
        Step::Spoken,
        Step::hear(Duration::from_secs(1)),
        Step::Silence(Duration::from_millis(800)),
        Step::hang_up(),
    ]
}

/// An emulator of the demo's model on a port of its own, and where it writes down what it sees.
async fn model_for(carrier: Carrier, what: &str) -> (String, PathBuf) {
    let name = format!("realtime-carriers-{}-{}-{what}", std::process::id(), carrier.name());
    let directory = std::env::temp_dir().join(name);
    let options = Options::default().brain(|| Script::demo().without_transcripts()).log_directory(&directory);
    let emulator = Emulator::bind("127.0.0.1:0", options).await.unwrap();
    let url = emulator.url();
    tokio::spawn(emulator.serve(std::future::pending::<()>()));
    (url, directory)
}

async fn hold(carrier: Carrier) {
    let name = carrier.name();
    let late = lateness();
    let (model, directory) = model_for(carrier, "call").await;
    let server = start(&["--url", &model], &[]).await;
    let url = server.ws(&format!("/{name}"));
    let report = call(carrier, &url, &[], conversation(carrier)).await.unwrap();
    assert_eq!((report.end, &report.violations[..]), (End::HungUp, &[][..]), "{name}: {report:?}");
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let told = &calls["ended"][0];
    for (count, number) in [("user_turns", 2), ("agent_turns", 3), ("tool_calls", 1), ("interruptions", 1)] {
        assert_eq!(told[count], number, "{name}: {count} of {told}");
    }
    assert_eq!(told["trouble"], serde_json::Value::Null, "{name}");
    let seen = Seen::read(&directory).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(seen.errors().is_empty(), "{name}: {:?}", seen.errors());
    assert_heard(carrier, &report, &seen, MOST_APART + late.load(Ordering::Relaxed));
}

/// What the model is told to be heard of the answer that was cut is what its caller heard.
fn assert_heard(carrier: Carrier, report: &Report, seen: &Seen, most_apart: u64) {
    let name = carrier.name();
    let bytes_per_second = match carrier {
        Carrier::Vonage | Carrier::Exotel | Carrier::Jambonz => 48_000,
        _ => 8_000,
    };
    let spoken = seen.spoken(bytes_per_second);
    let [(_, greeting), (cut_item, long), _] = &spoken[..] else { panic!("{name}: {spoken:?}") };
    let ([(item, told)], [cut_at]) = (&seen.cuts()[..], &report.cleared_at[..]) else {
        panic!("{name}: {:?}, {report:?}", seen.cuts());
    };
    assert_eq!(item, cut_item, "{name}");
    let heard = u64::try_from(cut_at.as_millis()).unwrap() - greeting;
    let apart = told.abs_diff(heard);
    assert!(
        told < long && apart <= most_apart,
        "{name}: {told} of {heard} ms, {most_apart} ms may be between"
    );
}

#[tokio::test]
async fn what_a_caller_types_reaches_the_model_as_one_input() {
    let carrier = Carrier::Twilio;
    let (model, directory) = model_for(carrier, "keys").await;
    let server = start(&["--url", &model], &[]).await;
    let script = vec![
        Step::hear(Duration::from_secs(1)),
        Step::Keys("4711#".to_owned()),
        // The greeting is cut.
        Step::Silence(Duration::from_millis(600)),
        Step::hang_up(),
    ];
    let report = call(carrier, &server.ws("/twilio"), &[], script).await.unwrap();
    assert_eq!((report.end, &report.violations[..]), (End::HungUp, &[][..]), "{report:?}");
    server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    let seen = Seen::read(&directory).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(seen.told(), ["[The user pressed these keys on the phone: 4711#]"]);
}

#[tokio::test]
async fn a_caller_of_twilio_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Twilio).await;
}

#[tokio::test]
async fn a_caller_of_signalwire_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::SignalWire).await;
}

#[tokio::test]
async fn a_caller_of_telnyx_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Telnyx).await;
}

#[tokio::test]
async fn a_caller_of_plivo_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Plivo).await;
}

#[tokio::test]
async fn a_caller_of_exotel_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Exotel).await;
}

#[tokio::test]
async fn a_caller_of_vonage_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Vonage).await;
}

#[tokio::test]
async fn a_caller_of_genesys_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Genesys).await;
}

#[tokio::test]
async fn a_caller_of_jambonz_is_greeted_asks_interrupts_and_hangs_up() {
    hold(Carrier::Jambonz).await;
}
