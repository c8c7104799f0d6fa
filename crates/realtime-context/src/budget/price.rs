//! A price table, and what usage costs by it.

use realtime_protocol::field::Field;
use realtime_protocol::usage::{TranscriptionUsage, Usage};
use serde::{Deserialize, Serialize};

/// What a million tokens cost, and a minute of transcription, in any currency. The user gives it: prices
/// change.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "a table: built with `..Default::default()`")]
pub struct Prices {
    /// Text that is read.
    pub input_text: f64,
    /// Audio that is read.
    pub input_audio: f64,
    /// Images that are read.
    pub input_image: f64,
    /// Text that is read from the cache.
    pub cached_text: f64,
    /// Audio that is read from the cache.
    pub cached_audio: f64,
    /// Images that are read from the cache.
    pub cached_image: f64,
    /// Text that is made.
    pub output_text: f64,
    /// Audio that is made.
    pub output_audio: f64,
    /// Text that the model reads which transcribes the user's speech: its prompt.
    pub transcription_text: f64,
    /// Audio that the model reads which transcribes the user's speech.
    pub transcription_audio: f64,
    /// Text that the model makes which transcribes the user's speech.
    pub transcription_output: f64,
    /// A minute of the user's speech, if its transcription is billed by time.
    pub transcription_minute: f64,
}

/// What something cost, in the currency of the prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Text that was read, not from the cache.
    pub input_text: f64,
    /// Audio that was read, not from the cache.
    pub input_audio: f64,
    /// Images that were read, not from the cache.
    pub input_image: f64,
    /// Text that was read from the cache.
    pub cached_text: f64,
    /// Audio that was read from the cache.
    pub cached_audio: f64,
    /// Images that were read from the cache.
    pub cached_image: f64,
    /// Text that was made.
    pub output_text: f64,
    /// Audio that was made.
    pub output_audio: f64,
    /// Transcripts of the user's speech.
    pub transcription: f64,
}

impl Cost {
    /// All together.
    pub fn total(&self) -> f64 {
        self.input_text
            + self.input_audio
            + self.input_image
            + self.cached_text
            + self.cached_audio
            + self.cached_image
            + self.output_text
            + self.output_audio
            + self.transcription
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.input_text += other.input_text;
        self.input_audio += other.input_audio;
        self.input_image += other.input_image;
        self.cached_text += other.cached_text;
        self.cached_audio += other.cached_audio;
        self.cached_image += other.cached_image;
        self.output_text += other.output_text;
        self.output_audio += other.output_audio;
        self.transcription += other.transcription;
    }
}

impl Prices {
    /// What a response cost. Tokens that the server does not tell by kind count as text.
    ///
    /// ```
    /// use realtime_context::budget::Prices;
    ///
    /// let prices = Prices { input_text: 4.0, cached_text: 0.4, output_audio: 64.0, ..Prices::default() };
    /// let usage = serde_json::from_str(r#"{"input_tokens": 1000, "output_tokens": 500,
    ///     "input_token_details": {"text_tokens": 1000, "cached_tokens": 400,
    ///         "cached_tokens_details": {"text_tokens": 400}},
    ///     "output_token_details": {"audio_tokens": 500}}"#)?;
    /// let cost = prices.cost(&usage);
    /// assert!((cost.input_text - 0.0024).abs() < 1e-9 && (cost.cached_text - 0.00016).abs() < 1e-9);
    /// assert!((cost.total() - 0.03456).abs() < 1e-9);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn cost(&self, usage: &Usage) -> Cost {
        let input = usage.input_token_details.value().cloned().unwrap_or_default();
        let output = usage.output_token_details.value().cloned().unwrap_or_default();
        let cached = input.cached_tokens_details.value().cloned().unwrap_or_default();
        let (audio, image) = (input.audio_tokens.unwrap_or(0), input.image_tokens.unwrap_or(0));
        let all = usage.input_tokens.unwrap_or(0);
        let text = or_rest(&input.text_tokens, all, audio + image);
        let (cached_audio, cached_image) =
            (cached.audio_tokens.unwrap_or(0), cached.image_tokens.unwrap_or(0));
        let all_cached = input.cached_tokens.unwrap_or(0);
        let cached_text = or_rest(&cached.text_tokens, all_cached, cached_audio + cached_image);
        let made_audio = output.audio_tokens.unwrap_or(0);
        let made_text = or_rest(&output.text_tokens, usage.output_tokens.unwrap_or(0), made_audio);
        Cost {
            input_text: price(text.saturating_sub(cached_text), self.input_text),
            input_audio: price(audio.saturating_sub(cached_audio), self.input_audio),
            input_image: price(image.saturating_sub(cached_image), self.input_image),
            cached_text: price(cached_text, self.cached_text),
            cached_audio: price(cached_audio, self.cached_audio),
            cached_image: price(cached_image, self.cached_image),
            output_text: price(made_text, self.output_text),
            output_audio: price(made_audio, self.output_audio),
            transcription: 0.0,
        }
    }

    /// What a transcript of the user's speech cost. Tokens that the server does not tell by kind count as
    /// audio: the prompt is short.
    ///
    /// ```
    /// use realtime_context::budget::Prices;
    ///
    /// let prices = Prices { transcription_minute: 0.006, ..Prices::default() };
    /// let usage = serde_json::from_str(r#"{"type": "duration", "seconds": 30}"#)?;
    /// assert!((prices.transcription_cost(&usage).transcription - 0.003).abs() < 1e-9);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn transcription_cost(&self, usage: &TranscriptionUsage) -> Cost {
        let transcription = match usage {
            TranscriptionUsage::Tokens(tokens) => {
                let input = tokens.input_token_details.value().cloned().unwrap_or_default();
                let text = input.text_tokens.unwrap_or(0);
                let audio = or_rest(&input.audio_tokens, tokens.input_tokens.unwrap_or(0), text);
                price(text, self.transcription_text)
                    + price(audio, self.transcription_audio)
                    + price(tokens.output_tokens.unwrap_or(0), self.transcription_output)
            }
            TranscriptionUsage::Duration(duration) => {
                duration.seconds.unwrap_or(0.0).max(0.0) / 60.0 * self.transcription_minute
            }
            _ => 0.0,
        };
        Cost { transcription, ..Cost::default() }
    }
}

fn price(tokens: u64, price: f64) -> f64 {
    tokens as f64 * price / 1e6
}

/// The tokens of a kind, or what the other kinds leave of all.
fn or_rest(tokens: &Field<u64>, all: u64, others: u64) -> u64 {
    tokens.value().copied().unwrap_or_else(|| all.saturating_sub(others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        Prices {
            input_text: 1e6,
            input_audio: 10e6,
            input_image: 100e6,
            cached_text: 1e5,
            cached_audio: 2e5,
            cached_image: 3e5,
            output_text: 2e6,
            output_audio: 20e6,
            transcription_text: 3e6,
            transcription_audio: 30e6,
            transcription_output: 300e6,
            transcription_minute: 6.0,
        }
    }

    fn cost(usage: &str) -> Cost {
        prices().cost(&serde_json::from_str(usage).unwrap())
    }

    #[test]
    fn each_modality_has_its_price_and_what_is_cached_another() {
        let cost = cost(
            r#"{"input_tokens": 60, "output_tokens": 9,
                "input_token_details": {"text_tokens": 30, "audio_tokens": 20, "image_tokens": 10, "cached_tokens": 6,
                    "cached_tokens_details": {"text_tokens": 3, "audio_tokens": 2, "image_tokens": 1}},
                "output_token_details": {"text_tokens": 4, "audio_tokens": 5}}"#,
        );
        let expected = Cost {
            input_text: 27.0,
            input_audio: 180.0,
            input_image: 900.0,
            cached_text: 0.3,
            cached_audio: 0.4,
            cached_image: 0.3,
            output_text: 8.0,
            output_audio: 100.0,
            transcription: 0.0,
        };
        let differs =
            (cost.total() - expected.total()).abs() > 1e-6 || (cost.cached_audio - 0.4).abs() > 1e-9;
        assert!(!differs, "{cost:?}");
    }

    #[test]
    fn tokens_of_no_kind_count_as_text() {
        assert!((cost(r#"{"input_tokens": 5, "output_tokens": 3}"#).total() - 11.0).abs() < 1e-6);
        assert_eq!(cost("{}"), Cost::default());
    }

    #[test]
    fn transcripts_are_billed_by_tokens_or_by_time() {
        let cost = |usage: &str| prices().transcription_cost(&serde_json::from_str(usage).unwrap());
        for (usage, expected) in [
            (
                r#"{"type": "tokens", "input_tokens": 7, "output_tokens": 2,
                    "input_token_details": {"text_tokens": 4, "audio_tokens": 3}}"#,
                12.0 + 90.0 + 600.0,
            ),
            (r#"{"type": "tokens", "input_tokens": 7, "output_tokens": 2, "total_tokens": 9}"#, 810.0),
            (r#"{"type": "duration", "seconds": 90}"#, 9.0),
            (r#"{"type": "duration", "seconds": -90}"#, 0.0),
            (r#"{"type": "duration"}"#, 0.0),
            (r#"{"type": "words", "words": 5}"#, 0.0),
        ] {
            let cost = cost(usage);
            assert!((cost.total() - expected).abs() < 1e-9, "{usage}: {cost:?}");
            assert!((cost.total() - cost.transcription).abs() < 1e-9);
        }
    }
}
