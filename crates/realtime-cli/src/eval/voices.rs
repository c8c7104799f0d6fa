//! Who spoke when in a call of which nothing but sound is known: [`Voices`]. No clock: a tick is 20 ms.

use std::time::Duration;

use realtime_pipeline::testing::{CutAnswer, HeldCall, Mismatch, SaidLine, Speaker};
use serde::Serialize;

/// One tick (ms).
const TICK_MS: u64 = 20;
/// The root mean square from which 20 ms are voice: -46 dB of the largest one. Noise of a phone is below.
const LOUD: i64 = 160;
/// So many loud ticks in a row are a voice, and no click.
const BEGINS: u64 = 2;
/// A voice that pauses for no longer than this speaks on (ticks).
const PAUSE: u64 = 30;
/// The same, if the other side spoke meanwhile (ticks): between two words.
const GAP: u64 = 15;
/// The most stretches of speech that are kept.
const MOST: usize = 10_000;

/// Both voices of a call, as they are heard.
#[derive(Debug, Default)]
pub(super) struct Voices {
    ticks: u64,
    caller: Voice,
    agent: Voice,
    speeches: Vec<Stretch>,
}

#[derive(Debug, Default)]
struct Voice {
    /// Loud ticks in a row.
    loud: u64,
    /// The tick after the last loud one of its voice.
    until: u64,
    /// Its newest stretch in the list. `None`: the next sound begins another one.
    newest: Option<usize>,
    /// How often it began.
    starts: usize,
    /// Ticks with its voice.
    voiced: u64,
}

/// A stretch of speech, in ticks.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    who: Speaker,
    from: u64,
    to: u64,
}

/// What of a call is known by its sound.
#[derive(Debug, Serialize)]
pub(super) struct Sound {
    /// Who spoke when, by the beginning.
    pub(super) speeches: Vec<SpeechTime>,
    /// How long the agent spoke on, each time that the caller spoke over it (ms).
    #[serde(rename = "cut_after_ms")]
    pub(super) cuts: Vec<u64>,
    /// How much of the agent's voice was heard (ms).
    pub(super) heard_ms: u64,
}

/// A stretch of speech, from the beginning of the call.
#[derive(Debug, Serialize)]
pub(super) struct SpeechTime {
    who: Speaker,
    from_ms: u64,
    to_ms: u64,
}

impl Sound {
    /// At least so much of the agent's voice was heard (ms).
    pub(super) fn heard(&self, least: u64) -> Result<(), Mismatch> {
        match self.heard_ms {
            heard if heard >= least => Ok(()),
            heard => Err(Mismatch::new(format!("{least} ms of the agent's voice"), format!("{heard} ms"))),
        }
    }

    /// The agent fell silent this soon, each time that the caller spoke over it (ms), and there was one.
    pub(super) fn cut_within(&self, limit: u64) -> Result<(), Mismatch> {
        if !self.cuts.is_empty() && self.cuts.iter().all(|cut| *cut <= limit) {
            return Ok(());
        }
        let got: Vec<String> = self.cuts.iter().map(|cut| format!("{cut} ms")).collect();
        let got = if got.is_empty() { "no interruption".to_owned() } else { got.join(", ") };
        Err(Mismatch::new(format!("silence within {limit} ms of each interruption"), got))
    }
}

impl Voices {
    /// The next 20 ms of both sides.
    pub(super) fn tick(&mut self, said: &[i16], heard: &[i16]) {
        self.ticks += 1;
        for (who, samples) in [(Speaker::User, said), (Speaker::Agent, heard)] {
            self.hear(who, is_loud(samples));
        }
    }

    /// What the agent had left to say was dropped: what comes next is another answer.
    pub(super) fn cleared(&mut self) {
        self.agent.newest = None;
    }

    /// How often the agent has begun to speak.
    pub(super) fn starts(&self) -> usize {
        self.agent.starts
    }

    /// How long the agent has been speaking, pauses included; `None`: it is silent.
    pub(super) fn agent_speaks_for(&self) -> Option<Duration> {
        let newest = self.agent.newest.and_then(|newest| self.speeches.get(newest))?;
        let is_silent = self.ticks - self.agent.until > PAUSE;
        (!is_silent).then(|| time(self.ticks - newest.from))
    }

    /// How long nobody has spoken.
    pub(super) fn silent_for(&self) -> Duration {
        time(self.ticks - self.agent.until.max(self.caller.until))
    }

    /// How long the agent has not spoken.
    pub(super) fn agent_silent_for(&self) -> Duration {
        time(self.ticks - self.agent.until)
    }

    /// The call as a list of turns, answers and cuts, without words, and the times of all that.
    pub(super) fn held(&self) -> (HeldCall, Sound) {
        let mut speeches = self.speeches.clone();
        speeches.sort_by_key(|speech| speech.from);
        let (mut call, mut cuts) = (HeldCall::default(), Vec::new());
        call.lines = speeches.iter().map(|speech| SaidLine::new(speech.who, "")).collect();
        // The end of the user's turn that the agent has not answered.
        let mut asked: Option<u64> = None;
        for (at, speech) in speeches.iter().enumerate() {
            match speech.who {
                Speaker::User => {
                    let over = speeches[..at].iter().rfind(|before| before.who == Speaker::Agent);
                    if let Some(answer) = over.filter(|answer| answer.to > speech.from) {
                        cuts.push(ms(answer.to - speech.from));
                        call.cuts.push(CutAnswer::new("", ms(answer.to - answer.from)));
                    }
                    asked = Some(speech.to);
                }
                Speaker::Agent => {
                    if let Some(asked) = asked.take_if(|asked| *asked <= speech.from) {
                        call.latencies.push(time(speech.from - asked));
                    }
                }
                Speaker::Tool => {}
            }
        }
        let times = speeches.iter().map(|speech| SpeechTime {
            who: speech.who,
            from_ms: ms(speech.from),
            to_ms: ms(speech.to),
        });
        let sound = Sound { speeches: times.collect(), cuts, heard_ms: ms(self.agent.voiced) };
        (call, sound)
    }

    fn hear(&mut self, who: Speaker, is_loud: bool) {
        let (voice, other) = match who {
            Speaker::User => (&mut self.caller, &self.agent),
            _ => (&mut self.agent, &self.caller),
        };
        voice.loud = if is_loud { voice.loud + 1 } else { 0 };
        if voice.loud < BEGINS {
            return;
        }
        let began = self.ticks - voice.loud;
        let pause = if other.until > voice.until { GAP } else { PAUSE };
        let goes_on = voice.newest.is_some() && began.saturating_sub(voice.until) <= pause;
        voice.voiced += if voice.loud == BEGINS { BEGINS } else { 1 };
        voice.until = self.ticks;
        match voice.newest.filter(|_| goes_on).and_then(|newest| self.speeches.get_mut(newest)) {
            Some(speech) => speech.to = self.ticks,
            None => {
                voice.starts += 1;
                if self.speeches.len() < MOST {
                    voice.newest = Some(self.speeches.len());
                    self.speeches.push(Stretch { who, from: began, to: self.ticks });
                }
            }
        }
    }
}

fn is_loud(samples: &[i16]) -> bool {
    let power: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    power > LOUD * LOUD * samples.len() as i64
}

const fn ms(ticks: u64) -> u64 {
    ticks * TICK_MS
}

const fn time(ticks: u64) -> Duration {
    Duration::from_millis(ms(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: [i16; 160] = [0; 160];
    const SPOKEN: [i16; 160] = [5_000; 160];

    /// Hears so many milliseconds of each: whether the caller and whether the agent speaks.
    fn hear(voices: &mut Voices, ms: u64, caller: bool, agent: bool) {
        let samples = |speaks| if speaks { &SPOKEN } else { &SILENT };
        (0..ms / TICK_MS).for_each(|_| voices.tick(samples(caller), samples(agent)));
    }

    #[test]
    fn turns_waits_and_cuts_are_heard() {
        let mut voices = Voices::default();
        hear(&mut voices, 100, false, false);
        // Two words with a pause are one turn.
        hear(&mut voices, 400, false, true);
        hear(&mut voices, 500, false, false);
        hear(&mut voices, 1_000, false, true);
        assert_eq!((voices.starts(), voices.agent_speaks_for()), (1, Some(Duration::from_millis(1_900))));
        hear(&mut voices, 800, false, false);
        assert_eq!(voices.agent_speaks_for(), None);
        hear(&mut voices, 600, true, false);
        hear(&mut voices, 700, false, false);
        // The caller speaks over the answer, which goes on for 300 ms, and is dropped.
        hear(&mut voices, 1_000, false, true);
        hear(&mut voices, 300, true, true);
        voices.cleared();
        hear(&mut voices, 200, true, false);
        hear(&mut voices, 200, false, false);
        hear(&mut voices, 400, false, true);
        assert_eq!(voices.agent_silent_for(), Duration::ZERO);
        hear(&mut voices, 100, false, false);
        assert_eq!(voices.silent_for(), Duration::from_millis(100));

        let (call, sound) = voices.held();
        let order = [Speaker::Agent, Speaker::User, Speaker::Agent, Speaker::User, Speaker::Agent];
        assert_eq!(call.took_turns(&order), Ok(()));
        assert_eq!(call.latencies, [Duration::from_millis(700), Duration::from_millis(200)]);
        assert_eq!((&sound.cuts[..], sound.heard_ms), (&[300][..], 3_100));
        assert_eq!(call.cuts, [CutAnswer::new("", 1_300)]);
    }

    #[test]
    fn clicks_are_no_voice_and_gaps_between_words_are_no_cut() {
        let mut voices = Voices::default();
        hear(&mut voices, 20, false, true);
        hear(&mut voices, 100, false, false);
        assert_eq!(voices.starts(), 0);
        // The agent speaks on, with a gap between two words, while the caller speaks.
        hear(&mut voices, 500, false, true);
        hear(&mut voices, 200, true, true);
        hear(&mut voices, 200, true, false);
        hear(&mut voices, 900, false, true);
        let (call, sound) = voices.held();
        assert_eq!((call.cuts.len(), &sound.cuts[..]), (1, &[1_300][..]));
    }
}
