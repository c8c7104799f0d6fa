//! Phone calls over a leg: a carrier's socket that is there while workers come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use realtime_client::HttpRequest;
use realtime_emulator::{Options, voice};
use realtime_tests::carriers::{Carrier, End, Report, Step, call};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;

use crate::fleet::Fleet;
use crate::model::Teller;

/// A call that waits longer hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// What a caller waits for, or says it has come to.
#[derive(Clone, Default)]
struct Go(Arc<AtomicBool>);

impl Go {
    fn step(&self) -> Step {
        Step::Until(Arc::clone(&self.0))
    }

    fn tell(&self) -> Step {
        Step::Tell(Arc::clone(&self.0))
    }

    fn say(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_said(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Says something, and hears so much of the answer and then its end.
fn turn() -> Vec<Step> {
    let words = voice::speak("Please book a seat.").samples.into_iter().step_by(3).collect();
    vec![Step::say(words), Step::Spoken, Step::hear(Duration::from_millis(300)), silence()]
}

fn silence() -> Step {
    Step::Silence(Duration::from_millis(700))
}

fn dial(leg: &str, script: Vec<Step>) -> JoinHandle<Report> {
    let url = format!("ws://{leg}/twilio");
    tokio::spawn(async move { call(Carrier::Twilio, &url, &[], script).await.unwrap() })
}

async fn hung_up(calling: JoinHandle<Report>) -> Report {
    let report = timeout(LIMIT, calling).await.expect("the call ends in time").unwrap();
    assert_eq!((report.end, &report.violations[..]), (End::HungUp, &[][..]), "{report:?}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_call_outlives_its_workers_and_its_carrier_hears_of_none_of_it() {
    let mut fleet = Fleet::start().await;
    let leg = fleet.start_leg().await;
    // Nobody serves: the carrier is told, by a document and at the socket.
    let webhook = || HttpRequest::new("POST", format!("http://{leg}/twilio"));
    let form =
        || webhook().body("application/x-www-form-urlencoded", "CallSid=CA1&From=%2B15550100001".to_owned());
    assert!(form().send().await.unwrap().body.contains("<Reject reason=\"busy\"/>"));
    let refused = call(Carrier::Twilio, &format!("ws://{leg}/twilio"), &[], vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");

    fleet.start_worker(&["--room", "1"]).await;
    fleet.start_worker(&["--room", "1"]).await;
    fleet.workers(2).await;
    let document = async || form().send().await.unwrap().body;
    fleet.until("room", async || document().await.contains("<Stream url=")).await;

    let [answered, second_turn, again, third_turn, done, end] = [(); 6].map(|()| Go::default());
    let greeting = vec![Step::hear(Duration::from_millis(300)), silence()];
    let script = [
        greeting,
        turn(),
        vec![answered.tell(), second_turn.step()],
        turn(),
        vec![again.tell(), third_turn.step()],
        turn(),
        vec![done.tell(), end.step(), Step::hang_up()],
    ];
    let calling = dial(&leg, script.concat());
    let first = fleet.owner_in_epoch(1).await;
    fleet.until("an answer", async || answered.is_said() && fleet.bookings() >= 1).await;
    assert_eq!(fleet.bookings(), 1);
    let status = fleet.status().await;
    let told = &status["calls"][0]["leg"]["phone"];
    assert_eq!((&told["carrier"], &told["token"]), (&json!("twilio"), &json!(null)), "{status}");
    // Who does not know the call's secret is not let in, whatever epoch it says.
    let inside = format!("{}?epoch=9&token=0123456789abcdef0123456789abcdef", told["url"].as_str().unwrap());
    let error = connect_async(&inside).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    let shown = fleet.command(&["status"]).await.unwrap();
    assert!(shown.contains("phone twilio CA"), "{shown}");

    // Its worker is killed, once the answer was heard. The next one knows what was said and done.
    fleet.kill(&first);
    let second = fleet.owner_in_epoch(2).await;
    assert_ne!(first, second);
    second_turn.say();
    fleet.until("the next answer", async || again.is_said() && fleet.bookings() >= 2).await;
    assert_eq!((fleet.bookings(), fleet.greetings()), (2, 1), "nobody greets again");
    let seeded = fleet.emulator.received_of("conversation.item.create");
    let seeded: Vec<String> = seeded.iter().map(ToString::to_string).collect();
    assert!(seeded.iter().any(|item| item.contains("It is booked.")), "the next owner was told: {seeded:?}");
    assert!(seeded.iter().filter(|item| item.contains("function_call_output")).count() >= 2, "{seeded:?}");

    // All room is taken: the next call is declined. It is there again once another worker is.
    fleet.until("no room", async || document().await.contains("<Reject")).await;
    fleet.start_worker(&[]).await;
    fleet.workers(2).await;

    // Its worker drains: the call moves between two turns.
    fleet.command(&["drain", &second, "--timeout", "50"]).await.unwrap();
    let third = fleet.owner_in_epoch(3).await;
    assert!(third != second && fleet.ends(&second).await);
    third_turn.say();
    fleet.until("the last answer", async || done.is_said() && fleet.bookings() >= 3).await;
    assert_eq!((fleet.bookings(), fleet.greetings()), (3, 1));
    end.say();
    hung_up(calling).await;
    fleet.no_calls().await;
    fleet.terminate(&third);
    assert!(fleet.ends(&third).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_by_the_loss_of_its_worker_is_taken_up_again() {
    let mut fleet = Fleet::with(Options::default().brain(|| Teller)).await;
    let leg = fleet.start_leg().await;
    fleet.start_worker(&[]).await;
    fleet.start_worker(&[]).await;
    fleet.workers(2).await;
    let [speaks, lost, back, end] = [(); 4].map(|()| Go::default());
    let words = voice::speak("Tell me a story.").samples.into_iter().step_by(3).collect();
    let script = vec![
        Step::hear(Duration::from_millis(300)),
        silence(),
        Step::say(words),
        Step::Spoken,
        Step::hear(Duration::from_secs(2)),
        speaks.tell(),
        lost.step(),
        // What was on its way is over, and then somebody speaks without being asked.
        silence(),
        Step::hear(Duration::from_millis(300)),
        back.tell(),
        end.step(),
        Step::hang_up(),
    ];
    let calling = dial(&leg, script);
    let first = fleet.owner_in_epoch(1).await;
    fleet.until("the story", async || speaks.is_said()).await;
    fleet.kill(&first);
    lost.say();
    fleet.owner_in_epoch(2).await;
    fleet.until("the rest", async || back.is_said()).await;
    let told = fleet.emulator.received_of("conversation.item.create");
    assert!(told.iter().any(|item| item.to_string().contains("The line was silent")), "{told:?}");
    end.say();
    hung_up(calling).await;
    fleet.no_calls().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_hangs_up_while_nobody_serves_leaves_no_call_behind() {
    let mut fleet = Fleet::start().await;
    let leg = fleet.start_leg().await;
    fleet.start_worker(&[]).await;
    fleet.workers(1).await;
    let [greeted, end] = [(); 2].map(|()| Go::default());
    let script = vec![Step::hear(Duration::from_millis(300)), greeted.tell(), end.step(), Step::hang_up()];
    let calling = dial(&leg, script);
    let worker = fleet.owner_in_epoch(1).await;
    fleet.until("a greeting", async || greeted.is_said()).await;
    fleet.kill(&worker);
    fleet.ends(&worker).await;
    end.say();
    hung_up(calling).await;
    // The next owner is told by the leg that the caller has gone.
    fleet.start_worker(&[]).await;
    fleet.no_calls().await;
}
