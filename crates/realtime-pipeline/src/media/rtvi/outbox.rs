//! What the machine puts out: [`Outbox`].

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;

use crate::chain::FrameKind;
use crate::media::rtvi::said::{Envelope, Said};
use crate::media::rtvi::version::Version;
use crate::media::rtvi::wire::{write_audio, write_message};
use crate::media::{MediaOutput, SocketMessage};

/// What is to be done, oldest first.
#[derive(Debug)]
pub(super) struct Outbox {
    outputs: VecDeque<MediaOutput>,
    pub(super) version: Version,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { outputs: VecDeque::new(), version: Version::Current }
    }

    pub(super) fn poll(&mut self) -> Option<MediaOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn push(&mut self, output: MediaOutput) {
        self.outputs.push_back(output);
    }

    pub(super) fn input(&mut self, frame: FrameKind) {
        self.push(MediaOutput::Input(frame));
    }

    /// Says something to the client.
    pub(super) fn say(&mut self, said: &Said<'_>) {
        self.write(&Envelope::new(None, said));
    }

    /// Answers the message of this id.
    pub(super) fn answer(&mut self, id: &str, said: &Said<'_>) {
        self.write(&Envelope::new(Some(id), said));
    }

    /// Sends a message of any kind.
    pub(super) fn write(&mut self, message: &impl Serialize) {
        let json = serde_json::to_vec(message).expect("its maps have keys that are text");
        self.send(write_message(&json));
    }

    /// Sends audio: 16-bit samples, mono, little-endian, at `rate` Hz.
    pub(super) fn play(&mut self, audio: &[u8], rate: u32) {
        self.send(write_audio(audio, rate));
    }

    fn send(&mut self, bytes: Bytes) {
        self.push(MediaOutput::Send(SocketMessage::Binary(bytes)));
    }
}
