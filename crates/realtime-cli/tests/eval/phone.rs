//! An agent behind a phone socket: `realtime eval` dials `realtime serve` as carriers do.

use std::path::Path;
use std::process::Output;

use clap::Parser;
use futures_util::{SinkExt as _, StreamExt as _};
use realtime_cli::environment::Environment;
use realtime_cli::serve::{Args, Server};
use realtime_telephony::CarrierKind;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::{command, folder, text};

/// A command line that has the server's options.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    serve: Args,
}

/// A server of the demo's agent on a port of its own: the address of its sockets.
async fn server() -> String {
    let words = ["realtime", "--listen", "127.0.0.1:0", "--threads", "1"];
    let server = Server::bind(&Cli::parse_from(words).serve, &Environment::default()).await.expect("a port");
    let at = format!("ws://{}", server.at());
    tokio::spawn(server.serve());
    at
}

async fn eval(folder: &Path, arguments: &[&str]) -> Output {
    let run = tokio::process::Command::from(command(folder, arguments)).output();
    run.await.expect("the binary was built for this test")
}

#[tokio::test]
async fn a_caller_is_greeted_asks_interrupts_and_what_a_phone_hears_is_checked() {
    let at = server().await;
    let scenario = format!(
        "name: passes
agent: {{ phone: {{ url: '{at}/twilio' }} }}
voice: tones
caller:
  - wait_for_answer
  - say: What is the weather in Paris today?
  - interrupt: {{ say: Thank you. And how about tomorrow?, after_ms: 600 }}
  - wait_for_answer
  - keys: '1'
  - hang_up
expect:
  - turns: [agent, user, agent, user, agent]
  - interruptions: 1
  - cut_within_ms: 5000
  - within_ms: 20000
  - heard_ms: 3000
  - ends: caller
---
name: fails
agent: {{ phone: {{ url: '{at}/calls/0', carrier: twilio }} }}
caller: [hang_up]
expect:
  - ends: caller
---
name: fails, too
agent: {{ phone: {{ url: '{at}/telnyx' }} }}
voice: tones
caller: [wait_for_answer, hang_up]
expect:
  - turns: [user]
  - within_ms: 1000
  - heard_ms: 600000
  - cut_within_ms: 500
  - interruptions: 1
  - ends: agent
"
    );
    let folder = folder("phone", &scenario);
    let output = eval(&folder, &["case.yaml", "--jobs", "3", "--json", "--log", "logs"]).await;
    let out = text(&output.stdout);
    assert!(out.contains("3 scenarios: 1 passed, 2 failed"), "{out}");
    for told in [
        "case.yaml:30:5: expected the turns user, got agent",
        "case.yaml:31:5: expected answers within 1000 ms, got none",
        "case.yaml:32:5: expected 600000 ms of the agent's voice, got ",
        "case.yaml:33:5: expected silence within 500 ms of each interruption, got no interruption",
        "case.yaml:34:5: expected 1 interruption, got 0",
        "case.yaml:35:5: expected the call to end by agent, got caller (the caller hung up)",
        "to take a call of twilio, got status 40",
    ] {
        assert!(out.contains(told), "{told}\n  is not in\n{out}");
    }
    let report: Value = serde_json::from_str(out.lines().last().expect("a report")).expect("JSON");
    let call = &report["scenarios"][0]["call"];
    assert_eq!(call["sound"]["cut_after_ms"].as_array().map(Vec::len), Some(1), "{call}");
    assert_eq!(call["sound"]["speeches"][0]["who"], "agent", "{call}");
    let tape = hound::WavReader::open(folder.join("logs/passes.wav")).expect("both voices");
    assert_eq!((tape.spec().channels, tape.spec().sample_rate), (2, 8_000));
    assert!(u64::from(tape.duration()) / 8 >= call["sound"]["heard_ms"].as_u64().expect("a number"));
}

#[tokio::test]
async fn a_server_that_breaks_the_carrier_s_rules_fails_the_scenario() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a call");
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a socket");
        for _ in 0..12 {
            socket.send(Message::text(r#"{"event":"clear"}"#)).await.expect("the carrier reads");
        }
        socket.close(None).await.expect("the carrier reads");
        while let Some(Ok(_)) = socket.next().await {}
    });
    let scenario = format!(
        "name: rude
agent: {{ phone: {{ url: 'ws://{at}/stream', carrier: twilio }} }}
voice: tones
caller: [wait_for_answer, {{ say: Hello. }}]
expect:
  - ends: agent
"
    );
    let folder = folder("rude", &scenario);
    let output = eval(&folder, &["case.yaml"]).await;
    let out = text(&output.stdout);
    for told in [
        "case.yaml: expected a server that keeps twilio's rules, got a breach, 12 times: streamSid is missing",
        "case.yaml:4:27: expected the call to go on until this step is done, got its end: the agent's server",
    ] {
        assert!(out.contains(told), "{told}\n  is not in\n{out}");
    }
}

#[tokio::test]
async fn a_server_that_is_lost_did_not_end_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for says_goodbye in [true, false] {
            let (stream, _) = listener.accept().await.expect("a call");
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a socket");
            if says_goodbye {
                let end = CloseFrame { code: CloseCode::Error, reason: "boom".into() };
                socket.close(Some(end)).await.expect("the carrier reads");
                while let Some(Ok(_)) = socket.next().await {}
            }
        }
    });
    let agent = format!("agent: {{ phone: {{ url: 'ws://{at}/stream', carrier: twilio }} }}");
    let scenario = |name: &str| {
        format!("name: {name}\n{agent}\ncaller: [{{ silent_ms: 2000 }}]\nexpect: [{{ ends: agent }}]\n")
    };
    let folder = folder("lost", &[scenario("closed"), scenario("gone")].join("---\n"));
    let output = eval(&folder, &["case.yaml", "--jobs", "1"]).await;
    let out = text(&output.stdout);
    for told in ["2 scenarios: 0 passed, 2 failed", "boom", "the agent's server was lost"] {
        assert!(out.contains(told), "{told}\n  is not in\n{out}");
    }
}

#[tokio::test]
async fn every_carrier_is_played() {
    let at = server().await;
    let scenarios = CarrierKind::ALL.map(|carrier| {
        format!(
            "name: {carrier}
agent: {{ phone: {{ url: '{at}/{carrier}' }} }}
caller: [wait_for_answer, hang_up]
expect:
  - turns: [agent]
  - heard_ms: 500
  - ends: caller
"
        )
    });
    let folder = folder("carriers", &scenarios.join("---\n"));
    let output = eval(&folder, &["case.yaml", "--jobs", "8"]).await;
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("8 scenarios: 8 passed, 0 failed"), "{out}\n{err}");
}
