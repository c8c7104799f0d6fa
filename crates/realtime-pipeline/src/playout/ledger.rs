//! The one ledger of playback: [`Ledger`] holds the tracks in the order of hearing, and what is on its way to
//! the ear.
//!
//! Pure: it reads no clock, and counts samples, so that nothing is rounded.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::call::PlaybackPosition;
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;

use crate::chain::{Audio, AudioSource, OutputAudio};
use crate::playout::clock::time_of;
use crate::playout::form::Form;
use crate::playout::track::{Piece, Track};
use crate::resample::RATES;

/// All audio that may still be heard.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) hearing: Hearing,
    /// In the order of hearing. The first one plays. It leaves when it has been heard and is whole, or when
    /// another follows.
    pub(super) tracks: VecDeque<Track>,
    /// What was handed out and has not been heard, in order.
    pub(super) ahead: VecDeque<Sent>,
    pub(super) reports: VecDeque<PlaybackPosition>,
    /// When the sink last told something.
    pub(super) last_sign: Timestamp,
    last_number: u64,
    waiting_time: Duration,
    pieces: usize,
}

/// When audio counts as heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hearing {
    /// When it is handed out: the sink sounds it at once.
    HandedOut,
    /// When it is due: the sink holds the rest.
    Due,
    /// When the sink says so.
    Reported,
}

/// Audio that was handed out.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) piece: Piece,
    pub(super) rate: u32,
    pub(super) due: Timestamp,
    pub(super) ends: Timestamp,
}

/// What plays next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) form: Form,
    /// Samples that wait.
    pub(super) waiting: u64,
    /// Whether more of the track may come.
    pub(super) is_growing: bool,
    /// Whether some of it was handed out before.
    pub(super) has_begun: bool,
    /// Whether it goes on after a stop.
    pub(super) survives: bool,
}

/// A chunk that is handed out.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) number: u64,
    pub(super) response_id: Option<ResponseId>,
    pub(super) source: AudioSource,
    pub(super) piece: Piece,
}

/// Why audio was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    /// Too much waits already.
    #[error("expected at most {limit} s of audio to wait, got {more_ms} ms after {waiting} s")]
    Full { waiting: u64, more_ms: u64, limit: u64 },
    /// Too many pieces wait already.
    #[error("expected at most {limit} pieces of audio to wait")]
    Crowded { limit: usize },
    /// It can't be played.
    #[error("expected audio of {} to {} Hz, got {rate} Hz", RATES.start(), RATES.end())]
    Rate { rate: u32 },
}

/// The server sends a whole response faster than it sounds.
const MOST_WAITING: Duration = Duration::from_secs(600);
/// Ten minutes in pieces of 10 ms.
const MOST_PIECES: usize = 60_000;

impl Ledger {
    pub(super) const fn new(hearing: Hearing) -> Self {
        Self {
            hearing,
            tracks: VecDeque::new(),
            ahead: VecDeque::new(),
            reports: VecDeque::new(),
            last_sign: Timestamp::ZERO,
            last_number: 0,
            waiting_time: Duration::ZERO,
            pieces: 0,
        }
    }

    pub(super) const fn hearing(&self) -> Hearing {
        self.hearing
    }

    /// Takes audio in, after all audio that came before it.
    ///
    /// # Errors
    /// [`Refused`]: the audio is dropped, and counts as received and not played.
    pub(super) fn push(&mut self, audio: OutputAudio) -> Result<(), Refused> {
        self.check(audio.audio.rate(), time_of(audio.audio.frames(), audio.audio.rate()))?;
        let index = match self.tracks.iter().rposition(|track| track.grows_by(&audio)) {
            Some(index) => index,
            None => self.begin(&audio),
        };
        let OutputAudio { start, mark, audio, .. } = audio;
        self.change(index, |track| track.receive(start, mark, audio));
        Ok(())
    }

    /// Takes sounds in that are whole, and go on after a stop.
    pub(super) fn push_surviving(&mut self, source: AudioSource, audio: Audio) {
        let audio = OutputAudio { response_id: None, source, start: 0, mark: None, audio };
        let index = self.begin(&audio);
        self.change(index, |track| {
            track.receive(0, None, audio.audio);
            (track.is_whole, track.survives) = (true, true);
        });
    }

    /// Returns why audio would not be taken.
    ///
    /// # Errors
    /// [`Refused`]: it would not be.
    pub(super) fn check(&self, rate: u32, more: Duration) -> Result<(), Refused> {
        if !RATES.contains(&rate) {
            return Err(Refused::Rate { rate });
        }
        if self.pieces >= MOST_PIECES {
            return Err(Refused::Crowded { limit: MOST_PIECES });
        }
        if self.waiting_time + more > MOST_WAITING {
            let (waiting, limit) = (self.waiting_time.as_secs(), MOST_WAITING.as_secs());
            let more_ms = u64::try_from(more.as_millis()).unwrap_or(u64::MAX);
            return Err(Refused::Full { waiting, more_ms, limit });
        }
        Ok(())
    }

    /// No more of these tracks will come.
    pub(super) fn finish(&mut self, which: impl Fn(&Track) -> bool) {
        for track in self.tracks.iter_mut().filter(|track| which(track)) {
            track.is_whole = true;
            if track.is_heard_to_its_end() && track.owes_report() {
                self.reports.extend(track.report());
            }
        }
        self.settle();
    }

    /// What plays next. `None`: nothing waits.
    pub(super) fn head(&self) -> Option<Head> {
        let track = self.tracks.iter().find(|track| track.waiting() > 0)?;
        Some(Head {
            number: track.number,
            form: track.form,
            waiting: track.waiting(),
            is_growing: !track.is_whole,
            has_begun: track.has_begun,
            survives: track.survives,
        })
    }

    /// Hands out the next audio: at most so many samples, of one track.
    pub(super) fn take(&mut self, most: u64) -> Option<Chunk> {
        let index = self.tracks.iter().position(|track| track.waiting() > 0)?;
        // What comes later for a track that another has followed is heard after that.
        self.tracks.iter_mut().take(index).for_each(|track| track.is_whole = true);
        let piece = self.change(index, |track| track.take(most))?;
        let track = &mut self.tracks[index];
        if self.hearing == Hearing::HandedOut && track.hear_all() {
            self.reports.extend(track.report());
        }
        let (response_id, source) = (track.response_id.clone(), track.source.clone());
        Some(Chunk { number: track.number, response_id, source, piece })
    }

    /// Ends all tracks that came so far, but those that survive. Returns how many pieces were dropped.
    pub(super) fn cut(&mut self) -> usize {
        let mut dropped = 0;
        for index in 0..self.tracks.len() {
            if !self.tracks[index].survives {
                self.tracks[index].is_cut = true;
                dropped += self.change(index, Track::drop_waiting);
            }
        }
        dropped
    }

    /// Forgets the tracks that were cut, and what is on its way of them.
    pub(super) fn forget_cut(&mut self) {
        let tracks = &self.tracks;
        let is_cut = |number| tracks.iter().any(|track| track.number == number && track.is_cut);
        self.ahead.retain(|sent| !is_cut(sent.number));
        self.tracks.retain(|track| !track.is_cut);
        self.settle();
    }

    /// The sink has dropped what it held: what was not heard waits again.
    pub(super) fn take_back(&mut self) {
        while let Some(sent) = self.ahead.pop_back() {
            if let Some(index) = self.tracks.iter().position(|track| track.number == sent.number) {
                self.change(index, |track| track.give_back(sent.piece));
            }
        }
        self.settle();
    }

    /// The oldest report that has not been fetched.
    pub(super) fn poll_report(&mut self) -> Option<PlaybackPosition> {
        self.reports.pop_front()
    }

    pub(super) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter()
    }

    pub(super) const fn pieces(&self) -> usize {
        self.pieces
    }

    /// A new track at the end. An earlier run of a clip is whole.
    fn begin(&mut self, audio: &OutputAudio) -> usize {
        self.tracks
            .iter_mut()
            .filter(|track| track.is_growing(&audio.source))
            .for_each(|track| track.is_whole = true);
        self.last_number += 1;
        self.tracks.push_back(Track::new(self.last_number, audio));
        self.tracks.len() - 1
    }

    /// Changes a track, and keeps account of what waits.
    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Track) -> T) -> T {
        let track = &mut self.tracks[index];
        self.waiting_time = self.waiting_time.saturating_sub(track.waiting_time());
        self.pieces -= track.pieces();
        let changed = change(track);
        self.waiting_time += track.waiting_time();
        self.pieces += track.pieces();
        changed
    }

    /// Closes the accounts of tracks at the front that have been heard to their end.
    pub(super) fn settle(&mut self) {
        while let Some(track) = self.tracks.front_mut() {
            let is_over = track.waiting() == 0
                && !track.is_cut
                && (track.is_whole || self.tracks.len() > 1)
                && self.ahead.front().is_none_or(|sent| sent.number > self.tracks[0].number);
            let Some(mut track) = is_over.then(|| self.tracks.pop_front()).flatten() else { return };
            if track.owes_report() {
                self.reports.extend(track.report());
            }
        }
    }
}
