//! A WebRTC peer as a [`Wire`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use realtime_protocol::call::DisconnectReason;
use realtime_protocol::event::Dialect;
use realtime_webrtc::{Ended, Peer, PeerEvent};
use tokio::time::{Sleep, sleep};

use super::hearing::Hearing;
use super::pcm;
use super::saying::{Leaves, leaves, too_large};
use crate::wire::{Received, Wire};

/// A call that is open.
pub(super) struct PeerWire {
    peer: Peer,
    dialect: Dialect,
    hearing: Hearing,
    /// Texts behind a commit that waits for the audio before it.
    held: VecDeque<Leaves>,
    /// Bytes of these texts.
    held_bytes: usize,
    /// When the server has heard what was sent before the commit.
    lag: Option<Pin<Box<Sleep>>>,
    /// Texts that this side answers itself.
    answers: VecDeque<String>,
    /// Why the connection has ended.
    end: Option<DisconnectReason>,
}

impl PeerWire {
    pub(super) const fn new(peer: Peer, dialect: Dialect) -> Self {
        Self {
            peer,
            dialect,
            hearing: Hearing::new(dialect),
            held: VecDeque::new(),
            held_bytes: 0,
            lag: None,
            answers: VecDeque::new(),
            end: None,
        }
    }

    /// Samples that may wait without texts waiting for them.
    fn audio_room(&self) -> usize {
        pcm::rate(self.hearing.input()).hz() as usize / 1000 * ROOM_MILLIS
    }

    fn leave(&mut self, leaving: Leaves) {
        match leaving {
            Leaves::AsSound(samples) => {
                let count = samples.len();
                if !self.peer.say(samples) {
                    tracing::warn!(samples = count, "too much audio waits to be sent: some was dropped");
                }
            }
            Leaves::AsText(text) | Leaves::AfterSound(text) => self.write(text),
            Leaves::InsteadOfSound(text) => {
                self.peer.hush();
                self.write(text);
            }
        }
    }

    fn write(&mut self, text: String) {
        let most = self.peer.largest_text();
        if text.len() > most {
            self.answers.push_back(too_large(&text, most, self.dialect));
        } else {
            self.peer.send_text(text);
        }
        if self.peer.waiting_text() > MAX_UNSENT {
            self.end.get_or_insert_with(|| lost(format!("more than {MAX_UNSENT} bytes wait to be sent")));
        }
    }

    /// Lets texts leave, up to the first that still waits for audio.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(next) = self.held.front() {
            if matches!(next, Leaves::AfterSound(_)) {
                ready!(self.peer.poll_room(cx, usize::MAX, 0));
                ready!(self.lag.get_or_insert_with(|| Box::pin(sleep(LAG))).as_mut().poll(cx));
                self.lag = None;
            }
            if let Some(next) = self.held.pop_front() {
                self.leave(next);
            }
        }
        self.held_bytes = 0;
        Poll::Ready(())
    }

    /// Takes an event. What it leads to is in the texts, or is returned.
    fn take(&mut self, event: PeerEvent) -> Option<Received> {
        match event {
            PeerEvent::Text(text) => {
                let before = (self.hearing.input(), self.hearing.output());
                self.hearing.handle_text(&text);
                let formats = (self.hearing.input(), self.hearing.output());
                if formats != before {
                    self.peer.set_rate(pcm::rate(formats.0), pcm::rate(formats.1));
                }
            }
            PeerEvent::Audio(heard) => self.hearing.handle_sound(heard.0),
            PeerEvent::Quiet => self.hearing.handle_quiet(),
            PeerEvent::Binary(bytes) => return Some(Received::Binary(bytes)),
            PeerEvent::Ended(ended) => {
                self.hearing.finish();
                self.end.get_or_insert_with(|| match ended {
                    Ended::Closed => {
                        DisconnectReason::Closed { code: None, reason: "the call was hung up".to_owned() }
                    }
                    ended => lost(ended.to_string()),
                });
            }
            _ => {}
        }
        None
    }
}

impl Wire for PeerWire {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            if let Some(text) = self.answers.pop_front().or_else(|| self.hearing.poll_text()) {
                return Poll::Ready(Received::Text(text.into()));
            }
            if let Some(reason) = &self.end {
                return Poll::Ready(Received::Ended(reason.clone()));
            }
            let event = ready!(self.peer.poll_next(cx));
            let event = event.unwrap_or(PeerEvent::Ended(Ended::Closed));
            if let Some(received) = self.take(event) {
                return Poll::Ready(received);
            }
        }
    }

    fn send(&mut self, text: String) {
        let bytes = text.len();
        let leaving = leaves(text, self.dialect, self.hearing.input());
        if matches!(leaving, Leaves::AfterSound(_)) || !self.held.is_empty() {
            self.held_bytes += bytes;
            self.held.push_back(leaving);
        } else {
            self.leave(leaving);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_held(cx));
        self.peer.poll_room(cx, ROOM, self.audio_room())
    }

    fn has_room(&self) -> bool {
        self.held_bytes + self.peer.waiting_text() <= ROOM && self.peer.waiting_audio() <= self.audio_room()
    }

    fn close(&mut self) {
        while let Some(next) = self.held.pop_front() {
            self.leave(next);
        }
        self.peer.close();
    }
}

fn lost(reason: String) -> DisconnectReason {
    DisconnectReason::Lost { reason }
}

/// Beyond this much (bytes), texts wait where audio can still be merged or dropped.
const ROOM: usize = 256 * 1024;
/// Beyond this much audio (ms), too.
const ROOM_MILLIS: usize = 500;
/// Audio that was sent is heard this much later: on its way it is put in order, in the server's buffer.
const LAG: Duration = Duration::from_millis(200);
/// The most that may wait to be sent (bytes).
const MAX_UNSENT: usize = 32 * 1024 * 1024;
