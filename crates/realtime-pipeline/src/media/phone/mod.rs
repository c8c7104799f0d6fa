//! A call over a phone carrier's media-stream socket: [`Phone`].
//!
//! The carrier's messages are read and written by [`MediaStream`]; this is what they mean to a chain.
//!
//! # What becomes of what
//! | the carrier | the chain |
//! |---|---|
//! | starts the stream | `Peer(Connected)`; [`Phone::call`] says who calls |
//! | sends audio | `InputAudio`, coded in the carrier's format, in order, with silence where some was lost |
//! | sends a key | `InputDtmf` |
//! | pauses the caller's audio, and goes on | `User(Muted)`, `User(Unmuted)` |
//! | names another language | `InputMessage` `{"language": "…"}` |
//! | reports an error | `Fault` |
//! | ends the stream | `Peer(Disconnected)`, after a `Fault` if it was for silence |
//! | is sent audio, in its own format | `PlayedAudio` |
//! | is sent keys, on the socket or by a request | `OutputDtmf`; a `Fault` where neither can be |
//! | says that a mark was played | `SinkReport::Heard` |
//! | is told to drop its audio | `ClearSink`, answered by one `SinkReport::Cleared` |
//! | is asked for a transfer or for keys | `PhoneRequest`, answered by `PhoneAnswer` when it is done |
//! | is asked to end the call, on the socket or by a request, or its socket is closed | the end of the run |
//!
//! # What was heard
//! A mark goes out 200 ms after the beginning of each part, each second, and at the end. When it comes back
//! the audio before it was heard. Between two marks the position is an estimate by the clock, and lies
//! neither beyond what was sent nor beyond the next mark. Marks of audio that was dropped count for nothing.
//!
//! # Map
//! | file | what is in it |
//! |---|---|
//! | `call` | who calls |
//! | `voice` | our audio on its way to the caller: formats, marks, times |
//! | `places` | what of it stands where in what the carrier was sent |
//! | `control`, `requests` | what a call is asked for, on the socket or beside it |
//! | `oddities` | what came wrong, in one line |

mod call;
mod control;
mod oddities;
mod places;
mod requests;
#[cfg(test)]
mod tests;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;
use realtime_telephony::carrier::{Carrier, Digit, HangUp, Outgoing};
use realtime_telephony::{
    CarrierKind, EndReason, Event, MediaStream, Output, Position, StreamError, StreamOptions,
};
use serde_json::json;

use crate::chain::{
    Audio, Category, ClearId, Direction, Done, Fault, FrameKind, Keys, Message, Peer, SinkReport, UserSpeech,
};
use crate::edges::{EdgeError, Pace};
use crate::media::phone::control::Control;
use crate::media::phone::voice::Voice;
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};

pub use call::PhoneCall;
pub use requests::{HttpReply, NoReply, RequestFailed, Requests, SendRequest};

/// The media stream of one phone call, as a machine. A [`MediaSocket`](crate::sockets::MediaSocket) drives it
/// over the socket that the carrier has opened.
///
/// ```
/// use realtime_pipeline::media::{MediaProtocol, Phone};
/// use realtime_pipeline::telephony::{CarrierKind, StreamOptions};
/// use realtime_protocol::time::Timestamp;
///
/// let now = Timestamp::ZERO;
/// let mut phone = Phone::new(CarrierKind::Twilio, StreamOptions::default());
/// phone.handle_opened(now);
/// phone.handle_text(
///     now,
///     r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","customParameters":{"order":"42"}}}"#,
/// );
/// let call = phone.call().expect("it has started");
/// assert_eq!((call.start.call_id.as_deref(), call.parameter("order")), (Some("CA1"), Some("42")));
/// ```
#[doc(alias(
    "TwilioFrameSerializer",
    "TelnyxFrameSerializer",
    "PlivoFrameSerializer",
    "ExotelFrameSerializer",
    "VonageFrameSerializer",
    "GenesysAudioHookSerializer"
))]
#[derive(Debug)]
pub struct Phone {
    name: Arc<str>,
    stream: MediaStream,
    call: Option<PhoneCall>,
    voice: Voice,
    control: Control,
    outputs: VecDeque<MediaOutput>,
    /// What the carrier is told when we hang up.
    hang_up: HangUp,
    /// Why it is over.
    why: Option<Arc<str>>,
    /// Whether the run ends as it should: the caller hears the last word.
    ends_well: bool,
    /// When to hang up, whatever was heard by then.
    hang_up_at: Option<Timestamp>,
    /// Frames with audio that came before the start or after the end.
    unplayed: u64,
}

/// A carrier has this long to end a call. With the last word and the goodbye of the socket, that is as long
/// as a task waits for its edges.
const LONGEST_END: Duration = Duration::from_secs(3);
/// A carrier that says late, or never, what was played has this long for the last word.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Phone {
    /// A call of this carrier. [`StreamOptions::end_within`] counts as 3 s at most, since a task does not
    /// wait longer for its edges.
    pub fn new(kind: CarrierKind, options: StreamOptions) -> Self {
        let carrier = kind.carrier(&options);
        Self::over(carrier, options)
    }

    /// A call of a carrier that is not among ours.
    pub fn over(carrier: Box<dyn Carrier>, mut options: StreamOptions) -> Self {
        options.end_within = options.end_within.min(LONGEST_END);
        let name = Arc::from(carrier.kind().name());
        let stream = MediaStream::over(Timestamp::ZERO, carrier, options);
        Self {
            name,
            voice: Voice::new(stream.has_marks()),
            stream,
            call: None,
            control: Control::default(),
            outputs: VecDeque::new(),
            hang_up: HangUp::default(),
            why: None,
            ends_well: false,
            hang_up_at: None,
            unplayed: 0,
        }
    }

    /// Who calls, once the stream has started.
    pub const fn call(&self) -> Option<&PhoneCall> {
        self.call.as_ref()
    }

    /// What the carrier is told at the end, such as a note for its log or values for its flow. Default:
    /// nothing.
    pub fn say_at_end(&mut self, hang_up: HangUp) {
        self.hang_up = hang_up;
    }

    /// Asks the carrier to send none of the caller's audio, or to send it again.
    ///
    /// # Errors
    /// [`StreamError::NotOnSocket`] if the carrier always sends, [`StreamError::NotStarted`] and
    /// [`StreamError::Ended`].
    pub fn pause(&mut self, now: Timestamp, paused: bool) -> Result<(), StreamError> {
        let done = if paused { self.stream.pause(now) } else { self.stream.resume(now) };
        self.collect(now);
        done
    }

    /// The stream, to read what it counted.
    pub const fn stream(&self) -> &MediaStream {
        &self.stream
    }

    /// Takes what the stream has.
    fn collect(&mut self, now: Timestamp) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                Output::Send(Outgoing::Text(text)) => self.send(SocketMessage::Text(text)),
                Output::Send(Outgoing::Binary(bytes)) => self.send(SocketMessage::Binary(bytes)),
                Output::Send(_) => self.outputs.push_back(MediaOutput::Close),
                Output::Event(event) => self.on_event(now, event),
                _ => {}
            }
        }
        self.report();
    }

    fn on_event(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Started(started) => {
                let call = PhoneCall::new(self.stream.kind(), *started);
                self.voice.start(&self.stream, call.output);
                self.call = Some(call);
                self.input(FrameKind::Peer(Peer::Connected));
            }
            Event::Probe => self.why = Some("the carrier only tries the connection: there is no call".into()),
            Event::Audio(audio) => {
                if let Some(call) = &self.call {
                    let audio = Audio::coded(call.input, audio.audio);
                    self.input(FrameKind::InputAudio(audio));
                }
            }
            Event::Digit { digit, .. } => self.input_key(digit),
            Event::Played { .. } => self.voice.mark_came(now, &self.stream),
            Event::Drained { .. } => {
                self.voice.look(now, &self.stream);
                if self.hang_up_at.is_some() {
                    self.hang_up(now);
                }
            }
            Event::Paused => self.input(FrameKind::User(UserSpeech::Muted)),
            Event::Resumed => self.input(FrameKind::User(UserSpeech::Unmuted)),
            Event::Language(language) => {
                let body = Arc::new(json!({ "language": language }));
                self.input(FrameKind::InputMessage(Message { body, urgent: false }));
            }
            Event::Fault(error) => {
                // 100005 is Telnyx's number for it.
                let is_limit = matches!(error.code, Some(429 | 100_005));
                let category = if is_limit { Category::RateLimited } else { Category::Application };
                let message = error.to_string().into();
                let (stage, cause) = (Arc::clone(&self.name), Some(Arc::new(error) as _));
                self.input(FrameKind::Fault(Arc::new(Fault { stage, category, message, cause })));
            }
            Event::Ended(reason) => self.ended(now, &reason),
            // The answer to a flush was given when it was sent.
            Event::Flushed { .. } => {}
            _ => {}
        }
    }

    fn ended(&mut self, now: Timestamp, reason: &EndReason) {
        self.voice.look(now, &self.stream);
        let (why, is_fault) = match reason {
            EndReason::Stopped(Some(reason)) => (format!("the carrier ended the call: {reason}"), false),
            EndReason::Stopped(None) => ("the carrier ended the call".to_owned(), false),
            EndReason::Closed => ("the carrier closed the socket".to_owned(), false),
            EndReason::HungUp => ("the call was hung up".to_owned(), false),
            EndReason::NoStart => ("expected the start of a stream, and none came in time".to_owned(), true),
            EndReason::NoAudio => {
                ("expected audio of the caller, and none came for too long".to_owned(), true)
            }
            EndReason::UnreadableAudio(codec) => {
                let wanted = "configure the carrier to send mu-law, A-law or 16-bit PCM";
                (format!("expected audio that can be read here, got {codec:?}: {wanted}"), true)
            }
            _ => ("the stream ended".to_owned(), false),
        };
        let why: Arc<str> = why.into();
        self.why.get_or_insert_with(|| Arc::clone(&why));
        if self.call.is_some() {
            if is_fault {
                self.fault(Category::Device, why);
            }
            self.input(FrameKind::Peer(Peer::Disconnected));
        }
    }

    /// Returns whether the carrier has yet to say that it has played everything.
    fn owes_last_word(&self, now: Timestamp) -> bool {
        let given = self.stream.given();
        let is_over = |at: Position| at.is_reported && at.samples >= given;
        self.ends_well
            && !self.stream.is_over()
            && given > 0
            && !self.stream.position(now).is_some_and(is_over)
    }

    fn input_key(&mut self, digit: Digit) {
        let mut buffer = [0; 4];
        if let Some(keys) = Keys::new(digit.as_char().encode_utf8(&mut buffer)) {
            self.input(FrameKind::InputDtmf(keys));
        }
    }

    fn fault(&mut self, category: Category, message: Arc<str>) {
        let fault = Fault { stage: Arc::clone(&self.name), category, message, cause: None };
        self.input(FrameKind::Fault(Arc::new(fault)));
    }

    fn input(&mut self, frame: FrameKind) {
        self.outputs.push_back(MediaOutput::Input(frame));
    }

    fn send(&mut self, message: SocketMessage) {
        self.outputs.push_back(MediaOutput::Send(message));
    }

    fn report(&mut self) {
        while let Some(at) = self.voice.poll_heard() {
            self.outputs.push_back(MediaOutput::Report(SinkReport::Heard(at)));
        }
    }
}

impl MediaProtocol for Phone {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        self.voice.pace()
    }

    /// The carrier's format, if a session speaks it.
    fn input_format(&self) -> Option<AudioFormat> {
        self.call.as_ref().map(|call| call.input).filter(|format| is_spoken_by_sessions(*format))
    }

    fn is_ready(&self) -> bool {
        self.call.is_some()
    }

    fn takes_phone_requests(&self) -> bool {
        true
    }

    fn is_over(&self) -> bool {
        // Until it has nothing to wait for, the carrier is given time to close the socket.
        self.stream.is_over() && self.stream.poll_timeout().is_none()
    }

    fn why_over(&self) -> Option<Arc<str>> {
        self.why.clone()
    }

    fn oddities(&self) -> Option<String> {
        let told = oddities::of(self.stream.counts(), self.unplayed, self.voice.unanswered_marks());
        let left_behind =
            "the call was not hung up: closing the socket does not end it, give `Phone::requests`";
        let left_behind = self.control.is_left_behind.then(|| left_behind.to_owned());
        left_behind.into_iter().chain(told).reduce(|all, more| format!("{all}; {more}"))
    }

    fn handle_opened(&mut self, now: Timestamp) {
        self.stream.handle_opened(now);
    }

    fn handle_closed(&mut self, now: Timestamp) {
        self.stream.handle_closed(now);
        self.collect(now);
    }

    fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.stream.handle_text(now, text);
        self.collect(now);
    }

    fn handle_binary(&mut self, now: Timestamp, bytes: Bytes) {
        self.stream.handle_binary(now, bytes);
        self.collect(now);
    }

    fn handle_frame(
        &mut self,
        now: Timestamp,
        direction: Direction,
        frame: &FrameKind,
    ) -> Result<(), EdgeError> {
        match (direction, frame) {
            (Direction::Downstream, FrameKind::PlayedAudio(_)) if self.stream.is_over() => self.unplayed += 1,
            (Direction::Downstream, FrameKind::PlayedAudio(played)) => {
                match self.voice.play(now, played, &mut self.stream) {
                    Ok(true) => {}
                    Ok(false) => self.unplayed += 1,
                    Err(error) => {
                        let message = "the caller can't hear this audio";
                        return Err(EdgeError::new(Arc::clone(&self.name), message).caused_by(error));
                    }
                }
            }
            (Direction::Downstream, FrameKind::End { .. }) => self.ends_well = true,
            (Direction::Downstream, FrameKind::PhoneRequest(request)) => self.on_phone_request(now, request),
            (Direction::Downstream, FrameKind::OutputDtmf(keys)) => self.send_keys(now, keys),
            _ => {}
        }
        self.collect(now);
        Ok(())
    }

    fn clear(&mut self, now: Timestamp, id: ClearId) {
        let at = self.voice.clear(now, &mut self.stream);
        self.collect(now);
        self.outputs.push_back(MediaOutput::Report(SinkReport::Cleared { id, at }));
    }

    fn finish(&mut self, now: Timestamp) {
        if self.owes_last_word(now) {
            self.hang_up_at = Some(now + LAST_WORD);
        } else {
            self.hang_up(now);
        }
        self.collect(now);
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.stream.handle_timeout(now);
        self.voice.handle_timeout(now, &mut self.stream);
        self.expire_requests(now);
        if self.hang_up_at.take_if(|at| *at <= now).is_some() {
            self.hang_up(now);
        }
        self.collect(now);
    }

    fn handle_work(&mut self, now: Timestamp, id: u64, done: Done) {
        self.request_ended(now, id, done);
        self.collect(now);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let voice = self.voice.poll_timeout().filter(|_| !self.stream.is_over());
        let hang_up = self.hang_up_at.filter(|_| !self.stream.is_over());
        let request = self.next_expiry().filter(|_| !self.is_over());
        [self.stream.poll_timeout(), voice, hang_up, request].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<MediaOutput> {
        self.outputs.pop_front()
    }
}

/// Returns whether OpenAI's sessions speak it. Other rates are converted here.
const fn is_spoken_by_sessions(format: AudioFormat) -> bool {
    matches!(format, AudioFormat::Pcmu | AudioFormat::Pcma | AudioFormat::Pcm16 { rate: 24_000 })
}
