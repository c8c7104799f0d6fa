//! str0m's machine with one audio track and one data channel: descriptions in and out, datagrams in and out,
//! texts and Opus packets in and out. It reads no clock and opens no socket.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};

use crate::error::PeerError;
use crate::opus::FRAME;

/// One side of a call.
pub(crate) struct Machine {
    rtc: Rtc,
    local: SocketAddr,
    label: String,
    audio: Option<Mid>,
    channel: Option<ChannelId>,
    is_open: bool,
    /// Texts that the channel has not taken.
    texts: VecDeque<String>,
    /// The time of the next packet, in ticks of RTP's clock (48 kHz).
    time: u64,
    happened: VecDeque<Happened>,
    /// The largest text that the other side takes (bytes).
    largest_text: usize,
}

/// What happened on the line.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A way to the other side was found.
    Found,
    /// The data channel is open.
    Opened,
    Text(String),
    /// Bytes that are no text.
    Binary(usize),
    /// An Opus packet, with its time in ticks of RTP's clock (48 kHz).
    Packet(u64, Arc<[u8]>),
    Closed,
}

/// An offer that waits for its answer.
pub(crate) struct Pending(SdpPendingOffer);

/// What goes out.
pub(crate) struct Datagram {
    pub(crate) to: SocketAddr,
    pub(crate) contents: Vec<u8>,
}

impl Machine {
    /// Makes an offer: audio both ways first, then the data channel.
    pub(crate) fn offer(
        local: SocketAddr,
        label: &str,
        now: Instant,
    ) -> Result<(Self, String, Pending), PeerError> {
        let bad = |reason: String| PeerError::BadSdp { what: "offer", reason };
        let mut machine = Self::new(local, label, now)?;
        let mut changes = machine.rtc.sdp_api();
        let audio = changes.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let channel = changes.add_channel(label.to_owned());
        let (offer, pending) = changes.apply().ok_or_else(|| bad("there is nothing to offer".to_owned()))?;
        (machine.audio, machine.channel) = (Some(audio), Some(channel));
        Ok((machine, offer.to_sdp_string(), Pending(pending)))
    }

    /// Takes the answer to the offer.
    pub(crate) fn accept(&mut self, pending: Pending, answer: &str) -> Result<(), PeerError> {
        let bad = |reason: String| PeerError::BadSdp { what: "answer", reason };
        check_text("answer", answer)?;
        self.largest_text = largest_text(answer);
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| bad(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending.0, answer).map_err(|error| bad(error.to_string()))?;
        self.check_audio("answer")
    }

    /// Answers an offer.
    pub(crate) fn answer(
        local: SocketAddr,
        label: &str,
        offer: &str,
        now: Instant,
    ) -> Result<(Self, String), PeerError> {
        let bad = |reason: String| PeerError::BadSdp { what: "offer", reason };
        check_text("offer", offer)?;
        let mut machine = Self::new(local, label, now)?;
        machine.largest_text = largest_text(offer);
        machine.audio = audio_mid(offer);
        let offer = SdpOffer::from_sdp_string(offer).map_err(|error| bad(error.to_string()))?;
        let answer = machine.rtc.sdp_api().accept_offer(offer).map_err(|error| bad(error.to_string()))?;
        machine.check_audio("offer")?;
        Ok((machine, answer.to_sdp_string()))
    }

    fn new(local: SocketAddr, label: &str, now: Instant) -> Result<Self, PeerError> {
        let mut config = RtcConfig::new()
            .clear_codecs()
            .enable_opus(true, false)
            .set_reordering_size_audio(REORDERED)
            .set_reordering_timeout_audio(Some(REORDERED_FOR))
            .set_sctp_max_buffered_amount(MOST_BUFFERED)
            .set_sctp_max_message_size(LARGEST_TEXT_IN);
        config.set_max_stun_rto(CHECKED_EVERY);
        let mut rtc = config.build(now);
        let candidate = Candidate::host(local, "udp").map_err(|error| PeerError::Socket {
            local: Some(local.ip()),
            source: std::io::Error::other(error.to_string()),
        })?;
        rtc.add_local_candidate(candidate);
        Ok(Self {
            rtc,
            local,
            label: label.to_owned(),
            audio: None,
            channel: None,
            is_open: false,
            texts: VecDeque::new(),
            time: 0,
            happened: VecDeque::new(),
            largest_text: DEFAULT_LARGEST_TEXT,
        })
    }

    fn check_audio(&mut self, what: &'static str) -> Result<(), PeerError> {
        match self.audio.and_then(|audio| self.opus(audio)) {
            Some(_) => Ok(()),
            None => {
                let reason = "expected an audio track with Opus (m=audio, a=rtpmap: opus/48000/2), got none";
                Err(PeerError::BadSdp { what, reason: reason.to_owned() })
            }
        }
    }

    fn opus(&mut self, audio: Mid) -> Option<Pt> {
        let writer = self.rtc.writer(audio)?;
        writer.payload_params().find(|params| params.spec().codec == Codec::Opus).map(|params| params.pt())
    }

    /// The largest text that the other side takes (bytes).
    pub(crate) const fn largest_text(&self) -> usize {
        self.largest_text
    }

    /// Takes a datagram. What is not for this call, or cannot be read, is dropped. Returns whether it is of
    /// this call.
    pub(crate) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, contents: &[u8]) -> bool {
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, contents) else { return false };
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            return false;
        }
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%error, "a datagram was dropped");
        }
        true
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now))
    }

    /// Sends a text as soon as the channel takes it.
    pub(crate) fn send_text(&mut self, text: String) {
        self.texts.push_back(text);
    }

    /// Bytes of text that the other side does not have yet, as far as known here.
    pub(crate) fn waiting_text(&mut self) -> usize {
        let queued: usize = self.texts.iter().map(String::len).sum();
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        queued + channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    /// Sends an Opus packet of 20 ms, the next one.
    pub(crate) fn send_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), RtcError> {
        let time = MediaTime::new(self.time, Frequency::FORTY_EIGHT_KHZ);
        self.time += FRAME;
        let Some(audio) = self.audio else { return Ok(()) };
        let Some(opus) = self.opus(audio) else { return Ok(()) };
        match self.rtc.writer(audio) {
            Some(writer) => writer.write(opus, now, time, packet),
            None => Ok(()),
        }
    }

    /// Closes the call: the other side is told.
    pub(crate) fn close(&mut self) -> Result<(), RtcError> {
        self.rtc.close()
    }

    /// Returns whether nothing more can happen.
    pub(crate) fn is_over(&self) -> bool {
        !self.rtc.is_alive()
    }

    /// The next thing that happened, oldest first.
    pub(crate) fn poll_happened(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    /// Takes out what is to be sent. Call it after everything else. Returns when to call
    /// [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn drain(&mut self, out: &mut Vec<Datagram>) -> Result<Instant, RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) if !self.write_text()? => return Ok(at),
                // A text was written: it leaves with the next poll.
                Output::Timeout(_) => {}
                Output::Transmit(transmit) => {
                    out.push(Datagram { to: transmit.destination, contents: transmit.contents.to_vec() })
                }
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    /// Hands a text to the channel. Returns whether it took one.
    fn write_text(&mut self) -> Result<bool, RtcError> {
        if !self.is_open {
            return Ok(false);
        }
        let (Some(text), Some(id)) = (self.texts.front(), self.channel) else { return Ok(false) };
        let Some(mut channel) = self.rtc.channel(id) else { return Ok(false) };
        let is_taken = channel.write(false, text.as_bytes())?;
        if is_taken {
            self.texts.pop_front();
        }
        Ok(is_taken)
    }

    fn on_event(&mut self, event: Event) {
        let happened = match event {
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => Happened::Found,
            Event::MediaData(data) if Some(data.mid) == self.audio => {
                if data.params.spec().codec != Codec::Opus {
                    return;
                }
                let time = data.time.rebase(Frequency::FORTY_EIGHT_KHZ).numer();
                Happened::Packet(time, data.data)
            }
            Event::ChannelOpen(id, label) if label == self.label => {
                let own = *self.channel.get_or_insert(id);
                if own != id || self.is_open {
                    return;
                }
                self.is_open = true;
                Happened::Opened
            }
            Event::ChannelData(data) if Some(data.id) == self.channel => {
                let bytes = data.data.len();
                String::from_utf8(data.data).map_or(Happened::Binary(bytes), Happened::Text)
            }
            Event::ChannelClose(id) if Some(id) == self.channel => Happened::Closed,
            Event::Closed => Happened::Closed,
            _ => return,
        };
        self.happened.push_back(happened);
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("local", &self.local)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// Refuses what no description is.
fn check_text(what: &'static str, sdp: &str) -> Result<(), PeerError> {
    let bad = |reason: String| Err(PeerError::BadSdp { what, reason });
    if sdp.len() > LARGEST_SDP {
        return bad(format!("expected at most {LARGEST_SDP} bytes, got {}", sdp.len()));
    }
    if !sdp.is_ascii() {
        return bad("expected ASCII, got other letters".to_owned());
    }
    Ok(())
}

/// The name of a description's first audio track.
fn audio_mid(sdp: &str) -> Option<Mid> {
    let mut lines = sdp.lines().map(str::trim_end).skip_while(|line| !line.starts_with("m=audio "));
    lines.next()?;
    let own = lines.take_while(|line| !line.starts_with("m="));
    own.filter_map(|line| line.strip_prefix("a=mid:")).map(Mid::from).next()
}

/// What a description says of the largest message that its side takes (RFC 8841, 6).
fn largest_text(sdp: &str) -> usize {
    let said = sdp.lines().find_map(|line| line.trim_end().strip_prefix("a=max-message-size:"));
    match said.and_then(|said| said.trim().parse().ok()) {
        Some(0) => MOST_BUFFERED,
        Some(bytes) => MOST_BUFFERED.min(bytes),
        None => DEFAULT_LARGEST_TEXT,
    }
}

/// Packets that wait for one that was overtaken, and for how long. The jitter buffer has that time.
const REORDERED: usize = 2;
const REORDERED_FOR: Duration = Duration::from_millis(40);
/// How often it is checked whether the other side is there.
pub(crate) const CHECKED_EVERY: Duration = Duration::from_secs(1);
/// The most that the data channel holds (bytes).
const MOST_BUFFERED: usize = 1024 * 1024;
/// The largest text that this side takes (bytes).
const LARGEST_TEXT_IN: u32 = 16 * 1024 * 1024;
/// The largest description (bytes). Usual ones have a few thousand.
const LARGEST_SDP: usize = 64 * 1024;
/// For a side that does not say what it takes (bytes): RFC 8841, 6.1.
const DEFAULT_LARGEST_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_text_is_the_one_that_the_description_names() {
        for (sdp, bytes) in [
            ("v=0\r\na=max-message-size:262144\r\n", 262_144),
            ("v=0\r\n", 65_536),
            ("a=max-message-size:0\r\n", MOST_BUFFERED),
            ("a=max-message-size:99999999999\r\n", MOST_BUFFERED),
            ("a=max-message-size:x\r\n", 65_536),
        ] {
            assert_eq!(largest_text(sdp), bytes, "{sdp}");
        }
    }

    #[test]
    fn an_offer_has_audio_first_then_the_channel() {
        let local = "127.0.0.1:5000".parse().unwrap();
        let (_, offer, _) = Machine::offer(local, "oai-events", Instant::now()).unwrap();
        let media: Vec<&str> = offer.lines().filter(|line| line.starts_with("m=")).collect();
        assert!(media[0].starts_with("m=audio ") && media[1].starts_with("m=application "), "{offer}");
        for expected in [
            "a=sendrecv",
            "a=setup:actpass",
            "a=group:BUNDLE",
            "opus/48000/2",
            "a=rtcp-mux",
            "127.0.0.1 5000",
        ] {
            assert!(offer.contains(expected), "{expected}: {offer}");
        }
        assert_eq!(offer.matches("a=rtpmap").count(), 1, "{offer}");
    }

    #[test]
    fn what_is_no_description_or_has_no_opus_is_refused_with_the_reason() {
        let (local, now) = ("127.0.0.1:5000".parse().unwrap(), Instant::now());
        let error = Machine::answer(local, "oai-events", "{}", now).unwrap_err();
        assert!(matches!(error, PeerError::BadSdp { what: "offer", .. }), "{error}");
        let (_, offer, _) = Machine::offer(local, "oai-events", now).unwrap();
        let error = Machine::answer(local, "oai-events", &offer.replace("opus/48000/2", "G729/8000"), now)
            .unwrap_err();
        assert!(error.to_string().contains("expected an audio track with Opus"), "{error}");
    }
}
