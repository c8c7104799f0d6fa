//! Answers in JSON.

use std::collections::BTreeMap;

use realtime_protocol::audio::AudioFormat;
use serde::Serialize;
use serde_json::{Value, json};

use super::{AnswerError, Document, StreamAnswer, StreamProof};
use crate::kind::CarrierKind;

pub(super) fn vonage(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    Ok(document(&json!([vonage_connect(answer)?])))
}

/// The action of an NCCO that connects a call to us.
pub(crate) fn vonage_connect(answer: &StreamAnswer) -> Result<Value, AnswerError> {
    let kind = CarrierKind::Vonage;
    let rate = match answer.format_or(AudioFormat::Pcm16 { rate: 16_000 }) {
        AudioFormat::Pcm16 { rate: rate @ (8_000 | 16_000 | 24_000) } => rate,
        format => return Err(AnswerError::Format { kind, format }),
    };
    // They stand beside these in the first message.
    answer.check_parameters(kind, |name, _| !matches!(name, "" | "event" | "content-type"))?;
    if json_of(&answer.parameters).len() > 512 {
        let name = answer.parameters.keys().next_back().cloned().unwrap_or_default();
        return Err(AnswerError::Parameter { kind, name });
    }
    let mut endpoint = json!({
        "type": "websocket",
        "uri": answer.url,
        "content-type": format!("audio/l16;rate={rate}"),
        "headers": answer.parameters,
    });
    if matches!(answer.proof, StreamProof::Signed) {
        endpoint["authorization"] = json!({"type": "vonage"});
    }
    let mut connect = json!({"action": "connect", "endpoint": [endpoint]});
    if let Some(status) = &answer.status_url {
        connect["eventUrl"] = json!([status]);
    }
    Ok(connect)
}

/// An applet asks for the address: the parameters stand in its query, and at most three do.
pub(super) fn exotel(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::Exotel;
    let rate = match answer.format_or(AudioFormat::Pcm16 { rate: 8_000 }) {
        AudioFormat::Pcm16 { rate: rate @ (8_000 | 16_000 | 24_000) } => rate,
        format => return Err(AnswerError::Format { kind, format }),
    };
    let mut query = format!("sample-rate={rate}");
    for (index, (name, value)) in answer.parameters.iter().enumerate() {
        query.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        if index >= 3 || query.len() > 256 || name.is_empty() {
            return Err(AnswerError::Parameter { kind, name: name.clone() });
        }
    }
    let separator = if answer.url.contains('?') { '&' } else { '?' };
    Ok(document(&json!({"url": format!("{}{separator}{query}", answer.url)})))
}

pub(super) fn jambonz(answer: &StreamAnswer) -> Result<Document, AnswerError> {
    let kind = CarrierKind::Jambonz;
    let input = answer.format_or(AudioFormat::Pcm16 { rate: 8_000 });
    let rate = |format| match format {
        AudioFormat::Pcm16 { rate: rate @ (8_000 | 16_000 | 24_000 | 48_000 | 64_000) } => Ok(rate),
        format => Err(AnswerError::Format { kind, format }),
    };
    let mut listen = json!({
        "verb": "listen",
        "url": answer.url,
        "mixType": "mono",
        "sampleRate": rate(input)?,
        "passDtmf": true,
        "bidirectionalAudio": {
            "enabled": true,
            "streaming": true,
            "sampleRate": rate(answer.output.unwrap_or(input))?,
        },
        "metadata": answer.parameters,
    });
    if let StreamProof::Basic { user, password } = &answer.proof {
        listen["wsAuth"] = json!({"username": user, "password": password.expose()});
    }
    if let Some(status) = &answer.status_url {
        listen["actionHook"] = json!(status);
    }
    Ok(document(&json!([listen])))
}

fn document(value: &Value) -> Document {
    Document::json(value.to_string())
}

fn json_of(parameters: &BTreeMap<String, String>) -> String {
    fn text(value: impl Serialize) -> String {
        // No map of strings fails to be written.
        serde_json::to_string(&value).unwrap_or_default()
    }
    text(parameters)
}

/// A part of a query or of a form.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
