//! What a `session.update` and the parameters of a `response.create` may hold.

use realtime_protocol::audio::WireFormat;
use realtime_protocol::field::Field;
use realtime_protocol::response::{ResponseConversation, ResponseParams};
use realtime_protocol::session_config::{
    AudioInput, AudioOutput, Eagerness, MaxOutputTokens, Modality, NoiseReductionKind, SessionConfig,
    SessionKind, Truncation, TruncationMode, TruncationRule, TurnDetection, Voice,
};
use realtime_protocol::tool::{SpecificTool, Tool, ToolChoice, ToolMode};

use crate::connection::client_event::required;
use crate::connection::context;
use crate::connection::fault::{Fault, no_unknown};
use crate::connection::session::Session;

/// Finds the first reason to refuse an update of a session.
pub(crate) fn check(update: &SessionConfig, session: &Session) -> Result<(), Fault> {
    let current = session.config();
    match required(&update.kind, "session.type")? {
        kind if current.kind.value() == Some(kind) => {}
        SessionKind::Realtime => {
            let message =
                "Passing a realtime session update event to a transcription session is not allowed.";
            return Err(Fault::invalid_value("session.type", message));
        }
        SessionKind::Transcription => {
            let message =
                "Passing a transcription session update event to a realtime session is not allowed.";
            return Err(Fault::invalid_value("session.type", message));
        }
        other => {
            return Err(Fault::unsupported("session.type", other.as_str(), &["realtime", "transcription"]));
        }
    }
    no_unknown(&update.extra, "session")?;
    let server_side = [
        ("session.id", update.id.is_absent()),
        ("session.object", update.object.is_absent()),
        ("session.expires_at", update.expires_at.is_absent()),
    ];
    if let Some((param, _)) = server_side.into_iter().find(|(_, absent)| !absent) {
        return Err(Fault::unknown(param));
    }
    if update.kind.value() == Some(&SessionKind::Transcription) {
        no_realtime_members(update)?;
    }
    if update.model.value().is_some_and(|model| current.model.value() != Some(model)) {
        return Err(Fault::invalid_value("session.model", "The model of a session cannot be changed."));
    }
    if current.tracing.value().is_some() && !update.tracing.is_absent() && update.tracing != current.tracing {
        return Err(Fault::invalid_value("session.tracing", "Tracing cannot be changed once it is on."));
    }
    if update.reasoning.value().is_some() && !reasons(current.model.value().map_or("", String::as_str)) {
        return Err(Fault::invalid_value("session.reasoning", "This model does not support reasoning."));
    }
    within(&update.temperature, 0.6..=1.2, "session.temperature")?;
    modalities(&update.output_modalities, "session")?;
    tools(&update.tools, "session")?;
    tool_choice(&update.tool_choice, "session")?;
    max_output_tokens(&update.max_output_tokens, "session")?;
    truncation(&update.truncation, session.most_read())?;
    let Some(audio) = update.audio.value() else { return Ok(()) };
    no_unknown(&audio.extra, "session.audio")?;
    if let Some(input) = audio.input.value() {
        check_input(input)?;
    }
    if let Some(output) = audio.output.value() {
        check_output(output)?;
        voice_is_free(&output.voice, current, session.spoken)?;
    }
    Ok(())
}

/// Refuses what a transcription session does not have.
fn no_realtime_members(update: &SessionConfig) -> Result<(), Fault> {
    let has_output = update.audio.value().is_some_and(|audio| !audio.output.is_absent());
    let members = [
        ("session.model", !update.model.is_absent()),
        ("session.output_modalities", !update.output_modalities.is_absent()),
        ("session.instructions", !update.instructions.is_absent()),
        ("session.tools", !update.tools.is_absent()),
        ("session.tool_choice", !update.tool_choice.is_absent()),
        ("session.max_output_tokens", !update.max_output_tokens.is_absent()),
        ("session.truncation", !update.truncation.is_absent()),
        ("session.audio.output", has_output),
    ];
    match members.into_iter().find(|(_, given)| *given) {
        Some((param, _)) => Err(Fault::unknown(param)),
        None => Ok(()),
    }
}

/// Finds the first reason to refuse the parameters of a response.
pub(crate) fn check_response(
    params: &ResponseParams,
    current: &SessionConfig,
    spoken: bool,
) -> Result<(), Fault> {
    no_unknown(&params.extra, "response")?;
    within(&params.temperature, 0.6..=1.2, "response.temperature")?;
    modalities(&params.output_modalities, "response")?;
    tools(&params.tools, "response")?;
    tool_choice(&params.tool_choice, "response")?;
    max_output_tokens(&params.max_output_tokens, "response")?;
    if let Some(ResponseConversation::Other(other)) = params.conversation.value() {
        return Err(Fault::unsupported("response.conversation", other, &["auto", "none"]));
    }
    if let Some(metadata) = params.metadata.value() {
        if metadata.len() > 16 {
            let message =
                format!("Expected an object with at most 16 properties, but got {}.", metadata.len());
            return Err(Fault::new("object_above_max_properties", message).param("response.metadata"));
        }
        for (key, value) in metadata {
            for (text, most) in [(key, 64), (value, 512)] {
                if text.chars().count() > most {
                    return Err(Fault::too_long("response.metadata", most, text.chars().count()));
                }
            }
        }
    }
    let Some(audio) = params.audio.value() else { return Ok(()) };
    no_unknown(&audio.extra, "response.audio")?;
    if let Some(output) = audio.output.value() {
        no_unknown(&output.extra, "response.audio.output")?;
        format(&output.format, "response.audio.output.format")?;
        voice_is_free(&output.voice, current, spoken)?;
    }
    Ok(())
}

fn check_input(input: &AudioInput) -> Result<(), Fault> {
    no_unknown(&input.extra, "session.audio.input")?;
    format(&input.format, "session.audio.input.format")?;
    if let Some(transcription) = input.transcription.value() {
        no_unknown(&transcription.extra, "session.audio.input.transcription")?;
    }
    if let Some(reduction) = input.noise_reduction.value() {
        no_unknown(&reduction.extra, "session.audio.input.noise_reduction")?;
        if let NoiseReductionKind::Other(other) =
            required(&reduction.kind, "session.audio.input.noise_reduction.type")?
        {
            let supported = ["near_field", "far_field"];
            return Err(Fault::unsupported("session.audio.input.noise_reduction.type", other, &supported));
        }
    }
    let path = "session.audio.input.turn_detection";
    match input.turn_detection.value() {
        None => Ok(()),
        Some(TurnDetection::ServerVad(vad)) => {
            no_unknown(&vad.extra, path)?;
            within(&vad.threshold, 0.0..=1.0, &format!("{path}.threshold"))?;
            let idle = vad.idle_timeout_ms.value().map_or(Field::Absent, |ms| Field::Value(f64::from(*ms)));
            within(&idle, 5000.0..=30_000.0, &format!("{path}.idle_timeout_ms"))
        }
        Some(TurnDetection::SemanticVad(vad)) => {
            no_unknown(&vad.extra, path)?;
            match vad.eagerness.value() {
                Some(Eagerness::Other(other)) => Err(Fault::unsupported(
                    format!("{path}.eagerness"),
                    other,
                    &["low", "medium", "high", "auto"],
                )),
                _ => Ok(()),
            }
        }
        Some(other) => Err(wrong_kind(path, &other.kind(), &["server_vad", "semantic_vad"])),
    }
}

fn check_output(output: &AudioOutput) -> Result<(), Fault> {
    no_unknown(&output.extra, "session.audio.output")?;
    format(&output.format, "session.audio.output.format")?;
    within(&output.speed, 0.25..=1.5, "session.audio.output.speed")
}

fn voice_is_free(voice: &Field<Voice>, current: &SessionConfig, spoken: bool) -> Result<(), Fault> {
    let name = |voice: &Voice| match voice {
        Voice::Named(name) => Some(name.clone()),
        Voice::Custom(custom) => custom.id.value().cloned(),
    };
    let Some(new) = voice.value() else { return Ok(()) };
    let old = current.output().and_then(|output| output.voice.value());
    if spoken && old.and_then(name) != name(new) {
        let message = "Cannot update a conversation's voice if assistant audio is present.";
        return Err(Fault::new("cannot_update_voice", message));
    }
    Ok(())
}

fn format(format: &Field<WireFormat>, path: &str) -> Result<(), Fault> {
    match format.value() {
        Some(WireFormat::Pcm(pcm)) => {
            no_unknown(&pcm.extra, path)?;
            match pcm.rate.unwrap_or(24_000) {
                24_000 => Ok(()),
                rate => {
                    let bound = if rate < 24_000 {
                        ("integer_below_min_value", ">=")
                    } else {
                        ("integer_above_max_value", "<=")
                    };
                    let message = format!(
                        "Invalid '{path}.rate': Expected a value {} 24000, but got {rate} instead.",
                        bound.1
                    );
                    Err(Fault::new(bound.0, message).param(format!("{path}.rate")))
                }
            }
        }
        Some(WireFormat::Pcmu(format)) => no_unknown(&format.extra, path),
        Some(WireFormat::Pcma(format)) => no_unknown(&format.extra, path),
        Some(other) => Err(wrong_kind(path, &other.kind(), &["audio/pcm", "audio/pcmu", "audio/pcma"])),
        None => Ok(()),
    }
}

fn modalities(modalities: &Field<Vec<Modality>>, path: &str) -> Result<(), Fault> {
    match modalities.value().map(Vec::as_slice) {
        None | Some([Modality::Audio | Modality::Text]) => Ok(()),
        Some(other) => {
            let words: Vec<_> = other.iter().map(|modality| format!("'{modality}'")).collect();
            let message = format!(
                "Invalid modalities: [{}]. Supported combinations are: ['text'] and ['audio'].",
                words.join(", ")
            );
            Err(Fault::invalid_value(format!("{path}.output_modalities"), message))
        }
    }
}

fn tools(tools: &Field<Vec<Tool>>, path: &str) -> Result<(), Fault> {
    for (index, tool) in tools.value().into_iter().flatten().enumerate() {
        let path = format!("{path}.tools[{index}]");
        match tool {
            Tool::Function(function) => {
                no_unknown(&function.extra, &path)?;
                required(&function.name, &format!("{path}.name"))?;
            }
            Tool::Mcp(mcp) => {
                no_unknown(&mcp.extra, &path)?;
                required(&mcp.server_label, &format!("{path}.server_label"))?;
            }
            other => return Err(wrong_kind(&path, &other.kind(), &["function", "mcp"])),
        }
    }
    Ok(())
}

fn tool_choice(choice: &Field<ToolChoice>, path: &str) -> Result<(), Fault> {
    let path = format!("{path}.tool_choice");
    match choice.value() {
        Some(ToolChoice::Mode(ToolMode::Other(other))) => {
            Err(Fault::unsupported(path, other, &["none", "auto", "required"]))
        }
        Some(ToolChoice::Tool(SpecificTool::Function(function))) => {
            required(&function.name, &format!("{path}.name")).map(|_| ())
        }
        Some(ToolChoice::Tool(SpecificTool::Unknown(_))) => {
            Err(Fault::invalid_value(path, "Expected a function or an MCP tool."))
        }
        _ => Ok(()),
    }
}

fn max_output_tokens(most: &Field<MaxOutputTokens>, path: &str) -> Result<(), Fault> {
    match most.value() {
        Some(MaxOutputTokens::Limit(limit)) => {
            within(&Field::Value(f64::from(*limit)), 1.0..=4096.0, &format!("{path}.max_output_tokens"))
        }
        _ => Ok(()),
    }
}

fn truncation(truncation: &Field<Truncation>, most_read: u64) -> Result<(), Fault> {
    let path = "session.truncation";
    match truncation.value() {
        Some(Truncation::Mode(TruncationMode::Other(other))) => {
            Err(Fault::unsupported(path, other, &["auto", "disabled"]))
        }
        Some(Truncation::Rule(TruncationRule::RetentionRatio(rule))) => {
            no_unknown(&rule.extra, path)?;
            required(&rule.retention_ratio, &format!("{path}.retention_ratio"))?;
            within(&rule.retention_ratio, 0.0..=1.0, &format!("{path}.retention_ratio"))?;
            let Some(limits) = rule.token_limits.value() else { return Ok(()) };
            let path = format!("{path}.token_limits");
            no_unknown(&limits.extra, &path)?;
            match limits.post_instructions.value() {
                Some(limit) if *limit > most_read => {
                    let param = format!("{path}.post_instructions");
                    let message =
                        format!("Invalid '{param}': Expected at most {most_read}, but got {limit} instead.");
                    Err(Fault::invalid_value(param, message))
                }
                _ => Ok(()),
            }
        }
        Some(Truncation::Rule(other)) => Err(wrong_kind(path, &other.kind(), &["retention_ratio"])),
        None | Some(Truncation::Mode(_)) => Ok(()),
    }
}

fn within(value: &Field<f64>, range: std::ops::RangeInclusive<f64>, param: &str) -> Result<(), Fault> {
    match value.value() {
        Some(value) if !range.contains(value) => {
            let (least, most) = range.into_inner();
            let message = format!(
                "Invalid '{param}': Expected a value from {least} to {most}, but got {value} instead."
            );
            Err(Fault::invalid_value(param, message))
        }
        _ => Ok(()),
    }
}

/// An object with a missing or unsupported `type`.
pub(crate) fn wrong_kind(path: &str, kind: &str, supported: &[&str]) -> Fault {
    let param = format!("{path}.type");
    if kind.is_empty() { Fault::missing(param) } else { Fault::unsupported(param, kind, supported) }
}

/// Returns whether a model reasons: of OpenAI's, those from `gpt-realtime-2` on.
fn reasons(model: &str) -> bool {
    !model.starts_with("gpt-") || context::is_second(model)
}
