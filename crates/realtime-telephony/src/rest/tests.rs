use realtime_protocol::audio::AudioFormat;
use serde_json::json;

use super::*;
use crate::answer::StreamProof;

fn accounts() -> Vec<Account> {
    let logins = [
        Login::Twilio { account_sid: "AC1".to_owned(), key: None, secret: "hidden".into() },
        Login::Telnyx { api_key: "hidden".into(), connection_id: Some("7".to_owned()) },
        Login::Plivo { auth_id: "MA1".to_owned(), auth_token: "hidden".into() },
        Login::Exotel { account_sid: "ex".to_owned(), api_key: "k".to_owned(), api_token: "hidden".into() },
        Login::Vonage { token: "hidden".into() },
        Login::Jambonz { account_sid: "J1".to_owned(), api_key: "hidden".into(), application_sid: None },
        Login::SignalWire { space: "us".to_owned(), project_id: "P1".to_owned(), api_token: "hidden".into() },
    ];
    logins.into_iter().map(Account::new).collect()
}

/// Method, address and body of each request.
fn shown(requests: Result<Vec<HttpRequest>, RestError>) -> Vec<String> {
    match requests {
        Ok(requests) => requests
            .iter()
            .map(|request| {
                let debug = format!("{request:?}");
                assert!(!debug.contains("hidden") && !debug.contains("aGlkZGVu"), "{debug}");
                format!("{} {} {}", request.method, request.url, request.body.text()).trim_end().to_owned()
            })
            .collect(),
        Err(error) => vec![format!("{error:?}").split(['(', ' ']).next().unwrap_or_default().to_owned()],
    }
}

#[test]
fn each_carrier_is_asked_to_hang_up() {
    let requests: Vec<String> =
        accounts().iter().flat_map(|account| shown(account.hang_up("v3:a/b"))).collect();
    assert_eq!(
        requests,
        [
            "POST https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/v3%3Aa%2Fb.json Status=completed",
            "POST https://api.telnyx.com/v2/calls/v3%3Aa%2Fb/actions/hangup {}",
            "DELETE https://api.plivo.com/v1/Account/MA1/Call/v3%3Aa%2Fb/",
            "NotSupported",
            "PUT https://api.nexmo.com/v1/calls/v3%3Aa%2Fb {\"action\":\"hangup\"}",
            "PUT https://api.jambonz.cloud/v1/Accounts/J1/Calls/v3%3Aa%2Fb {\"call_status\":\"completed\"}",
            "POST https://us.signalwire.com/api/laml/2010-04-01/Accounts/P1/Calls/v3%3Aa%2Fb.json Status=completed",
        ]
    );
}

#[test]
fn each_carrier_is_asked_to_transfer() {
    let number = Transfer::Number("+15550100001".to_owned());
    let requests: Vec<String> =
        accounts().iter().flat_map(|account| shown(account.transfer("1", &number))).collect();
    assert_eq!(
        requests,
        [
            "POST https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/1.json \
             Twiml=%3CResponse%3E%3CDial%3E%2B15550100001%3C%2FDial%3E%3C%2FResponse%3E",
            "POST https://api.telnyx.com/v2/calls/1/actions/transfer {\"to\":\"+15550100001\"}",
            "NeedsUrl",
            "NotSupported",
            "PUT https://api.nexmo.com/v1/calls/1 {\"action\":\"transfer\",\"destination\":{\"ncco\":[{\"action\":\
             \"connect\",\"endpoint\":[{\"number\":\"15550100001\",\"type\":\"phone\"}]}],\"type\":\"ncco\"}}",
            "NeedsUrl",
            "NeedsUrl",
        ]
    );
    let document = Transfer::Document("https://a.example/next".to_owned());
    let requests: Vec<String> =
        accounts().iter().flat_map(|account| shown(account.transfer("1", &document))).collect();
    assert_eq!(requests.iter().filter(|request| request.contains("a.example")).count(), 5, "{requests:?}");
}

#[test]
fn digits_are_sent_where_a_request_can() {
    let stream = StreamAnswer::new("wss://a.example/ws");
    let send = |account: &Account| shown(account.send_digits("1", "1#", Some(&stream)));
    let requests: Vec<String> = accounts().iter().flat_map(send).collect();
    assert_eq!(requests.len(), 8, "jambonz takes one at a time");
    assert!(
        requests[0].contains("%3CResponse%3E%3CPlay%20digits%3D%221%23%22%2F%3E%3CConnect%3E"),
        "{}",
        requests[0]
    );
    assert_eq!(requests[1], "POST https://api.telnyx.com/v2/calls/1/actions/send_dtmf {\"digits\":\"1#\"}");
    assert_eq!(requests[2], "POST https://api.plivo.com/v1/Account/MA1/Call/1/DTMF/ {\"digits\":\"1#\"}");
    assert_eq!(requests[4], "PUT https://api.nexmo.com/v1/calls/1/dtmf {\"digits\":\"1#\"}");
    let twilio = &accounts()[0];
    assert_eq!(twilio.send_digits("1", "1", None), Err(RestError::NeedsStream(CarrierKind::Twilio)));
    assert_eq!(twilio.send_digits("1", "\"/>", Some(&stream)), Err(RestError::NotDigits));
}

#[test]
fn each_carrier_is_asked_to_dial() {
    let stream = StreamAnswer::new("wss://a.example/ws").parameter("order", "42");
    let dial = Dial::new("+15550100002", "+15550100001", stream)
        .answer_url("https://a.example/answer")
        .status_url("https://a.example/status")
        .ring_for(Duration::from_secs(20))
        .detects_machines(true);
    for account in accounts() {
        let request = account.dial(&dial).unwrap();
        let body = request.body.text();
        assert_eq!(request.method, "POST");
        assert!(body.contains("15550100002") && body.contains("15550100001"), "{body}");
        assert!(body.contains("20") && body.contains("status"), "{body}");
        assert!(!format!("{dial:?}{request:?}").contains("1555"));
    }
}

#[test]
fn twilio_and_telnyx_need_no_webhook_to_dial() {
    let stream = StreamAnswer::new("wss://a.example/ws")
        .parameter("order", "42")
        .output(AudioFormat::Pcm16 { rate: 16_000 })
        .proof(StreamProof::Token("hidden".into()));
    let dial = Dial::new("+15550100002", "+15550100001", stream);
    let accounts = accounts();
    let telnyx: serde_json::Value =
        serde_json::from_str(&accounts[1].dial(&dial).unwrap().body.text()).unwrap();
    assert_eq!(
        telnyx,
        json!({
            "connection_id": "7", "to": "+15550100002", "from": "+15550100001", "stream_url": "wss://a.example/ws",
            "stream_track": "inbound_track", "stream_bidirectional_mode": "rtp", "stream_bidirectional_codec": "L16",
            "stream_bidirectional_sampling_rate": 16_000, "stream_auth_token": "hidden",
            "custom_parameters": [{"name": "order", "value": "42"}],
        })
    );
    let dial = Dial { stream: StreamAnswer::new("wss://a.example/ws"), ..dial };
    assert!(accounts[0].dial(&dial).unwrap().body.text().contains("Twiml=%3C%3Fxml"));
    assert_eq!(accounts[6].dial(&dial), Err(RestError::NeedsUrl(CarrierKind::SignalWire)));
}

#[test]
fn answers_say_the_call_s_id_and_whether_it_is_over() {
    let ids: Vec<Option<String>> = accounts()
        .iter()
        .zip([
            r#"{"sid":"1"}"#,
            r#"{"data":{"call_control_id":"1"}}"#,
            r#"{"request_uuid":"1"}"#,
            r#"{"Call":{"Sid":"1"}}"#,
            r#"{"uuid":"1"}"#,
            r#"{"sid":"1"}"#,
            "[]",
        ])
        .map(|(account, body)| account.dialled_call_id(body))
        .collect();
    assert_eq!(ids.iter().flatten().count(), 6);
    let [twilio, telnyx] = &accounts()[..2] else { panic!() };
    assert!(twilio.says_call_is_over(404, r#"{"code":20404}"#));
    assert!(telnyx.says_call_is_over(422, r#"{"errors":[{"code":"90018"}]}"#));
    assert!(!telnyx.says_call_is_over(422, "{}") && !twilio.says_call_is_over(200, "{}"));
}

#[test]
fn another_address_can_be_asked() {
    let account = accounts().remove(0).base_url("http://127.0.0.1:1/");
    let request = account.hang_up("CA1").unwrap().remove(0);
    assert_eq!(request.url, "http://127.0.0.1:1/2010-04-01/Accounts/AC1/Calls/CA1.json");
    assert_eq!(request.headers[0], ("Authorization", "Basic QUMxOmhpZGRlbg==".to_owned()));
    assert_eq!(request.body.content_type(), Some("application/x-www-form-urlencoded"));
}
