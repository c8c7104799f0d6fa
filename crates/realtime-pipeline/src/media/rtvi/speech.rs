//! What the model says, sentence by sentence, and how far it was heard: [`Speech`].
//!
//! No server tells which words a sample belongs to. So the words are laid evenly over the audio of their
//! part, which is an estimate; until its length is known, they go at the pace of usual speech.

use std::collections::VecDeque;

use realtime_protocol::id::{ItemId, ResponseId};

use crate::chain::AudioSource;
use crate::media::rtvi::outbox::Outbox;
use crate::media::rtvi::said::{BotOutput, Said, SpokenProgress};
use crate::media::rtvi::sentences;

/// The most parts that are followed at once.
const MOST_PARTS: usize = 32;
/// The most sentences of a part that wait to be heard.
const MOST_SENTENCES: usize = 512;
/// Usual speech (bytes of text in a second).
const PACE: u64 = 15;

/// What the model says.
#[derive(Debug, Default)]
pub(super) struct Speech {
    parts: VecDeque<Part>,
    last_segment: u64,
}

/// A part of an item. `Debug` shows none of its words.
struct Part {
    response_id: ResponseId,
    item_id: ItemId,
    content_index: u32,
    is_spoken: bool,
    /// Text that is no sentence yet.
    rest: String,
    sentences: VecDeque<Sentence>,
    /// The length of all text that came (bytes).
    text: u64,
    is_whole: bool,
    /// The length of its audio (samples), once it is known.
    total: Option<u64>,
}

struct Sentence {
    segment: u64,
    text: String,
    /// Its place in the part's text (bytes).
    begin: u64,
    /// How much of it was told as heard (bytes).
    heard: usize,
}

impl Speech {
    /// New words.
    pub(super) fn text(
        &mut self,
        (response_id, item_id, content_index): (&ResponseId, &ItemId, u32),
        delta: &str,
        is_spoken: bool,
        out: &mut Outbox,
    ) {
        let at = self.find(item_id, content_index).unwrap_or_else(|| {
            if self.parts.len() == MOST_PARTS {
                self.parts.pop_front();
            }
            self.parts.push_back(Part::new(response_id, item_id, content_index, is_spoken));
            self.parts.len() - 1
        });
        let part = &mut self.parts[at];
        part.rest.push_str(delta);
        part.text += delta.len() as u64;
        while let Some(length) = sentences::first(&part.rest) {
            part.cut(length, &mut self.last_segment, out);
        }
    }

    /// No words of this item follow.
    pub(super) fn item_done(&mut self, item_id: &ItemId, out: &mut Outbox) {
        self.whole(|part| part.item_id == *item_id, out);
    }

    /// No words of this response follow.
    pub(super) fn response_done(&mut self, response_id: &ResponseId, out: &mut Outbox) {
        self.whole(|part| part.response_id == *response_id, out);
    }

    /// The length of a part's audio is known (samples).
    pub(super) fn audio_done(&mut self, item_id: &ItemId, content_index: u32, total: u64) {
        if let Some(at) = self.find(item_id, content_index) {
            self.parts[at].total = Some(total);
        }
    }

    /// A part's audio is heard up to this sample, at `rate` Hz.
    pub(super) fn heard(&mut self, source: &AudioSource, samples: u64, rate: u32, out: &mut Outbox) {
        if let Some(at) = self.find_source(source) {
            let part = &mut self.parts[at];
            let upto = part.text_at(samples, rate);
            part.advance(upto, out);
        }
    }

    /// A part was heard to its end.
    pub(super) fn finished(&mut self, source: &AudioSource, out: &mut Outbox) {
        if let Some(at) = self.find_source(source)
            && let Some(mut part) = self.parts.remove(at)
        {
            let length = part.rest.len();
            part.cut(length, &mut self.last_segment, out);
            part.advance(u64::MAX, out);
        }
    }

    /// What is being said is cut off, and nothing of it is heard any more.
    pub(super) fn cut(&mut self) {
        self.parts.retain(|part| !part.is_spoken);
    }

    fn whole(&mut self, is_meant: impl Fn(&Part) -> bool, out: &mut Outbox) {
        for part in self.parts.iter_mut().filter(|part| is_meant(part)) {
            let length = part.rest.len();
            part.cut(length, &mut self.last_segment, out);
            part.is_whole = true;
        }
        // What is not spoken is not heard either.
        self.parts.retain(|part| part.is_spoken || !is_meant(part));
    }

    fn find(&self, item_id: &ItemId, content_index: u32) -> Option<usize> {
        let is_it = |part: &Part| part.item_id == *item_id && part.content_index == content_index;
        self.parts.iter().position(is_it)
    }

    fn find_source(&self, source: &AudioSource) -> Option<usize> {
        let AudioSource::Part { item_id, content_index } = source else { return None };
        self.find(item_id, *content_index)
    }
}

impl Part {
    fn new(response_id: &ResponseId, item_id: &ItemId, content_index: u32, is_spoken: bool) -> Self {
        Self {
            response_id: response_id.clone(),
            item_id: item_id.clone(),
            content_index,
            is_spoken,
            rest: String::new(),
            sentences: VecDeque::new(),
            text: 0,
            is_whole: false,
            total: None,
        }
    }

    /// So many bytes of the text are a sentence.
    fn cut(&mut self, length: usize, last_segment: &mut u64, out: &mut Outbox) {
        let begin = self.text - self.rest.len() as u64;
        let rest = self.rest.split_off(length);
        let whole = std::mem::replace(&mut self.rest, rest);
        let text = whole.trim();
        if text.is_empty() {
            return;
        }
        *last_segment += 1;
        let begin = begin + (whole.len() - whole.trim_start().len()) as u64;
        let sentence = Sentence { segment: *last_segment, text: text.to_owned(), begin, heard: 0 };
        out.say(&Said::BotTranscription { text });
        sentence.tell("new", self.is_spoken, out);
        if self.is_spoken {
            if self.sentences.len() == MOST_SENTENCES {
                self.sentences.pop_front();
            }
            self.sentences.push_back(sentence);
        }
    }

    /// How much of the text is heard with so many samples (bytes).
    fn text_at(&self, samples: u64, rate: u32) -> u64 {
        let scaled = |of: u64, by: u64| {
            let scaled = u128::from(samples) * u128::from(of) / u128::from(by.max(1));
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        match self.total {
            Some(total) if self.is_whole => scaled(self.text, total),
            _ => scaled(PACE, rate.into()),
        }
    }

    /// The text is heard up to this byte.
    fn advance(&mut self, upto: u64, out: &mut Outbox) {
        while let Some(sentence) = self.sentences.front_mut() {
            if upto < sentence.begin + sentence.text.len() as u64 {
                let within = usize::try_from(upto.saturating_sub(sentence.begin)).unwrap_or(usize::MAX);
                return sentence.advance(within, out);
            }
            sentence.finish(out);
            self.sentences.pop_front();
        }
    }
}

impl Sentence {
    /// So many bytes of it are heard: tells the words that are whole.
    fn advance(&mut self, within: usize, out: &mut Outbox) {
        let within = (0..=within.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let within = within.unwrap_or_default();
        let word = match self.text[..within].rfind(char::is_whitespace) {
            Some(blank) => blank,
            None if self.text.contains(has_no_blanks) => within,
            None => return,
        };
        if word > self.heard {
            self.tell_words(word, out);
            if !out.version.is_legacy() {
                self.tell("in-progress", true, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Outbox) {
        self.tell_words(self.text.len(), out);
        self.tell("completed", true, out);
    }

    fn tell_words(&mut self, upto: usize, out: &mut Outbox) {
        let text = self.text[self.heard..upto].trim();
        if !text.is_empty() {
            out.say(&Said::BotTtsText { text });
        }
        self.heard = upto;
    }

    fn tell(&self, status: &'static str, is_spoken: bool, out: &mut Outbox) {
        let kind = "sentence";
        let output = BotOutput {
            text: &self.text,
            output_type: kind,
            text_type: kind,
            aggregated_by: kind,
            segment_id: self.segment,
            ..BotOutput::default()
        };
        let (accumulated_text, remaining_text) = self.text.split_at(self.heard);
        let progress = SpokenProgress { accumulated_text, remaining_text };
        let output = if out.version.is_legacy() {
            BotOutput { spoken: Some(status == "completed"), ..output }
        } else {
            BotOutput {
                will_be_spoken: Some(is_spoken),
                spoken_status: Some(status),
                spoken_progress: is_spoken.then_some(progress),
                ..output
            }
        };
        out.say(&Said::BotOutput(output));
    }
}

/// Returns whether a character is of a writing that puts no blanks between words: Thai and Lao, Chinese and
/// Japanese.
const fn has_no_blanks(char: char) -> bool {
    matches!(char, '\u{0e00}'..='\u{0eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}')
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("item_id", &self.item_id)
            .field("text", &self.text)
            .field("sentences", &self.sentences.len())
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
