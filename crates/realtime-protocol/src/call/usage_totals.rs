//! What a session has cost so far.

use serde::Serialize;

use crate::field::Field;
use crate::time::MediaTime;
use crate::usage::{TranscriptionUsage, Usage};

/// The usage of all responses of a session. Cached tokens are included in the input tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct UsageTotals {
    /// Responses whose usage is counted here.
    pub responses: u64,
    /// Responses whose usage the server did not report. It is missing here.
    pub unreported: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens made.
    pub output_tokens: u64,
    /// Text tokens read.
    pub input_text_tokens: u64,
    /// Audio tokens read.
    pub input_audio_tokens: u64,
    /// Image tokens read.
    pub input_image_tokens: u64,
    /// Tokens read from the cache: a subset of `input_tokens`.
    pub cached_tokens: u64,
    /// Text tokens read from the cache: a subset of `input_text_tokens`.
    pub cached_text_tokens: u64,
    /// Audio tokens read from the cache: a subset of `input_audio_tokens`.
    pub cached_audio_tokens: u64,
    /// Text tokens made.
    pub output_text_tokens: u64,
    /// Audio tokens made.
    pub output_audio_tokens: u64,
    /// Transcripts of the user's speech whose usage the server did not report. It is missing in the next two.
    pub transcriptions_unreported: u64,
    /// Tokens that transcription read and made. They are not in the tokens above.
    pub transcription_tokens: u64,
    /// Speech that was transcribed, if transcription is billed by time.
    pub transcribed: MediaTime,
}

impl UsageTotals {
    /// Adds a transcript of the user's speech.
    pub fn add_transcription(&mut self, usage: Option<&TranscriptionUsage>) {
        match usage {
            Some(TranscriptionUsage::Tokens(tokens)) if !tokens.total_tokens.is_absent() => {
                let tokens = tokens.total_tokens.unwrap_or(0);
                self.transcription_tokens = self.transcription_tokens.saturating_add(tokens);
            }
            Some(TranscriptionUsage::Duration(duration)) if duration.seconds.value().is_some() => {
                let seconds = duration.seconds.unwrap_or(0.0).clamp(0.0, 1e9);
                self.transcribed += MediaTime::from_micros((seconds * 1e6) as u64);
            }
            _ => self.transcriptions_unreported += 1,
        }
    }

    /// Adds a response. A response without usage is counted as unreported.
    pub fn add(&mut self, usage: Option<&Usage>) {
        let unreadable = |usage: &&Usage| {
            let is_put_aside =
                |name, value: &Field<u64>| usage.extra.get(name).is_some() && value.value().is_none();
            is_put_aside("input_tokens", &usage.input_tokens)
                || is_put_aside("output_tokens", &usage.output_tokens)
        };
        let Some(usage) = usage.filter(|usage| !unreadable(usage)) else {
            self.unreported += 1;
            return;
        };
        self.responses += 1;
        let add = |total: &mut u64, tokens: Field<u64>| {
            *total = total.saturating_add(tokens.unwrap_or(0));
        };
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        if let Some(input) = usage.input_token_details.value() {
            add(&mut self.input_text_tokens, input.text_tokens);
            add(&mut self.input_audio_tokens, input.audio_tokens);
            add(&mut self.input_image_tokens, input.image_tokens);
            add(&mut self.cached_tokens, input.cached_tokens);
            if let Some(cached) = input.cached_tokens_details.value() {
                add(&mut self.cached_text_tokens, cached.text_tokens);
                add(&mut self.cached_audio_tokens, cached.audio_tokens);
            }
        }
        if let Some(output) = usage.output_token_details.value() {
            add(&mut self.output_text_tokens, output.text_tokens);
            add(&mut self.output_audio_tokens, output.audio_tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_and_what_is_missing_is_counted() {
        let usage: Usage = serde_json::from_str(
            r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
            "input_token_details":{"text_tokens":119,"audio_tokens":13,"cached_tokens":64,
                "cached_tokens_details":{"text_tokens":64,"audio_tokens":0}},
            "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#,
        )
        .unwrap();
        let mut totals = UsageTotals::default();
        totals.add(Some(&usage));
        totals.add(Some(&usage));
        totals.add(None);
        totals.add(Some(&Usage::default()));
        assert_eq!((totals.responses, totals.unreported), (3, 1));
        assert_eq!(
            (totals.input_tokens, totals.cached_text_tokens, totals.output_audio_tokens),
            (264, 128, 182)
        );
    }
}
