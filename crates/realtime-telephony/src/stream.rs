//! The media stream of one call: a state machine between a carrier's socket and an application.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::carrier::{Carrier, Digit, HangUp, Incoming, Odd, Outgoing, Packet, Read, Start, Stop};
use crate::chunk::{Chunk, ChunkRules, Chunker};
use crate::counts::Counts;
use crate::event::{EndReason, Event, InputAudio, Output, Started, StreamError};
use crate::format::{OrderDetector, WireAudio, silence};
use crate::kind::CarrierKind;
use crate::marks::{Marks, NoMark, PlayedMark, Position};
use crate::options::StreamOptions;
use crate::order::{Arrival, Piece, Reorder};

/// The most marks that wait for their audio to be long enough for a piece.
const MOST_PENDING: usize = 1_024;

/// The media stream of one call.
///
/// It does no I/O. A driver gives it what comes and the time, then takes outputs until there is none, and
/// calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so.
/// `handle_*` never fails: what is odd is counted. Time that goes back stands still.
///
/// # Playing
/// Audio goes to the carrier at once, in the pieces that it wants; the driver decides how far ahead that is.
/// [`mark`](Self::mark) asks when what was given before is heard, and [`finish`](Self::finish) sends what is
/// too short for a piece: call it at the end of what is said. [`flush`](Self::flush) drops what was not heard
/// and begins the next generation, whose samples count from 0.
#[derive(Debug)]
pub struct MediaStream {
    carrier: Box<dyn Carrier>,
    options: StreamOptions,
    phase: Phase,
    line: Option<Line>,
    now: Timestamp,
    outputs: VecDeque<Output>,
    counts: Counts,
    /// Kept for its memory.
    reads: Vec<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// No start has come.
    Waiting { until: Timestamp },
    /// The call goes on.
    Open,
    /// The carrier was asked to end the call.
    Ending { until: Timestamp },
    /// The call is over, and the carrier is to close the socket.
    Closing { until: Timestamp },
    /// The socket is closed, or will be.
    Over,
}

/// What a started stream has.
#[derive(Debug)]
struct Line {
    input: WireAudio,
    output: WireAudio,
    detector: Option<OrderDetector>,
    reorder: Reorder,
    /// Samples of the caller so far, with gaps.
    heard: u64,
    /// When audio of the caller last came, or could not come.
    audio_at: Timestamp,
    is_paused: bool,
    chunker: Chunker,
    marks: Marks,
    /// Samples given in this generation, and of these on the wire.
    given: u64,
    sent: u64,
    /// Marks whose audio is not on the wire: each with its sample.
    pending: VecDeque<(u64, u64)>,
    /// Flushes that the carrier has not confirmed.
    unconfirmed: u64,
}

impl MediaStream {
    /// A stream whose socket is open since `now`.
    pub fn new(now: Timestamp, kind: CarrierKind, options: StreamOptions) -> Self {
        Self::over(now, kind.carrier(&options), options)
    }

    /// The same over a carrier that is not among ours.
    pub fn over(now: Timestamp, carrier: Box<dyn Carrier>, options: StreamOptions) -> Self {
        Self {
            carrier,
            phase: Phase::Waiting { until: now + options.start_within },
            options,
            line: None,
            now,
            outputs: VecDeque::new(),
            counts: Counts::default(),
            reads: Vec::new(),
        }
    }

    /// The socket is open since `now`: the limit for the start counts from here. Does nothing after the
    /// start.
    pub fn handle_opened(&mut self, now: Timestamp) {
        self.advance(now);
        if let Phase::Waiting { until } = &mut self.phase {
            *until = now + self.options.start_within;
        }
    }

    /// A WebSocket text came.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.counts.texts += 1;
        self.handle(now, Incoming::Text(text), text.len());
    }

    /// A binary WebSocket message came.
    pub fn handle_binary(&mut self, now: Timestamp, bytes: Bytes) {
        self.counts.binaries += 1;
        let length = bytes.len();
        self.handle(now, Incoming::Binary(bytes), length);
    }

    /// The socket was closed by the other side, or was lost.
    pub fn handle_closed(&mut self, now: Timestamp) {
        self.advance(now);
        match self.phase {
            Phase::Waiting { .. } | Phase::Open => self.end(EndReason::Closed),
            Phase::Ending { .. } => self.end(EndReason::HungUp),
            Phase::Closing { .. } | Phase::Over => {}
        }
        self.phase = Phase::Over;
    }

    /// Time passed. A call that is early or was not asked for does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        if self.phase == Phase::Open {
            self.due_marks();
        }
        if self.deadline().is_none_or(|until| self.now < until) {
            return;
        }
        match self.phase {
            Phase::Waiting { .. } => self.close(EndReason::NoStart),
            Phase::Open => self.close(EndReason::NoAudio),
            Phase::Ending { .. } => self.close(EndReason::HungUp),
            Phase::Closing { .. } => {
                self.phase = Phase::Over;
                self.send(Outgoing::Close);
            }
            Phase::Over => {}
        }
    }

    /// The oldest output that was not taken.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let line = self.line.as_ref().filter(|_| self.phase == Phase::Open);
        let mark = line.and_then(|line| line.marks.due());
        [self.deadline(), mark].into_iter().flatten().min()
    }

    /// When something ends, if nothing else happens before.
    fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Waiting { until } | Phase::Ending { until } | Phase::Closing { until } => Some(until),
            Phase::Open => {
                let line = self.line.as_ref().filter(|line| !line.is_paused)?;
                Some(line.audio_at + self.options.audio_within?)
            }
            Phase::Over => None,
        }
    }

    /// Plays whole samples in the output format, after what was given before.
    ///
    /// # Errors
    /// [`StreamError::NotStarted`], [`StreamError::Ended`], and [`StreamError::HalfSample`] if a sample is
    /// incomplete: nothing was played.
    pub fn play(&mut self, now: Timestamp, audio: Bytes) -> Result<(), StreamError> {
        let line = self.open_line(now)?;
        let format = line.output.format;
        if !audio.len().is_multiple_of(format.sample_bytes() as usize) {
            return Err(StreamError::HalfSample { sample_bytes: format.sample_bytes(), bytes: audio.len() });
        }
        line.given += format.samples(audio.len() as u64);
        let mut chunks = Vec::new();
        line.chunker.push(line.output.encode(audio), &mut chunks);
        for chunk in chunks {
            self.send_chunk(chunk);
        }
        Ok(())
    }

    /// Asks to be told, by [`Event::Played`], when all audio that was given so far is heard.
    ///
    /// The number is the caller's own, and may repeat.
    ///
    /// # Errors
    /// [`StreamError::NotStarted`], [`StreamError::Ended`], and [`StreamError::TooManyMarks`] while 1,024
    /// have not come back: one a second is enough.
    pub fn mark(&mut self, now: Timestamp, mark: u64) -> Result<(), StreamError> {
        let line = self.open_line(now)?;
        let at = line.given;
        if line.sent < at {
            if line.pending.len() >= MOST_PENDING {
                return Err(StreamError::TooManyMarks);
            }
            line.pending.push_back((mark, at));
            return Ok(());
        }
        let name = line.marks.add(mark, at).ok_or(StreamError::TooManyMarks)?;
        self.send_mark(&name);
        Ok(())
    }

    /// Sends what is too short for a piece, with silence after it where the carrier wants it longer.
    ///
    /// # Errors
    /// [`StreamError::NotStarted`] and [`StreamError::Ended`].
    pub fn finish(&mut self, now: Timestamp) -> Result<(), StreamError> {
        let line = self.open_line(now)?;
        if let Some(chunk) = line.chunker.finish() {
            self.send_chunk(chunk);
        }
        Ok(())
    }

    /// Drops all audio that was not heard, here and at the carrier. Returns how far playback had come. The
    /// next generation begins.
    ///
    /// # Errors
    /// [`StreamError::NotStarted`] and [`StreamError::Ended`].
    pub fn flush(&mut self, now: Timestamp) -> Result<Position, StreamError> {
        let now = self.now.max(now);
        let line = self.open_line(now)?;
        line.chunker.clear();
        line.pending.clear();
        (line.given, line.sent) = (0, 0);
        line.unconfirmed += 1;
        let position = line.marks.flush(now);
        if let Some(message) = self.carrier.flush() {
            self.send(message);
        }
        Ok(position)
    }

    /// Sends digits to the other party, as tones.
    ///
    /// # Errors
    /// [`StreamError::NotDigits`] for anything but keys, [`StreamError::NotOnSocket`] if the carrier takes no
    /// digits on the socket, [`StreamError::NotStarted`] and [`StreamError::Ended`].
    pub fn send_digits(&mut self, now: Timestamp, digits: &str) -> Result<(), StreamError> {
        self.open_line(now)?;
        let keys: Option<String> = digits.chars().map(|key| Digit::of(key).map(Digit::as_char)).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or(StreamError::NotDigits)?;
        let message = self.carrier.digits(&keys).ok_or(StreamError::NotOnSocket)?;
        self.send(message);
        Ok(())
    }

    /// Asks the carrier to send no audio of the caller. [`Event::Paused`] says when it does not.
    ///
    /// # Errors
    /// [`StreamError::NotOnSocket`] if the carrier always sends, [`StreamError::NotStarted`] and
    /// [`StreamError::Ended`].
    pub fn pause(&mut self, now: Timestamp) -> Result<(), StreamError> {
        self.open_line(now)?;
        let message = self.carrier.pause().ok_or(StreamError::NotOnSocket)?;
        self.send(message);
        Ok(())
    }

    /// Asks the carrier to send audio again.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub fn resume(&mut self, now: Timestamp) -> Result<(), StreamError> {
        self.open_line(now)?;
        let message = self.carrier.resume().ok_or(StreamError::NotOnSocket)?;
        self.send(message);
        Ok(())
    }

    /// Ends the stream, after what was given to play was sent. To let it be heard, wait for its mark before.
    ///
    /// Closing the socket does not end the call everywhere: see [`CarrierKind::closing_hangs_up`].
    ///
    /// # Errors
    /// [`StreamError::Ended`] if it is over, or will be.
    pub fn hang_up(&mut self, now: Timestamp, why: &HangUp) -> Result<(), StreamError> {
        self.advance(now);
        match self.phase {
            Phase::Waiting { .. } => {}
            Phase::Open => self.finish(now)?,
            Phase::Ending { .. } | Phase::Closing { .. } | Phase::Over => return Err(StreamError::Ended),
        }
        match self.carrier.hang_up(why) {
            Some(message) => {
                self.send(message);
                self.phase = Phase::Ending { until: self.now + self.options.end_within };
            }
            None => self.close(EndReason::HungUp),
        }
        Ok(())
    }

    /// How far playback has come, in this generation. `None` before the start.
    pub fn position(&self, now: Timestamp) -> Option<Position> {
        self.line.as_ref().map(|line| line.marks.position(self.now.max(now)))
    }

    /// Samples that were given to play in this generation. 0 before the start.
    pub fn given(&self) -> u64 {
        self.line.as_ref().map_or(0, |line| line.given)
    }

    /// The formats of the caller's audio and of ours. `None` before the start.
    pub fn formats(&self) -> Option<(AudioFormat, AudioFormat)> {
        self.line.as_ref().map(|line| (line.input.format, line.output.format))
    }

    /// How long the pieces are in which the carrier takes our audio. `None` before the start.
    pub fn chunk_rules(&self) -> Option<ChunkRules> {
        self.line.as_ref().map(|line| self.carrier.chunks(line.output.format))
    }

    /// Returns whether the carrier says when marks were played. Otherwise they are due by the clock.
    pub fn has_marks(&self) -> bool {
        self.carrier.has_marks()
    }

    /// Which carrier it is.
    pub fn kind(&self) -> CarrierKind {
        self.carrier.kind()
    }

    /// Returns whether the stream is over: nothing more is sent but, at most, the closing of the socket.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Over)
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn open_line(&mut self, now: Timestamp) -> Result<&mut Line, StreamError> {
        self.advance(now);
        match (self.phase, &mut self.line) {
            (Phase::Open, Some(line)) => Ok(line),
            (Phase::Waiting { .. }, _) => Err(StreamError::NotStarted),
            _ => Err(StreamError::Ended),
        }
    }

    fn handle(&mut self, now: Timestamp, message: Incoming<'_>, length: usize) {
        self.advance(now);
        if self.is_over() {
            self.counts.after_end += 1;
            return;
        }
        if length > self.options.longest_message {
            self.counts.too_long += 1;
            return;
        }
        let mut reads = mem::take(&mut self.reads);
        if let Err(odd) = self.carrier.read(message, &mut reads) {
            self.counts.count_odd(odd);
        }
        for read in reads.drain(..) {
            self.apply(read);
        }
        self.reads = reads;
    }

    fn apply(&mut self, read: Read) {
        match read {
            Read::Reply(reply) => return self.send(reply),
            Read::Probe => return self.event(Event::Probe),
            Read::Stopped(stop) => return self.stopped(stop),
            Read::Fault(fault) => {
                self.counts.carrier_faults += 1;
                return self.event(Event::Fault(fault));
            }
            Read::Started(start) if matches!(self.phase, Phase::Waiting { .. }) => {
                return self.started(*start);
            }
            _ => {}
        }
        match self.phase {
            Phase::Open => {}
            Phase::Waiting { .. } => {
                self.counts.before_start += 1;
                return;
            }
            // What comes while the call ends is nobody's business any more.
            Phase::Ending { .. } => return,
            Phase::Closing { .. } | Phase::Over => {
                self.counts.after_end += 1;
                return;
            }
        }
        let now = self.now;
        let Some(read) = self.own(read) else {
            self.counts.unknown_marks += 1;
            return;
        };
        let Some(line) = &mut self.line else { return };
        match read {
            Read::Audio(packet) => self.audio(packet),
            Read::Lost(time) => self.lost(time),
            Read::Digit(digit, length) => self.event(Event::Digit { digit, length }),
            Read::Mark { name, was_played: true } => match line.marks.played(now, &name) {
                Ok(played) => {
                    let generation = line.marks.generation();
                    for played in played {
                        self.played(generation, played, true);
                    }
                }
                Err(no_mark) => self.no_mark(no_mark),
            },
            Read::Mark { name, was_played: false } => match line.marks.dropped(&name) {
                Ok(()) => self.counts.dropped_marks += 1,
                Err(no_mark) => self.no_mark(no_mark),
            },
            Read::Drained => {
                let played = line.marks.drained(now);
                let generation = line.marks.generation();
                let all = line.marks.position(now).samples == line.given;
                for played in played {
                    self.played(generation, played, true);
                }
                if all {
                    self.event(Event::Drained { generation });
                }
            }
            Read::Flushed if line.unconfirmed > 0 => {
                let generation = line.marks.generation() - line.unconfirmed;
                line.unconfirmed -= 1;
                self.event(Event::Flushed { generation });
            }
            Read::Paused => {
                line.is_paused = true;
                self.release_audio();
                self.event(Event::Paused);
            }
            Read::Resumed => {
                line.is_paused = false;
                line.audio_at = now;
                self.event(Event::Resumed);
            }
            Read::Language(language) => self.event(Event::Language(language)),
            // The carrier flushed on its own, or starts twice.
            Read::Flushed | Read::Started(_) => self.counts.count_odd(Odd::UnknownEvent),
            Read::Probe | Read::Fault(_) | Read::Reply(_) | Read::Stopped(_) => {}
        }
    }

    /// A mark without what our names begin with, anything else as it is. `None`: a mark of another stream.
    fn own(&self, read: Read) -> Option<Read> {
        match read {
            Read::Mark { name, was_played } => {
                let name = name.strip_prefix(&self.options.mark_prefix)?.to_owned();
                Some(Read::Mark { name, was_played })
            }
            read => Some(read),
        }
    }

    fn started(&mut self, start: Start) {
        let Start { call, input, output, detects_order } = start;
        let input = match input {
            Ok(input) => input,
            Err(codec) => {
                let why = HangUp { is_error: true, ..HangUp::default() };
                let message = self.carrier.hang_up(&why);
                let ends_itself = message.is_some();
                if let Some(message) = message {
                    self.send(message);
                }
                self.end(EndReason::UnreadableAudio(codec));
                return self.leave(ends_itself);
            }
        };
        let same = WireAudio { channels: 1, ..input };
        let output = match (output, self.options.output) {
            (Some(output), _) => output,
            // Telnyx has two settings. Elsewhere what the carrier says of one direction holds for both.
            (None, Some(format)) if self.carrier.kind() == CarrierKind::Telnyx => {
                WireAudio { format, ..same }
            }
            (None, _) => same,
        };
        let rules = self.carrier.chunks(output.format);
        let comes_back = self.carrier.has_marks();
        let now = self.now;
        self.line = Some(Line {
            input,
            output,
            detector: detects_order.then(OrderDetector::default),
            reorder: Reorder::new(input.format.sample_rate()),
            heard: 0,
            audio_at: now,
            is_paused: false,
            chunker: Chunker::new(rules, output.format),
            marks: Marks::new(output.format, comes_back, now),
            given: 0,
            sent: 0,
            pending: VecDeque::new(),
            unconfirmed: 0,
        });
        self.phase = Phase::Open;
        let started = Started { call, input: input.format, output: output.format };
        self.event(Event::Started(Box::new(started)));
    }

    fn audio(&mut self, packet: Packet) {
        let now = self.now;
        let Some(line) = &mut self.line else { return };
        line.audio_at = now;
        let Packet { audio, at_ms, number } = packet;
        if let Some(detector) = &mut line.detector
            && let Some(is_big) = detector.hear(&audio, line.input.format.sample_rate())
        {
            line.input.is_big_endian = is_big;
            line.output.is_big_endian = is_big;
        }
        let (audio, odd) = line.input.decode(audio);
        self.counts.odd_bytes += odd as u64;
        if audio.is_empty() {
            return;
        }
        let samples = line.input.format.samples(audio.len() as u64);
        let mut pieces = Vec::new();
        match line.reorder.push(Packet { audio, at_ms, number }, samples, &mut pieces) {
            Arrival::Ordered => {}
            Arrival::Early => self.counts.early += 1,
            Arrival::Late => self.counts.late += 1,
        }
        self.pieces(pieces);
    }

    fn lost(&mut self, time: MediaTime) {
        let Some(line) = &mut self.line else { return };
        let mut pieces = Vec::new();
        line.reorder.release_all(&mut pieces);
        pieces.push(Piece::Gap(line.input.format.samples_in(time)));
        self.pieces(pieces);
    }

    /// Gives the audio that waits for what was late: it will not come.
    fn release_audio(&mut self) {
        let Some(line) = &mut self.line else { return };
        let mut pieces = Vec::new();
        line.reorder.restart(&mut pieces);
        self.pieces(pieces);
    }

    fn pieces(&mut self, pieces: Vec<Piece>) {
        let longest = MediaTime::from(self.options.longest_gap);
        for piece in pieces {
            let Some(line) = &mut self.line else { return };
            let format = line.input.format;
            let (audio, is_gap) = match piece {
                Piece::Audio(audio) => (audio, false),
                Piece::Gap(samples) => {
                    let filled = samples.min(format.samples_in(longest));
                    self.counts.unfilled_samples += samples - filled;
                    if filled == 0 {
                        continue;
                    }
                    (silence(format, filled), true)
                }
            };
            let samples = format.samples(audio.len() as u64);
            let start = line.heard;
            line.heard = line.heard.saturating_add(samples);
            let count = if is_gap { &mut self.counts.filled_samples } else { &mut self.counts.input_samples };
            *count = count.saturating_add(samples);
            self.event(Event::Audio(InputAudio { start, audio, is_gap }));
        }
    }

    fn played(&mut self, generation: u64, mark: PlayedMark, is_reported: bool) {
        let PlayedMark { mark, samples } = mark;
        self.event(Event::Played { generation, mark, samples, is_reported });
    }

    /// Tells the marks that are due by the clock.
    fn due_marks(&mut self) {
        let now = self.now;
        while let Some(line) = &mut self.line
            && let Some(mark) = line.marks.take_due(now)
        {
            let generation = line.marks.generation();
            self.played(generation, mark, false);
        }
    }

    fn no_mark(&mut self, why: NoMark) {
        match why {
            NoMark::Stale => self.counts.stale_marks += 1,
            NoMark::Unknown => self.counts.unknown_marks += 1,
        }
    }

    fn send_chunk(&mut self, chunk: Chunk) {
        let now = self.now;
        let Some(line) = &mut self.line else { return };
        let Chunk { audio, padding } = chunk;
        let format = line.output.format;
        let samples = format.samples((audio.len() - padding) as u64);
        self.counts.output_samples += format.samples(audio.len() as u64);
        self.counts.padded_samples += format.samples(padding as u64);
        line.sent += samples;
        line.marks.sent(now, samples);
        let message = self.carrier.audio(audio);
        self.send(message);
        while let Some(line) = &mut self.line
            && let Some((mark, at)) = line.pending.front().copied()
            && at <= line.sent
        {
            line.pending.pop_front();
            match line.marks.add(mark, at) {
                Some(name) => self.send_mark(&name),
                None => self.counts.unsent_marks += 1,
            }
        }
    }

    fn send_mark(&mut self, name: &str) {
        let name = format!("{}{name}", self.options.mark_prefix);
        if let Some(message) = self.carrier.mark(&name) {
            self.send(message);
        }
    }

    fn stopped(&mut self, stop: Stop) {
        let Stop { reason, carrier_closes } = stop;
        let is_ours = matches!(self.phase, Phase::Ending { .. });
        self.end(if is_ours { EndReason::HungUp } else { EndReason::Stopped(reason) });
        self.leave(carrier_closes);
    }

    /// Ends the stream and closes the socket.
    fn close(&mut self, reason: EndReason) {
        self.end(reason);
        self.leave(false);
    }

    /// Says that the stream is over.
    fn end(&mut self, reason: EndReason) {
        self.release_audio();
        self.event(Event::Ended(reason));
    }

    /// Closes the socket, or lets the carrier do it for a while.
    fn leave(&mut self, carrier_closes: bool) {
        if carrier_closes {
            self.phase = Phase::Closing { until: self.now + self.options.end_within };
        } else {
            self.phase = Phase::Over;
            self.send(Outgoing::Close);
        }
    }

    fn send(&mut self, message: Outgoing) {
        self.counts.sent += u64::from(message != Outgoing::Close);
        self.outputs.push_back(Output::Send(message));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
