//! Words of the user or the assistant, as they are learnt of a message item: generated and heard, complete or
//! not.

use realtime_protocol::content::{ContentPart, InputImage};
use realtime_protocol::event::TranscriptionLanguage;
use realtime_protocol::field::Field;
use realtime_protocol::id::ResponseId;
use realtime_protocol::item::{ItemStatus, MessageItem};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::message::{Content, ImagePart, ImageUrl, Message, Part, Role, join};

/// The text for speech whose transcription failed.
pub const INAUDIBLE: &str = "[inaudible]";
/// The text for speech whose transcript has not come, or was never asked for.
pub const UNTRANSCRIBED: &str = "[not transcribed]";

/// The longest text kept of one part: the longest responses have some 20 KB of words.
const LONGEST_TEXT: usize = 1 << 20;

/// The state of an entry's words.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// More may come: the speech is not transcribed, the assistant has not finished, the call still runs.
    #[default]
    Pending,
    /// Whole.
    Final,
    /// The assistant was interrupted: the text is what was heard.
    Truncated,
    /// The transcription failed, or the call was never answered.
    Failed,
}

/// A message item: its parts by their place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Words {
    pub(crate) role: Role,
    pub(crate) parts: Vec<WordsPart>,
    /// The languages that were heard (ISO 639-1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) languages: Vec<String>,
    /// Whether the item is final. The transcript of the user's speech may still be missing.
    #[serde(default)]
    pub(crate) done: bool,
    /// The response that speaks them.
    #[serde(skip)]
    pub(crate) response: Option<ResponseId>,
}

/// A part of a message item.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct WordsPart {
    /// The part's place in the item.
    pub(crate) index: u32,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) spoken: bool,
    /// All words that came.
    pub(crate) text: String,
    /// The words that were heard, if the part was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard: Option<String>,
    /// A part that is neither text nor speech.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) other: Option<Part>,
    /// Whether audio came with it.
    #[serde(skip)]
    pub(crate) audible: bool,
}

impl Words {
    pub(crate) const fn new(role: Role) -> Self {
        Self { role, parts: Vec::new(), languages: Vec::new(), done: false, response: None }
    }

    /// The user's speech before its transcript.
    pub(crate) fn speech() -> Self {
        let mut words = Self::new(Role::User);
        words.part(0).spoken = true;
        words
    }

    /// The part at that place. Created if it is not known.
    pub(crate) fn part(&mut self, index: u32) -> &mut WordsPart {
        let at = self.parts.partition_point(|part| part.index < index);
        if self.parts.get(at).is_none_or(|part| part.index != index) {
            self.parts.insert(at, WordsPart { index, ..WordsPart::default() });
        }
        &mut self.parts[at]
    }

    pub(crate) fn heard_in(&mut self, languages: &[TranscriptionLanguage]) {
        let codes = languages.iter().filter_map(|language| language.code.value().cloned());
        self.languages = codes.collect();
    }

    /// Takes over the members of the item. `done`: whether the item is complete.
    pub(crate) fn merge(&mut self, item: &MessageItem, done: bool) {
        if let Some(role) = item.role.value() {
            self.role = role_of(role);
        }
        let done = done || self.role != Role::Assistant;
        let incomplete = self.role == Role::Assistant && item.status.value() == Some(&ItemStatus::Incomplete);
        for (index, content) in (0..).zip(item.parts()) {
            match content {
                ContentPart::InputImage(image) => self.part(index).other(image_part(image)),
                ContentPart::Unknown(_) => {
                    let json = serde_json::to_value(content).unwrap_or_default();
                    self.part(index).other(Part::Other(json));
                }
                content => {
                    let part = self.part(index);
                    part.spoken |= content.is_audio();
                    let words = content.words().unwrap_or_default();
                    if !done || words.is_empty() && content.is_audio() {
                        continue;
                    }
                    if incomplete && content.is_audio() {
                        part.settle_cut_off(words);
                    } else {
                        part.settle(words);
                    }
                }
            }
        }
        if done {
            self.finish();
        }
    }

    /// Nothing more comes, except the transcript of the user's speech.
    pub(crate) fn finish(&mut self) {
        self.done = true;
        if self.role == Role::Assistant {
            self.parts.iter_mut().for_each(|part| part.end(State::Final));
        }
    }

    pub(crate) fn state(&self) -> State {
        let any = |state| self.parts.iter().any(|part| part.state == state);
        if any(State::Truncated) {
            State::Truncated
        } else if any(State::Pending) || !self.done && self.role == Role::Assistant {
            State::Pending
        } else if any(State::Failed) {
            State::Failed
        } else {
            State::Final
        }
    }

    /// What was said, or what was heard if it was cut off.
    pub(crate) fn text(&self) -> String {
        join(self.parts.iter().map(WordsPart::text))
    }

    /// All words that were generated, if it was cut off.
    pub(crate) fn generated(&self) -> Option<String> {
        let cut = self.parts.iter().any(|part| part.heard.is_some());
        cut.then(|| join(self.parts.iter().map(|part| part.text.as_str())))
    }

    pub(crate) fn message(&self) -> Option<Message> {
        let said = |part: &WordsPart| match part.text() {
            "" if part.spoken && self.role == Role::User => match part.state {
                State::Pending => UNTRANSCRIBED.to_owned(),
                State::Final | State::Failed | State::Truncated => INAUDIBLE.to_owned(),
            },
            text => text.to_owned(),
        };
        if self.parts.iter().all(|part| part.other.is_none()) {
            let text = self.parts.iter().map(said).collect::<Vec<_>>();
            let text = join(text.iter().map(String::as_str));
            return (!text.is_empty()).then(|| Message::of(self.role.clone(), text));
        }
        let parts =
            self.parts.iter().map(|part| part.other.clone().unwrap_or_else(|| Part::text(said(part))));
        let content = Field::Value(Content::Parts(parts.collect()));
        Some(Message { role: self.role.clone(), content, ..Message::default() })
    }
}

impl WordsPart {
    /// The words that count.
    fn text(&self) -> &str {
        self.heard.as_deref().unwrap_or(&self.text)
    }

    /// More words came.
    pub(crate) fn push(&mut self, delta: &str) {
        // No deltas follow the final text, or a cut.
        if self.state == State::Pending || self.state == State::Truncated {
            let room = LONGEST_TEXT.saturating_sub(self.text.len());
            self.text.push_str(&delta[..delta.floor_char_boundary_at(room)]);
        }
    }

    /// All words are known.
    pub(crate) fn settle(&mut self, text: &str) {
        text[..text.floor_char_boundary_at(LONGEST_TEXT)].clone_into(&mut self.text);
        if self.state != State::Truncated {
            self.state = State::Final;
        }
    }

    /// All generated words of a part that was cut off are known. Words that had not come before the cut were
    /// not heard.
    fn settle_cut_off(&mut self, text: &str) {
        let came = std::mem::take(&mut self.text);
        if self.state != State::Truncated && text.len() > came.len() {
            self.cut(&came);
        }
        self.settle(if text.len() > came.len() { text } else { &came });
    }

    /// Only these words were heard.
    pub(crate) fn cut(&mut self, heard: &str) {
        self.heard = Some(heard.to_owned());
        self.state = State::Truncated;
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self, state: State) {
        if self.state == State::Pending {
            self.state = state;
        }
    }

    fn other(&mut self, part: Part) {
        self.other = Some(part);
        self.end(State::Final);
    }
}

fn role_of(role: &realtime_protocol::item::Role) -> Role {
    use realtime_protocol::item::Role as Wire;
    match role {
        Wire::User => Role::User,
        Wire::Assistant => Role::Assistant,
        Wire::System => Role::System,
        other => Role::Other(other.as_str().to_owned()),
    }
}

fn image_part(image: &InputImage) -> Part {
    let url = image.image_url.value().cloned().unwrap_or_default();
    let detail = image.detail.value().map(|detail| detail.as_str().to_owned());
    let detail = detail.map_or(Field::Absent, Field::Value);
    Part::ImageUrl(ImagePart { image_url: ImageUrl { url, detail, extra: Map::new() }, extra: Map::new() })
}

trait FloorCharBoundary {
    /// The last place at or before `at` where the text can be cut. (`floor_char_boundary` needs Rust 1.91.)
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rfind(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}
