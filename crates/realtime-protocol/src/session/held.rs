//! Commands and audio that wait for the session to be ready. They share one queue, so that a clear or a
//! commit keeps its place among the audio.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::call::{Command, CommandId};
use crate::id::CallId;
use crate::session::input_audio::drop_oldest;

/// What goes out once the session is ready, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<Waiting>,
    /// How many of them are commands.
    commands: usize,
}

#[derive(Debug)]
pub(super) enum Waiting {
    Command(CommandId, Command),
    Audio(Bytes),
}

impl Held {
    /// How many commands wait.
    pub(super) const fn commands(&self) -> usize {
        self.commands
    }

    pub(super) fn push(&mut self, id: CommandId, command: Command) {
        self.commands += 1;
        self.queue.push_back(Waiting::Command(id, command));
    }

    /// Adds audio and keeps the newest `most` bytes of it. Gives back how many bytes were dropped.
    pub(super) fn push_audio(&mut self, audio: Bytes, most: u64) -> u64 {
        self.queue.push_back(Waiting::Audio(audio));
        let dropped = drop_oldest(self.queue.iter_mut().filter_map(Waiting::audio_mut), most);
        if dropped > 0 {
            self.queue.retain(|waiting| !matches!(waiting, Waiting::Audio(audio) if audio.is_empty()));
        }
        dropped
    }

    /// Returns whether an answer to this call waits.
    pub(super) fn answers(&self, call_id: &CallId) -> bool {
        self.queue.iter().any(|waiting| {
            matches!(waiting, Waiting::Command(_, Command::AnswerFunction { call_id: id, .. }) if id == call_id)
        })
    }

    /// Takes out everything, to be sent.
    pub(super) fn take(&mut self) -> VecDeque<Waiting> {
        core::mem::take(self).queue
    }

    /// The audio, oldest first. The commands stay.
    pub(super) fn take_audio(&mut self) -> Vec<Bytes> {
        let (audio, commands) = core::mem::take(&mut self.queue)
            .into_iter()
            .partition(|waiting| matches!(waiting, Waiting::Audio(_)));
        self.queue = commands;
        let audio: VecDeque<Waiting> = audio;
        let bytes = |waiting| match waiting {
            Waiting::Audio(audio) => Some(audio),
            Waiting::Command(..) => None,
        };
        audio.into_iter().filter_map(bytes).collect()
    }

    /// The commands that wait.
    pub(super) fn ids(&self) -> impl Iterator<Item = CommandId> {
        self.queue.iter().filter_map(|waiting| match waiting {
            Waiting::Command(id, _) => Some(*id),
            Waiting::Audio(_) => None,
        })
    }

    /// The commands that were never answered, at the end.
    pub(super) fn end(&mut self) -> Vec<CommandId> {
        let command = |waiting| match waiting {
            Waiting::Command(id, _) => Some(id),
            Waiting::Audio(_) => None,
        };
        self.take().into_iter().filter_map(command).collect()
    }
}

impl Waiting {
    const fn audio_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Audio(audio) => Some(audio),
            Self::Command(..) => None,
        }
    }
}
