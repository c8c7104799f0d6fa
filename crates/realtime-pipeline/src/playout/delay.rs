//! Speech that is kept back for a moment, so that a guard can stop it unheard: [`PlaybackDelay`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;

use crate::chain::{Cx, Direction, Frame, FrameKind, Processor};

/// The most frames that are kept back. A server sends some ten a second.
const MOST_KEPT: usize = 4_096;

/// Keeps each response's audio back for a while after its first sound has come.
///
/// A [`Guard`](realtime_context::Guard) sees the words before that: what it interrupts within this time is
/// not heard at all, and counts as unheard. All that follows comes without a gap. Clips pass at once, unless
/// speech before them is kept back. Put it before the playout.
#[derive(Debug)]
pub struct PlaybackDelay {
    delay: Duration,
    /// The response whose beginning was delayed last.
    response: Option<ResponseId>,
    /// What is kept back, and until when.
    kept: VecDeque<Frame>,
    until: Option<Timestamp>,
}

impl PlaybackDelay {
    /// Keeps the beginning of each response back for so long.
    pub const fn new(delay: Duration) -> Self {
        Self { delay, response: None, kept: VecDeque::new(), until: None }
    }

    fn release(&mut self, cx: &mut Cx<'_>) {
        self.until = None;
        for frame in self.kept.drain(..) {
            cx.forward_to(Direction::Downstream, frame);
        }
    }
}

impl Processor for PlaybackDelay {
    fn name(&self) -> &str {
        "playback_delay"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if cx.direction() == Direction::Upstream {
            return cx.forward(frame);
        }
        match frame.kind() {
            FrameKind::OutputAudio(audio) => {
                let is_new = audio.response_id.is_some() && audio.response_id != self.response;
                if is_new {
                    self.response.clone_from(&audio.response_id);
                    // Speech that is on its way still goes before it.
                    self.until = Some(cx.now() + self.delay);
                }
            }
            FrameKind::OutputFinished { .. } => {}
            FrameKind::Interruption { .. } => {
                cx.losses().interrupted += self.kept.len() as u64;
                self.kept.clear();
                self.until = None;
                return cx.forward(frame);
            }
            FrameKind::End { .. } => self.release(cx),
            _ => return cx.forward(frame),
        }
        if self.until.is_none() {
            return cx.forward(frame);
        }
        self.kept.push_back(frame);
        if self.kept.len() > MOST_KEPT {
            self.release(cx);
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.until.is_some_and(|until| until <= cx.now()) {
            self.release(cx);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.until
    }

    fn is_idle(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Audio, AudioSource, Chain, Output, OutputAudio, Stages};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn audio(response: &str, start: u64) -> FrameKind {
        FrameKind::OutputAudio(OutputAudio {
            response_id: Some(response.into()),
            source: AudioSource::Part { item_id: "i".into(), content_index: 0 },
            start,
            mark: None,
            audio: Audio::mono(24_000, vec![0; 480]),
        })
    }

    fn out(chain: &mut Chain) -> Vec<(&'static str, u64)> {
        std::iter::from_fn(|| chain.poll_output())
            .filter_map(|output| match output {
                Output::Frame(_, frame) => match frame.kind() {
                    FrameKind::OutputAudio(audio) => Some(("audio", audio.start)),
                    FrameKind::Start => None,
                    kind => Some((kind.name(), 0)),
                },
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_beginning_of_a_response_waits_and_the_rest_follows_without_a_gap() {
        let mut chain =
            Chain::new(Stages::new().then(PlaybackDelay::new(Duration::from_millis(300)))).unwrap();
        let down = |chain: &mut Chain, ms, kind| {
            chain.handle_input(at(ms), Direction::Downstream, kind);
            out(chain)
        };
        assert!(down(&mut chain, 0, audio("r", 0)).is_empty());
        assert!(down(&mut chain, 100, audio("r", 480)).is_empty());
        assert_eq!(chain.poll_timeout(), Some(at(300)));
        chain.handle_timeout(at(300));
        assert_eq!(out(&mut chain), [("audio", 0), ("audio", 480)]);
        assert_eq!(down(&mut chain, 400, audio("r", 960)), [("audio", 960)], "it has begun");
        assert!(down(&mut chain, 500, audio("s", 0)).is_empty(), "another one waits anew");
    }

    #[test]
    fn what_is_stopped_meanwhile_is_never_heard_and_the_end_releases_the_rest() {
        let mut chain =
            Chain::new(Stages::new().then(PlaybackDelay::new(Duration::from_millis(300)))).unwrap();
        chain.handle_input(at(0), Direction::Downstream, audio("r", 0));
        let stop = FrameKind::Interruption { response_id: None, stop: None };
        chain.handle_input(at(10), Direction::Downstream, stop);
        assert_eq!(out(&mut chain), [("interruption", 0)]);
        assert_eq!(chain.losses().interrupted, 1);
        chain.handle_input(at(20), Direction::Downstream, audio("s", 0));
        chain.handle_input(at(30), Direction::Downstream, FrameKind::End { reason: "enough".into() });
        assert_eq!(out(&mut chain), [("audio", 0), ("end", 0)]);
    }
}
