//! An estimate of what each entry weighs.

use crate::log::{EntryId, Log};
use crate::message::Part;
use crate::mirror::{Made, Mirror};

/// Characters of text in a token, on average.
const CHARS_PER_TOKEN: u64 = 4;
/// Tokens around each message.
const OVERHEAD: u64 = 4;
/// Tokens of an image, as far as nothing better is known.
const IMAGE: u64 = 800;
/// Tokens of the user's audio in a second, as OpenAI counts them.
const USER_AUDIO_PER_SECOND: u64 = 10;
/// Tokens of the assistant's audio in a second, as OpenAI counts them.
const ASSISTANT_AUDIO_PER_SECOND: u64 = 20;
/// Characters that are spoken in a second, on average.
const CHARS_PER_SECOND: u64 = 15;

/// What an entry weighs (tokens).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The entry.
    pub entry: EntryId,
    /// Text tokens.
    pub text: u64,
    /// Audio tokens: of entries whose audio the server has. The length of the audio is estimated by its
    /// words.
    pub audio: u64,
    /// Image tokens.
    pub image: u64,
}

impl Estimate {
    /// All tokens.
    pub const fn tokens(&self) -> u64 {
        self.text + self.audio + self.image
    }
}

/// What each entry weighs, in order. The server's own count is in the usage of each response.
pub fn estimate(log: &Log, mirror: &Mirror) -> Vec<Estimate> {
    let entries = log.entries().iter();
    let weigh = |entry: &crate::log::Entry| {
        let id = entry.id();
        let mut weight = Estimate { entry: id, text: 0, audio: 0, image: 0 };
        for message in entry.messages() {
            let mut chars = message.text().chars().count();
            for call in message.calls() {
                chars += call.name().len() + call.arguments().len();
            }
            weight.text += OVERHEAD + (chars as u64).div_ceil(CHARS_PER_TOKEN);
            let images = message.parts().iter().filter(|part| matches!(part, Part::ImageUrl(_))).count();
            weight.image += IMAGE * images as u64;
        }
        let has_audio = entry.is_spoken()
            && mirror.lead(id).is_some_and(|lead| matches!(lead.made, Made::Learnt | Made::Open));
        if has_audio {
            let seconds = (entry.text().chars().count() as u64).div_ceil(CHARS_PER_SECOND).max(1);
            let is_users = *entry.role() == crate::message::Role::User;
            weight.audio =
                seconds * if is_users { USER_AUDIO_PER_SECOND } else { ASSISTANT_AUDIO_PER_SECOND };
            weight.text = OVERHEAD;
        }
        weight
    };
    entries.map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn text_is_counted_by_its_length() {
        let log =
            Log::from_messages([Message::user("x".repeat(400)), Message::tool_call("c", "ffff", "{}12")]);
        let weights = estimate(&log, &Mirror::default());
        assert_eq!((weights[0].tokens(), weights[1].tokens()), (104, 6));
    }
}
