//! Calls in virtual time, over sockets in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_pipeline::chain::{Cx, Frame, FrameKind, Keys, Processor};
use realtime_protocol::session::InterruptionPolicy;
use realtime_tests::carriers::{Carrier, End, Step};
use tokio::time::sleep;

use crate::line::{LONG, barges_in, hold, host, script, voice};

#[tokio::test(start_paused = true)]
async fn a_caller_is_greeted_asks_speaks_over_the_answer_and_hangs_up() {
    for carrier in Carrier::ALL {
        let held = hold(carrier, host(), &script(), barges_in(carrier, Step::HangUp), async |_| {}).await;
        assert_eq!(held.report.end, End::HungUp, "{carrier:?}");
        let apart = held.assert_one_barge_in();
        // Without load and network both count the same, but for the carrier's ticks of 20 ms.
        assert!(apart <= 20, "{carrier:?}: {apart} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_agent_hangs_up_once_the_caller_has_heard_everything() {
    for carrier in Carrier::ALL {
        let steps = vec![Step::Stay];
        let held = hold(carrier, host(), &script(), steps, async |handle| {
            sleep(Duration::from_millis(700)).await;
            handle.end("that is all").unwrap();
        })
        .await;
        let (report, name) = (&held.report, carrier.name());
        assert_eq!(report.end, End::ByServer, "{name}");
        assert_eq!(report.violations, [""; 0], "{name}");
        assert_eq!(held.words, ["assistant: Hello there."], "{name}");
        assert_eq!((report.dropped, report.sounded), (Duration::ZERO, report.received), "{name}: {report:?}");
        assert!(report.sounded >= Duration::from_millis(900), "{name}: {report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_ends_the_run() {
    for carrier in [Carrier::Twilio, Carrier::Vonage, Carrier::Genesys] {
        let steps = vec![Step::Hear(Duration::from_millis(300)), Step::Drop];
        let held = hold(carrier, host(), &script(), steps, async |_| {}).await;
        assert_eq!((held.report.end, held.report.violations.len()), (End::Dropped, 0), "{carrier:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_too_short_to_interrupt_holds_the_answer_which_goes_on_where_it_was_heard() {
    for carrier in Carrier::ALL {
        let policy = InterruptionPolicy::after(Duration::from_millis(1_500)).holding();
        let agent = host().client(|mut client| {
            client.session = client.session.interruption(policy);
            client
        });
        let steps = vec![
            Step::Hear(Duration::from_millis(300)),
            Step::Silence(Duration::from_millis(600)),
            voice(carrier, 2_000),
            Step::Spoken,
            Step::Hear(Duration::from_millis(2_000)),
            voice(carrier, 300),
            Step::Cleared(1),
            Step::Silence(Duration::from_millis(2_500)),
            Step::HangUp,
        ];
        let held = hold(carrier, agent, &script(), steps, async |_| {}).await;
        let (report, name) = (&held.report, carrier.name());
        assert_eq!((report.cleared_at.len(), report.violations.len()), (1, 0), "{name}: {report:?}");
        assert!(held.seen.cuts().is_empty(), "{name}");
        // The sound is an item of the conversation, too.
        assert_eq!(held.words[held.words.len() - 2], format!("assistant: {LONG}"), "{name}");
        let bytes_per_second = match carrier {
            Carrier::Vonage | Carrier::Exotel | Carrier::Jambonz => 48_000,
            _ => 8_000,
        };
        let spoken: u64 = held.seen.spoken(bytes_per_second).iter().map(|(_, ms)| ms).sum();
        let sounded = u64::try_from(report.sounded.as_millis()).unwrap();
        // Exotel's pieces are filled up to 200 ms, at the end of the greeting and of the answer.
        let most = if carrier == Carrier::Exotel { 400 } else { 80 };
        assert!((spoken..spoken + most).contains(&(sounded + 20)), "{name}: {sounded} of {spoken} ms");
    }
}

/// Notes the caller's keys, and sends them back.
struct Echo(Arc<Mutex<String>>);

impl Processor for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if let FrameKind::InputDtmf(keys) = frame.kind() {
            self.0.lock().unwrap().push_str(keys.as_str());
            let keys = Keys::new(keys.as_str()).unwrap();
            cx.push(FrameKind::OutputDtmf(keys));
        }
        cx.forward(frame);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_every_carrier_and_go_to_those_that_take_them() {
    for carrier in Carrier::ALL {
        let noted = Arc::new(Mutex::new(String::new()));
        let agent = host().listen(Echo(Arc::clone(&noted)));
        let steps = vec![
            Step::Hear(Duration::from_millis(300)),
            Step::Keys("12*#".to_owned()),
            Step::Silence(Duration::from_millis(500)),
            Step::HangUp,
        ];
        let held = hold(carrier, agent, &script(), steps, async |_| {}).await;
        assert_eq!(*noted.lock().unwrap(), "12*#", "{carrier:?}");
        let takes_keys = matches!(carrier, Carrier::Plivo | Carrier::SignalWire);
        assert_eq!(held.report.keys, if takes_keys { "12*#" } else { "" }, "{carrier:?}");
        assert_eq!(held.report.violations, [""; 0], "{carrier:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_on_the_line_does_not_end_a_call() {
    for carrier in Carrier::ALL {
        let mut steps = vec![Step::Hear(Duration::from_millis(100))];
        for text in
            ["", "null", "[]", "{\"event\":7}", "{\"event\":\"mark\",\"mark\":{\"name\":\"9.9\"}}", "\u{0}"]
        {
            steps.push(Step::Raw(text.to_owned()));
        }
        steps.push(Step::Raw("x".repeat(100_000)));
        steps.extend(barges_in(carrier, Step::HangUp));
        let held = hold(carrier, host(), &script(), steps, async |_| {}).await;
        assert_eq!(held.report.end, End::HungUp, "{carrier:?}");
        assert!(held.assert_one_barge_in() <= 20, "{carrier:?}");
    }
}
