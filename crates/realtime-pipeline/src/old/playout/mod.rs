//! Playout: audio that comes in bursts goes out in real time, and every sample is accounted for.
//!
//! Played means: handed downstream, to the output, at its due time. Due times are counted in samples from the
//! moment playback began, so they do not drift.

mod queue;

use std::time::Duration;

use realtime_protocol::call::{PlaybackReport, StopId};
use tokio::time::{Instant, sleep_until};

use crate::old::cx::Cx;
use crate::old::error::Error;
use crate::old::frame::{Direction, Frame, FrameKind};
use crate::old::processor::Processor;

pub use queue::{PlayoutQueue, Rejected};

/// Plays the model's audio: stands between the service and the output.
///
/// It takes [`FrameKind::OutputAudio`] in, and hands [`FrameKind::PlayedAudio`] on, each when it is due.
/// Upstream it reports what was played, at the beginning of each part, every 100 ms, and at its end, and
/// answers [`FrameKind::StopPlayback`] with the exact position of playback. In both directions it tells when
/// the assistant becomes audible and falls silent.
///
/// Silence within an incomplete part counts as a pause for up to 3 s, and then as the end of speech.
#[derive(Debug)]
pub struct Playout {
    queue: PlayoutQueue,
    chunk: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Silent,
    Playing(Clock),
    /// Playback ran out of audio within a part.
    Dry {
        until: Instant,
    },
}

/// When the next chunk is due: a number of samples after the beginning.
#[derive(Debug)]
struct Clock {
    began: Instant,
    rate: u32,
    samples: u64,
}

impl Clock {
    fn due(&self) -> Instant {
        let nanos = u128::from(self.samples) * 1_000_000_000 / u128::from(self.rate.max(1));
        self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// How long a pause within a part may be before it counts as the end of speech.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// A clock that is later than this (the machine slept) begins anew, instead of playing the missed chunks at
/// once.
const MOST_LATE: Duration = Duration::from_millis(500);

impl Playout {
    /// Plays in chunks of 20 ms.
    pub fn new() -> Self {
        Self::with_chunk(Duration::from_millis(20))
    }

    /// Plays in chunks of `chunk`, limited to 5 ms to 100 ms. Smaller chunks stop closer to the moment of an
    /// interruption, and cost more wake-ups.
    pub fn with_chunk(chunk: Duration) -> Self {
        Self {
            queue: PlayoutQueue::new(Duration::from_millis(100)),
            chunk: chunk.clamp(Duration::from_millis(5), Duration::from_millis(100)),
            state: State::Silent,
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        let now = || Some(Instant::now());
        match &self.state {
            State::Silent if self.queue.is_empty() => None,
            State::Silent => now(),
            State::Playing(clock) => Some(clock.due()),
            State::Dry { .. } if !self.queue.is_empty() || self.queue.is_finished() => now(),
            State::Dry { until } => Some(*until),
        }
    }

    /// Hands out the chunk that is due.
    async fn play(&mut self, cx: &Cx) {
        let State::Playing(clock) = &mut self.state else { return };
        let due = clock.due();
        let Some(chunk) = self.queue.take(self.chunk) else { return };
        let format = chunk.audio.format;
        if clock.rate != format.sample_rate() {
            *clock = Clock { began: due, rate: format.sample_rate(), samples: 0 };
        }
        clock.samples += chunk.audio.data.len() as u64 / u64::from(format.sample_bytes());
        cx.push_at(FrameKind::PlayedAudio(chunk), cx.at(due), Direction::Downstream).await;
        self.report(cx).await;
    }

    async fn report(&mut self, cx: &Cx) {
        while let Some(position) = self.queue.poll_report() {
            cx.push(FrameKind::Playback(PlaybackReport::Played(position)), Direction::Upstream).await;
        }
    }

    async fn fall_silent(&mut self, cx: &Cx) {
        if !matches!(self.state, State::Silent) {
            self.state = State::Silent;
            cx.broadcast(FrameKind::BotStoppedSpeaking).await;
        }
    }

    async fn stop_playback(&mut self, cx: &Cx, id: Option<StopId>, frame: &Frame) {
        let at = self.queue.stop(frame.generation());
        self.report(cx).await;
        let report = match id {
            Some(id) => Some(PlaybackReport::Stopped { id, at }),
            None => at.map(PlaybackReport::Played),
        };
        if let Some(report) = report {
            cx.push(FrameKind::Playback(report), Direction::Upstream).await;
        }
        self.fall_silent(cx).await;
    }
}

impl Default for Playout {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for Playout {
    fn name(&self) -> &str {
        "playout"
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        match &frame.kind {
            FrameKind::OutputAudio(audio) => match self.queue.push(frame.generation(), audio.clone()) {
                Ok(()) | Err(Rejected::Stale) => return Ok(()),
                Err(full @ Rejected::Full { .. }) => {
                    let fault = FrameKind::fault(cx.name().clone(), full.to_string());
                    cx.push(fault, Direction::Upstream).await;
                    return Ok(());
                }
            },
            FrameKind::OutputAudioDone { item_id, content_index, .. } => {
                self.queue.finish_part(item_id, *content_index);
                self.report(cx).await;
            }
            FrameKind::StopPlayback { id } => self.stop_playback(cx, *id, &frame).await,
            _ => {}
        }
        cx.forward(frame, direction).await;
        Ok(())
    }

    async fn ready(&mut self) {
        match self.wakes_at() {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    async fn work(&mut self, cx: &mut Cx) -> Result<(), Error> {
        let now = Instant::now();
        match &mut self.state {
            State::Silent | State::Dry { .. } if !self.queue.is_empty() => {
                let was_silent = matches!(self.state, State::Silent);
                // The rate is taken from the first chunk.
                self.state = State::Playing(Clock { began: now, rate: 0, samples: 0 });
                if was_silent {
                    cx.broadcast(FrameKind::BotStartedSpeaking).await;
                }
                self.play(cx).await;
            }
            State::Playing(clock) if clock.due() <= now => {
                if now - clock.due() > MOST_LATE {
                    *clock = Clock { began: now, rate: clock.rate, samples: 0 };
                }
                match (self.queue.is_empty(), self.queue.is_finished()) {
                    (false, _) => self.play(cx).await,
                    (true, true) => self.fall_silent(cx).await,
                    (true, false) => self.state = State::Dry { until: now + LONGEST_PAUSE },
                }
            }
            State::Dry { until } if self.queue.is_finished() || *until <= now => self.fall_silent(cx).await,
            State::Silent | State::Playing(_) | State::Dry { .. } => {}
        }
        Ok(())
    }

    /// After End nothing more comes, so a part without more audio is over.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && !matches!(self.state, State::Playing(_))
    }
}

#[cfg(test)]
mod tests;
