//! Answers in XML. All that is not ours is escaped.

use realtime_protocol::audio::AudioFormat;

use super::{AnswerError, Document, StreamAnswer, StreamProof};
use crate::kind::CarrierKind;

pub(super) fn twilio(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::Twilio;
    match answer.format_or(AudioFormat::Pcmu) {
        AudioFormat::Pcmu => {}
        format => return Err(AnswerError::Format { kind, format }),
    }
    let mut stream = Element::new("Stream").attribute("url", &answer.url);
    if let Some(status) = &answer.status_url {
        stream = stream.attribute("statusCallback", status);
    }
    connect(kind, answer, stream)
}

pub(super) fn signalwire(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::SignalWire;
    let codec = match answer.format_or(AudioFormat::Pcmu) {
        AudioFormat::Pcmu => "PCMU@8000h",
        AudioFormat::Pcm16 { rate: 16_000 } => "L16@16000h",
        AudioFormat::Pcm16 { rate: 24_000 } => "L16@24000h",
        format => return Err(AnswerError::Format { kind, format }),
    };
    let mut stream = Element::new("Stream").attribute("url", &answer.url).attribute("codec", codec);
    if let Some(status) = &answer.status_url {
        stream = stream.attribute("statusCallback", status);
    }
    if let StreamProof::Token(token) = &answer.proof {
        stream = stream.attribute("authBearerToken", token.expose());
    }
    connect(kind, answer, stream)
}

pub(super) fn telnyx(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::Telnyx;
    let (input, output) = telnyx_formats(answer)?;
    let mut stream = Element::new("Stream").attribute("url", &answer.url);
    if answer.format.is_some() {
        stream = stream.attribute("codec", input);
    }
    stream = stream
        .attribute("bidirectionalMode", "rtp")
        .attribute("bidirectionalCodec", output.0)
        .attribute("bidirectionalSamplingRate", &output.1.to_string());
    if let Some(status) = &answer.status_url {
        stream = stream.attribute("statusCallback", status);
    }
    connect(kind, answer, stream)
}

/// Telnyx's names of both formats, with the rate of ours (Hz).
pub(crate) fn telnyx_formats(
    answer: &StreamAnswer,
) -> Result<(&'static str, (&'static str, u32)), AnswerError> {
    let kind = CarrierKind::Telnyx;
    let input = answer.format_or(AudioFormat::Pcmu);
    let output = answer.output.unwrap_or(input);
    let name = |format| match format {
        AudioFormat::Pcmu => Ok("PCMU"),
        AudioFormat::Pcma => Ok("PCMA"),
        AudioFormat::Pcm16 { rate: 8_000 | 16_000 | 22_050 | 24_000 | 48_000 } => Ok("L16"),
        format => Err(AnswerError::Format { kind, format }),
    };
    Ok((name(input)?, (name(output)?, output.sample_rate())))
}

pub(super) fn plivo(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::Plivo;
    let content_type = match answer.format_or(AudioFormat::Pcmu) {
        AudioFormat::Pcmu => "audio/x-mulaw;rate=8000",
        AudioFormat::Pcm16 { rate: 8_000 } => "audio/x-l16;rate=8000",
        AudioFormat::Pcm16 { rate: 16_000 } => "audio/x-l16;rate=16000",
        format => return Err(AnswerError::Format { kind, format }),
    };
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    answer.check_parameters(kind, |name, value| is_plain(name) && is_plain(value))?;
    let headers: Vec<String> =
        answer.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = headers.join(",");
    if headers.len() > 512 {
        let name = answer.parameters.keys().next_back().cloned().unwrap_or_default();
        return Err(AnswerError::Parameter { kind, name });
    }
    let mut stream =
        Element::new("Stream").attribute("bidirectional", "true").attribute("contentType", content_type);
    if !headers.is_empty() {
        stream = stream.attribute("extraHeaders", &headers);
    }
    if let Some(status) = &answer.status_url {
        stream = stream.attribute("statusCallbackUrl", status);
    }
    Ok(Document::xml(&Element::new("Response").child(&stream.text(&answer.url)).close()))
}

/// `<Response><Connect>` around a stream with parameters.
fn connect(kind: CarrierKind, answer: &StreamAnswer, mut stream: Element) -> Result<Document, AnswerError> {
    answer.check_parameters(kind, |name, value| !name.is_empty() && name.len() + value.len() <= 500)?;
    for (name, value) in &answer.parameters {
        let parameter = Element::new("Parameter").attribute("name", name).attribute("value", value).close();
        stream = stream.child(&parameter);
    }
    let connect = Element::new("Connect").child(&stream.close()).close();
    Ok(Document::xml(&Element::new("Response").child(&connect).close()))
}

/// An XML element that is being written.
pub(crate) struct Element {
    name: &'static str,
    text: String,
    has_content: bool,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, text: format!("<{name}"), has_content: false }
    }

    pub(crate) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape(value, &mut self.text);
        self.text.push('"');
        self
    }

    /// Adds an element that was closed.
    pub(crate) fn child(mut self, element: &str) -> Self {
        self.open();
        self.text.push_str(element);
        self
    }

    pub(crate) fn close(mut self) -> String {
        if self.has_content {
            self.text.push_str("</");
            self.text.push_str(self.name);
            self.text.push('>');
        } else {
            self.text.push_str("/>");
        }
        self.text
    }

    /// Closes it around a text.
    pub(crate) fn text(mut self, text: &str) -> String {
        self.open();
        escape(text, &mut self.text);
        self.close()
    }

    fn open(&mut self) {
        if !self.has_content {
            self.text.push('>');
            self.has_content = true;
        }
    }
}

/// Appends a text so that it stands for itself. What XML cannot have is replaced.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            other => out.push(other),
        }
    }
}
