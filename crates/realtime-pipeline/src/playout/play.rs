//! How audio leaves for the sink: chunk by chunk, at its due time.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{Audio, AudioSource, Cx, FrameKind, OutputAudio, Samples, WorkFailed};
use crate::playout::background::{Background, Readiness, convert};
use crate::playout::clock::{Clock, samples_in};
use crate::playout::fade::{FADE, Fade};
use crate::playout::form::{Form, join};
use crate::playout::ledger::{Head, Hearing};
use crate::playout::stage::{Playout, Run};

/// A clock that is later than this (the machine slept) begins anew, instead of playing the missed chunks at
/// once.
const MOST_LATE: Duration = Duration::from_millis(500);
/// The most chunks of one step. More go out in the next one.
const MOST_AT_ONCE: usize = 256;
/// The background alone does not run further ahead, so that speech is heard at once.
const BACKGROUND_LEAD: Duration = Duration::from_millis(60);

/// What is next to go out.
#[derive(Clone, Copy, Debug)]
enum Next {
    Track(Head),
    Background(Form),
}

impl Playout {
    /// Hands out what is due.
    pub(super) fn play(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..MOST_AT_ONCE {
            if !self.play_chunk(cx) {
                break;
            }
        }
    }

    /// When the next chunk goes out, or playback is known to have run dry.
    pub(super) fn next_play(&self) -> Option<Timestamp> {
        if self.stands() {
            return None;
        }
        match (self.next(), &self.clock) {
            // It goes out at once.
            (Some(_), None) => Some(Timestamp::ZERO),
            (Some(next), Some(clock)) => Some(self.leaves_at(next, clock)),
            (None, Some(clock)) => Some(clock.due()),
            (None, None) => None,
        }
    }

    /// Cuts what plays softly: hands out a last bit of it that falls to silence. Does nothing where the sink
    /// holds what was handed out.
    pub(super) fn fade_out(&mut self, cx: &mut Cx<'_>) {
        let is_running = self.clock.is_some_and(|clock| cx.now() <= clock.due());
        if self.ledger.hearing() != Hearing::HandedOut || self.is_paused() || !is_running {
            return;
        }
        if let Some(head) = self.ledger.head()
            && head.has_begun
            && !head.survives
            && self.ledger.is_ahead()
        {
            self.hand_out(samples_in(FADE, head.form.rate()), Fade::Out, cx);
            self.fade_in = Some(head.number);
        }
    }

    /// Returns whether nothing goes out now.
    fn is_paused(&self) -> bool {
        self.stands() || self.hold.is_on()
    }

    /// Returns whether the sink takes nothing now.
    fn stands(&self) -> bool {
        self.full.is_some() || !self.counts()
    }

    fn next(&self) -> Option<Next> {
        if let Some(head) = self.ledger.head().filter(|_| !self.hold.is_on()) {
            return Some(Next::Track(head));
        }
        let background = self.background.as_ref().filter(|_| self.run == Run::Running)?;
        let own = Form::Pcm { rate: background.rate(), channels: 1 };
        Some(Next::Background(self.last_form.unwrap_or(own)))
    }

    fn leaves_at(&self, next: Next, clock: &Clock) -> Timestamp {
        let lead = match next {
            // A chunk that may still grow waits as long as it can.
            Next::Track(head) if head.is_growing && head.waiting < self.chunk_samples(head.form) => {
                Duration::ZERO
            }
            Next::Track(_) => self.lead,
            Next::Background(_) => self.lead.min(BACKGROUND_LEAD),
        };
        clock.due() - lead
    }

    fn chunk_samples(&self, form: Form) -> u64 {
        samples_in(self.chunk, form.rate()).max(1)
    }

    /// Hands out the next chunk, if its time has come. Returns whether it has.
    fn play_chunk(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.now();
        if self.stands() {
            return false;
        }
        let Some(next) = self.next() else {
            if self.clock.is_some_and(|clock| clock.due() <= now) {
                self.clock = None;
            }
            return false;
        };
        let clock = self.clock.get_or_insert_with(|| Clock::new(now));
        // A sink with a lead has run dry.
        let is_dry = !self.lead.is_zero() && !self.ledger.is_ahead();
        if is_dry || clock.due() + MOST_LATE < now {
            clock.catch_up(now);
        }
        let clock = *clock;
        if self.leaves_at(next, &clock) > now {
            return false;
        }
        match next {
            Next::Track(head) => {
                let is_faded = self.fade_in.take() == Some(head.number);
                let fade = if is_faded { Fade::In(samples_in(FADE, head.form.rate())) } else { Fade::None };
                self.hand_out(self.chunk_samples(head.form), fade, cx);
            }
            Next::Background(form) => return self.hand_out_background(form, cx),
        }
        true
    }

    /// Hands out the next audio, at most so many samples.
    fn hand_out(&mut self, most: u64, fade: Fade, cx: &mut Cx<'_>) {
        let Some(chunk) = self.ledger.take(most) else { return };
        let form = Form::of(&chunk.piece.audio);
        let total = if self.pads { self.chunk_samples(form) } else { 0 };
        let audio = self.finish(chunk.piece.audio.clone(), form, fade, total, cx);
        let clock = self.clock.get_or_insert_with(|| Clock::new(cx.now()));
        let due = clock.due();
        clock.advance(audio.frames(), form.rate());
        let ends = clock.due();
        let (start, mark) = (chunk.piece.start, chunk.piece.mark);
        self.ledger.sent(chunk.number, chunk.piece, due, ends);
        self.last_form = Some(form);
        if due <= cx.now() && !self.speech.is_on() {
            self.tell_speech(cx);
        }
        let (response_id, source) = (chunk.response_id, chunk.source);
        cx.push(FrameKind::PlayedAudio(OutputAudio { response_id, source, start, mark, audio }));
    }

    /// Hands out a chunk of the background alone. Returns whether there is one.
    fn hand_out_background(&mut self, form: Form, cx: &mut Cx<'_>) -> bool {
        let samples = self.chunk_samples(form);
        let silence = form.silence(samples);
        let Some(clock) = &mut self.clock else { return false };
        // Where it can't be written, time passes all the same.
        clock.advance(samples, form.rate());
        if let Some(silence) = silence {
            let audio = self.finish(silence, form, Fade::None, 0, cx);
            let source = AudioSource::Clip("background".into());
            let start = self.background.as_mut().map_or(0, |background| background.hand_out(samples));
            let played = OutputAudio { response_id: None, source, start, mark: None, audio };
            cx.push(FrameKind::PlayedAudio(played));
        }
        true
    }

    /// Fades, fills up to `total` samples, and mixes. Audio that needs none of it is not touched.
    fn finish(&mut self, audio: Audio, form: Form, fade: Fade, total: u64, cx: &mut Cx<'_>) -> Audio {
        let missing = total.saturating_sub(audio.frames());
        let mixes = self.prepare_background(form.rate(), cx);
        if fade == Fade::None && !mixes {
            let silence = (missing > 0).then(|| form.silence(missing)).flatten();
            return match silence {
                Some(silence) => join(vec![audio.clone(), silence]).unwrap_or(audio),
                None => audio,
            };
        }
        let Some(pcm) = audio.pcm() else { return audio };
        let mut samples = pcm.as_slice().to_vec();
        fade.apply(&mut samples, form.channels());
        let missing = usize::try_from(missing).unwrap_or(0) * usize::from(form.channels());
        samples.resize(samples.len() + missing, 0);
        if let Some(background) = &mut self.background {
            background.mix(&mut samples, form.rate(), form.channels());
        }
        form.encode(&samples).unwrap_or(audio)
    }

    /// Returns whether the background can be mixed at this rate. If not, it is converted meanwhile.
    fn prepare_background(&mut self, rate: u32, cx: &mut Cx<'_>) -> bool {
        match self.background.as_mut().map(|background| background.prepare(rate)) {
            Some(Readiness::Ready) => true,
            Some(Readiness::Convert(sound)) => {
                cx.spawn_blocking(move || convert(&sound, rate)).then(Self::on_converted);
                false
            }
            Some(Readiness::Waits) | None => false,
        }
    }

    fn on_converted(&mut self, sound: Result<Option<Samples>, WorkFailed>, _: &mut Cx<'_>) {
        if let (Ok(Some(sound)), Some(background)) = (sound, self.background.as_mut()) {
            Background::converted(background, sound);
        }
    }
}
