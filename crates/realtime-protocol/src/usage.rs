//! Token usage, and rate limits.

use alloc::string::String;

use crate::field::Field;
use crate::wire::{wire_enum, wire_struct};

wire_struct! {
    /// What a response cost.
    pub struct Usage {
        /// All tokens.
        total_tokens: Field<u64>,
        /// Tokens read, those from the cache included.
        input_tokens: Field<u64>,
        /// Tokens made.
        output_tokens: Field<u64>,
        /// What was read, by kind.
        input_token_details: Field<InputTokenDetails>,
        /// What was made, by kind.
        output_token_details: Field<OutputTokenDetails>,
    }

    /// Tokens read, by kind.
    pub struct InputTokenDetails {
        /// Those of them that came from the cache: a subset of the others.
        cached_tokens: Field<u64>,
        /// Text tokens.
        text_tokens: Field<u64>,
        /// Audio tokens.
        audio_tokens: Field<u64>,
        /// Image tokens.
        image_tokens: Field<u64>,
        /// The cached ones by kind.
        cached_tokens_details: Field<CachedTokenDetails>,
    }

    /// Tokens from the cache, by kind.
    pub struct CachedTokenDetails {
        /// Text tokens.
        text_tokens: Field<u64>,
        /// Audio tokens.
        audio_tokens: Field<u64>,
        /// Image tokens.
        image_tokens: Field<u64>,
    }

    /// Tokens made, by kind.
    pub struct OutputTokenDetails {
        /// Text tokens.
        text_tokens: Field<u64>,
        /// Audio tokens.
        audio_tokens: Field<u64>,
        /// Tokens of a reasoning model's thoughts; not in the reference.
        reasoning_tokens: Field<u64>,
    }

    /// A transcription billed by tokens.
    pub (tagged) struct TokenUsage {
        /// Tokens read.
        input_tokens: Field<u64>,
        /// What was read, by kind.
        input_token_details: Field<InputTokenDetails>,
        /// Tokens made.
        output_tokens: Field<u64>,
        /// All tokens.
        total_tokens: Field<u64>,
    }

    /// A transcription billed by time.
    pub (tagged) struct DurationUsage {
        /// Seconds of audio.
        seconds: Field<f64>,
    }

    /// What is left of one rate limit.
    pub struct RateLimit {
        /// `requests` or `tokens`.
        name: Field<String>,
        /// The most that is allowed.
        limit: Field<i64>,
        /// What is left.
        remaining: Field<i64>,
        /// Seconds until it is whole again.
        reset_seconds: Field<f64>,
    }
}

wire_enum! {
    /// What a transcription cost.
    pub enum TranscriptionUsage {
        /// Billed by tokens.
        Tokens(TokenUsage) = "tokens",
        /// Billed by time.
        Duration(DurationUsage) = "duration",
    }
}
