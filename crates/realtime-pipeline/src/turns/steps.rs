//! What [`Turns`] does with each frame: hears audio, hands pauses to the judge, and tells what the floor has
//! decided.

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{Audio, Category, Cx, Direction, Frame, FrameKind, Processor, UserSpeech, WorkFailed};
use crate::turns::detector::{Edge, State};
use crate::turns::ear::Heard;
use crate::turns::key::Key;
use crate::turns::stage::Turns;
use crate::turns::strategy::{Start, Stop, Utterance, Verdict};

/// Of what a judge hears, so much is from before the turn.
const BEFORE: Duration = Duration::from_millis(500);

impl Processor for Turns {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if self.is_off || cx.direction() == Direction::Upstream {
            return cx.forward(frame);
        }
        match frame.kind() {
            FrameKind::Start => self.begin(cx),
            FrameKind::End { .. } | FrameKind::Cancel { .. } => {
                self.finish(cx);
                if let Some(work) = self.judging.take() {
                    cx.drop_work(work);
                }
            }
            FrameKind::InputFinished => {
                self.finish(cx);
                // Silence may follow, as from a microphone.
                self.floor.spend_key();
                cx.forward(frame);
            }
            FrameKind::InputAudio(audio) => {
                let audio = audio.clone();
                self.hear(&audio, frame, cx);
            }
            FrameKind::User(UserSpeech::Muted) => {
                self.floor.mute();
                self.finish(cx);
                cx.forward(frame);
            }
            FrameKind::User(UserSpeech::Unmuted) => {
                cx.forward(frame);
                self.floor.unmute();
                self.floor.hold_key(&self.starts, cx.now());
                self.tell(None, cx);
            }
            FrameKind::User(speech) => match self.outside(speech, cx) {
                Outside::Passes => cx.forward(frame),
                Outside::Dropped => {}
                Outside::Stray if self.told_stray => {}
                Outside::Stray => {
                    self.told_stray = true;
                    let message = "expected no turns from upstream: add Start::External and Stop::External";
                    cx.fault(Category::Application, message);
                }
            },
            kind => {
                let key = kind.as_custom::<Key>().copied();
                cx.forward(frame);
                if let Some(key) = key {
                    self.floor.key(key, &self.stops);
                    self.floor.hold_key(&self.starts, cx.now());
                    self.tell(None, cx);
                }
            }
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        if self.no_audio_due().is_some_and(|due| due <= now) {
            self.finish(cx);
        }
        self.floor.time_passed(now, &self.stops);
        self.tell(None, cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        [self.no_audio_due(), self.floor.poll_timeout(&self.stops)].into_iter().flatten().min()
    }
}

impl Turns {
    fn begin(&mut self, cx: &mut Cx<'_>) {
        let by_voice = |start: &Start| matches!(start, Start::Voice | Start::VoiceFor(_));
        if self.ear.is_none() && self.starts.iter().any(by_voice) {
            cx.fault(
                Category::Application,
                "expected a detector for turns that a voice begins: use by_voice",
            );
        }
    }

    fn hear(&mut self, audio: &Audio, frame: Frame, cx: &mut Cx<'_>) {
        self.last_audio = cx.now();
        self.floor.hold_key(&self.starts, cx.now());
        if let Some(ear) = self.ear.as_mut().filter(|_| !self.floor.is_muted()) {
            let result = ear.hear(audio, |heard| self.heard.push(heard));
            let was_deaf = std::mem::replace(&mut self.is_deaf, result.is_err());
            if let Err(deaf) = result {
                let length = audio.duration().as_duration();
                self.heard.push(Heard { length, edge: ear.reset(), state: State::Quiet });
                if !was_deaf {
                    let message = "it can't hear this audio, and takes it for silence";
                    cx.fault_by(Category::Application, message, deaf);
                }
            }
        }
        for heard in self.heard.drain(..) {
            self.floor.window(heard, &self.starts, &self.stops, cx.now());
        }
        self.tell(Some(frame), cx);
    }

    /// Pushes what there is to tell. The frame in hand goes before the first end.
    fn tell(&mut self, mut frame: Option<Frame>, cx: &mut Cx<'_>) {
        for speech in self.floor.take_told() {
            if matches!(speech, UserSpeech::VoiceStopped | UserSpeech::Stopped { .. })
                && let Some(frame) = frame.take()
            {
                cx.forward(frame);
            }
            if matches!(speech, UserSpeech::Started { .. }) {
                self.forget_earlier();
            }
            cx.broadcast(FrameKind::User(speech));
        }
        if let Some(frame) = frame {
            cx.forward(frame);
        }
        self.judge_pause(cx);
    }

    /// A turn begins: what was heard long before is not part of it.
    fn forget_earlier(&mut self) {
        if let Some(ear) = &mut self.ear {
            ear.forget_before(BEFORE);
        }
    }

    /// Hands a pause to the judge, one at a time.
    fn judge_pause(&mut self, cx: &mut Cx<'_>) {
        if self.judging.is_some() {
            return;
        }
        let Some((pause, lasted)) = self.floor.take_pause(cx.now()) else { return };
        let (Some(judge), Some(ear)) = (self.judge(), &self.ear) else { return };
        let (judge, utterance) = (Arc::clone(judge), Utterance { audio: ear.kept(), lasted });
        let work = cx.spawn_blocking(move || judge.judge(&utterance)).then(
            move |stage: &mut Self, verdict: Result<Verdict, WorkFailed>, cx: &mut Cx<'_>| {
                stage.judging = None;
                match verdict {
                    Ok(Verdict::Ended) => stage.floor.judged_ended(pause),
                    Ok(Verdict::Wait) => {}
                    Err(failed) => cx.fault_by(Category::Application, "the judge of pauses failed", failed),
                }
                stage.tell(None, cx);
            },
        );
        self.judging = Some(work.id());
    }

    /// Nothing more is heard: ends what is open.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        if let Some(ear) = &mut self.ear {
            ear.reset();
        }
        self.floor.close();
        self.tell(None, cx);
    }

    /// Handles the user's frames from upstream.
    fn outside(&mut self, speech: &UserSpeech, cx: &Cx<'_>) -> Outside {
        match speech {
            UserSpeech::Started { .. } if self.starts.contains(&Start::External) => {
                let begins = self.floor.begin_outside(cx.now());
                if begins {
                    self.forget_earlier();
                }
                Outside::passes_if(begins)
            }
            UserSpeech::Stopped { .. } if self.stops.iter().any(|stop| matches!(stop, Stop::External)) => {
                Outside::passes_if(self.floor.end_outside())
            }
            UserSpeech::VoiceStarted if self.ear.is_none() => {
                Outside::passes_if(self.floor.outside_voice(Edge::Started, cx.now()))
            }
            UserSpeech::VoiceStopped if self.ear.is_none() => {
                Outside::passes_if(self.floor.outside_voice(Edge::Stopped, cx.now()))
            }
            // This stage tells these itself.
            UserSpeech::Speaking | UserSpeech::VoiceStarted | UserSpeech::VoiceStopped => Outside::Dropped,
            UserSpeech::Started { .. } | UserSpeech::Stopped { .. } => Outside::Stray,
            UserSpeech::Muted | UserSpeech::Unmuted => Outside::Passes,
        }
    }

    fn no_audio_due(&self) -> Option<Timestamp> {
        let since = self.floor.open_since()?.max(self.last_audio);
        self.no_audio.map(|time| since + time)
    }
}

/// What becomes of a frame of the user's from upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outside {
    Passes,
    Dropped,
    /// Dropped, and nobody said that it may come.
    Stray,
}

impl Outside {
    const fn passes_if(passes: bool) -> Self {
        if passes { Self::Passes } else { Self::Dropped }
    }
}
