//! What was heard: the ledger's accounts of audio that is on its way to the ear.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::call::PlaybackPosition;
use realtime_protocol::time::Timestamp;

use crate::chain::AudioSource;
use crate::playout::clock::whole_samples_in;
use crate::playout::ledger::{Hearing, Ledger, Sent};
use crate::playout::track::{Piece, Track};

/// A place in the order of hearing: a position in a track.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    number: u64,
    position: u64,
}

/// A sink that tells nothing for so long after the end of audio: it is forgotten, and not reported.
const UNREPORTED: Duration = Duration::from_secs(2);

impl Ledger {
    /// A chunk is on its way to the ear, from `due` to `ends`.
    pub(super) fn sent(&mut self, number: u64, piece: Piece, due: Timestamp, ends: Timestamp) {
        let rate = piece.audio.rate();
        self.ahead.push_back(Sent { number, piece, rate, due, ends });
    }

    /// Time has passed: what was due has been heard.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let sounded = self.ahead.iter().take_while(|sent| self.is_over_at(sent) <= now).count();
        for sent in self.ahead.drain(..sounded) {
            if self.hearing == Hearing::Due {
                hear(&mut self.tracks, &mut self.reports, sent.number, sent.piece.end());
            }
        }
        if self.hearing == Hearing::Due {
            self.hear_until(now);
        }
        self.settle();
    }

    /// What is on its way counts as heard as far as it was due at this time. A sample is heard when it begins
    /// to sound.
    pub(super) fn hear_until(&mut self, at: Timestamp) {
        for sent in self.ahead.iter().take_while(|sent| sent.due <= at) {
            let sounding = whole_samples_in(at.saturating_since(sent.due), sent.rate) + 1;
            let position = sent.piece.start.saturating_add(sounding).min(sent.piece.end());
            hear(&mut self.tracks, &mut self.reports, sent.number, position);
        }
    }

    /// The sink tells something: it is alive.
    pub(super) const fn sign(&mut self, now: Timestamp) {
        self.last_sign = now;
    }

    /// The sink tells what was heard: all before this position. Returns whether it is known here.
    pub(super) fn heard(&mut self, source: &AudioSource, samples: u64) -> bool {
        let is_it = |track: &Track| track.source == *source && track.has_begun;
        let unheard = self.tracks.iter().position(|track| is_it(track) && track.heard() < track.sent());
        let Some(index) = unheard.or_else(|| self.tracks.iter().rposition(is_it)) else { return false };
        for track in self.tracks.iter_mut().take(index) {
            if track.hear_all() {
                self.reports.extend(track.report());
            }
        }
        let number = self.tracks[index].number;
        hear(&mut self.tracks, &mut self.reports, number, samples);
        let heard = Place { number, position: self.tracks[index].heard() };
        let sounded = self.ahead.iter().take_while(|sent| sent.end_place() <= heard).count();
        self.ahead.drain(..sounded);
        self.settle();
        true
    }

    /// Where playback stands in these tracks: in the first part that was not heard to its end, and otherwise
    /// at the end of the last one. `None`: there is none.
    pub(super) fn position(&self, which: impl Fn(&Track) -> bool) -> Option<PlaybackPosition> {
        let is_part = |track: &&Track| track.is_part() && which(track);
        let is_open = |track: &&Track| {
            !track.is_whole || track.heard() < track.received() || self.is_on_its_way(track.number)
        };
        let parts = || self.tracks.iter().filter(is_part);
        parts().find(is_open).or_else(|| parts().next_back()).and_then(Track::position)
    }

    /// The place after all audio that came so far. `None`: there is none.
    pub(super) fn end(&self) -> Option<Place> {
        let last = self.tracks.back().map(|track| Place { number: track.number, position: track.received() });
        last.max(self.ahead.back().map(Sent::end_place))
    }

    /// Returns whether all audio before a place has sounded.
    pub(super) fn has_sounded(&self, place: Place) -> bool {
        let is_before = |number, position| Place { number, position } < place;
        let waits = |track: &Track| track.next_start().is_some_and(|start| is_before(track.number, start));
        self.ahead.front().is_none_or(|sent| !is_before(sent.number, sent.piece.start))
            && !self.tracks.iter().take_while(|track| track.number <= place.number).any(waits)
    }

    /// Returns whether something sounds now.
    pub(super) fn sounds(&self, now: Timestamp) -> bool {
        self.ahead.front().is_some_and(|sent| sent.due <= now)
    }

    /// Returns whether something that was handed out has not sounded.
    pub(super) fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Returns whether nothing is left to be heard.
    pub(super) fn is_drained(&self) -> bool {
        self.tracks.is_empty() && self.ahead.is_empty()
    }

    /// When the first audio begins to sound that is on its way.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.ahead.front().map(|sent| sent.due)
    }

    /// When [`advance`](Self::advance) changes something next.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ahead.front().map(|sent| self.is_over_at(sent))
    }

    /// When audio is forgotten that is on its way. A sink that reports says so itself.
    fn is_over_at(&self, sent: &Sent) -> Timestamp {
        match self.hearing {
            Hearing::HandedOut | Hearing::Due => sent.ends,
            Hearing::Reported => sent.ends.max(self.last_sign) + UNREPORTED,
        }
    }

    fn is_on_its_way(&self, number: u64) -> bool {
        self.ahead.iter().any(|sent| sent.number == number)
    }
}

impl Sent {
    fn end_place(&self) -> Place {
        Place { number: self.number, position: self.piece.end() }
    }
}

/// A track has been heard up to here.
fn hear(tracks: &mut VecDeque<Track>, reports: &mut VecDeque<PlaybackPosition>, number: u64, position: u64) {
    if let Some(track) = tracks.iter_mut().find(|track| track.number == number)
        && track.hear(position)
    {
        reports.extend(track.report());
    }
}
