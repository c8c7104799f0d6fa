//! Media: the user's audio on its way to the server, and reports of what was played.

use bytes::Bytes;

use crate::call::{Event, Media, MediaError, MediaRefusal, PlaybackPosition, PlaybackReport, Warning};
use crate::event::InputAudioBufferAppend;
use crate::session::Session;
use crate::session::options::PlaybackSource;
use crate::session::sequencer::turn;
use crate::time::Timestamp;

impl Session {
    /// The application gives audio, or tells what was played.
    ///
    /// # Errors
    /// [`MediaError`] if its shape can't be right or the session has ended. It had no effect, and is handed
    /// back.
    pub fn handle_media(&mut self, now: Timestamp, media: Media) -> Result<(), MediaError> {
        self.enter(now);
        let checked = if self.state.is_ended() && !matches!(media, Media::Report(_)) {
            Err(MediaRefusal::Ended)
        } else {
            media.check(self.input_format())
        };
        if let Err(reason) = checked {
            return Err(MediaError { media, reason });
        }
        match media {
            Media::Append(audio) => {
                let moves = self.responses.listens() || self.input.is_stale();
                self.take_audio(audio);
                if !moves {
                    return Ok(()); // the most frequent input moves no deadline, and nothing waits for it
                }
            }
            Media::BeginTurn => {
                // A turn begins when the application says so, not when the session is ready.
                self.input.begin_turn();
                for audio in self.input.take_pre_roll() {
                    self.pass_on(audio);
                }
            }
            Media::Report(report) if !self.state.is_ended() => self.on_playback(&report),
            Media::Report(_) => {} // the ledger is closed
        }
        self.flush();
        Ok(())
    }

    fn take_audio(&mut self, audio: Bytes) {
        if audio.is_empty() {
            return;
        }
        if let Some(pre_roll) = self.options.pre_roll
            && !self.input.in_turn()
        {
            let format = self.input_format();
            return self.input.keep_back(audio, format, pre_roll);
        }
        self.pass_on(audio);
    }

    fn pass_on(&mut self, audio: Bytes) {
        if self.state.is_ready() {
            self.append(audio);
        } else {
            let format = self.input_format();
            let lost = self.held.push_audio(audio, format.bytes(self.options.held_audio.into()));
            if lost > 0 {
                let lost = format.duration(lost);
                self.tell(Event::Warning(Warning::InputAudioDropped { lost }));
            }
        }
    }

    pub(super) fn append(&mut self, audio: Bytes) {
        if self.input.is_stale() {
            self.clear_audio(None);
        }
        self.note_appended(audio.len());
        self.send(InputAudioBufferAppend { audio: audio.into(), ..Default::default() });
    }

    /// Audio goes to the server: the user may be heard.
    pub(super) fn note_appended(&mut self, bytes: usize) {
        self.input.appended(bytes);
        if self.responses.listens() {
            let silent = self.now + self.options.silent_turn_deadline;
            self.responses.step_turn(turn::Step::Appended { silent });
        }
    }

    fn on_playback(&mut self, report: &PlaybackReport) {
        match report {
            PlaybackReport::Played(at) => self.note_played(at),
            PlaybackReport::Mark(mark) => {
                if let Some(at) = self.playback.position_of(*mark) {
                    self.note_played(&at);
                }
            }
            PlaybackReport::Stopped { id, at } => {
                if let Some(at) = at {
                    self.note_played(at);
                }
                self.on_stopped(*id);
            }
            PlaybackReport::Held { id, at } => {
                if let Some(at) = at {
                    self.note_played(at);
                }
                self.on_held(*id);
            }
        }
        self.playback.forget_played(self.now, self.options.playback);
    }

    fn note_played(&mut self, at: &PlaybackPosition) {
        let Some(part) = self.playback.report(self.now, at) else { return };
        if at.played == 0 {
            return; // playback is at the part's beginning: nothing of it was audible
        }
        let response_id = part.id.response_id.clone();
        if let Some(response) = self.responses.get_mut(&response_id) {
            response.timeline.played(self.now, PlaybackSource::Reported);
        }
    }
}
