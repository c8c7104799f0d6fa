//! What was stopped, so that audio of it that comes late is not heard: [`Stopped`].

use std::collections::VecDeque;

use realtime_protocol::id::ResponseId;

use crate::chain::{AudioSource, OutputAudio};

/// The last responses, parts and clips that were stopped.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    responses: VecDeque<ResponseId>,
    sources: VecDeque<AudioSource>,
}

/// The most of each that are remembered.
const MOST: usize = 64;

impl Stopped {
    pub(super) fn add_response(&mut self, response_id: &ResponseId) {
        add(&mut self.responses, response_id);
    }

    pub(super) fn add_source(&mut self, source: &AudioSource) {
        add(&mut self.sources, source);
    }

    /// A response begins. Some servers use an id again.
    pub(super) fn begins(&mut self, response_id: &ResponseId) {
        self.responses.retain(|stopped| stopped != response_id);
    }

    /// Returns whether audio belongs to what was stopped. A clip that begins anew does not.
    pub(super) fn has(&mut self, audio: &OutputAudio) -> bool {
        let is_stopped = match &audio.response_id {
            Some(response_id) => self.responses.contains(response_id),
            None => audio.start > 0 && self.sources.contains(&audio.source),
        };
        if !is_stopped {
            self.sources.retain(|stopped| *stopped != audio.source);
        }
        is_stopped
    }

    /// A part or clip is whole. Returns whether it was stopped.
    pub(super) fn ends(&mut self, source: &AudioSource) -> bool {
        let before = self.sources.len();
        self.sources.retain(|stopped| stopped != source);
        self.sources.len() < before
    }
}

fn add<T: Clone + PartialEq>(stopped: &mut VecDeque<T>, one: &T) {
    if stopped.contains(one) {
        return;
    }
    if stopped.len() == MOST {
        stopped.pop_front();
    }
    stopped.push_back(one.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Audio;

    fn audio(response: Option<&str>, source: &AudioSource, start: u64) -> OutputAudio {
        let audio = Audio::mono(8_000, vec![0; 8]);
        OutputAudio {
            response_id: response.map(Into::into),
            source: source.clone(),
            start,
            mark: None,
            audio,
        }
    }

    #[test]
    fn late_audio_of_a_stopped_response_is_known_until_the_id_is_used_again() {
        let mut stopped = Stopped::default();
        let part = AudioSource::Part { item_id: "i".into(), content_index: 0 };
        stopped.add_response(&"r".into());
        assert!(stopped.has(&audio(Some("r"), &part, 0)));
        assert!(!stopped.has(&audio(Some("other"), &part, 80)));
        stopped.begins(&"r".into());
        assert!(!stopped.has(&audio(Some("r"), &part, 80)));
    }

    #[test]
    fn a_clip_that_was_stopped_may_begin_anew() {
        let mut stopped = Stopped::default();
        let clip = AudioSource::Clip("greeting".into());
        stopped.add_source(&clip);
        assert!(stopped.has(&audio(None, &clip, 80)));
        assert!(!stopped.has(&audio(None, &clip, 0)));
        assert!(!stopped.has(&audio(None, &clip, 80)), "it is the new one");
        stopped.add_source(&clip);
        assert!(stopped.ends(&clip) && !stopped.ends(&clip));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut stopped = Stopped::default();
        for number in 0..=MOST {
            stopped.add_response(&number.to_string().as_str().into());
        }
        assert!(!stopped.responses.contains(&"0".into()));
        assert_eq!(stopped.responses.len(), MOST);
    }
}
