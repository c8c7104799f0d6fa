//! Token counts, estimated: text by its characters, audio by its length.

use std::ops::{Add, Sub};

use realtime_protocol::content::{ContentPart, ImageDetail};
use realtime_protocol::item::Item;
use realtime_protocol::time::MediaTime;
use realtime_protocol::tool::Tool;
use realtime_protocol::usage::{
    CachedTokenDetails, InputTokenDetails, OutputTokenDetails, RateLimit, TokenUsage, TranscriptionUsage,
    Usage,
};

use crate::connection::conversation::Entry;

/// Tokens by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) text: u64,
    pub(crate) audio: u64,
    pub(crate) image: u64,
}

impl Tokens {
    pub(crate) const fn total(self) -> u64 {
        self.text + self.audio + self.image
    }

    /// What of it is in the cache: what the last response read as well, in whole blocks.
    pub(crate) fn cached(self, last: Self) -> Self {
        let blocks = |now: u64, then: u64| now.min(then) / CACHE_BLOCK * CACHE_BLOCK;
        Self {
            text: blocks(self.text, last.text),
            audio: blocks(self.audio, last.audio),
            image: blocks(self.image, last.image),
        }
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            text: self.text + other.text,
            audio: self.audio + other.audio,
            image: self.image + other.image,
        }
    }
}

impl Sub for Tokens {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            text: self.text.saturating_sub(other.text),
            audio: self.audio.saturating_sub(other.audio),
            image: self.image.saturating_sub(other.image),
        }
    }
}

/// What a response reads before the conversation.
pub(crate) fn instruction_tokens(instructions: &str, tools: &[Tool]) -> Tokens {
    let mut text = text_tokens(instructions);
    for tool in tools {
        text += match tool {
            Tool::Function(tool) => {
                tool.name.value().map_or(0, |name| text_tokens(name))
                    + tool.description.value().map_or(0, |text| text_tokens(text))
                    + tool.parameters.value().map_or(0, |schema| text_tokens(schema.get()))
            }
            _ => 0,
        };
    }
    Tokens { text, ..Tokens::default() }
}

/// What a response reads of an item.
pub(crate) fn entry_tokens(entry: &Entry) -> Tokens {
    let text = match &entry.item {
        Item::Message(message) => message.parts().iter().map(part_tokens).sum(),
        Item::FunctionCall(call) => call.arguments.value().map_or(0, |text| text_tokens(text)),
        Item::FunctionCallOutput(output) => output.output.value().map_or(0, |text| text_tokens(text)),
        Item::McpCall(call) => {
            call.arguments.value().map_or(0, |text| text_tokens(text))
                + call.output.value().map_or(0, |text| text_tokens(text))
        }
        _ => 0,
    };
    Tokens { text, audio: heard_tokens(entry.audio_length()), image: images(&entry.item) }
}

/// What the images of a message cost.
fn images(item: &Item) -> u64 {
    let parts = item.as_message().map_or(&[][..], |message| message.parts());
    let cost = parts.iter().map(|part| match part {
        ContentPart::InputImage(image) if image.detail.value() == Some(&ImageDetail::Low) => 85,
        ContentPart::InputImage(_) => 765,
        _ => 0,
    });
    cost.sum()
}

/// The words of a part. The transcript of the user's audio is not read: the model hears the audio.
fn part_tokens(part: &ContentPart) -> u64 {
    match part {
        ContentPart::InputAudio(_) => 0,
        part => part.words().map_or(0, text_tokens),
    }
}

/// A token for each four characters begun.
pub(crate) fn text_tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// A token for each 100 ms of the user's audio begun.
fn heard_tokens(length: MediaTime) -> u64 {
    length.as_micros().div_ceil(100_000)
}

/// A token for each 50 ms of the assistant's audio begun.
pub(crate) fn spoken_tokens(length: MediaTime) -> u64 {
    length.as_micros().div_ceil(50_000)
}

/// A response's usage, every member written.
pub(crate) fn usage(input: Tokens, from_cache: Tokens, output: Tokens) -> Usage {
    let cached = CachedTokenDetails::default()
        .text_tokens(from_cache.text)
        .audio_tokens(from_cache.audio)
        .image_tokens(from_cache.image);
    Usage::default()
        .total_tokens(input.total() + output.total())
        .input_tokens(input.total())
        .output_tokens(output.total())
        .input_token_details(
            InputTokenDetails::default()
                .cached_tokens(from_cache.total())
                .text_tokens(input.text)
                .audio_tokens(input.audio)
                .image_tokens(input.image)
                .cached_tokens_details(cached),
        )
        .output_token_details(
            OutputTokenDetails::default().text_tokens(output.text).audio_tokens(output.audio),
        )
}

/// Tokens, as the service's numbers suggest.
const CACHE_BLOCK: u64 = 64;

/// What a transcription cost.
pub(crate) fn transcription_usage(length: MediaTime, transcript: &str) -> TranscriptionUsage {
    let (input, output) = (heard_tokens(length), text_tokens(transcript));
    TokenUsage::default()
        .total_tokens(input + output)
        .input_tokens(input)
        .input_token_details(InputTokenDetails::default().text_tokens(0_u64).audio_tokens(input))
        .output_tokens(output)
        .into()
}

/// The limits as they stand when a response starts: nothing is ever used up.
pub(crate) fn rate_limits(reserved: u64) -> Vec<RateLimit> {
    let limit = |name: &str, limit: i64, used: i64| {
        RateLimit::default().name(name).limit(limit).remaining((limit - used).max(0)).reset_seconds(60.0)
    };
    let reserved = i64::try_from(reserved).unwrap_or(i64::MAX);
    vec![limit("requests", 1000, 1), limit("tokens", 50_000, reserved)]
}
