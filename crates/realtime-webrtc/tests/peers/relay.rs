//! A network between two peers that loses, overtakes and swallows datagrams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use realtime_webrtc::{Offer, Peer, PeerOptions};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// The network; it ends when it is dropped.
pub(crate) struct Relay {
    /// Nothing gets through.
    pub(crate) is_cut: Arc<AtomicBool>,
    /// Some datagrams are lost, and others overtaken.
    pub(crate) is_poor: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A call through a network.
pub(crate) async fn call_through(near: PeerOptions, far: PeerOptions) -> (Peer, Peer, Relay) {
    let bind = async || UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Each peer sees one of them as the other peer.
    let (to_near, to_far) = (bind().await, bind().await);
    let offer = Offer::new(near).unwrap();
    let near_address = address(offer.sdp());
    let (answer, far) =
        Peer::answer(far, &moved(offer.sdp(), near_address, to_far.local_addr().unwrap())).unwrap();
    let far_address = address(&answer);
    let near = offer.accept(&moved(&answer, far_address, to_near.local_addr().unwrap())).unwrap();

    let is_cut = Arc::new(AtomicBool::new(false));
    let is_poor = Arc::new(AtomicBool::new(false));
    let (cut, poor) = (Arc::clone(&is_cut), Arc::clone(&is_poor));
    let task = tokio::spawn(async move {
        let (mut from_near, mut from_far) = ([0; 2000], [0; 2000]);
        let mut count = 0_u64;
        let mut held = None;
        loop {
            let (datagram, to, by) = tokio::select! {
                Ok((length, _)) = to_near.recv_from(&mut from_near) => (from_near[..length].to_vec(), far_address, &to_far),
                Ok((length, _)) = to_far.recv_from(&mut from_far) => (from_far[..length].to_vec(), near_address, &to_near),
            };
            count += 1;
            let is_poor = poor.load(Ordering::Relaxed);
            if cut.load(Ordering::Relaxed) || is_poor && count.is_multiple_of(12) {
                continue;
            }
            if is_poor && count.is_multiple_of(7) && held.is_none() {
                held = Some((datagram, to));
                continue;
            }
            let _ = by.send_to(&datagram, to).await;
            if let Some((datagram, to)) = held.take() {
                let by = if to == far_address { &to_far } else { &to_near };
                let _ = by.send_to(&datagram, to).await;
            }
        }
    });
    (near, far, Relay { is_cut, is_poor, task })
}

/// The address in a description's one candidate.
pub(crate) fn address(sdp: &str) -> SocketAddr {
    let candidate = sdp.lines().find_map(|line| line.strip_prefix("a=candidate:")).unwrap();
    let words: Vec<&str> = candidate.split(' ').collect();
    format!("{}:{}", words[4], words[5]).parse().unwrap()
}

/// The description with another address.
pub(crate) fn moved(sdp: &str, from: SocketAddr, to: SocketAddr) -> String {
    sdp.replace(&format!(" {} {} ", from.ip(), from.port()), &format!(" {} {} ", to.ip(), to.port()))
}
