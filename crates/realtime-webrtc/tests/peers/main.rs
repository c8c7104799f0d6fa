//! Two peers over the loopback interface, and what lies between them.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test, also in what tests share")]

mod descriptions;
mod network;
mod relay;
mod talk;

use std::f32::consts::TAU;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use realtime_webrtc::{Ended, Offer, Peer, PeerEvent, PeerOptions};
use tokio::time::timeout;

fn options() -> PeerOptions {
    let mut options = PeerOptions::default();
    options.local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    options
}

/// A call that is being made: the one who called, and the one who answered.
fn call(near: PeerOptions, far: PeerOptions) -> (Peer, Peer) {
    let offer = Offer::new(near).unwrap();
    let (answer, far) = Peer::answer(far, offer.sdp()).unwrap();
    (offer.accept(&answer).unwrap(), far)
}

/// A call that is open.
async fn open() -> (Peer, Peer) {
    let (mut near, mut far) = call(options(), options());
    opened(&mut near).await;
    opened(&mut far).await;
    (near, far)
}

async fn next(peer: &mut Peer) -> PeerEvent {
    timeout(Duration::from_secs(30), peer.next()).await.expect("an event in 30 s").expect("no end")
}

async fn opened(peer: &mut Peer) {
    assert_eq!(next(peer).await, PeerEvent::Opened);
}

/// The next text. Audio is passed over.
async fn text(peer: &mut Peer) -> String {
    loop {
        match next(peer).await {
            PeerEvent::Text(text) => return text.to_string(),
            PeerEvent::Audio(_) | PeerEvent::Quiet => {}
            other => panic!("{other:?}"),
        }
    }
}

/// How the call ends. Everything before is passed over.
async fn end(peer: &mut Peer) -> Ended {
    loop {
        if let PeerEvent::Ended(ended) = next(peer).await {
            assert_eq!(peer.next().await, None);
            return ended;
        }
    }
}

/// What is heard in so many frames that have any sound, and how many samples that is.
async fn heard(peer: &mut Peer, frames: usize) -> Vec<i16> {
    let mut all = Vec::new();
    let mut loud = 0;
    while loud < frames {
        if let PeerEvent::Audio(heard) = next(peer).await {
            let is_loud = loudness(&heard.0) > 500.0;
            loud += usize::from(is_loud);
            if loud > 0 {
                all.extend(heard.0);
            }
        }
    }
    all
}

/// A tone of 440 Hz at 24 kHz.
fn tone(millis: usize) -> Vec<i16> {
    (0..24 * millis).map(|n| ((n as f32 * 440.0 * TAU / 24_000.0).sin() * 8000.0) as i16).collect()
}

fn loudness(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// How often the wave crosses zero upwards, per second.
fn pitch(samples: &[i16]) -> f64 {
    let crossings = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    crossings as f64 * 24_000.0 / samples.len().max(1) as f64
}
