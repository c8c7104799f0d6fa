//! The ledger of output audio: for each content part what came, what was played, and the positions of its
//! words.
//!
//! A part leaves the ledger when it is complete and played, so the ledger holds only what is audible. Without
//! reports, it leaves some time after it would have been played.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::audio::AudioFormat;
use crate::call::{PlaybackPosition, StopId};
use crate::id::{ItemId, ResponseId};
use crate::session::heard_words::Words;
use crate::session::options::PlaybackSource;
use crate::session::server_playback::{Served, Serving};
use crate::time::Timestamp;

/// The audio of the session that may still be heard, oldest first.
#[derive(Debug, Default)]
pub(super) struct Playback {
    pub(super) parts: VecDeque<Part>,
    /// What the server plays, on a side channel.
    pub(super) serving: Serving,
    /// Counts chunks.
    last_mark: u64,
    /// When playback was last heard of.
    last_report: Timestamp,
}

/// Identifies a content part.
#[derive(Clone, Debug)]
pub(super) struct PartId {
    pub(super) response_id: ResponseId,
    pub(super) item_id: ItemId,
    pub(super) content_index: u32,
}

/// One content part's audio.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: PartId,
    format: AudioFormat,
    /// Samples that came.
    received: u64,
    /// The first byte of a sample whose second byte has not come.
    carry: Option<u8>,
    whole: bool,
    /// Whether its response has ended: audio that comes later with the same ids is another part.
    ended: bool,
    /// The chunks that have not been reported as played: the mark of each, and its end (samples of the part).
    marks: VecDeque<(u64, u64)>,
    /// Whether some of them were left out, as there were too many.
    thinned: bool,
    /// Samples that were reported as played.
    reported: u64,
    /// When it began to play, without reports. Known from its first audio on.
    begins: Timestamp,
    /// The interruption that waits for playback to report the position of this part.
    stopped: Option<StopId>,
    /// Whether the user's speech does not interrupt it.
    protected: bool,
    /// Whether its item has left the conversation, so that there is nothing to truncate.
    deleted: bool,
    /// How much of it the server had played at the last look, on a side channel.
    pub(super) served: Option<Served>,
    /// Whether its audio comes while the server plays it: then it says nothing of what is still to be heard.
    live: bool,
    words: Words,
}

/// How long a part stays after it would have been played, without reports. Otherwise an application that
/// never reports would fill the ledger, and an interruption would truncate an hour of items at 0 ms.
const UNREPORTED: Duration = Duration::from_secs(60);

/// The most parts that may still be heard. Beyond that the oldest counts as played.
const MOST_PARTS: usize = 32;

/// The most chunks, of all parts, that wait for a report. Beyond that every other one is left out; a report
/// of such a chunk counts for the chunk before it.
const MOST_CHUNKS: usize = 4096;

impl Part {
    /// Samples that came.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn format(&self) -> AudioFormat {
        self.format
    }

    /// Samples that have been played by `now`: as reported, or as they would be at normal speed. Never more
    /// than came, if any came.
    pub(super) fn played(&self, now: Timestamp, source: PlaybackSource) -> u64 {
        let played = match source {
            PlaybackSource::Server => {
                let served = self.served.map_or(Duration::ZERO, |served| served.time);
                let played = self.format.samples_in(served.into());
                // Its audio may take another route, so that none of it came here.
                return if self.has_audio() { played.min(self.received) } else { played };
            }
            PlaybackSource::Reported => self.reported,
            // If there is a report after all, it is more exact than the clock.
            PlaybackSource::Estimated => {
                self.reported.max(self.format.samples_in(now.saturating_since(self.begins).into()))
            }
        };
        played.min(self.received)
    }

    fn is_over(&self, now: Timestamp, source: PlaybackSource, last_report: Timestamp) -> bool {
        if source == PlaybackSource::Server {
            return false; // the server says when
        }
        let forgotten = || now >= self.ends().max(last_report) + UNREPORTED;
        self.whole && (self.played(now, source) >= self.received() || forgotten())
    }

    fn is_audible(&self, now: Timestamp, source: PlaybackSource, last_report: Timestamp) -> bool {
        source != PlaybackSource::Server
            && self.stopped.is_none()
            && self.played(now, source) < self.received()
            && !self.is_over(now, source, last_report)
    }

    /// When everything that came will have been played, without reports.
    fn ends(&self) -> Timestamp {
        self.begins + self.format.time_of(self.received).as_duration()
    }

    fn is(&self, item_id: &ItemId, content_index: u32) -> bool {
        self.id.content_index == content_index && self.id.item_id == *item_id
    }

    /// Returns whether it is this part, of a running response. Some servers give several responses the same
    /// ids.
    fn is_growing(&self, id: &PartId) -> bool {
        !self.ended && self.is(&id.item_id, id.content_index) && self.id.response_id == id.response_id
    }
}

/// Drops every other mark.
fn thin(marks: &mut VecDeque<(u64, u64)>) {
    let mut odd = false;
    marks.retain(|_| {
        odd = !odd;
        odd
    });
}

impl Playback {
    /// Adds audio. Returns its whole samples, with the position of the first (samples) and the chunk's mark.
    pub(super) fn receive(
        &mut self,
        now: Timestamp,
        id: &PartId,
        format: AudioFormat,
        audio: Bytes,
        source: PlaybackSource,
    ) -> (u64, u64, Bytes) {
        self.forget_played(now, source);
        self.last_mark += 1;
        let mark = self.last_mark;
        let index = self.index_of(id, format);
        let crowded = self.parts.iter().map(|part| part.marks.len()).sum::<usize>() >= MOST_CHUNKS;
        if !self.parts[index].has_audio() {
            let before = self.parts.iter().take(index).map(Part::ends);
            self.parts[index].begins = before.fold(now, Timestamp::max);
        }
        let part = &mut self.parts[index];
        let start = part.received();
        let audio = part.whole_samples(audio);
        let played = format.time_of(start).as_duration();
        if part.begins + played < now {
            // Playback ran out of audio: what comes now plays from now on.
            part.begins = now - played;
        }
        part.received += format.samples(audio.len() as u64);
        if crowded {
            part.thinned = true;
            thin(&mut part.marks);
        }
        part.marks.push_back((mark, part.received));
        (start, mark, audio)
    }

    /// The audio of a part comes while the server plays it. It may go on after the end of its response.
    pub(super) fn play_live(&mut self, id: &PartId, format: AudioFormat) {
        let is_it =
            |part: &Part| part.is(&id.item_id, id.content_index) && part.id.response_id == id.response_id;
        let index = self.parts.iter().rposition(is_it).unwrap_or_else(|| self.index_of(id, format));
        let part = &mut self.parts[index];
        (part.live, part.ended) = (true, false);
    }

    /// When a part begins to play, without reports.
    pub(super) fn begins(&self, id: &PartId) -> Option<Timestamp> {
        self.parts.iter().find(|part| part.is_growing(id)).map(|part| part.begins)
    }

    /// Numbers marks from here on, so that those of an earlier session are not mistaken for marks of this
    /// one.
    pub(super) const fn number_from(&mut self, mark: u64) {
        self.last_mark = mark;
    }

    /// Adds spoken words.
    pub(super) fn words(&mut self, id: &PartId, format: AudioFormat, delta: &str) {
        let index = self.index_of(id, format);
        let part = &mut self.parts[index];
        let at = part.received();
        part.words.push(delta, at);
    }

    /// Notes all words of a part, which came after its audio.
    pub(super) fn all_words(&mut self, id: &PartId, format: AudioFormat, words: &str) {
        let index = self.index_of(id, format);
        self.parts[index].words.push(words, 0);
    }

    /// Notes that a part is complete. Returns its length (samples).
    pub(super) fn whole(&mut self, id: &PartId) -> Option<u64> {
        let part = self.parts.iter_mut().find(|part| part.is_growing(id))?;
        part.whole = true;
        Some(part.received())
    }

    /// Notes that nothing more comes for a response.
    pub(super) fn response_done(&mut self, now: Timestamp, response_id: &ResponseId, source: PlaybackSource) {
        for part in self.parts.iter_mut().filter(|part| part.id.response_id == *response_id) {
            part.whole = true;
            part.ended = true;
        }
        self.forget_played(now, source);
    }

    /// Drops all parts of a response.
    pub(super) fn forget_response(&mut self, response_id: &ResponseId) {
        self.parts.retain(|part| part.id.response_id != *response_id);
    }

    /// Notes a report of how much of a part has been played. A report never lowers the position, and never
    /// counts for audio that has not come.
    pub(super) fn report(&mut self, now: Timestamp, at: &PlaybackPosition) -> Option<&Part> {
        self.last_report = now;
        // If two parts have the same ids, the older one plays first.
        let is_it = |part: &Part| part.is(&at.item_id, at.content_index);
        let plays = self.parts.iter().position(|part| is_it(part) && part.reported < part.received);
        let index = plays.or_else(|| self.parts.iter().rposition(is_it))?;
        let part = &mut self.parts[index];
        part.reported = part.reported.max(at.played.min(part.received()));
        while part.marks.front().is_some_and(|(_, end)| *end <= part.reported) {
            part.marks.pop_front();
        }
        // Parts play in order: earlier parts have been played, unless they were stopped.
        let stopped = part.stopped;
        for before in self.parts.iter_mut().take(index).filter(|before| before.stopped == stopped) {
            before.reported = before.received();
        }
        self.parts.get(index)
    }

    /// The position of playback when the chunk with this mark has been played.
    pub(super) fn position_of(&self, mark: u64) -> Option<PlaybackPosition> {
        let exact = |part: &&Part| part.marks.binary_search_by_key(&mark, |(at, _)| *at).is_ok();
        let near = |part: &&Part| part.thinned && part.marks.back().is_some_and(|(at, _)| *at >= mark);
        let part = self.parts.iter().find(exact).or_else(|| self.parts.iter().find(near))?;
        let after = part.marks.partition_point(|(at, _)| *at <= mark);
        let (_, end) = part.marks.get(after.checked_sub(1)?)?;
        let PartId { item_id, content_index, .. } = part.id.clone();
        Some(PlaybackPosition { item_id, content_index, played: *end })
    }

    /// Drops parts that are over.
    pub(super) fn forget_played(&mut self, now: Timestamp, source: PlaybackSource) {
        let last_report = self.last_report;
        self.parts.retain(|part| !part.is_over(now, source, last_report));
    }

    /// An item has left the conversation. Its audio may still be heard.
    pub(super) fn item_deleted(&mut self, item_id: &ItemId) {
        for part in self.parts.iter_mut().filter(|part| part.id.item_id == *item_id) {
            part.deleted = true;
        }
    }

    /// Returns whether anything that came is neither played nor stopped.
    pub(super) fn is_audible(&self, now: Timestamp, source: PlaybackSource) -> bool {
        self.serving.is_playing(now)
            || self.parts.iter().any(|part| part.is_audible(now, source, self.last_report))
    }

    /// The user's speech does not interrupt a part.
    pub(super) fn protect(&mut self, id: &PartId) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.is_growing(id)) {
            part.protected = true;
        }
    }

    /// Returns whether anything is audible that the user's speech does not interrupt.
    pub(super) fn is_protected(&self, now: Timestamp, source: PlaybackSource) -> bool {
        let plays = |part: &Part| self.serving.plays(&part.id.response_id);
        let is_audible = |part: &Part| part.is_audible(now, source, self.last_report) || plays(part);
        self.parts.iter().any(|part| part.protected && is_audible(part))
    }

    /// An interruption ends all parts that came so far.
    pub(super) fn stop(&mut self, id: StopId) {
        for part in self.parts.iter_mut().filter(|part| part.stopped.is_none()) {
            part.stopped = Some(id);
        }
    }

    /// Takes out the parts that an interruption ended. Parts that began later play on.
    pub(super) fn take_stopped(&mut self, id: StopId) -> Vec<Part> {
        self.take_parts(|part| part.stopped == Some(id))
    }

    /// Takes out some parts.
    pub(super) fn take_parts(&mut self, which: impl Fn(&Part) -> bool) -> Vec<Part> {
        let parts = core::mem::take(&mut self.parts);
        let (taken, parts) = parts.into_iter().partition::<Vec<_>, _>(which);
        self.parts = parts.into();
        taken
    }

    /// When nothing that came will be audible any more, without reports. `None`: nothing is audible now, or
    /// it is not known.
    pub(super) fn silent_at(&self, now: Timestamp, source: PlaybackSource) -> Option<Timestamp> {
        let audible = self.parts.iter().filter(|part| part.is_audible(now, source, self.last_report));
        let ends = audible.map(|part| match source {
            PlaybackSource::Server => None,
            PlaybackSource::Estimated => Some(part.ends()),
            PlaybackSource::Reported => part.whole.then(|| part.ends().max(self.last_report) + UNREPORTED),
        });
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn index_of(&mut self, id: &PartId, format: AudioFormat) -> usize {
        self.parts.iter().position(|part| part.is_growing(id)).unwrap_or_else(|| {
            if self.parts.len() == MOST_PARTS {
                self.parts.pop_front();
            }
            self.parts.push_back(Part {
                id: id.clone(),
                format,
                received: 0,
                carry: None,
                whole: false,
                ended: false,
                marks: VecDeque::new(),
                thinned: false,
                reported: 0,
                begins: Timestamp::ZERO,
                stopped: None,
                protected: false,
                deleted: false,
                served: None,
                live: false,
                words: Words::default(),
            });
            self.parts.len() - 1
        })
    }
}

impl Part {
    /// The words that were heard after `heard` samples.
    pub(super) fn heard_text(&self, heard: u64) -> &str {
        match self.served {
            Some(served) if !self.has_audio() => self.words.first(served.characters),
            _ => self.words.heard(heard, self.received(), self.whole),
        }
    }

    /// How many characters its words have.
    pub(super) fn characters(&self) -> usize {
        self.words.characters()
    }

    /// Returns whether any audio has come that was not played by then.
    pub(super) const fn has_audio(&self) -> bool {
        self.received > 0 && !self.live
    }

    /// Returns whether an interruption need not name it: it was heard completely, is empty, or was deleted.
    pub(super) fn is_settled(&self, heard: u64) -> bool {
        let has_words = !self.words.is_empty();
        let is_heard = if self.has_audio() { self.whole && heard >= self.received() } else { !has_words };
        is_heard || self.deleted
    }

    /// Deltas may split a sample: the first half waits for the second.
    fn whole_samples(&mut self, audio: Bytes) -> Bytes {
        if self.format.sample_bytes() == 1 || audio.is_empty() {
            return audio;
        }
        match (self.carry.take(), audio.len() % 2) {
            (None, 0) => audio,
            (None, _) => {
                self.carry = audio.last().copied();
                audio.slice(..audio.len() - 1)
            }
            (Some(first), odd) => {
                let mut joined = BytesMut::with_capacity(audio.len() + 1);
                joined.extend_from_slice(&[first]);
                joined.extend_from_slice(&audio);
                if odd == 0 {
                    self.carry = audio.last().copied();
                    joined.truncate(joined.len() - 1);
                }
                joined.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::time::MediaTime;

    const FORMAT: AudioFormat = AudioFormat::PCM16_24K;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// Samples of that time.
    fn ms(ms: u64) -> u64 {
        FORMAT.samples_in(MediaTime::from_millis(ms))
    }

    fn part_id(item: &str) -> PartId {
        PartId { response_id: "resp".into(), item_id: item.into(), content_index: 0 }
    }

    fn receive(ledger: &mut Playback, now: u64, item: &str, millis: u64, source: PlaybackSource) {
        let audio = Bytes::from(alloc::vec![0; 2 * ms(millis) as usize]);
        ledger.receive(at(now), &part_id(item), FORMAT, audio, source);
    }

    #[test]
    fn deltas_that_split_a_sample_give_the_same_samples() {
        for cuts in [[1, 2, 3], [3, 3, 5], [2, 4, 6], [1, 1, 1], [1, 0, 1]] {
            let mut ledger = Playback::default();
            let all = Bytes::from_static(&[0, 1, 2, 3, 4, 5, 6, 7]);
            let mut got = Vec::new();
            let mut rest = all.clone();
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let piece = rest.split_to(cut.min(rest.len()));
                let (start, _, audio) =
                    ledger.receive(at(0), &part_id("item"), FORMAT, piece, PlaybackSource::Reported);
                assert_eq!(2 * start as usize, got.len());
                assert_eq!(audio.len() % 2, 0);
                got.extend_from_slice(&audio);
            }
            assert_eq!(got, all, "{cuts:?}");
        }
    }

    #[test]
    fn an_estimate_plays_items_one_after_the_other_at_normal_speed() {
        let mut ledger = Playback::default();
        let source = PlaybackSource::Estimated;
        receive(&mut ledger, 0, "a", 1000, source);
        receive(&mut ledger, 10, "b", 1000, source);
        let played = |ledger: &Playback, now| -> Vec<u64> {
            ledger.parts.iter().map(|part| FORMAT.time_of(part.played(at(now), source)).as_millis()).collect()
        };
        assert_eq!(played(&ledger, 400), [400, 0]);
        assert_eq!(played(&ledger, 1400), [1000, 400]);
        // Playback ran out of audio at 2,000 ms: audio that comes at 3,000 ms plays from there.
        receive(&mut ledger, 3000, "b", 500, source);
        assert_eq!(played(&ledger, 3100).last(), Some(&1100));
    }

    #[test]
    fn a_report_corrects_an_estimate() {
        let mut ledger = Playback::default();
        let source = PlaybackSource::Estimated;
        receive(&mut ledger, 0, "a", 1000, source);
        assert!(ledger.is_audible(at(100), source));
        let all = PlaybackPosition { item_id: "a".into(), content_index: 0, played: ms(1000) };
        ledger.report(at(100), &all);
        assert!(!ledger.is_audible(at(100), source));
    }

    #[test]
    fn heard_words_are_a_prefix_in_proportion() {
        let mut ledger = Playback::default();
        let words = "one two three four five six seven eight nine ten";
        for word in words.split_inclusive(' ') {
            ledger.words(&part_id("item"), FORMAT, word);
        }
        receive(&mut ledger, 0, "item", 4800, PlaybackSource::Reported);
        let part = &ledger.parts[0];
        assert_eq!(part.heard_text(0), "");
        assert_eq!(part.heard_text(ms(1400)), "one two three");
        ledger.whole(&part_id("item"));
        assert_eq!(ledger.parts[0].heard_text(ms(4800)), words);
    }

    #[test]
    fn words_that_came_after_the_heard_audio_were_not_heard() {
        let mut ledger = Playback::default();
        ledger.words(&part_id("item"), FORMAT, "early ");
        receive(&mut ledger, 0, "item", 500, PlaybackSource::Reported);
        ledger.words(&part_id("item"), FORMAT, "late words of many more characters");
        receive(&mut ledger, 0, "item", 500, PlaybackSource::Reported);
        assert_eq!(ledger.parts[0].heard_text(ms(500)), "early");
    }

    #[test]
    fn a_part_under_the_ids_of_an_earlier_response_is_another_part() {
        let mut ledger = Playback::default();
        let source = PlaybackSource::Reported;
        receive(&mut ledger, 0, "item", 500, source);
        ledger.response_done(at(0), &"resp".into(), source);
        receive(&mut ledger, 10, "item", 300, source);
        let sizes: Vec<u64> = ledger.parts.iter().map(Part::received).collect();
        assert_eq!(sizes, [12_000, 7_200]);
        // The older one plays first.
        let position = |played| PlaybackPosition { item_id: "item".into(), content_index: 0, played };
        ledger.report(at(20), &position(12_000));
        ledger.report(at(30), &position(2_400));
        let played: Vec<u64> = ledger.parts.iter().map(|part| part.reported).collect();
        assert_eq!(played, [12_000, 2_400]);
    }

    #[test]
    fn a_report_of_a_chunk_that_was_left_out_counts_for_the_one_before() {
        let mut ledger = Playback::default();
        for _ in 0..MOST_CHUNKS + 1 {
            receive(&mut ledger, 0, "item", 1, PlaybackSource::Reported);
        }
        assert!(ledger.parts[0].marks.len() <= MOST_CHUNKS / 2 + 1);
        let played = ledger.position_of(1000).map(|at| at.played).unwrap_or_default();
        assert!((998 * 24..=1000 * 24).contains(&played), "{played}");
        let last = MOST_CHUNKS as u64 + 1;
        assert_eq!(ledger.position_of(last).map(|at| at.played), Some(last * 24), "the newest is exact");
    }
}
