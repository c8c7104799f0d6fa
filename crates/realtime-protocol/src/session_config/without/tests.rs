//! What is taken out for each name that a server may give, and the table against the wire's structs.

use alloc::string::ToString;

use serde_json::{Value, json};

use super::*;

/// A configuration with every object that the wire has in it.
fn whole() -> Value {
    json!({
        "type": "realtime", "model": "m", "instructions": "x", "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "w", "language": "de"},
                "noise_reduction": {"type": "near_field"},
                "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": {"id": "v"}, "speed": 1.5},
        },
        "tools": [
            {"type": "function", "name": "a", "description": "d", "parameters": {"type": "object", "properties": {}}},
            {"type": "mcp", "server_label": "m", "server_url": "u", "authorization": "t", "headers": {"h": "v"},
                "allowed_tools": ["x", "y"], "allowed_callers": ["direct"],
                "require_approval": {"never": {"tool_names": ["x", "y"], "read_only": true}}, "defer_loading": true},
            {"type": "mcp", "server_label": "n", "connector_id": "connector_gmail", "tunnel_id": "t",
                "allowed_tools": {"tool_names": ["x"], "read_only": true}},
            {"type": "function", "name": "c", "meta": {"x": 1, "y": 2}},
        ],
        "tool_choice": {"type": "mcp", "server_label": "m", "name": "x"},
        "reasoning": {"effort": "low"},
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 9}},
        "prompt": {"id": "p", "version": "1", "variables": {"v": "text", "w": {"type": "input_text", "text": "t"}}},
        "tracing": {"workflow_name": "w", "metadata": {"a": 1}},
        "include": ["item.input_audio_transcription.logprobs"],
    })
}

fn read(config: &Value) -> SessionConfig {
    serde_json::from_str(&config.to_string()).unwrap()
}

/// Where something was taken out, and what is left.
fn taken(config: &Value, param: &str) -> Option<(String, Value)> {
    let (left, place) = read(config).take_out(&Named::read(param)?)?;
    Some((place.to_string(), serde_json::to_value(&left).unwrap()))
}

/// The configuration without what stands at a JSON pointer.
fn without(mut config: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        Value::Object(members) => drop(members.remove(name).unwrap()),
        _ => panic!("{pointer}"),
    }
    config
}

#[test]
fn the_smallest_unit_that_can_stand_is_taken_out() {
    for (param, place, pointer) in [
        ("session.instructions", "instructions", "/instructions"),
        ("session.audio.output.speed", "audio.output.speed", "/audio/output/speed"),
        ("session.audio.output", "audio.output", "/audio/output"),
        // A member of a tool, or the tool.
        ("session.tools[3].meta", "tools[3].meta", "/tools/3/meta"),
        ("session.tools[3].meta.x", "tools[3].meta.x", "/tools/3/meta/x"),
        ("session.tools[0].description", "tools[0].description", "/tools/0/description"),
        ("session.tools[1].defer_loading", "tools[1].defer_loading", "/tools/1/defer_loading"),
        ("session.tools[1]", "tools[1]", "/tools/1"),
        ("session.tools", "tools", "/tools"),
        ("session.tools[0].name", "tools[0]", "/tools/0"),
        ("session.tools[0].type", "tools[0]", "/tools/0"),
        ("session.tools[0].parameters", "tools[0]", "/tools/0"),
        ("session.tools[0].parameters.properties", "tools[0]", "/tools/0"),
        ("session.tools[1].server_label", "tools[1]", "/tools/1"),
        ("session.tools[1].server_url", "tools[1]", "/tools/1"),
        ("session.tools[2].connector_id", "tools[2]", "/tools/2"),
        // What limits a tool is not taken off it.
        ("session.tools[1].allowed_tools", "tools[1]", "/tools/1"),
        ("session.tools[1].allowed_tools[0]", "tools[1].allowed_tools[0]", "/tools/1/allowed_tools/0"),
        ("session.tools[2].allowed_tools.read_only", "tools[2]", "/tools/2"),
        ("session.tools[2].allowed_tools.tool_names[0]", "tools[2]", "/tools/2"),
        ("session.tools[1].allowed_callers", "tools[1]", "/tools/1"),
        ("session.tools[1].headers.h", "tools[1]", "/tools/1"),
        (
            "session.tools[1].require_approval.never.tool_names[1]",
            "tools[1].require_approval",
            "/tools/1/require_approval",
        ),
        // An object goes whole.
        (
            "session.audio.input.turn_detection.type",
            "audio.input.turn_detection",
            "/audio/input/turn_detection",
        ),
        (
            "session.audio.input.transcription.model",
            "audio.input.transcription",
            "/audio/input/transcription",
        ),
        ("session.audio.input.format.type", "audio.input.format", "/audio/input/format"),
        ("session.audio.output.voice.id", "audio.output.voice", "/audio/output/voice"),
        ("session.tool_choice.name", "tool_choice", "/tool_choice"),
        ("session.prompt.id", "prompt", "/prompt"),
        ("session.prompt.variables.w.text", "prompt.variables.w", "/prompt/variables/w"),
        ("session.truncation.retention_ratio", "truncation", "/truncation"),
        // An object of which nothing is left goes too; what was taken is the member.
        ("session.reasoning.effort", "reasoning.effort", "/reasoning"),
        ("session.include[0]", "include[0]", "/include"),
        (
            "session.truncation.token_limits.post_instructions",
            "truncation.token_limits.post_instructions",
            "/truncation/token_limits",
        ),
        // A name that goes further than the value.
        ("session.audio.output.speed.max", "audio.output.speed", "/audio/output/speed"),
        // Other spellings.
        ("tools.3.meta", "tools[3].meta", "/tools/3/meta"),
        ("'session.tools[3].meta' is unknown", "tools[3].meta", "/tools/3/meta"),
        ("session.turn_detection.type", "audio.input.turn_detection", "/audio/input/turn_detection"),
        ("session.input_audio_format", "audio.input.format", "/audio/input/format"),
        ("session.modalities", "output_modalities", "/output_modalities"),
        ("voice", "audio.output.voice", "/audio/output/voice"),
    ] {
        let expected = Some((place.to_string(), without(whole(), pointer)));
        assert_eq!(taken(&whole(), param), expected, "{param}");
    }
}

#[test]
fn a_name_that_leads_nowhere_takes_nothing_out() {
    for param in [
        "",
        "session",
        "session.x",
        "session.tools[4]",
        "session.tools[-1].name",
        "session.tools.x",
        "session.tools[0].meta",
        "session.tools[0].a.b",
        "response.instructions",
        "session.audio.input.x.type",
    ] {
        assert_eq!(taken(&whole(), param), None, "{param}");
    }
}

#[test]
fn an_object_that_lacks_what_it_needs_goes() {
    let config = json!({"instructions": "x", "audio": {"input": {"turn_detection": {"eagerness": "low"}}}});
    let expected = Some(("audio.input.turn_detection".to_string(), json!({"instructions": "x"})));
    assert_eq!(taken(&config, "session.audio.input.turn_detection.type"), expected);
    assert_eq!(taken(&config, "session.audio.input.transcription.model"), None, "there is no such object");
}

#[test]
fn what_is_left_stays_as_it_was_written() {
    let schema = r#"{"z":1e400,"a":[1.0,{"b":"\u00e5"}]}"#;
    let text = alloc::format!(
        r#"{{"audio":{{"output":{{"speed":"fast"}}}},"tools":[{{"type":"function","name":"f","parameters":{schema},"meta":0}}],"x":[1.50]}}"#
    );
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let left = SessionConfig::from_raw(raw).unwrap().without("tools[0].meta").unwrap();
    assert_eq!(serde_json::to_string(&left).unwrap(), text.replace(r#","meta":0"#, ""));
}

#[test]
fn the_table_knows_members_of_the_wire_and_each_that_says_what_its_object_is() {
    let mut unknown = Vec::new();
    read(&whole()).unknown_members(&crate::wire::Path::ROOT, &mut unknown);
    assert_eq!(unknown, ["tools[3].meta"], "all else has a field");
    let mut places = Vec::new();
    every(&whole(), &MemberPath::default(), &mut places);
    check_table(&places);
}

/// The same, of all that the wire's structs have.
#[cfg(feature = "schema")]
#[test]
fn the_table_knows_every_object_that_the_wire_has() {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let schema = serde_json::to_value(generator.into_root_schema_for::<SessionConfig>()).unwrap();
    let mut places = Vec::new();
    of_schema(&schema, &schema, &MemberPath::default(), &mut places);
    check_table(&places);
}

fn check_table(places: &[MemberPath]) {
    for pattern in NEEDED {
        let is_met = places.iter().any(|place| place.matches(pattern));
        // What is free on the wire has no members that are known.
        assert!(is_met || pattern.ends_with(".**"), "{pattern}");
    }
    for place in places.iter().filter(|place| place.to_string().ends_with(".type")) {
        assert!(NEEDED.iter().any(|pattern| place.matches(pattern)), "{place}");
    }
}

/// All places in a JSON value.
fn every(value: &Value, place: &MemberPath, places: &mut Vec<MemberPath>) {
    places.push(place.clone());
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        let mut place = place.clone();
        place.index(index);
        every(value, &place, places);
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let mut place = place.clone();
        place.member(name);
        every(value, &place, places);
    }
}

/// All places that a schema describes.
#[cfg(feature = "schema")]
fn of_schema(schema: &Value, root: &Value, place: &MemberPath, places: &mut Vec<MemberPath>) {
    places.push(place.clone());
    if let Some(name) = schema["$ref"].as_str() {
        return of_schema(root.pointer(&name[1..]).unwrap(), root, place, places);
    }
    for schema in schema["anyOf"].as_array().into_iter().flatten() {
        of_schema(schema, root, place, places);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let mut place = place.clone();
        place.member(name);
        of_schema(schema, root, &place, places);
    }
    let mut element = place.clone();
    element.index(0);
    let mut member = place.clone();
    member.member("x");
    for (name, place) in [("items", element), ("additionalProperties", member)] {
        if schema[name].is_object() {
            of_schema(&schema[name], root, &place, places);
        }
    }
}
