//! Records what both sides said, on one clock: [`Recorder`].

mod clips;
mod handle;
mod options;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use self::clips::{Clips, LONGEST};
pub use self::handle::RecorderHandle;
use self::options::Layout;
pub use self::options::{RecordedAudio, RecordedVoice, Recording};
use self::writer::{Piece, Writer};
use crate::chain::{Audio, BotSpeech, Category, Cx, Direction, Frame, FrameKind, Processor};
use crate::chain::{UserSpeech, WorkFailed};
use crate::edges::WavError;
use crate::edges::timeline::{Stretch, Timeline};

/// Records the conversation: what the user said, and what was played. Put it after the playout.
///
/// The agent's voice is the audio that was played, not all that came: an interrupted answer ends where it was
/// cut. Everything stands at its time, with silence while nobody speaks. Files and callbacks are served on
/// another thread, one piece after the other; a file is valid after each piece. If the disk is too slow for
/// more than a minute, what does not fit is silence in the recording, and a fault.
///
/// ```
/// use realtime_pipeline::chain::Stages;
/// use realtime_pipeline::edges::{Recorder, Recording};
///
/// let recorder = Recorder::to(Recording::per_turn(), |clip| {
///     eprintln!("turn {:?} of {:?}: {:?}", clip.turn, clip.voice, clip.audio);
/// });
/// let handle = recorder.handle();
/// let stages = Stages::new().then(recorder);
/// handle.stop();
/// # drop(stages);
/// ```
#[doc(alias = "AudioBufferProcessor")]
#[derive(Debug)]
pub struct Recorder {
    options: Recording,
    writer: Arc<Writer>,
    handle: RecorderHandle,
    /// The handle's turns that it has followed.
    turns: u64,
    state: State,
    /// Turns of the conversation that have begun.
    turn: u32,
    /// Another thread writes.
    is_writing: bool,
    /// When to try again, after the chain had too much work.
    retry: Option<Timestamp>,
    /// A loss of this recording was told.
    was_told: bool,
}

#[derive(Debug)]
enum State {
    Off,
    Whole(Whole),
    Turns { user: Clips, bot: Clips },
}

/// A recording of the whole conversation.
#[derive(Debug)]
struct Whole {
    began: Timestamp,
    timeline: Timeline<2>,
    /// Up to here it was given to the writer.
    taken: Duration,
    /// When to give the next piece.
    next: Timestamp,
}

/// How late audio may come and still be placed at its time.
const LATE: Duration = Duration::from_secs(1);
/// How long it waits if the chain has too much work.
const RETRY: Duration = Duration::from_millis(100);
const USER: usize = 0;
const BOT: usize = 1;

impl Recorder {
    /// Records into a WAV file of 16-bit samples, or several beside it: see [`Recording`]. Files that hold
    /// the whole conversation are created now.
    ///
    /// # Errors
    /// [`WavError`] if a file cannot be created. Its text can be shown to the user.
    pub fn to_file(path: impl AsRef<Path>, recording: Recording) -> Result<Self, WavError> {
        Ok(Self::new(recording, Writer::files(path.as_ref(), &recording)?))
    }

    /// Gives what is recorded to this function. It may block: it is called on another thread.
    #[doc(alias("on_audio_data", "on_track_audio_data"))]
    pub fn to(recording: Recording, callback: impl FnMut(RecordedAudio) + Send + 'static) -> Self {
        Self::new(recording, Writer::callback(&recording, Box::new(callback)))
    }

    fn new(options: Recording, writer: Writer) -> Self {
        Self {
            options,
            writer: Arc::new(writer),
            handle: RecorderHandle::default(),
            turns: 0,
            state: State::Off,
            turn: 0,
            is_writing: false,
            retry: None,
            was_told: false,
        }
    }

    /// Starts and stops it while the run goes on.
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// Does what the handle says.
    fn follow(&mut self, cx: &mut Cx<'_>) {
        let turns = self.handle.turns();
        if turns == self.turns {
            return;
        }
        self.turns = turns;
        self.finish(cx);
        if handle::records(turns) {
            self.was_told = false;
            self.state = self.begin(cx.now());
        }
    }

    fn begin(&self, now: Timestamp) -> State {
        let Recording { layout, rate, every, preroll, .. } = self.options;
        match layout {
            Layout::PerTurn => State::Turns {
                user: Clips::new(RecordedVoice::User, rate, preroll),
                bot: Clips::new(RecordedVoice::Bot, rate, Duration::ZERO),
            },
            Layout::Stereo | Layout::Mixed | Layout::Tracks => State::Whole(Whole {
                began: now,
                timeline: Timeline::new(rate),
                taken: Duration::ZERO,
                next: now + every,
            }),
        }
    }

    fn hear(&mut self, voice: RecordedVoice, audio: &Audio, cx: &mut Cx<'_>) {
        self.take_due(cx);
        let now = cx.now();
        let problem = match &mut self.state {
            State::Off => return,
            State::Whole(whole) => {
                let here = now.saturating_since(whole.began);
                let placed = match voice {
                    RecordedVoice::Bot => whole.timeline.place(BOT, here, audio),
                    // It sounded before it came.
                    _ => {
                        let began = here.saturating_sub(audio.duration().as_duration());
                        whole.timeline.place(USER, began, audio)
                    }
                };
                placed.err().map(|error| (error.to_string(), audio.duration().as_duration()))
            }
            State::Turns { user, bot } => {
                let clips = if voice == RecordedVoice::Bot { bot } else { user };
                match clips.add(audio) {
                    Ok(Duration::ZERO) => None,
                    Ok(lost) => {
                        let secs = LONGEST.as_secs();
                        Some((format!("a turn is longer than {secs} s: the rest is left out"), lost))
                    }
                    Err(error) => Some((error.to_string(), audio.duration().as_duration())),
                }
            }
        };
        if let Some((problem, lost)) = problem {
            self.lose(problem, lost, cx);
        }
    }

    /// What is not heard any more, since the sink drops what it holds.
    fn cut(&mut self, now: Timestamp) {
        match &mut self.state {
            State::Off => {}
            State::Whole(whole) => whole.timeline.cut(BOT, now.saturating_since(whole.began)),
            State::Turns { bot, .. } => bot.cut(now),
        }
    }

    /// A speaker's turn begins or ends.
    fn turn(&mut self, voice: RecordedVoice, begins: bool, cx: &mut Cx<'_>) {
        let State::Turns { user, bot } = &mut self.state else { return };
        let clips = if voice == RecordedVoice::Bot { bot } else { user };
        if begins && !clips.is_open() {
            self.turn = self.turn.saturating_add(1);
            clips.begin(self.turn, cx.now());
        } else if !begins && let Some(piece) = clips.end() {
            self.push(piece, cx);
        }
    }

    /// Gives the writer what is due.
    fn take_due(&mut self, cx: &mut Cx<'_>) {
        let (now, every) = (cx.now(), self.options.every);
        if let State::Whole(whole) = &mut self.state
            && now >= whole.next
        {
            whole.next = now + every;
            let until = now.saturating_since(whole.began).saturating_sub(LATE);
            let at = whole.began + whole.taken;
            whole.taken = whole.taken.max(until);
            let stretch = whole.timeline.take_until(whole.taken);
            for piece in pieces(self.options.layout, at, stretch) {
                self.push(piece, cx);
            }
        }
    }

    /// Ends the recording that goes on, if one does.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        for piece in self.rest() {
            self.push(piece, cx);
        }
    }

    /// What is left of the recording that goes on. It is over then.
    fn rest(&mut self) -> Vec<Piece> {
        match std::mem::replace(&mut self.state, State::Off) {
            State::Off => Vec::new(),
            State::Whole(mut whole) => {
                pieces(self.options.layout, whole.began + whole.taken, whole.timeline.finish())
            }
            State::Turns { mut user, mut bot } => [user.end(), bot.end()].into_iter().flatten().collect(),
        }
    }

    fn push(&mut self, piece: Piece, cx: &mut Cx<'_>) {
        if let Some(lost) = self.writer.push(piece) {
            self.lose("dropped audio: the disk or the callback is too slow".to_owned(), lost, cx);
        }
        self.write(cx);
    }

    /// Counts a loss, and tells the first one of a recording.
    fn lose(&mut self, problem: String, lost: Duration, cx: &mut Cx<'_>) {
        self.handle.lose(lost);
        if !std::mem::replace(&mut self.was_told, true) {
            cx.fault(Category::Device, problem);
        }
    }

    /// Has what waits written, unless that is being done.
    fn write(&mut self, cx: &mut Cx<'_>) {
        if !self.is_writing && !self.writer.is_empty() {
            self.is_writing = true;
            self.retry = None;
            cx.spawn_blocking(writer::write(&self.writer)).then(Self::on_written);
        }
    }

    fn on_written(&mut self, written: Result<Result<(), WavError>, WorkFailed>, cx: &mut Cx<'_>) {
        self.is_writing = false;
        match written {
            Ok(Ok(())) => self.write(cx),
            Ok(Err(error)) => self.fail(error, cx),
            Err(WorkFailed::TooMany { .. }) => self.retry = Some(cx.now() + RETRY),
            Err(error) => self.fail(error, cx),
        }
    }

    /// The recording can't go on.
    fn fail(&mut self, error: impl std::error::Error + Send + Sync + 'static, cx: &mut Cx<'_>) {
        self.handle.stop();
        self.turns = self.handle.turns();
        self.state = State::Off;
        self.writer.clear();
        cx.fault_by(Category::Device, format!("the recording has stopped: {error}"), error);
    }
}

impl Processor for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        if cx.direction() == Direction::Downstream {
            if self.options.starts_itself && matches!(frame.kind(), FrameKind::Start) {
                self.handle.start();
            }
            self.follow(cx);
            match frame.kind() {
                FrameKind::InputAudio(audio) => self.hear(RecordedVoice::User, audio, cx),
                FrameKind::PlayedAudio(played) => {
                    self.turn(RecordedVoice::Bot, true, cx);
                    self.hear(RecordedVoice::Bot, &played.audio, cx);
                }
                FrameKind::ClearSink(_) => self.cut(cx.now()),
                FrameKind::User(UserSpeech::Started { .. }) => self.turn(RecordedVoice::User, true, cx),
                FrameKind::User(UserSpeech::Stopped { .. }) => self.turn(RecordedVoice::User, false, cx),
                FrameKind::Bot(BotSpeech::Stopped) => self.turn(RecordedVoice::Bot, false, cx),
                FrameKind::End { .. } => self.finish(cx),
                _ => {}
            }
        }
        cx.forward(frame);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.follow(cx);
        self.take_due(cx);
        if self.retry.is_some_and(|retry| cx.now() >= retry) {
            self.retry = None;
            self.write(cx);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let next = match &self.state {
            State::Whole(whole) => Some(whole.next),
            State::Off | State::Turns { .. } => None,
        };
        next.into_iter().chain(self.retry).min()
    }

    fn is_idle(&self) -> bool {
        self.writer.is_empty()
    }

    /// Nothing can be handed out any more: the rest is written here. That waits for the disk.
    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        if let Err(error) = self.write_rest() {
            self.fail(error, cx);
        }
    }
}

impl Recorder {
    fn write_rest(&mut self) -> Result<(), WavError> {
        for piece in self.rest() {
            // It is counted; there is nobody to be told any more.
            self.handle.lose(self.writer.push(piece).unwrap_or_default());
        }
        self.writer.write_all()
    }
}

impl Drop for Recorder {
    /// A run that is dropped stops no stage: what was recorded is written nevertheless.
    fn drop(&mut self) {
        if let Err(error) = self.write_rest() {
            tracing::warn!(%error, "the end of the recording is lost");
        }
    }
}

/// A stretch of both voices, in the layout that is wanted.
fn pieces(layout: Layout, at: Timestamp, stretch: Stretch) -> Vec<Piece> {
    if stretch.is_empty() {
        return Vec::new();
    }
    let Stretch { samples, silence } = stretch;
    let piece = |voice, channels, samples| {
        let stretch = Stretch { samples, silence };
        Piece { voice, turn: None, at, channels, stretch }
    };
    let pairs = || samples.chunks_exact(2).map(|pair| (pair[USER], pair[BOT]));
    match layout {
        Layout::Mixed => {
            let mixed = pairs().map(|(user, bot)| user.saturating_add(bot)).collect();
            vec![piece(RecordedVoice::Both, 1, mixed)]
        }
        Layout::Tracks => {
            let (user, bot) = pairs().unzip();
            vec![piece(RecordedVoice::User, 1, user), piece(RecordedVoice::Bot, 1, bot)]
        }
        Layout::Stereo | Layout::PerTurn => vec![piece(RecordedVoice::Both, 2, samples)],
    }
}
