//! What a server can't be begun with, and how that is told.

use std::process::{Command, Stdio};

use clap::CommandFactory;
use realtime_cli::environment::Environment;
use realtime_cli::serve::{AFTER_HELP, Server};
use realtime_client::HttpRequest;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::args;

async fn refused(words: &[&str], variables: &[(&str, &str)]) -> String {
    let words = [&["--listen", "127.0.0.1:0"], words].concat();
    let environment = Environment::of(variables.iter().copied());
    Server::bind(&args(&words), &environment).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_can_not_be_is_told_with_what_to_do() {
    for (words, variables, expected) in [
        (vec!["--listen", "0.0.0.0:0"], vec![], "set REALTIME_PAGE_TOKEN, or listen on 127.0.0.1"),
        (
            vec!["--public-url", "voice.example.com"],
            vec![],
            "such as https://voice.example.com in --public-url",
        ),
        (
            vec!["--allow-origin", "app"],
            vec![],
            "such as https://app.example.com in --allow-origin, got `app`",
        ),
        (
            vec![],
            vec![("REALTIME_PAGE_TOKEN", "short")],
            "expected at least 16 characters in REALTIME_PAGE_TOKEN",
        ),
        (vec!["--url", "https://api.openai.com/v1"], vec![], "in the variable OPENAI_API_KEY: set it"),
        (vec!["--url", "nowhere"], vec![], "no scheme"),
        (vec!["--agent", "/nowhere/a.toml"], vec![], "cannot read /nowhere/a.toml"),
        (
            vec!["--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"],
            vec![],
            "cannot read /nowhere/",
        ),
    ] {
        // The last --listen counts.
        let words: Vec<&str> = words;
        let error = match words.first() {
            Some(&"--listen") => {
                let environment = Environment::of(variables.iter().copied());
                Server::bind(&args(&words), &environment).await.unwrap_err().to_string()
            }
            _ => refused(&words, &variables).await,
        };
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[tokio::test]
#[cfg(unix)]
async fn a_program_is_told_in_one_line_of_json_where_the_server_is() {
    let mut serving = tokio::process::Command::new(env!("CARGO_BIN_EXE_realtime"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--threads", "1", "--log", "error"])
        .env_remove("REALTIME_PAGE_TOKEN")
        .env_remove("TWILIO_AUTH_TOKEN")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let (url, listen) = (told["url"].as_str().unwrap(), told["listen"].as_str().unwrap());
    assert_eq!(url, format!("http://{listen}"));
    assert_eq!((&told["page"], &told["page_needs_token"]), (&json!(format!("{url}/")), &json!(false)));
    let twilio = json!({ "url": format!("ws://{listen}/twilio"), "verified": false });
    assert_eq!((&told["carriers"]["twilio"], &told["records"]), (&twilio, &Value::Null));
    let health = HttpRequest::new("GET", told["health"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(health.status, 200);

    let asked = Command::new("kill").arg(serving.id().unwrap().to_string()).status().unwrap();
    assert!(asked.success() && serving.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None, "nothing else is told");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let error = Server::bind(&args(&["--listen", &at]), &Environment::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on {at}: ")), "{error}");
}

#[test]
fn the_help_names_every_way_in_and_fits_a_terminal() {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        serve: realtime_cli::serve::Args,
    }
    let cli = <Cli as clap::Parser>::parse_from(["x"]);
    assert_eq!(cli.serve.most_calls, 32);
    let help = Cli::command().render_long_help().to_string();
    for option in
        ["--listen", "--public-url", "--agent", "--url", "--tls-cert", "--allow-origin", "--most-calls"]
    {
        assert!(help.contains(option), "{option}");
    }
    for path in ["/ws", "/rtvi", "/twilio", "/openai", "/tokens", "/calls", "/healthz"] {
        assert!(AFTER_HELP.contains(path), "{path}");
    }
    for line in AFTER_HELP.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
