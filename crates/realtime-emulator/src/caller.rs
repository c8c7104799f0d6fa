//! A caller whose audio goes to the server itself, as a phone's does by SIP: [`Caller`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::carried::{Carried, hear};
use crate::codec;
use crate::connection::Sound;
use crate::disaster::{Line, LineOutput};
use crate::drive::{Driven, now};
use crate::options::Options;
use crate::registry::CallState;
use crate::spawned::Spawned;

/// Somebody on the phone, in real time: what is [said](Self::say) is heard by the session, and all that is
/// heard is recorded. Side channels attach to the call by its id, and the audio passes none of them.
#[must_use = "the caller hangs up when this is dropped"]
pub struct Caller {
    options: Options,
    call_id: String,
    speech: UnboundedSender<Vec<i16>>,
    line: JoinHandle<Recording>,
}

/// A call as the caller's phone has it: both sides on one clock, at [`voice::SAMPLE_RATE`] and of the same
/// length.
///
/// [`voice::SAMPLE_RATE`]: crate::voice::SAMPLE_RATE
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Recording {
    /// What the caller said, with silence in between. The first hour of the call.
    pub said: Vec<i16>,
    /// What the caller heard, as long.
    pub heard: Vec<i16>,
}

/// The samples of a frame, which is 20 ms.
const FRAME: usize = 480;
const PACE: Duration = Duration::from_millis(20);
/// The longest recording (samples).
const LONGEST: usize = 3600 * 24_000;
/// How often it is looked whether the call was taken.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Spawned {
    /// Rings, and speaks when the call of that id is accepted. Waits for that for ever: put a `timeout`
    /// around it. A call that is rejected is over at once: its recording is empty.
    pub async fn caller(&self, call_id: impl Into<String>) -> Caller {
        let (call_id, options) = (call_id.into(), self.options.clone());
        while options.registry.call(&call_id).is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let (speech, says) = unbounded_channel();
        let carried = Carried::call(&call_id, &options);
        let line = tokio::spawn(async move {
            match carried {
                Some(carried) => talk(carried, says).await,
                None => Recording::default(),
            }
        });
        Caller { options, call_id, speech, line }
    }
}

impl Caller {
    /// Says these samples at 24 kHz, after what is being said.
    pub fn say(&self, samples: &[i16]) {
        // The call may be over.
        let _ = self.speech.send(samples.to_vec());
    }

    /// Returns whether the call goes on.
    pub fn is_connected(&self) -> bool {
        matches!(self.options.registry.call(&self.call_id), Some(CallState::Running(..)))
    }

    /// Ends the call.
    pub async fn hang_up(self) -> Recording {
        self.options.registry.end_call(&self.call_id);
        self.hung_up().await
    }

    /// Waits until the other side ends the call.
    pub async fn hung_up(mut self) -> Recording {
        (&mut self.line).await.unwrap_or_default()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.options.registry.end_call(&self.call_id);
    }
}

/// Both directions, 20 ms at a time, until the call ends.
async fn talk(carried: Carried, mut says: UnboundedReceiver<Vec<i16>>) -> Recording {
    let Carried { shared, line, waits, mut seeing, mut ended } = carried;
    let origin = shared.origin;
    let channel = Arc::clone(&shared).attach(now(origin));
    let mut driven = Driven { line: Line::of_call(channel, line, now(origin)), waits };
    let mut recording = Recording::default();
    let (mut mouth, mut ear) = (VecDeque::new(), VecDeque::new());
    let over = async move { drop(ended.wait_for(|ended| *ended).await) };
    tokio::pin!(over);
    let mut ticks = interval(PACE);
    // A line that was late carries what it owes.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            biased;
            () = &mut over => break,
            _ = ticks.tick() => {}
        }
        while let Ok(more) = says.try_recv() {
            mouth.extend(more);
        }
        let said = frame(&mut mouth);
        keep(&mut recording.said, &said);
        hear(&shared, waits, now(origin), said).await;
        let at = now(origin);
        driven = driven.step(move |line| line.handle_timeout(at)).await;
        while let Some(output) = driven.line.poll_output() {
            match output {
                LineOutput::Text(text) | LineOutput::Binary(text) => seeing.sent(&text),
                LineOutput::Close { .. } | LineOutput::Break => is_over = true,
            }
        }
        while let Some(sound) = shared.poll_sound() {
            match sound {
                Sound::Speak(format, audio) => ear.extend(codec::decode(&audio, format)),
                Sound::Hush => ear.clear(),
            }
        }
        keep(&mut recording.heard, &frame(&mut ear));
    }
    seeing.ended_as(None, "the call has ended");
    recording
}

/// The next 20 ms; silence where there is nothing.
fn frame(queue: &mut VecDeque<i16>) -> Vec<i16> {
    let mut frame: Vec<i16> = queue.drain(..queue.len().min(FRAME)).collect();
    frame.resize(FRAME, 0);
    frame
}

/// Keeps a frame, unless the recording has its full length.
fn keep(side: &mut Vec<i16>, frame: &[i16]) {
    let room = LONGEST.saturating_sub(side.len());
    side.extend_from_slice(&frame[..frame.len().min(room)]);
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recording {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("samples", &self.heard.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::session_config::SessionConfig;
    use tokio::time::sleep;

    use super::*;
    use crate::{Emulator, voice};

    fn sounds(samples: &[i16]) -> bool {
        samples.iter().any(|sample| sample.unsigned_abs() > 1_000)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_heard_and_hears_the_answer_and_an_interruption_cuts_it() {
        let emulator = Emulator::spawn(Options::default()).await.unwrap();
        let registry = Arc::clone(&emulator.options.registry);
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            registry.accept_call("rtc_1", &SessionConfig::realtime());
        });
        let caller = emulator.caller("rtc_1").await;
        caller.say(
            &voice::speak("Tell me everything that you know, my friend, one word after the other.").samples,
        );
        sleep(Duration::from_secs(7)).await;
        assert!(caller.is_connected());
        caller.say(&voice::speak("Stop.").samples);
        sleep(Duration::from_secs(3)).await;
        let recording = caller.hang_up().await;
        assert_eq!(recording.said.len(), recording.heard.len());
        let heard = |from: usize, to: usize| sounds(&recording.heard[from * 24..to * 24]);
        assert!(!heard(0, 5_000), "nobody answers before the caller has spoken");
        assert!(heard(6_000, 7_000), "the answer");
        assert!(!heard(7_400, 8_000), "it stops when the caller speaks");
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_side_hangs_up_or_does_not_take_the_call() {
        let emulator = Emulator::spawn(Options::default()).await.unwrap();
        emulator.options.registry.accept_call("rtc_1", &SessionConfig::realtime());
        let caller = emulator.caller("rtc_1").await;
        let registry = Arc::clone(&emulator.options.registry);
        tokio::spawn(async move {
            sleep(Duration::from_secs(2)).await;
            registry.end_call("rtc_1");
        });
        let recording = caller.hung_up().await;
        assert!((95..=105).contains(&(recording.heard.len() / FRAME)), "{recording:?}");
        emulator.options.registry.end_call("rtc_2");
        assert!(emulator.caller("rtc_2").await.hung_up().await.heard.is_empty());
    }
}
