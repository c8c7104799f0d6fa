//! What a call is asked for, on the socket and beside it.

use std::sync::Mutex;

use futures_util::FutureExt;
use realtime_telephony::rest::{Account, Dial, HttpRequest, Login, RestError, Transfer};

use super::*;
use crate::chain::{PhoneAction, PhoneRequest, Ticket, WorkFailed, WorkValue};

/// A carrier that notes what it is asked for, and answers with these statuses.
fn carrier(statuses: &[u16]) -> (Arc<Mutex<Vec<String>>>, Requests) {
    carrier_of(Login::Telnyx { api_key: "hidden".into(), connection_id: None }, statuses)
}

fn carrier_of(login: Login, statuses: &[u16]) -> (Arc<Mutex<Vec<String>>>, Requests) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, statuses) = (Arc::clone(&asked), statuses.to_vec());
    let send = move |request: HttpRequest| {
        let mut noted = noted.lock().unwrap();
        let status = statuses[noted.len().min(statuses.len() - 1)];
        noted.push(format!("{} {} {}", request.method, request.url, request.body.text()));
        let body = r#"{"sid":"CA7","data":{"call_control_id":"v3:7"},"secret":"4711"}"#.to_owned();
        async move {
            match status {
                0 => Err::<_, NoReply>("the line is cut".into()),
                status => Ok(HttpReply { status, body }),
            }
        }
    };
    (asked, Requests::new(Account::new(login), send))
}

impl Bench {
    /// A Telnyx call, with these requests.
    fn telnyx(requests: Option<Requests>) -> Self {
        let phone = Phone::new(CarrierKind::Telnyx, StreamOptions::default().audio_within(None));
        let mut bench = Self::with(match requests {
            Some(requests) => phone.requests(requests),
            None => phone,
        });
        bench.text(r#"{"event":"start","start":{"call_control_id":"v3:1"}}"#);
        bench.lines.clear();
        bench
    }

    fn keys(&mut self, keys: &str) {
        self.frame(&FrameKind::OutputDtmf(Keys::new(keys).unwrap()));
    }

    fn ask(&mut self, number: u64, action: PhoneAction) {
        self.frame(&FrameKind::PhoneRequest(PhoneRequest { ticket: Ticket::of(number), action }));
    }

    /// All that was handed out ends.
    fn work(&mut self) {
        for work in std::mem::take(&mut self.works) {
            let done = Ok(work.future.now_or_never().unwrap());
            self.ended(work.id, done);
        }
    }

    fn ended(&mut self, id: u64, done: Result<WorkValue, WorkFailed>) {
        self.phone.handle_work(self.now, id, done);
        self.collect();
    }

    fn finish(&mut self) {
        self.phone.finish(self.now);
        self.collect();
    }
}

#[test]
fn keys_go_out_where_the_carrier_takes_them() {
    let mut phone = Phone::new(CarrierKind::Plivo, StreamOptions::default());
    phone.handle_text(Timestamp::ZERO, r#"{"event":"start","start":{"callId":"c","streamId":"s"}}"#);
    let keys = FrameKind::OutputDtmf(Keys::new("12#").unwrap());
    phone.handle_frame(Timestamp::ZERO, Direction::Downstream, &keys).unwrap();
    let sent = std::iter::from_fn(|| phone.poll_output()).last();
    let Some(MediaOutput::Send(SocketMessage::Text(text))) = sent else { panic!("{sent:?}") };
    assert_eq!(text, r##"{"event":"sendDTMF","dtmf":"12#"}"##);
}

#[test]
fn elsewhere_a_request_sends_keys_and_what_fails_is_a_fault_that_says_what_to_do() {
    let (asked, requests) = carrier(&[200]);
    let mut bench = Bench::telnyx(Some(requests));
    bench.keys("12#");
    bench.work();
    assert!(bench.news().is_empty());
    let expected = "POST https://api.telnyx.com/v2/calls/v3%3A1/actions/send_dtmf {\"digits\":\"12#\"}";
    assert_eq!(*asked.lock().unwrap(), [expected]);

    let cases = [
        (Bench::telnyx(None), "Application", "and there is none: give one by `Phone::requests`"),
        (Bench::telnyx(Some(carrier(&[403]).1)), "Authentication", "refused it with HTTP status 403"),
        (Bench::telnyx(Some(carrier(&[429]).1)), "RateLimited", "refused it with HTTP status 429"),
        (Bench::telnyx(Some(carrier(&[0]).1)), "Unreachable", "the carrier gave no answer"),
    ];
    for (mut bench, category, expected) in cases {
        bench.keys("12#");
        bench.work();
        let told = bench.news();
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(told.starts_with(&format!("fault {category} telnyx: 3 keys were not sent")), "{told}");
        assert!(told.contains(expected) && told.contains("`Playout::tones`"), "{told}");
        assert!(!told.contains("12#") && !told.contains("4711") && !told.contains("hidden"), "{told}");
    }

    let mut bench = Bench::telnyx(Some(carrier(&[200]).1));
    bench.keys("1");
    let id = bench.works[0].id;
    bench.ended(id, Err(WorkFailed::Panicked { message: "oh".to_owned() }));
    assert!(bench.news()[0].contains("what sends requests panicked: oh"));
    bench.ended(id, Ok(Box::new(7)));
    assert!(bench.news().is_empty(), "it has ended");
}

#[test]
fn an_account_of_another_carrier_and_a_call_without_an_id_are_told() {
    let twilio = Login::Twilio { account_sid: "AC1".to_owned(), key: None, secret: "hidden".into() };
    let mut bench = Bench::telnyx(Some(carrier_of(twilio, &[200]).1));
    bench.keys("1");
    assert!(bench.news()[0].contains("expected an account with telnyx, got one with twilio"));

    let vonage = || carrier_of(Login::Vonage { token: "hidden".into() }, &[200]);
    let start = r#"{"event":"websocket:connected","content-type":"audio/l16;rate=16000","uuid":"u1"}"#;
    let mut bench =
        Bench::with(Phone::new(CarrierKind::Vonage, StreamOptions::default()).requests(vonage().1));
    bench.text(start);
    bench.keys("1");
    assert!(bench.news()[1].contains("expected the call's id, and vonage did not say it"));

    let (asked, requests) = vonage();
    let phone = Phone::new(CarrierKind::Vonage, StreamOptions::default());
    let mut bench = Bench::with(phone.requests(requests).call_id_in("uuid"));
    bench.text(start);
    bench.keys("1");
    bench.work();
    assert_eq!(asked.lock().unwrap()[0], r#"PUT https://api.nexmo.com/v1/calls/u1/dtmf {"digits":"1"}"#);
}

#[test]
fn where_closing_the_socket_does_not_hang_up_a_request_does_and_then_the_socket_is_closed() {
    for status in [200, 404] {
        let (asked, requests) = carrier(&[status]);
        let mut bench = Bench::telnyx(Some(requests));
        bench.finish();
        assert!(bench.news().is_empty() && !bench.phone.is_over());
        bench.work();
        assert_eq!(bench.news(), ["Peer(Disconnected)", "close"]);
        assert!(bench.phone.is_over() && bench.phone.oddities().is_none(), "{status}");
        assert!(asked.lock().unwrap()[0].contains("/actions/hangup"));
    }

    // It does not come to an end, or is refused, or can't be asked.
    let left_behind = |bench: &Bench| bench.phone.oddities().is_some_and(|told| told.contains("not hung up"));
    let mut bench = Bench::telnyx(Some(carrier(&[200]).1));
    bench.finish();
    bench.pass(1_999);
    assert!(bench.news().is_empty());
    bench.pass(1);
    assert_eq!(bench.news(), ["Peer(Disconnected)", "close"]);
    assert!(left_behind(&bench));
    bench.work();
    assert!(bench.news().is_empty() && !left_behind(&bench), "it has come to an end after all");

    let mut bench = Bench::telnyx(Some(carrier(&[500]).1));
    bench.finish();
    bench.work();
    assert!(bench.phone.is_over() && left_behind(&bench));

    let mut bench = Bench::telnyx(None);
    bench.finish();
    assert!(bench.phone.is_over() && left_behind(&bench));

    // The caller was faster, or never came.
    let mut bench = Bench::telnyx(None);
    bench.text(r#"{"event":"stop","stop":{"call_control_id":"v3:1"}}"#);
    bench.finish();
    assert!(!left_behind(&bench));
    let mut bench = Bench::new(CarrierKind::Telnyx);
    bench.finish();
    assert!(!left_behind(&bench));
}

#[test]
fn a_transfer_is_answered_when_it_is_done_and_then_the_call_is_not_hung_up() {
    let to = |to: &str| PhoneAction::Transfer { to: to.into() };
    let (asked, requests) = carrier(&[200]);
    let mut bench = Bench::telnyx(Some(requests));
    bench.ask(1, to("+15550100009"));
    assert!(bench.news().is_empty());
    bench.work();
    assert_eq!(bench.news(), ["answer ticket 1 done"]);
    assert!(asked.lock().unwrap()[0].ends_with(r#"/actions/transfer {"to":"+15550100009"}"#));
    bench.finish();
    assert_eq!(bench.news(), ["close", "Peer(Disconnected)"]);
    assert!(bench.works.is_empty() && bench.phone.is_over() && bench.phone.oddities().is_none());
    bench.ask(2, to("+15550100009"));
    assert_eq!(bench.news(), ["answer ticket 2 the caller has gone"]);

    // A document, for a carrier that takes no number.
    let login = Login::Plivo { auth_id: "MA1".to_owned(), auth_token: "hidden".into() };
    let (asked, requests) = carrier_of(login, &[202]);
    let plivo = Phone::new(CarrierKind::Plivo, StreamOptions::default().audio_within(None));
    let mut bench = Bench::with(plivo.requests(requests));
    bench.text(r#"{"event":"start","start":{"callId":"c","streamId":"s"}}"#);
    bench.news();
    bench.ask(1, to("+15550100009"));
    bench.work();
    let told = bench.news();
    assert!(told[0].starts_with("answer ticket 1 expected the address of a document for plivo"), "{told:?}");
    bench.ask(2, to("https://voice.example.com/sales"));
    bench.work();
    assert_eq!(bench.news(), ["answer ticket 2 done"]);
    assert!(asked.lock().unwrap()[0].contains("https://voice.example.com/sales"));
    bench.ask(3, PhoneAction::SendKeys(Keys::new("1").unwrap()));
    assert_eq!(bench.news(), ["> sendDTMF", "answer ticket 3 done"]);
}

#[test]
fn every_request_has_one_answer_also_without_an_account_and_if_none_ever_comes() {
    let keys = || PhoneAction::SendKeys(Keys::new("1").unwrap());
    let mut bench = Bench::telnyx(None);
    bench.ask(1, keys());
    bench.ask(2, PhoneAction::Transfer { to: "+15550100009".into() });
    for (told, number) in bench.news().iter().zip([1, 2]) {
        assert!(
            told.starts_with(&format!("answer ticket {number} expected an account to ask telnyx")),
            "{told}"
        );
    }

    let mut bench = Bench::telnyx(Some(carrier(&[500]).1));
    bench.ask(1, keys());
    bench.work();
    assert_eq!(bench.news(), ["answer ticket 1 the carrier refused it with HTTP status 500"]);

    bench.ask(2, keys());
    bench.pass(14_999);
    assert!(bench.news().is_empty());
    bench.pass(1);
    assert_eq!(bench.news(), ["answer ticket 2 the carrier gave no answer"]);
    bench.work();
    assert!(bench.news().is_empty(), "it comes too late");
}

#[test]
fn calls_are_transferred_and_made_and_nothing_secret_shows() {
    let (asked, requests) = carrier(&[200, 200, 422]);
    let number = Transfer::Number("+15550100009".to_owned());
    requests.transfer("v3:1", &number).now_or_never().unwrap().unwrap();
    let refused = requests.hang_up("v3:1").now_or_never().unwrap();
    assert!(refused.is_ok());
    let refused = requests.transfer("v3:1", &number).now_or_never().unwrap().unwrap_err();
    let RequestFailed::Refused(reply) = &refused else { panic!("{refused}") };
    assert!(reply.body.contains("4711") && !format!("{refused:?}{refused}{requests:?}").contains("4711"));
    assert_eq!(asked.lock().unwrap().len(), 3);
    let exotel = Login::Exotel { account_sid: "a".into(), api_key: "b".into(), api_token: "hidden".into() };
    let none = carrier_of(exotel, &[200]).1.transfer("1", &number).now_or_never().unwrap().unwrap_err();
    assert!(matches!(none, RequestFailed::NoRequest(RestError::NotSupported { .. })), "{none}");

    let login = Login::Telnyx { api_key: "hidden".into(), connection_id: Some("7".to_owned()) };
    let (_, requests) = carrier_of(login, &[200]);
    let stream = realtime_telephony::answer::StreamAnswer::new("wss://a.example/ws");
    let dial = Dial::new("+15550100002", "+15550100001", stream);
    let id = requests.dial(&dial).now_or_never().unwrap().unwrap();
    assert_eq!(id.as_deref(), Some("v3:7"));
    assert!(!format!("{requests:?}").contains("hidden"));
}
