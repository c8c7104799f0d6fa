//! Playback on a side channel, where the server plays: what was heard follows `output_audio_buffer.*`.
//!
//! The audio of a call by WebRTC or SIP takes another route. Only its events come here, usually without
//! `output_audio.delta`. So what was played is estimated from the time since the server began to play a
//! response, and is known once the server has played all of it. If no audio comes, the words heard are
//! estimated from that time as well: at the pace of the session's earlier responses, and for the first
//! response at [`PACE`].
//!
//! Where this side carries the audio itself (WebRTC), it comes as `output_audio.delta` while the server plays
//! it, also after `response.done`, and is told as it comes. Since it comes no sooner than it is heard, the
//! rules above hold for it as if no audio came.
//!
//! On a WebSocket the client stops playback and sends `conversation.item.truncate`, since only the client
//! knows what was played. Here the server holds the buffer and knows how much of it was played. When it
//! clears the buffer, it truncates the item itself, so this side truncates nothing
//! (<https://platform.openai.com/docs/guides/realtime-conversations>). It clears the buffer "either in VAD
//! mode when the user has interrupted (`input_audio_buffer.speech_started`), or when the client has emitted
//! the `output_audio_buffer.clear` event", and that event "should be preceded by a `response.cancel`"
//! (<https://platform.openai.com/docs/api-reference/realtime-server-events/output_audio_buffer/cleared>).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::call::{Event, Interruption};
use crate::event::OutputAudioBufferClear;
use crate::field::Field;
use crate::id::ResponseId;
use crate::session::Session;
use crate::session::options::PlaybackSource;
use crate::session::playback::{Part, Playback};
use crate::time::Timestamp;

/// Characters per second that a voice says, until the session's own pace is known.
const PACE: u64 = 15;

/// The longest that a response plays. After that, the event that ends it counts as lost.
const LONGEST: Duration = Duration::from_secs(600);

/// Responses that are remembered after they have played.
const REMEMBERED: usize = 16;

/// What the server plays.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// The response that it plays, and since when.
    playing: Option<(ResponseId, Timestamp)>,
    /// The last responses that were played or interrupted: anything that still comes of them is not heard.
    over: VecDeque<ResponseId>,
    /// Characters of all responses that were played completely, and how long they took.
    spoken: (u64, Duration),
}

/// How much of a part the server has played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    /// How long.
    pub(super) time: Duration,
    /// The characters said by then.
    pub(super) characters: usize,
}

impl Serving {
    /// Returns whether the server plays anything.
    pub(super) fn is_playing(&self, now: Timestamp) -> bool {
        self.playing.iter().any(|(_, since)| now < *since + LONGEST)
    }

    /// Returns whether the server plays a response.
    pub(super) fn plays(&self, id: &ResponseId) -> bool {
        self.playing.iter().any(|(playing, _)| playing == id)
    }

    /// Returns whether nothing of a response is heard any more: it was played or interrupted.
    pub(super) fn is_over(&self, id: &ResponseId) -> bool {
        self.over.contains(id)
    }

    fn began(&mut self, now: Timestamp, id: &ResponseId) -> bool {
        let is_new = !self.plays(id) && !self.over.contains(id);
        if is_new {
            self.playing = Some((id.clone(), now));
        }
        is_new
    }

    fn take(&mut self, id: &ResponseId) -> Option<Timestamp> {
        self.playing.take_if(|(playing, _)| playing == id).map(|(_, since)| since)
    }

    fn note_over(&mut self, id: ResponseId) {
        if !self.over.contains(&id) {
            if self.over.len() == REMEMBERED {
                self.over.pop_front();
            }
            self.over.push_back(id);
        }
    }

    /// How many characters are said in that time.
    fn characters_in(&self, time: Duration) -> usize {
        let (characters, took) = self.pace();
        let said = u128::from(characters) * time.as_millis() / took.as_millis().max(1);
        usize::try_from(said).unwrap_or(usize::MAX)
    }

    /// How long this many characters take.
    fn time_of(&self, characters: usize) -> Duration {
        let (per, took) = self.pace();
        let millis = characters as u128 * took.as_millis() / u128::from(per.max(1));
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn pace(&self) -> (u64, Duration) {
        let (characters, took) = self.spoken;
        let is_known = characters > 0 && took >= Duration::from_secs(1);
        if is_known { self.spoken } else { (PACE, Duration::from_secs(1)) }
    }
}

impl Playback {
    /// The server begins to play a response, so it has finished the one before. Returns whether the response
    /// is to be heard.
    fn server_began(&mut self, now: Timestamp, id: &ResponseId) -> bool {
        let before = self.serving.playing.clone().filter(|(before, _)| before != id);
        if let Some((before, _)) = before {
            self.server_ended(now, &before);
        }
        self.serving.began(now, id)
    }

    /// The server has played a response.
    fn server_ended(&mut self, now: Timestamp, id: &ResponseId) {
        let characters: usize =
            self.parts.iter().filter(|part| part.id.response_id == *id).map(Part::characters).sum();
        if let Some(since) = self.serving.take(id)
            && characters > 0
        {
            self.serving.spoken.0 = self.serving.spoken.0.saturating_add(characters as u64);
            self.serving.spoken.1 = self.serving.spoken.1.saturating_add(now.saturating_since(since));
        }
        self.forget_response(id);
        self.serving.note_over(id.clone());
    }

    /// The server stopped playing a response without being asked by this side. Returns its parts, as far as
    /// they were played.
    fn server_cleared(&mut self, now: Timestamp, id: &ResponseId) -> Option<Vec<Part>> {
        if !self.serving.plays(id) {
            return None;
        }
        self.serve(now);
        self.serving.take(id);
        Some(self.take_parts(|part| part.id.response_id == *id))
    }

    /// The user interrupts: nothing that the server plays, or was about to, is heard any more.
    pub(super) fn silence_server(&mut self, now: Timestamp, running: Option<&ResponseId>) {
        self.serve(now);
        let over = &self.serving.over;
        self.parts.retain(|part| !over.contains(&part.id.response_id)); // they came after the end of their response
        let playing = self.serving.playing.take().into_iter().map(|(id, _)| id);
        let waiting = self.parts.iter().map(|part| part.id.response_id.clone());
        let silenced: Vec<ResponseId> = playing.chain(waiting).chain(running.cloned()).collect();
        for id in silenced {
            self.serving.note_over(id);
        }
    }

    /// Brings up to date how much of each part the server has played. The parts of a response follow each
    /// other.
    fn serve(&mut self, now: Timestamp) {
        let serving = &self.serving;
        for part in &mut self.parts {
            part.served = Some(Served { time: Duration::ZERO, characters: 0 });
        }
        if let Some((id, since)) = &serving.playing {
            let mut left = now.saturating_since(*since);
            let last = self.parts.iter().rposition(|part| part.id.response_id == *id);
            for (index, part) in
                self.parts.iter_mut().enumerate().filter(|(_, part)| part.id.response_id == *id)
            {
                let length = if part.has_audio() {
                    part.format().time_of(part.received()).as_duration()
                } else {
                    serving.time_of(part.characters())
                };
                let time = if Some(index) == last { left } else { left.min(length) };
                part.served = Some(Served { time, characters: serving.characters_in(time) });
                left -= time;
            }
        }
    }
}

impl Session {
    /// The server begins to play a response.
    pub(super) fn on_server_playing(&mut self, response_id: Field<ResponseId>) {
        let Some(id) = self.served_response(response_id) else { return };
        let now = self.now;
        let is_heard = self.responses.get_mut(&id).is_none_or(|response| !response.interrupted);
        if is_heard
            && self.playback.server_began(now, &id)
            && let Some(response) = self.responses.get_mut(&id)
        {
            response.timeline.played(now, PlaybackSource::Server);
        }
    }

    /// The server has played a response.
    pub(super) fn on_server_played(&mut self, response_id: Field<ResponseId>) {
        if let Some(id) = self.served_response(response_id) {
            self.playback.server_ended(self.now, &id);
        }
    }

    /// The server has stopped playing a response. If this side did not ask for it, another client of the call
    /// did.
    pub(super) fn on_server_cleared(&mut self, response_id: Field<ResponseId>) {
        let Some(id) = self.served_response(response_id) else { return };
        if let Some(parts) = self.playback.server_cleared(self.now, &id) {
            let parts = self.settle_parts(parts, PlaybackSource::Server);
            self.tell(Event::Interrupted(Interruption { response_id: Some(id), parts }));
        }
    }

    /// Stops what the server plays. `clear`: whether the server must be told to.
    pub(super) fn silence_server(&mut self, clear: bool) {
        let running = self.responses.running();
        self.playback.silence_server(self.now, running);
        if clear {
            let event_id = self.next_event_id().into();
            self.send(OutputAudioBufferClear { event_id, ..Default::default() });
        }
    }

    /// The response that an event about the server's playback is about, if the server plays at all.
    fn served_response(&self, response_id: Field<ResponseId>) -> Option<ResponseId> {
        if self.options.playback != PlaybackSource::Server {
            return None;
        }
        response_id.into_value().or_else(|| self.responses.running().cloned())
    }
}
