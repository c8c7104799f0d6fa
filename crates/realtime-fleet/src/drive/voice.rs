//! Until when the assistant is heard, where its audio comes through this process: [`Voice`].
//!
//! The rule kept here: a model is quicker than its voice, so an answer that is complete may be unheard still.
//! It counts as heard once its audio would have been played from when it came, without a pause.

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

/// What of the assistant's voice is still to be heard.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    until: Option<Timestamp>,
}

impl Voice {
    /// Hears an event. Returns whether the assistant begins or ceases to be heard by it.
    pub(crate) fn handle_event(&mut self, now: Timestamp, event: &Event) -> bool {
        let was_heard = self.is_heard();
        match event {
            Event::Audio(chunk) if !chunk.out_of_band => {
                let from = self.until.map_or(now, |until| until.max(now));
                self.until = Some(from + chunk.format.duration(chunk.audio.len() as u64).as_duration());
            }
            Event::StopPlayback { .. } | Event::Interrupted(_) | Event::Closed { .. } => self.until = None,
            _ => {}
        }
        was_heard != self.is_heard()
    }

    /// When it falls silent.
    pub(crate) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.until
    }

    /// Time passed. Returns whether it has fallen silent.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }

    pub(crate) const fn is_heard(&self) -> bool {
        self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::audio::AudioFormat;
    use realtime_protocol::call::AudioChunk;

    use super::*;
    use crate::samples::at;

    fn audio(out_of_band: bool) -> Event {
        Event::Audio(AudioChunk {
            response_id: "r".into(),
            item_id: "i".into(),
            content_index: 0,
            out_of_band,
            start: 0,
            mark: 0,
            format: AudioFormat::Pcmu,
            audio: vec![0; 8_000].into(),
        })
    }

    #[test]
    fn an_answer_is_heard_for_as_long_as_it_sounds_however_soon_it_came() {
        let mut voice = Voice::default();
        assert!(!voice.handle_event(at(0), &audio(true)) && !voice.is_heard());
        assert!(voice.handle_event(at(0), &audio(false)));
        assert!(!voice.handle_event(at(10), &audio(false)));
        assert_eq!(voice.poll_timeout(), Some(at(2_000)));
        assert!(!voice.handle_timeout(at(1_999)) && voice.handle_timeout(at(2_000)));
        assert!(voice.handle_event(at(5_000), &audio(false)));
        assert_eq!(voice.poll_timeout(), Some(at(6_000)));
    }
}
