//! Calls in real time, over sockets of the system: each by the library that a server would take.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::any;
use realtime_tests::carriers::{Carrier, End, Step, call};
use realtime_tests::seen::Seen;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::line::{Held, answer, barges_in, host, phone, script};

const LONGEST: Duration = Duration::from_secs(80);

/// A caller dials this address, and hangs up in the end.
async fn dial(carrier: Carrier, address: SocketAddr) -> realtime_tests::carriers::Report {
    let url = format!("ws://{address}/{}", carrier.name());
    call(carrier, &url, &[], barges_in(carrier, Step::HangUp)).await.unwrap()
}

fn assert_held(held: &Held) {
    let (carrier, report) = (held.carrier, &held.report);
    assert_eq!(report.end, End::HungUp, "{carrier:?}");
    let apart = held.assert_one_barge_in();
    assert!(apart <= 200, "{carrier:?}: {apart} ms, {report:?}");
}

/// A call over a server of `axum`.
async fn over_axum(carrier: Carrier) {
    let (calls, mut over) = mpsc::channel::<(Seen, Vec<String>)>(1);
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        let hold = async move |socket: WebSocket| {
            let told = answer(phone(carrier), socket, host(), &script(), async |_| {}).await;
            calls.send(told).await.ok();
        };
        upgrade.max_message_size(64 * 1024).protocols(carrier.subprotocol()).on_upgrade(hold)
    };
    let app = Router::new().route(&format!("/{}", carrier.name()), any(upgrade));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let report = dial(carrier, address).await;
    let (seen, words) = timeout(LONGEST, over.recv()).await.unwrap().unwrap();
    server.abort();
    assert_held(&Held { carrier, report, seen, words });
}

#[tokio::test]
async fn a_twilio_call_over_a_socket_of_axum() {
    over_axum(Carrier::Twilio).await;
}

#[tokio::test]
async fn a_genesys_call_over_a_socket_of_axum() {
    over_axum(Carrier::Genesys).await;
}

#[tokio::test]
async fn a_vonage_call_over_a_socket_of_tungstenite() {
    let carrier = Carrier::Vonage;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let socket: WebSocketStream<_> = accept_async(stream).await.unwrap();
        answer(phone(carrier), socket, host(), &script(), async |_| {}).await
    };
    let (report, (seen, words)) =
        timeout(LONGEST, async { tokio::join!(dial(carrier, address), server) }).await.unwrap();
    assert_held(&Held { carrier, report, seen, words });
}
