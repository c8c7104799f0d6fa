//! A judge, and a server in place of the emulator: both stand-ins on this machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use serde_json::{Value, json};

use crate::{command, eval, folder, text};

const ASKED: &str = "name: judged
voice: tones
caller: [wait_for_answer]
expect:
  - judge: Did the agent greet the caller?
";

/// A service that gives this answer once, and what it was sent: the head, and the body.
fn judge(status: &'static str, body: String) -> (String, thread::JoinHandle<(String, Value)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut bytes = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).expect("a piece");
            bytes.extend_from_slice(&piece[..length]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, sent)) = text.split_once("\r\n\r\n") else { continue };
            if let Ok(sent) = serde_json::from_str(sent) {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).expect("the client reads");
                return (head.to_owned(), sent);
            }
        }
    });
    (url, served)
}

fn says(words: &str) -> String {
    json!({ "choices": [{ "message": { "role": "assistant", "content": words } }] }).to_string()
}

#[test]
fn a_judge_reads_the_call_and_its_yes_passes() {
    let folder = folder("judged", ASKED);
    let (url, served) = judge("200 OK", says("Yes. It said hello."));
    let arguments = ["case.yaml", "--judge-url", &url, "--judge-model", "wise"];
    let output = command(&folder, &arguments)
        .env("REALTIME_JUDGE_KEY", "canary")
        .env("OPENAI_API_KEY", "other-canary")
        .output()
        .expect("the binary was built for this test");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let (head, sent) = served.join().expect("a request");
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{head}");
    assert!(head.contains("Bearer canary") && !head.contains("other-canary"), "{head}");
    assert_eq!(sent["model"], "wise");
    let read = sent["messages"][1]["content"].as_str().expect("a text");
    assert!(read.contains("agent: Hello! I am your weather assistant."), "{read}");
    assert!(read.ends_with("Question: Did the agent greet the caller?"), "{read}");
}

#[test]
fn a_judge_that_says_no_or_nothing_fails_with_its_words() {
    for (name, status, body, expected) in [
        ("no", "200 OK", says("No: it was\nrude."), "got \"No: it was rude.\""),
        ("unclear", "200 OK", says("Perhaps."), "got \"Perhaps.\""),
        ("odd", "200 OK", "{}".to_owned(), "got no answer: expected a chat completion"),
        ("refused", "401 Unauthorized", String::new(), "got no answer: the service answered with status 401"),
    ] {
        let (url, served) = judge(status, body);
        let folder = folder(name, &format!("{ASKED}judge: {{ url: '{url}', model: wise }}\n"));
        let output = eval(&folder, &["case.yaml"]);
        drop(served.join().expect("a request"));
        let out = text(&output.stdout);
        let question =
            "case.yaml:5:5: expected the judge to say yes to \"Did the agent greet the caller?\", ";
        assert!(out.contains(&format!("{question}{expected}")), "{name}: {out}");
    }
}

#[tokio::test]
async fn another_server_is_called_in_real_time() {
    let options = Options::default().brain(|| Script::demo().without_transcripts());
    let emulator = Emulator::spawn(options).await.expect("a port");
    let steps = "[wait_for_answer, { say: Hello. }, hang_up]";
    let expected = "[{ agent_says: { contains: Hello! } }, { ends: caller }]";
    let scenario = format!("name: real\nvoice: tones\ncaller: {steps}\nexpect: {expected}\n");
    let folder = folder("real", &scenario);
    let run =
        tokio::process::Command::from(command(&folder, &["case.yaml", "--url", emulator.url()])).output();
    let output = run.await.expect("the binary was built for this test");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!emulator.received_of("input_audio_buffer.append").is_empty(), "the caller is heard");
    emulator.stop().await;
}
