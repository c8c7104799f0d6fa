//! What the caller hears of the agent while the call is held: [`Ear`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_pipeline::chain::{AudioSource, BotSpeech, Direction, FrameKind, Hop, Observer, OutputAudio};
use realtime_protocol::call::Event;
use realtime_protocol::id::ItemId;
use realtime_protocol::time::MediaTime;
use tokio::time::Instant;

/// An answer is over once the agent has been silent and idle for so long: a tool may be called, and another
/// response may follow.
const QUIET: Duration = Duration::from_millis(500);
/// Parts of answers whose words are kept.
const MOST: usize = 64;

/// An observer that knows whether the agent speaks, and which of its words were heard. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Ear(Arc<Mutex<Hearing>>);

#[derive(Debug, Default)]
struct Hearing {
    /// How often the agent became audible.
    starts: usize,
    speaks_since: Option<Instant>,
    responses: usize,
    functions: usize,
    /// When something of that changed last.
    changed: Option<Instant>,
    parts: BTreeMap<Key, Part>,
    /// The part that is heard now.
    heard: Option<Key>,
}

type Key = (ItemId, u32);

/// The words of a part of an answer, and where they stand in its audio.
#[derive(Debug, Default)]
struct Part {
    words: Vec<(MediaTime, String)>,
    received: MediaTime,
    played: MediaTime,
}

impl Ear {
    /// How often the agent has begun to speak.
    pub(super) fn starts(&self) -> usize {
        self.hearing().starts
    }

    /// How long the agent has been speaking; `None`: it is silent.
    pub(super) fn speaks_for(&self) -> Option<Duration> {
        self.hearing().speaks_since.map(|since| since.elapsed())
    }

    /// Returns whether the agent has spoken more than `before` times, and has nothing left to say.
    pub(super) fn has_answered(&self, before: usize) -> bool {
        let hearing = self.hearing();
        let is_idle = hearing.speaks_since.is_none() && hearing.responses == 0 && hearing.functions == 0;
        hearing.starts > before && is_idle && hearing.changed.is_none_or(|at| at.elapsed() >= QUIET)
    }

    /// What was heard so far of the part that is heard now. A word counts once its first sound is due.
    pub(super) fn words(&self) -> String {
        let hearing = self.hearing();
        let part = hearing.heard.as_ref().and_then(|key| hearing.parts.get(key));
        let words = part.into_iter().flat_map(|part| {
            part.words.iter().filter(|(at, _)| *at <= part.played).map(|(_, words)| words.as_str())
        });
        words.collect()
    }

    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing {
    fn learn(&mut self, event: &Event) {
        match event {
            Event::ResponseStarted { .. } => self.responses += 1,
            Event::ResponseFinished(_) => self.responses = self.responses.saturating_sub(1),
            Event::FunctionCalls { out_of_band: false, calls, .. } => self.functions += calls.len(),
            Event::FunctionEnded { .. } => self.functions = self.functions.saturating_sub(1),
            Event::Text { item_id, content_index, delta, spoken: true, .. } => {
                let part = self.part((item_id.clone(), *content_index));
                part.words.push((part.received, delta.clone()));
                return;
            }
            _ => return,
        }
        self.changed = Some(Instant::now());
    }

    fn bot(&mut self, speech: BotSpeech) {
        match speech {
            BotSpeech::Started => {
                self.starts += 1;
                self.speaks_since = Some(Instant::now());
            }
            BotSpeech::Stopped => self.speaks_since = None,
            _ => return,
        }
        self.changed = Some(Instant::now());
    }

    fn received(&mut self, audio: &OutputAudio) {
        if let Some(key) = key(&audio.source) {
            let part = self.part(key);
            part.received += audio.audio.duration();
        }
    }

    fn played(&mut self, audio: &OutputAudio) {
        if let Some(key) = key(&audio.source) {
            let part = self.part(key.clone());
            part.played += audio.audio.duration();
            self.heard = Some(key);
        }
    }

    fn part(&mut self, key: Key) -> &mut Part {
        if self.parts.len() >= MOST && !self.parts.contains_key(&key) {
            let heard = self.heard.clone();
            self.parts.retain(|key, _| Some(key) == heard.as_ref());
        }
        self.parts.entry(key).or_default()
    }
}

fn key(source: &AudioSource) -> Option<Key> {
    match source {
        AudioSource::Part { item_id, content_index } => Some((item_id.clone(), *content_index)),
        _ => None,
    }
}

impl Observer for Ear {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if hop.direction != Direction::Downstream {
            return;
        }
        // A frame is seen on every hop: what counts is the hop from where it was made.
        match (&**hop.from, hop.frame.kind()) {
            ("realtime", FrameKind::Event(event)) => self.hearing().learn(event),
            ("playout", FrameKind::Bot(speech)) => self.hearing().bot(*speech),
            ("realtime", FrameKind::OutputAudio(audio)) => self.hearing().received(audio),
            ("playout", FrameKind::PlayedAudio(audio)) => self.hearing().played(audio),
            _ => {}
        }
    }
}
