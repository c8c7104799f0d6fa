//! Calls by WebRTC: each has a peer, which hears the user and speaks the session's audio in real time, and
//! the first of the call's channels, over its data channel.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::session_config::SessionConfig;
use realtime_webrtc::{Ended, Peer, PeerEvent, PeerOptions};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tracing::Instrument;

use crate::call::SharedCall;
use crate::carried::{Carried, hear};
use crate::codec;
use crate::connection::Sound;
use crate::disaster::{Line, LineOptions, LineOutput};
use crate::drive::{Driven, Seeing, changed, now};
use crate::options::Options;

/// Returns whether an offer comes from a peer. Others only ask for an answer that looks right.
pub(crate) fn is_real(offer: &str) -> bool {
    offer.contains("a=ice-ufrag:") && offer.contains("a=fingerprint:")
}

/// Takes a call: answers its offer, and serves it until it ends. Returns its id and the answer.
pub(crate) fn take(
    offer: &str,
    session: &SessionConfig,
    options: &Options,
) -> Result<(String, String), String> {
    let mut settings = PeerOptions::default();
    settings.fills_silence = true;
    settings.route_deadline = SLOWEST;
    settings.most_audio = LONGEST_ANSWER;
    settings.remote = address(offer).unwrap_or(settings.remote);
    let (answer, peer) = Peer::answer(settings, offer).map_err(|error| error.to_string())?;

    let id = options.registry.add_call(session, options.key_seed);
    let carried = Carried::call(&id, options).ok_or("the call has ended")?;
    let (registry, call) = (Arc::clone(&options.registry), id.clone());
    let span = tracing::info_span!("call", id);
    let served = async move {
        tracing::info!("a WebRTC call");
        let Carried { shared, line, waits, seeing, ended } = carried;
        let end = Call { peer, shared, waits, seeing }.serve(line, ended).await;
        tracing::debug!(%end, "the call has ended");
        registry.end_call(&call);
    };
    tokio::spawn(served.instrument(span));
    Ok((id, answer))
}

/// A call that is served.
struct Call {
    peer: Peer,
    shared: Arc<SharedCall>,
    /// Whether its work may wait for a program.
    waits: bool,
    seeing: Seeing,
}

impl Call {
    /// Serves the call. Returns how it ended.
    async fn serve(mut self, line: LineOptions, ended: watch::Receiver<bool>) -> Ended {
        let end = self.open_and_run(line, ended).await;
        self.seeing.ended_as(None, &end.to_string());
        end
    }

    async fn open_and_run(&mut self, line: LineOptions, ended: watch::Receiver<bool>) -> Ended {
        loop {
            match self.peer.next().await {
                Some(PeerEvent::Opened) => break,
                Some(PeerEvent::Ended(end)) => return end,
                Some(_) => {}
                None => return Ended::Closed,
            }
        }
        let end = self.run(line, ended).await;
        // What was said last arrives, if the other side is there.
        let told = poll_fn(|cx| self.peer.poll_room(cx, 0, usize::MAX));
        let _ = timeout(CLOSING, told).await;
        end
    }

    async fn run(&mut self, line: LineOptions, mut ended: watch::Receiver<bool>) -> Ended {
        let over = async move { drop(ended.wait_for(|ended| *ended).await) };
        tokio::pin!(over);
        let origin = self.shared.origin;
        let channel = Arc::clone(&self.shared).attach(now(origin));
        let mut changes = Some(channel.changes());
        let mut driven = Driven { line: Line::of_call(channel, line, now(origin)), waits: self.waits };
        loop {
            if self.send(&mut driven.line) {
                return Ended::Closed;
            }
            let deadline =
                driven.line.poll_timeout().map(|at| origin + Duration::from_micros(at.as_micros()));
            tokio::select! {
                biased; // the end first, so that a flood of texts cannot keep it waiting
                () = &mut over => return Ended::Closed,
                event = self.peer.next() => match event {
                    Some(PeerEvent::Text(text)) => {
                        self.seeing.came(&text);
                        let at = now(origin);
                        driven = driven.step(move |line| line.handle_text(at, &text)).await;
                    }
                    Some(PeerEvent::Binary(_)) => driven.line.handle_binary(now(origin)),
                    Some(PeerEvent::Audio(heard)) => hear(&self.shared, self.waits, now(origin), heard.0).await,
                    Some(PeerEvent::Ended(end)) => return end,
                    Some(_) => {}
                    None => return Ended::Closed,
                },
                // Another channel of the call did something.
                () = changed(&mut changes) => {
                    let at = now(origin);
                    driven = driven.step(move |line| line.handle_timeout(at)).await;
                }
                () = sleep_until(deadline.unwrap_or(origin)), if deadline.is_some() => {
                    let at = now(origin);
                    driven = driven.step(move |line| line.handle_timeout(at)).await;
                }
            }
        }
    }

    /// Sends what is to be sent. Returns whether the call is over.
    fn send(&mut self, line: &mut Line) -> bool {
        while let Some(output) = line.poll_output() {
            let text = match output {
                LineOutput::Text(text) | LineOutput::Binary(text) => text,
                LineOutput::Close { .. } | LineOutput::Break => return true,
            };
            self.seeing.sent(&text);
            self.peer.send_text(text);
        }
        while let Some(sound) = self.shared.poll_sound() {
            match sound {
                Sound::Speak(format, audio) => {
                    if !self.peer.say(codec::decode(&audio, format)) {
                        tracing::warn!("an answer is too long to be spoken: some of it was dropped");
                    }
                }
                Sound::Hush => self.peer.hush(),
            }
        }
        false
    }
}

/// An address of the other side, from its first candidate.
fn address(offer: &str) -> Option<IpAddr> {
    offer.lines().filter_map(|line| line.strip_prefix("a=candidate:")?.split(' ').nth(4)?.parse().ok()).next()
}

/// For the caller to come after it has the answer.
const SLOWEST: Duration = Duration::from_secs(30);
/// For the last texts to arrive.
const CLOSING: Duration = Duration::from_secs(1);
/// The longest answer that is spoken.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_from_the_first_candidate() {
        let offer = "v=0\r\na=ice-ufrag:x\r\na=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host\r\n";
        assert_eq!(address(offer), Some([192, 0, 2, 7].into()));
        for none in ["", "a=candidate:1 1 udp", "a=candidate:1 1 udp 1 x.local 5000 typ host"] {
            assert_eq!(address(none), None, "{none}");
        }
        assert!(!is_real(offer) && is_real(&format!("{offer}a=fingerprint:sha-256 00\r\n")));
    }
}
