//! `realtime call`, as a program: the carrier is a few lines here.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use realtime_client::HttpRequest;
use realtime_tests::carriers::{Carrier, Step, call};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// An address that nobody listens at. It is below the ports that systems give to whoever asks for any, so no
/// other test is given it meanwhile.
fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(16);
    let mut addresses = std::iter::repeat_with(|| {
        let port = 10_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
    });
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}

/// Runs `realtime call` by a carrier that answers like this and then does `then` with the server's address.
/// Returns whether it succeeded, and both its outputs.
async fn dialled<Then: Future<Output = ()>>(
    answer: &str,
    then: impl FnOnce(String) -> Then,
) -> (bool, String, String) {
    let carrier = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = free();
    let program = Command::new(env!("CARGO_BIN_EXE_realtime"))
        .args(["call", "+15550100001", "--via", "twilio", "--from", "+1 555 010 0002", "--ring-for", "5"])
        .args(["--detect-machines", "--listen", &free.to_string(), "--threads", "1"])
        .args(["--public-url", &format!("http://{free}")])
        .env("TWILIO_ACCOUNT_SID", "AC1")
        .env("TWILIO_API_KEY", "SK1")
        .env("TWILIO_API_SECRET", "canary-secret")
        .env("TWILIO_API_URL", format!("http://{}", carrier.local_addr().unwrap()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let far = async {
        let (mut stream, _) = carrier.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let mut length = 0;
        while !String::from_utf8_lossy(&request[..length]).contains("MachineDetection") {
            length += stream.read(&mut request[length..]).await.unwrap();
        }
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        assert!(request.starts_with("POST /2010-04-01/Accounts/AC1/Calls.json HTTP/1.1"), "{request}");
        assert!(request.contains("To=%2B15550100001&From=%2B15550100002"), "{request}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        drop(stream);
        then(format!("127.0.0.1:{}", free.port())).await;
    };
    let (output, ()) =
        timeout(Duration::from_secs(40), async { tokio::join!(program.wait_with_output(), far) })
            .await
            .unwrap();
    let output = output.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(!format!("{out}{err}").contains("canary"), "{out}{err}");
    (output.status.success(), out, err)
}

const TAKEN: &str = "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"CA1\"}";

async fn told(server: &str, body: &str) {
    let request = HttpRequest::new("POST", format!("http://{server}/twilio/status"));
    let answer = request.body("application/x-www-form-urlencoded", body).send().await.unwrap();
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn who_answered_and_how_it_went_is_told() {
    let (succeeded, out, err) = dialled(TAKEN, async |server| {
        told(&server, "CallSid=CA1&CallStatus=ringing").await;
        told(&server, "CallSid=CA1&CallStatus=in-progress").await;
        told(&server, "CallSid=CA1&AnsweredBy=human").await;
        let script = [Step::hear(Duration::from_millis(500)), Step::hang_up()];
        call(Carrier::Twilio, &format!("ws://{server}/twilio"), &[], script).await.unwrap();
        sleep(Duration::from_millis(300)).await;
        told(&server, "CallSid=CA1&CallStatus=completed").await;
    })
    .await;
    assert!(succeeded, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..4],
        ["dialling +15550100001 by twilio", "ringing", "answered", "answered by a person"]
    );
    assert!(lines[4].contains(" s, 0 turns of the caller"), "{out}");
    assert_eq!(lines[5], "the call is over");
}

#[tokio::test]
async fn a_busy_line_is_a_failure() {
    let (succeeded, out, err) =
        dialled(TAKEN, async |server| told(&server, "CallSid=CA1&CallStatus=busy").await).await;
    assert!(!succeeded && err.ends_with("error: the line is busy\n"), "{out}{err}");
}

#[tokio::test]
async fn a_carrier_that_does_not_dial_says_why() {
    let refused = "HTTP/1.1 400 X\r\nContent-Length: 24\r\n\r\n{\"message\":\"no such no\"}";
    let (succeeded, _, err) = dialled(refused, async |_| {}).await;
    assert!(!succeeded && err.contains("twilio does not dial: it answered with status 400: "), "{err}");
}
