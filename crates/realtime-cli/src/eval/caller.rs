//! The caller: does the steps of a scenario, one after the other.

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_emulator::voice::{SAMPLE_RATE, VoiceKind};
use realtime_pipeline::chain::{FrameKind, Intent, Keys, Peer};
use realtime_pipeline::edges::WavSource;
use realtime_pipeline::task::TaskHandle;
use realtime_pipeline::testing::Mismatch;
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::eval::case::{Case, Place};
use crate::eval::ear::Ear;
use crate::eval::mouth::{FRAME, Mouth};
use crate::eval::scenario::{Interrupt, Step, When};

/// How long the caller waits for an answer to begin, or for a word of it.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A step that is ready to be done: its sound is there.
#[derive(Debug)]
pub(super) struct Act {
    place: Place,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Speak(Speech),
    Interrupt(When, Speech),
    Keys(Keys),
    Silence(Duration),
    WaitForAnswer,
    HangUp,
}

#[derive(Debug)]
struct Speech {
    sound: WavSource,
    words: Option<String>,
}

impl Act {
    /// Its place, if a call that is over before it lacks something.
    pub(super) fn missed(&self) -> Option<Place> {
        let is_idle = matches!(self.doing, Doing::Silence(_) | Doing::WaitForAnswer | Doing::HangUp);
        (!is_idle).then(|| self.place.clone())
    }
}

/// The steps of a case, with their sounds. It takes as long as a program needs to speak them.
pub(super) fn prepare(case: &Case, voice: &VoiceKind) -> Result<Vec<Act>, Error> {
    let spoken = |words: &String| Speech {
        sound: WavSource::from_samples(SAMPLE_RATE, voice.speak(words).samples),
        words: Some(words.clone()),
    };
    let open = |file: &Path| WavSource::open(case.path(file));
    let mut acts = Vec::new();
    for step in &case.scenario.caller {
        let place = case.place(step);
        let doing = match &step.value {
            Step::Say(words) => Doing::Speak(spoken(words)),
            Step::Play(play) => Doing::Speak(Speech {
                sound: open(&play.file).map_err(|error| format!("{place}: {error}"))?,
                words: play.words.clone(),
            }),
            Step::Interrupt(Interrupt { say, when }) => Doing::Interrupt(when.clone(), spoken(say)),
            Step::Keys(keys) => Doing::Keys(keys.0.clone()),
            Step::SilentMs(ms) => Doing::Silence(Duration::from_millis((*ms).into())),
            Step::WaitForAnswer => Doing::WaitForAnswer,
            Step::HangUp => Doing::HangUp,
        };
        acts.push(Act { place, doing });
    }
    Ok(acts)
}

/// A caller in a call.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) ear: Ear,
    pub(super) mouth: Mouth,
    pub(super) said: Said,
    pub(super) call: TaskHandle,
}

/// What became of a step, and of all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gone {
    /// It is done. After all of them the call ends once nobody has anything left to say.
    Done,
    /// The caller hung up.
    HungUp,
}

impl Caller {
    /// Does all of it, and counts in `done` what is done.
    ///
    /// # Errors
    /// The agent gave the caller no chance to go on: at which act, and what was expected. The caller hangs
    /// up.
    pub(super) async fn follow(&self, acts: Vec<Act>, done: &Cell<usize>) -> Result<Gone, (Place, Mismatch)> {
        // How often the agent had begun to speak when the caller last had the word.
        let mut before = 0;
        for act in acts {
            match self.act(act.doing, &mut before).await {
                Ok(Gone::Done) => done.set(done.get() + 1),
                Ok(Gone::HungUp) => {
                    done.set(usize::MAX);
                    self.mouth.push(FrameKind::Peer(Peer::Disconnected));
                    return Ok(Gone::HungUp);
                }
                Err(mismatch) => {
                    done.set(usize::MAX);
                    self.mouth.push(FrameKind::Peer(Peer::Disconnected));
                    return Err((act.place, mismatch));
                }
            }
        }
        self.mouth.push(FrameKind::InputFinished);
        Ok(Gone::Done)
    }

    async fn act(&self, doing: Doing, before: &mut usize) -> Result<Gone, Mismatch> {
        match doing {
            Doing::Speak(speech) => self.speak(speech, before).await,
            Doing::Interrupt(when, speech) => {
                self.wait_to_interrupt(&when, *before).await?;
                self.speak(speech, before).await;
            }
            Doing::Keys(keys) => {
                *before = self.ear.starts();
                // Only a call that is over does not take them.
                let _ = self.call.ask(Intent::Dtmf { keys, run: true }).await;
            }
            Doing::Silence(time) => sleep(time).await,
            Doing::WaitForAnswer => self.wait_for_answer(before).await?,
            Doing::HangUp => return Ok(Gone::HungUp),
        }
        Ok(Gone::Done)
    }

    async fn speak(&self, speech: Speech, before: &mut usize) {
        let Speech { sound, words } = speech;
        words.into_iter().for_each(|words| self.said.say(words));
        self.mouth.speak(sound).await;
        *before = self.ear.starts();
    }

    async fn wait_for_answer(&self, before: &mut usize) -> Result<(), Mismatch> {
        let until = Instant::now() + PATIENCE;
        while !self.ear.has_answered(*before) {
            let has_begun = self.ear.starts() > *before;
            if !has_begun && Instant::now() >= until {
                let expected = format!("an answer within {} s", PATIENCE.as_secs());
                return Err(Mismatch::new(expected, "none"));
            }
            sleep(FRAME).await;
        }
        // The next answer is another one.
        *before = self.ear.starts();
        Ok(())
    }

    async fn wait_to_interrupt(&self, when: &When, before: usize) -> Result<(), Mismatch> {
        let until = Instant::now() + PATIENCE;
        loop {
            let due = match when {
                When::AfterMs(ms) => {
                    let after = Duration::from_millis((*ms).into());
                    self.ear.speaks_for().is_some_and(|time| time >= after)
                }
                When::AtWord(word) => {
                    let heard = self.ear.words().to_lowercase();
                    self.ear.speaks_for().is_some() && heard.contains(&word.to_lowercase())
                }
            };
            if due {
                return Ok(());
            }
            let is_late = self.ear.starts() == before && Instant::now() >= until;
            if is_late || self.ear.has_answered(before) {
                let expected = match when {
                    When::AfterMs(ms) => format!("{ms} ms of an answer, to speak over it"),
                    When::AtWord(word) => format!("the word {word:?} in an answer, to speak over it"),
                };
                let got = if is_late { "none".to_owned() } else { format!("{:?}", self.ear.words()) };
                return Err(Mismatch::new(expected, got));
            }
            sleep(FRAME).await;
        }
    }
}
