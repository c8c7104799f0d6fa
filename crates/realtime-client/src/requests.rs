//! The queue from handles to the driver: what was asked, who waits for the answer, and how much may wait.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{
    CloseReason, Command, CommandError, CommandId, Media, Outcome, Refusal, Suspended,
};
use realtime_protocol::session::InterruptionPolicy;
use tokio::sync::{mpsc, oneshot};

use crate::counters::Tally;
use crate::error::{Error, SendError, Unsent};
use crate::events::Bounds;
use crate::reply::ReplyTo;

/// A command, or media, in the queue to the driver. There is one queue, so a commit never overtakes the last
/// audio.
pub(crate) struct Request {
    /// The command's id. Unused for media.
    pub(crate) id: CommandId,
    pub(crate) asked: Asked,
    /// What it counts while it waits (bytes).
    pub(crate) weight: usize,
}

/// What the application gives.
pub(crate) enum Asked {
    /// A command, and who waits for its answer.
    Command(Command, Waiter),
    Media(Media),
}

/// Who waits for the answer to a command.
pub(crate) enum Waiter {
    None,
    Outcome(OutcomeTo),
    Reply(ReplyTo),
}

impl From<Asked> for Unsent {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Command(command, _) => Self::Command(Box::new(command)),
            Asked::Media(media) => Self::Media(Box::new(media)),
        }
    }
}

pub(crate) type OutcomeTo = oneshot::Sender<Result<Outcome, CommandError>>;

/// What handles and driver both see.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Ids are unique over the client's life, over all handles.
    last_id: AtomicU64,
    /// Input audio that the driver has not taken yet.
    audio: Budget,
    /// The other commands.
    others: Budget,
    /// How input audio is cut into samples.
    pub(crate) input: SampleSize,
    /// The options' policy.
    pub(crate) interruption: OnceLock<InterruptionPolicy>,
    /// Why the session ended, once it has.
    pub(crate) end: OnceLock<CloseReason>,
    pub(crate) tally: Arc<Tally>,
}

impl Shared {
    pub(crate) fn next_id(&self) -> CommandId {
        CommandId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// What the application is told of how a command ended.
    pub(crate) fn result(&self, taken: Result<Outcome, CommandError>) -> Result<Outcome, Error> {
        match taken {
            Ok(Outcome::Declined { reason }) => Err(Error::Declined { reason }),
            Ok(Outcome::Refused { error }) => Err(Error::Refused { error }),
            Ok(Outcome::TimedOut) => Err(Error::TimedOut),
            Ok(Outcome::Closed { reason }) => Err(Error::Closed { reason: Some(reason) }),
            Ok(outcome) => Ok(outcome),
            Err(CommandError { reason: Refusal::Ended, command }) => {
                let reason = self.end.get().cloned();
                Err(SendError::Closed { unsent: Unsent::Command(command), reason }.into())
            }
            Err(error) => Err(Error::Command(error)),
        }
    }

    /// Releases the bytes that a request had reserved, now that it is taken.
    pub(crate) fn taken(&self, request: &Request) {
        self.budget(&request.asked).release(request.weight);
    }

    /// Reserves room for a command or media. Returns its weight, or `None` if there is no room.
    pub(crate) fn reserve(&self, asked: &Asked) -> Option<usize> {
        let weight = match asked {
            Asked::Command(command, _) => command.size(),
            Asked::Media(media) => media.size(),
        };
        self.budget(asked).reserve(weight).then_some(weight)
    }

    const fn budget(&self, asked: &Asked) -> &Budget {
        match asked {
            Asked::Media(_) => &self.audio,
            Asked::Command(..) => &self.others,
        }
    }
}

/// Bytes of one sample of the session's input audio.
#[derive(Debug)]
pub(crate) struct SampleSize(AtomicU32);

impl SampleSize {
    pub(crate) fn set(&self, format: AudioFormat) {
        self.0.store(format.sample_bytes(), Ordering::Relaxed);
    }

    /// A format of that size.
    pub(crate) fn get(&self) -> AudioFormat {
        if self.0.load(Ordering::Relaxed) == 1 { AudioFormat::Pcmu } else { AudioFormat::PCM16_24K }
    }
}

impl Default for SampleSize {
    /// Audio of any length, until the session's format is known.
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

/// How much may wait, and how much does (bytes).
#[derive(Debug)]
struct Budget {
    waiting: AtomicUsize,
    most: usize,
}

impl Budget {
    const fn new(most: usize) -> Self {
        Self { waiting: AtomicUsize::new(0), most }
    }

    /// One command of any size may always wait.
    fn reserve(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= self.most;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The queue's two ends: where handles send, and where the driver takes.
pub(crate) fn channel(
    bounds: &Bounds,
    resume: Option<&Suspended>,
) -> (mpsc::Sender<Request>, mpsc::Receiver<Request>, Arc<Shared>) {
    let (given, taken) = mpsc::channel(bounds.commands.max(1));
    // Ids of new commands differ from those that wait for their answers.
    let waiting = resume.and_then(|suspended| suspended.waiters().max());
    let shared = Arc::new(Shared {
        last_id: AtomicU64::new(waiting.map_or(0, |id| id.0)),
        audio: Budget::new(bounds.input_audio_bytes),
        others: Budget::new(bounds.command_bytes),
        input: SampleSize::default(),
        interruption: OnceLock::new(),
        end: OnceLock::new(),
        tally: Arc::default(),
    });
    (given, taken, shared)
}
