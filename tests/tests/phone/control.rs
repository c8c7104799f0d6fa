//! What the model does with its phone call, and when it begins to speak.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_pipeline::agent::PhoneTools;
use realtime_pipeline::media::phone::{HttpReply, NoReply, Requests};
use realtime_pipeline::turns::FirstWord;
use realtime_telephony::caller::Caller;
use realtime_telephony::rest::{Account, HttpRequest, Login};
use realtime_tests::carriers::{Carrier, End, Step};
use serde_json::{Value, json};

use crate::line::{LONG, hold, hold_with, host, phone, voice};

/// The model says this, calls the function, and says what became of it.
fn says_and_calls(say: &str, function: &str, arguments: Value) -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there." }] },
        { "on": "speech", "transcript": "Please.", "reply": [
            { "say": say }, { "call": function, "arguments": arguments } ] },
        { "on": { "tool": function }, "reply": [{ "say": "It says {output}." }] },
        { "on": "speech", "transcript": "Wait.", "reply": [{ "say": "I am listening." }] },
    ] })
}

fn tools() -> PhoneTools {
    PhoneTools::new().hang_up().transfer_to("sales", "+15550100009").send_digits()
}

/// The caller is greeted, asks for something, and hears the answer.
fn asks(carrier: Carrier, last: Vec<Step>) -> Vec<Step> {
    let mut steps = vec![
        Step::Hear(Duration::from_millis(300)),
        Step::Silence(Duration::from_millis(600)),
        voice(carrier, 1_000),
        Step::Spoken,
        Step::Hear(Duration::from_millis(300)),
    ];
    steps.extend(last);
    steps
}

/// An account, and what it was asked for.
fn account(login: Login) -> (Requests, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let send = move |request: HttpRequest| {
        noted.lock().unwrap().push(format!("{} {}", request.url, request.body.text()));
        async { Ok::<_, NoReply>(HttpReply { status: 200, body: "{}".to_owned() }) }
    };
    (Requests::new(Account::new(login), send), asked)
}

fn telnyx() -> Login {
    Login::Telnyx { api_key: "hidden".into(), connection_id: None }
}

#[tokio::test(start_paused = true)]
async fn the_model_hangs_up_once_its_goodbye_was_heard() {
    for carrier in [Carrier::Twilio, Carrier::Telnyx, Carrier::Vonage, Carrier::Genesys, Carrier::Jambonz] {
        let (requests, asked) = account(telnyx());
        let mut phone = phone(carrier);
        if carrier == Carrier::Telnyx {
            phone = phone.requests(requests);
        }
        let script = says_and_calls("Goodbye, and thank you for your call.", "hang_up", json!({}));
        let steps = asks(carrier, vec![Step::Stay]);
        let held = hold_with(carrier, phone, host().phone_tools(tools()), &script, steps, async |_| {}).await;
        let (report, name) = (&held.report, carrier.name());
        assert_eq!((report.end, report.violations.len()), (End::ByServer, 0), "{name}: {report:?}");
        assert_eq!((report.dropped, report.sounded), (Duration::ZERO, report.received), "{name}: {report:?}");
        let said = "assistant: Goodbye, and thank you for your call.";
        assert!(held.words.iter().any(|word| word == said), "{name}: {:?}", held.words);
        let asked = asked.lock().unwrap();
        let hung_up: Vec<_> = asked.iter().filter(|asked| asked.contains("/actions/hangup")).collect();
        assert_eq!(hung_up.len(), usize::from(carrier == Carrier::Telnyx), "{name}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_speaks_over_the_goodbye_is_not_hung_up_on() {
    let carrier = Carrier::Twilio;
    let script = says_and_calls(LONG, "hang_up", json!({}));
    let last = vec![
        Step::Hear(Duration::from_millis(1_000)),
        voice(carrier, 1_000),
        Step::Cleared(1),
        Step::Spoken,
        Step::Hear(Duration::from_millis(300)),
        Step::Silence(Duration::from_millis(1_000)),
        Step::HangUp,
    ];
    let held = hold(carrier, host().phone_tools(tools()), &script, asks(carrier, last), async |_| {}).await;
    assert_eq!(held.report.end, End::HungUp, "{:?}", held.report);
    assert_eq!(held.words.last().unwrap(), "assistant: I am listening.", "{:?}", held.words);
}

#[tokio::test(start_paused = true)]
async fn the_model_transfers_the_call_to_a_place_that_it_knows_by_name() {
    let carrier = Carrier::Telnyx;
    let (requests, asked) = account(telnyx());
    let script = says_and_calls("I connect you.", "transfer_call", json!({ "to": "sales" }));
    let last = vec![Step::Silence(Duration::from_millis(3_000)), Step::HangUp];
    let phone = phone(carrier).requests(requests);
    let agent = host().phone_tools(tools());
    let held = hold_with(carrier, phone, agent, &script, asks(carrier, last), async |_| {}).await;
    assert_eq!(held.report.end, End::HungUp, "{:?}", held.report);
    let asked = asked.lock().unwrap();
    let [transfer] = &asked[..] else { panic!("{asked:?}") };
    assert!(transfer.ends_with(r#"/actions/transfer {"to":"+15550100009"}"#), "{transfer}");
    assert!(held.words.contains(&"assistant: It says \"done\".".to_owned()), "{:?}", held.words);
}

#[tokio::test(start_paused = true)]
async fn the_model_is_told_why_something_can_not_be_done() {
    // Twilio has no keys on the socket, and no account was given.
    let script = says_and_calls("One moment.", "send_digits", json!({ "digits": "12#" }));
    let last = vec![Step::Silence(Duration::from_millis(3_000)), Step::HangUp];
    let carrier = Carrier::Twilio;
    let agent = host().phone_tools(tools());
    let held = hold(carrier, agent, &script, asks(carrier, last.clone()), async |_| {}).await;
    let told = held.words.iter().find(|word| word.contains("expected an account to ask twilio with"));
    assert!(told.is_some(), "{:?}", held.words);

    let carrier = Carrier::Plivo;
    let agent = host().phone_tools(tools());
    let held = hold(carrier, agent, &script, asks(carrier, last), async |_| {}).await;
    assert_eq!(held.report.keys, "12#", "{:?}", held.words);
}

/// A voice as a detector wants it: what sounds without a pause is no voice.
fn syllables(carrier: Carrier, ms: u32) -> Step {
    let per_ms = Caller::rate_of(carrier) / 1_000;
    let loud = |n: u32| match n / per_ms % 400 < 300 {
        true if n % 16 < 8 => 12_000,
        true => -12_000,
        false => 0,
    };
    Step::Say((0..per_ms * ms).map(loud).collect())
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_calls_greets_after_the_first_word_or_after_silence() {
    let carrier = Carrier::Twilio;
    let script = says_and_calls("Yes.", "hang_up", json!({}));
    // One answers after a second, a machine speaks for five, one says nothing.
    for (spoken, from_ms, to_ms) in
        [(vec![600], 2_900, 3_400), (vec![2_500, 2_500], 7_900, 8_600), (vec![], 4_000, 4_700)]
    {
        let mut steps = vec![Step::Wait(Duration::from_millis(1_000))];
        for ms in spoken {
            steps.extend([syllables(carrier, ms), Step::Spoken, Step::Wait(Duration::from_millis(600))]);
        }
        steps.extend([
            Step::Hear(Duration::from_millis(300)),
            Step::Silence(Duration::from_millis(500)),
            Step::HangUp,
        ]);
        let agent = host().greets_after(FirstWord::new());
        let held = hold(carrier, agent, &script, steps, async |_| {}).await;
        assert_eq!(held.words, ["assistant: Hello there."]);
        let first = held.report.heard.iter().position(|sample| sample.unsigned_abs() > 500).unwrap() / 8;
        assert!((from_ms..to_ms).contains(&first), "{first} ms");
    }
}
