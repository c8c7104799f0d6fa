//! What beta spells differently: the names of events, sessions and responses without nesting, and the model's
//! words and audio as plain `text` and `audio`. The translation works on JSON, member by member, so that
//! members unknown to both dialects pass through.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::dialect::{Dialect, Shape};
use crate::wire::object::{Object, array, elements};

/// Server events with another name in beta: `(beta name, GA name)`.
pub(crate) const SERVER_KINDS: &[(&str, &str)] = &[
    ("response.audio.delta", "response.output_audio.delta"),
    ("response.audio.done", "response.output_audio.done"),
    ("response.audio_transcript.delta", "response.output_audio_transcript.delta"),
    ("response.audio_transcript.done", "response.output_audio_transcript.done"),
    ("response.text.delta", "response.output_text.delta"),
    ("response.text.done", "response.output_text.done"),
    ("transcription_session.created", "session.created"),
    ("transcription_session.updated", "session.updated"),
];

/// The one client event with a name of its own.
pub(crate) const TRANSCRIPTION_UPDATE: &str = "transcription_session.update";

/// Members of a session that GA nests in `audio`: `(beta name, "input" or "output", GA name)`.
pub(crate) const SESSION_AUDIO: &[(&str, &str, &str)] = &[
    ("input_audio_format", "input", "format"),
    ("input_audio_transcription", "input", "transcription"),
    ("input_audio_noise_reduction", "input", "noise_reduction"),
    ("turn_detection", "input", "turn_detection"),
    ("output_audio_format", "output", "format"),
    ("voice", "output", "voice"),
    ("speed", "output", "speed"),
];

/// The same for a response.
pub(crate) const RESPONSE_AUDIO: &[(&str, &str, &str)] =
    &[("output_audio_format", "output", "format"), ("voice", "output", "voice")];

/// Names that a session has only in beta.
pub(crate) const SESSION_ONLY: &[&str] = &[
    "modalities",
    "input_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "output_audio_format",
    "voice",
    "speed",
    "max_response_output_tokens",
];

/// Names that a response or a request for one has only in beta.
pub(crate) const RESPONSE_ONLY: &[&str] =
    &["modalities", "output_audio_format", "voice", "max_response_output_tokens"];

/// Members that GA has no equivalent of.
pub(crate) const BETA_ONLY: &[&str] = &["temperature", "client_secret"];

/// Members of a session or a request that beta does not know and would refuse.
pub(crate) const GA_ONLY: &[&str] = &["truncation", "reasoning", "parallel_tool_calls"];

/// Audio formats: beta's word, then GA's object.
const FORMATS: &[(&str, &str)] = &[
    (r#""pcm16""#, r#"{"type":"audio/pcm","rate":24000}"#),
    (r#""g711_ulaw""#, r#"{"type":"audio/pcmu"}"#),
    (r#""g711_alaw""#, r#"{"type":"audio/pcma"}"#),
];

/// Content of the model's messages: beta's `type`, then GA's.
const CONTENT: &[(&str, &str)] = &[(r#""text""#, r#""output_text""#), (r#""audio""#, r#""output_audio""#)];

/// Translates an event's text, in any mixture of the two spellings, into GA's. `kind` is the `type` that
/// came, `ga_kind` GA's name for it. `None`: there is nothing to translate.
pub(crate) fn body_to_ga(kind: &str, ga_kind: &str, shape: Shape, text: &str) -> Option<String> {
    let mut event = Object::read(text)?;
    event.set("type", quoted(ga_kind));
    match shape {
        Shape::Plain => {}
        Shape::Session => {
            event.change("session", |session| {
                session_to_ga(session, kind.starts_with("transcription_session."))
            });
        }
        Shape::Params => event.change("response", |params| response_to_ga(params, "input")),
        Shape::Response => event.change("response", |response| response_to_ga(response, "output")),
        Shape::Item => event.change("item", |item| change_content(item, CONTENT.iter().copied())),
    }
    Some(event.write())
}

/// Translates an event's text from GA's spelling into beta's. `kind` is beta's name.
pub(crate) fn body_to_beta(kind: &str, shape: Shape, text: &str) -> Option<String> {
    let mut event = Object::read(text)?;
    event.set("type", quoted(kind));
    match shape {
        Shape::Plain => {}
        Shape::Session => event.change("session", session_to_beta),
        Shape::Params => event.change("response", |params| {
            drop_ga_only(params);
            // A response's own member keeps GA's name.
            params.rename("max_output_tokens", "max_response_output_tokens", |limit| limit);
            response_to_beta(params, "input");
        }),
        Shape::Response => {
            event.change("response", |response| response_to_beta(response, "output"));
        }
        Shape::Item => event.change("item", |item| change_content(item, swapped(CONTENT))),
    }
    Some(event.write())
}

/// Takes out members that GA does not have and would refuse.
pub(crate) fn strip_beta_only(shape: Shape, text: &str) -> Option<String> {
    let member = match shape {
        Shape::Plain | Shape::Item => return None,
        Shape::Session => "session",
        Shape::Params | Shape::Response => "response",
    };
    let mut event = Object::read(text)?;
    event.change(member, drop_beta_only);
    Some(event.write())
}

/// Translates a session outside of an event into GA's spelling.
pub(crate) fn bare_session_to_ga(text: &str) -> Option<String> {
    let mut session = Object::read(text)?;
    session_to_ga(&mut session, false);
    Some(session.write())
}

/// Translates a session outside of an event from GA's spelling into that of `dialect`.
pub(crate) fn bare_session_in(dialect: Dialect, text: &str) -> Option<String> {
    let mut session = Object::read(text)?;
    match dialect {
        Dialect::Ga => drop_beta_only(&mut session),
        Dialect::Beta => session_to_beta(&mut session),
    }
    Some(session.write())
}

fn drop_beta_only(object: &mut Object) {
    object.0.retain(|(name, _)| !BETA_ONLY.contains(&name.as_str()));
}

/// GA's path for the member of a session that beta calls `path`.
pub(crate) fn ga_path(path: &str) -> &str {
    match path {
        "modalities" => "output_modalities",
        "max_response_output_tokens" => "max_output_tokens",
        "input_audio_format" => "audio.input.format",
        "input_audio_transcription" => "audio.input.transcription",
        "input_audio_noise_reduction" => "audio.input.noise_reduction",
        "turn_detection" => "audio.input.turn_detection",
        "output_audio_format" => "audio.output.format",
        "voice" => "audio.output.voice",
        "speed" => "audio.output.speed",
        _ => path,
    }
}

fn session_to_ga(session: &mut Object, is_transcription: bool) {
    let object = session.get("object");
    let is_transcription =
        is_transcription || object.is_some_and(|object| object == r#""realtime.transcription_session""#);
    session.set_default("type", || quoted(if is_transcription { "transcription" } else { "realtime" }));
    session.rename("modalities", "output_modalities", one_modality);
    session.rename("max_response_output_tokens", "max_output_tokens", |limit| limit);
    nest(session, SESSION_AUDIO);
}

fn session_to_beta(session: &mut Object) {
    drop_ga_only(session);
    session.take("type");
    session.rename("output_modalities", "modalities", both_modalities);
    session.rename("max_output_tokens", "max_response_output_tokens", |limit| limit);
    flatten(session, SESSION_AUDIO);
    let mut detection = session.get("turn_detection").and_then(Object::read);
    if let Some(detection) = &mut detection
        && detection.take("idle_timeout_ms").is_some()
    {
        session.set("turn_detection", detection.write());
    }
}

fn response_to_ga(response: &mut Object, items: &str) {
    response.rename("modalities", "output_modalities", one_modality);
    response.rename("max_response_output_tokens", "max_output_tokens", |limit| limit);
    nest(response, RESPONSE_AUDIO);
    response.change_elements(items, |item| change_content(item, CONTENT.iter().copied()));
}

fn response_to_beta(response: &mut Object, items: &str) {
    response.rename("output_modalities", "modalities", both_modalities);
    flatten(response, RESPONSE_AUDIO);
    response.change_elements(items, |item| change_content(item, swapped(CONTENT)));
}

/// Drops what beta does not know and would refuse: whole members, MCP tools, and a `tool_choice` of an MCP
/// tool.
fn drop_ga_only(object: &mut Object) {
    object.0.retain(|(name, _)| !GA_ONLY.contains(&name.as_str()));
    let is_mcp = |text: &str| Object::read(text).is_some_and(|tool| tool.get("type") == Some(r#""mcp""#));
    if let Some(tools) = object.get("tools")
        && let Some(mut elements) = elements(tools)
        && elements.iter().any(|tool| is_mcp(tool))
    {
        elements.retain(|tool| !is_mcp(tool));
        object.set("tools", array(&elements));
    }
    if object.get("tool_choice").is_some_and(is_mcp) {
        object.take("tool_choice");
    }
}

/// Moves flat members to their places within `audio`. Members that are nested already stay.
fn nest(object: &mut Object, places: &[(&str, &str, &str)]) {
    if !places.iter().any(|(flat, ..)| object.get(flat).is_some()) {
        return;
    }
    let Some(mut audio) = Object::read(object.get("audio").unwrap_or("{}")) else { return };
    for (flat, half, name) in places {
        let Some(mut inner) = Object::read(audio.get(half).unwrap_or("{}")) else { continue };
        if inner.get(name).is_some() {
            continue;
        }
        let Some(value) = object.take(flat) else { continue };
        inner.set(name, if *name == "format" { replaced(value, FORMATS.iter().copied()) } else { value });
        audio.set(half, inner.write());
    }
    if !audio.0.is_empty() {
        object.set("audio", audio.write());
    }
}

/// Moves the members of `audio` to the top.
fn flatten(object: &mut Object, places: &[(&str, &str, &str)]) {
    let Some(mut audio) = object.get("audio").and_then(Object::read) else { return };
    object.take("audio");
    for (flat, half, name) in places {
        audio.change(half, |inner| {
            if let Some(value) = inner.take(name) {
                object.set(flat, if *name == "format" { format_word(value) } else { value });
            }
        });
    }
}

/// Beta's word for a format. Beta has no rates: 16-bit samples are `pcm16` at any.
fn format_word(format: String) -> String {
    let Some(object) = Object::read(&format) else { return format };
    match object.get("type") {
        Some(r#""audio/pcm""#) => r#""pcm16""#.into(),
        Some(r#""audio/pcmu""#) => r#""g711_ulaw""#.into(),
        Some(r#""audio/pcma""#) => r#""g711_alaw""#.into(),
        _ => format,
    }
}

/// GA has one modality, and audio comes with its transcript.
fn one_modality(modalities: String) -> String {
    let has_audio = elements(&modalities).is_some_and(|all| all.iter().any(|one| one == r#""audio""#));
    if has_audio { r#"["audio"]"#.into() } else { modalities }
}

/// Beta has audio only together with text; some servers refuse it alone.
fn both_modalities(modalities: String) -> String {
    let is_audio = elements(&modalities).is_some_and(|all| all == [r#""audio""#]);
    if is_audio { r#"["text","audio"]"#.into() } else { modalities }
}

/// Changes the `type` of the parts of a model's message.
fn change_content<'a>(item: &mut Object, kinds: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    if item.get("role") == Some(r#""assistant""#) {
        item.change_elements("content", |part| {
            if let Some(kind) = part.get("type") {
                let kind = replaced(kind.to_owned(), kinds.clone());
                part.set("type", kind);
            }
        });
    }
}

fn swapped<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
    pairs.iter().map(|(a, b)| (*b, *a))
}

fn replaced<'a>(value: String, mut pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    match pairs.find(|(from, _)| *from == value) {
        Some((_, to)) => to.into(),
        None => value,
    }
}

fn quoted(word: &str) -> String {
    ["\"", word, "\""].concat()
}
