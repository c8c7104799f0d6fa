//! The caller: does the steps of a scenario, one after the other.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use realtime_emulator::voice::{SAMPLE_RATE, VoiceKind};
use realtime_pipeline::WavSource;
use realtime_pipeline::chain::{Keys, Samples};
use realtime_pipeline::testing::Mismatch;
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::eval::case::{Case, Place};
use crate::eval::line::Line;
use crate::eval::mouth::FRAME;
use crate::eval::scenario::{Interrupt, Step, When};

/// How long the caller waits for an answer to begin, or for a word of it.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Something that the caller says.
#[derive(Debug)]
pub(super) struct Speech {
    /// It, in one channel.
    pub(super) sound: Samples,
    /// What is said in it, for the emulator.
    pub(super) words: Option<String>,
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
        sound: Samples::new(SAMPLE_RATE, 1, voice.speak(words).samples),
        words: Some(words.clone()),
    };
    let open = |file: &Path| WavSource::open(case.path(file)).map(|file| file.speech().clone());
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
pub(super) struct Caller<L>(pub(super) L);

/// What became of a step, and of all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gone {
    /// It is done. After all of them the call ends once nobody has anything left to say.
    Done,
    /// The caller hung up.
    HungUp,
}

impl<L: Line> Caller<L> {
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
                    self.0.hang_up();
                    return Ok(Gone::HungUp);
                }
                Err(mismatch) => {
                    done.set(usize::MAX);
                    self.0.hang_up();
                    return Err((act.place, mismatch));
                }
            }
        }
        self.0.finish();
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
                *before = self.0.starts();
                self.0.press(keys).await;
            }
            Doing::Silence(time) => sleep(time).await,
            Doing::WaitForAnswer => self.wait_for_answer(before).await?,
            Doing::HangUp => return Ok(Gone::HungUp),
        }
        Ok(Gone::Done)
    }

    async fn speak(&self, speech: Speech, before: &mut usize) {
        self.0.speak(speech).await;
        *before = self.0.starts();
    }

    async fn wait_for_answer(&self, before: &mut usize) -> Result<(), Mismatch> {
        let until = Instant::now() + PATIENCE;
        while !self.0.has_answered(*before) {
            let has_begun = self.0.starts() > *before;
            if !has_begun && Instant::now() >= until {
                let expected = format!("an answer within {} s", PATIENCE.as_secs());
                return Err(Mismatch::new(expected, "none"));
            }
            sleep(FRAME).await;
        }
        // The next answer is another one.
        *before = self.0.starts();
        Ok(())
    }

    async fn wait_to_interrupt(&self, when: &When, before: usize) -> Result<(), Mismatch> {
        let until = Instant::now() + PATIENCE;
        loop {
            let due = match when {
                When::AfterMs(ms) => {
                    let after = Duration::from_millis((*ms).into());
                    self.0.speaks_for().is_some_and(|time| time >= after)
                }
                When::AtWord(word) => {
                    let heard = self.0.words().to_lowercase();
                    self.0.speaks_for().is_some() && heard.contains(&word.to_lowercase())
                }
            };
            if due {
                return Ok(());
            }
            let is_late = self.0.starts() == before && Instant::now() >= until;
            if is_late || self.0.has_answered(before) {
                let expected = match when {
                    When::AfterMs(ms) => format!("{ms} ms of an answer, to speak over it"),
                    When::AtWord(word) => format!("the word {word:?} in an answer, to speak over it"),
                };
                let got = if is_late { "none".to_owned() } else { format!("{:?}", self.0.words()) };
                return Err(Mismatch::new(expected, got));
            }
            sleep(FRAME).await;
        }
    }
}
