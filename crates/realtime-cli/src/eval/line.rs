//! What a caller has in a call: a mouth, an ear and keys. [`Line`] is any, [`Inside`] one in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_pipeline::WavSource;
use realtime_pipeline::chain::{FrameKind, Intent, Keys, Peer};
use realtime_pipeline::task::TaskHandle;

use crate::eval::caller::Speech;
use crate::eval::ear::Ear;
use crate::eval::mouth::Mouth;

/// A line to the agent.
pub(super) trait Line {
    /// How often the agent has begun to speak.
    fn starts(&self) -> usize;

    /// How long the agent has been speaking; `None`: it is silent.
    fn speaks_for(&self) -> Option<Duration>;

    /// Returns whether the agent has spoken more than `before` times, and has nothing left to say.
    fn has_answered(&self, before: usize) -> bool;

    /// What was heard so far of the answer that is heard now; empty where no words are known.
    fn words(&self) -> String;

    /// Speaks, to the end.
    async fn speak(&self, speech: Speech);

    /// Presses keys.
    async fn press(&self, keys: Keys);

    /// Hangs up.
    fn hang_up(&self);

    /// The caller has nothing left to do: the call ends once nobody has anything left to say.
    fn finish(&self);
}

/// What the caller said and the emulator has not transcribed yet. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    fn say(&self, words: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(words);
    }

    /// All of it, if there is any.
    pub(super) fn take(&self) -> Option<String> {
        let words: Vec<String> = self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// A line into a call that is held in this process.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) ear: Ear,
    pub(super) mouth: Mouth,
    pub(super) said: Said,
    pub(super) call: TaskHandle,
}

impl Line for Inside {
    fn starts(&self) -> usize {
        self.ear.starts()
    }

    fn speaks_for(&self) -> Option<Duration> {
        self.ear.speaks_for()
    }

    fn has_answered(&self, before: usize) -> bool {
        self.ear.has_answered(before)
    }

    fn words(&self) -> String {
        self.ear.words()
    }

    async fn speak(&self, speech: Speech) {
        let Speech { sound, words } = speech;
        words.into_iter().for_each(|words| self.said.say(words));
        self.mouth.speak(WavSource::from_samples(sound.rate(), sound.as_slice())).await;
    }

    async fn press(&self, keys: Keys) {
        // Only a call that is over does not take them.
        let _ = self.call.ask(Intent::Dtmf { keys, run: true }).await;
    }

    fn hang_up(&self) {
        self.mouth.push(FrameKind::Peer(Peer::Disconnected));
    }

    fn finish(&self) {
        self.mouth.push(FrameKind::InputFinished);
    }
}
