//! Content parts: the pieces of a message.
//!
//! Items say `input_*` and `output_*`; the events about parts (`response.content_part.*`) say `text` and
//! `audio`, as beta items do.

use alloc::string::String;

use crate::audio::{Audio, WireFormat};
use crate::field::Field;
use crate::wire::{open_enum, wire_enum, wire_struct};

wire_struct! {
    /// Text that the client wrote.
    pub (tagged) struct InputText {
        /// The text.
        text: Field<String>,
        /// In a prompt's variable: where the prompt's cache ends.
        prompt_cache_breakpoint: Field<PromptCacheBreakpoint>,
    }

    /// Audio that the user spoke.
    pub (tagged) struct InputAudio {
        /// The audio in the session's input format; only in a retrieved item.
        audio: Field<Audio>,
        /// What was said, `null` until it is transcribed.
        transcript: Field<String>,
        /// The format of `audio`.
        format: Field<WireFormat>,
    }

    /// An image that the client sent.
    pub (tagged) struct InputImage {
        /// A data URI of PNG or JPEG.
        image_url: Field<String>,
        /// In a prompt's variable: an uploaded file in place of the image itself.
        file_id: Field<String>,
        /// How closely the model looks.
        detail: Field<ImageDetail>,
        /// In a prompt's variable: where the prompt's cache ends.
        prompt_cache_breakpoint: Field<PromptCacheBreakpoint>,
    }

    /// A file; only in a prompt's variable.
    pub (tagged) struct InputFile {
        /// An uploaded file.
        file_id: Field<String>,
        /// The file's name.
        filename: Field<String>,
        /// The file itself, base64.
        file_data: Field<String>,
        /// Where the file is.
        file_url: Field<String>,
        /// How closely the model looks at its pages.
        detail: Field<ImageDetail>,
        /// Where the prompt's cache ends.
        prompt_cache_breakpoint: Field<PromptCacheBreakpoint>,
    }

    /// Where a prompt's cache ends.
    pub struct PromptCacheBreakpoint {
        /// Always `explicit`.
        mode: Field<String>,
    }

    /// Text that the model wrote.
    pub (tagged) struct OutputText {
        /// The text.
        text: Field<String>,
    }

    /// Audio that the model spoke.
    pub (tagged) struct OutputAudio {
        /// The audio in the session's output format; only in a retrieved item.
        audio: Field<Audio>,
        /// What is said.
        transcript: Field<String>,
        /// The format of `audio`.
        format: Field<WireFormat>,
    }

    /// Text, in part events and beta items.
    pub (tagged) struct TextPart {
        /// The text.
        text: Field<String>,
    }

    /// Audio, in part events and beta items.
    pub (tagged) struct AudioPart {
        /// The audio in the session's output format; only in a retrieved item.
        audio: Field<Audio>,
        /// What is said.
        transcript: Field<String>,
        /// The format of `audio`.
        format: Field<WireFormat>,
    }
}

wire_enum! {
    /// One piece of a message, addressed by item and `content_index`.
    pub enum ContentPart {
        /// Text that the client wrote.
        InputText(InputText) = "input_text",
        /// Audio that the user spoke.
        InputAudio(InputAudio) = "input_audio",
        /// An image that the client sent.
        InputImage(InputImage) = "input_image",
        /// Text that the model wrote.
        OutputText(OutputText) = "output_text",
        /// Audio that the model spoke.
        OutputAudio(OutputAudio) = "output_audio",
        /// Text, in part events and beta items.
        Text(TextPart) = "text",
        /// Audio, in part events and beta items.
        Audio(AudioPart) = "audio",
    }
}

wire_enum! {
    /// What a prompt's variable may hold besides plain text.
    pub enum PromptContent {
        /// Text.
        Text(InputText) = "input_text",
        /// An image.
        Image(InputImage) = "input_image",
        /// A file.
        File(InputFile) = "input_file",
    }
}

impl ContentPart {
    /// The part's words: its text, or its transcript.
    pub fn words(&self) -> Option<&str> {
        let words = match self {
            Self::InputText(part) => part.text.value(),
            Self::InputAudio(part) => part.transcript.value(),
            Self::OutputText(part) => part.text.value(),
            Self::OutputAudio(part) => part.transcript.value(),
            Self::Text(part) => part.text.value(),
            Self::Audio(part) => part.transcript.value(),
            Self::InputImage(_) | Self::Unknown(_) => None,
        };
        words.map(String::as_str)
    }

    /// Returns whether the part is audio.
    pub const fn is_audio(&self) -> bool {
        matches!(self, Self::InputAudio(_) | Self::OutputAudio(_) | Self::Audio(_))
    }
}

open_enum! {
    /// How closely the model looks at an image.
    pub enum ImageDetail {
        /// The server decides.
        Auto = "auto",
        /// Coarse and cheap.
        Low = "low",
        /// Fine.
        High = "high",
        /// As the image is; only in a prompt's variable.
        Original = "original",
    }
}
