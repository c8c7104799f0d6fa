//! A server that refuses a configuration member by member, in any order and spelling: the exchange ends, and
//! what holds is what was asked for less the smallest units.

use proptest::prelude::*;

use super::*;
use crate::event::Dialect;

/// Members of a configuration, and for each what must go when it is refused. A tool is called by its key.
const MEMBERS: &[(&str, &str)] = &[
    ("instructions", "instructions"),
    ("output_modalities", "output_modalities"),
    ("max_output_tokens", "max_output_tokens"),
    ("tracing.workflow_name", "tracing.workflow_name"),
    ("prompt.id", "prompt"),
    ("prompt.version", "prompt.version"),
    ("x_new.a", "x_new.a"),
    ("audio.input.turn_detection.type", "audio.input.turn_detection"),
    ("audio.input.turn_detection.eagerness", "audio.input.turn_detection.eagerness"),
    ("audio.input.transcription.model", "audio.input.transcription"),
    ("audio.input.transcription.language", "audio.input.transcription.language"),
    ("audio.input.noise_reduction.type", "audio.input.noise_reduction"),
    ("audio.input.format", "audio.input.format"),
    ("audio.output.format", "audio.output.format"),
    ("audio.output.voice", "audio.output.voice"),
    ("audio.output.speed", "audio.output.speed"),
    ("tool_choice.name", "tool_choice"),
    ("tools.a.name", "tools.a"),
    ("tools.a.description", "tools.a.description"),
    ("tools.a.parameters.type", "tools.a"),
    ("tools.b", "tools.b"),
    ("tools.b.meta", "tools.b.meta"),
    ("tools.b.meta.x", "tools.b.meta.x"),
    ("tools.c.meta", "tools.c.meta"),
    ("tools.c.type", "tools.c"),
];

fn all() -> Value {
    json!({
        "type": "realtime", "instructions": "x", "output_modalities": ["audio"], "max_output_tokens": 100,
        "tracing": {"workflow_name": "w", "group_id": "g"}, "prompt": {"id": "p", "version": "1"}, "x_new": {"a": 1},
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"}, "transcription": {"model": "w", "language": "de"},
                "noise_reduction": {"type": "near_field"},
                "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.5},
        },
        "tool_choice": {"type": "function", "name": "a"},
        "tools": [
            {"type": "function", "name": "a", "description": "d", "parameters": {"type": "object"}},
            {"type": "function", "name": "b", "meta": {"x": 1, "y": 2}},
            {"type": "function", "name": "c", "meta": 1},
        ],
    })
}

/// The place of something in a configuration, tools by their index. `None`: it is not in there.
fn pointer(config: &Value, member: &str) -> Option<String> {
    let mut steps: Vec<String> = member.split('.').map(String::from).collect();
    if steps[0] == "tools" && steps.len() > 1 {
        let tools = config["tools"].as_array()?;
        steps[1] = tools.iter().position(|tool| tool["name"] == *steps[1])?.to_string();
    }
    let pointer = format!("/{}", steps.join("/"));
    config.pointer(&pointer).map(|_| pointer)
}

/// Takes something out of a configuration, with what is empty then.
fn remove(config: &mut Value, member: &str) {
    let Some(mut pointer) = pointer(config, member) else { return };
    loop {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let is_empty = match config.pointer_mut(parent).unwrap() {
            Value::Array(elements) => {
                elements.remove(name.parse().unwrap());
                elements.is_empty()
            }
            Value::Object(members) => {
                members.remove(name);
                members.is_empty()
            }
            _ => panic!("{pointer}"),
        };
        if !is_empty || parent.is_empty() {
            return;
        }
        pointer = parent.into();
    }
}

/// A member as a server may name it: what `pointer` leads to in what was sent.
fn spelled(pointer: &str, spelling: u8, dialect: Dialect) -> String {
    let steps: Vec<&str> = pointer[1..].split('/').collect();
    let brackets: String = steps
        .iter()
        .map(|step| if step.parse::<u8>().is_ok() { format!("[{step}]") } else { format!(".{step}") })
        .collect();
    let mut brackets = brackets[1..].to_string();
    let mut dots = steps.join(".");
    if dialect == Dialect::Beta {
        for name in [&mut brackets, &mut dots] {
            *name = dialect.paths(&format!("session.{name}")).replacen("session.", "", 1);
        }
    }
    match spelling {
        0 => format!("session.{brackets}"),
        1 => brackets,
        2 => dots,
        3 => format!("session.{dots}"),
        4 => format!("'session.{brackets}'"),
        _ => format!("`session.{brackets}` is not supported by this model"),
    }
}

/// What the session has sent last, as it is held and as it goes out.
fn last_update(bench: &Bench) -> Option<(String, Value)> {
    bench.last.iter().find_map(|output| match output {
        Output::Send(ClientEvent::SessionUpdate(update)) => Some((
            update.event_id.value().unwrap().as_str().into(),
            serde_json::to_value(&update.session).unwrap(),
        )),
        _ => None,
    })
}

fn is_within(path: &str, unit: &str) -> bool {
    path.strip_prefix(unit).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The exchange with a server that refuses `refused`, each in the spelling given, one at a time.
fn check(absent: &[usize], refused: &[(usize, u8)], dialect: Dialect, first: bool, echoes: bool) {
    let mut asked = all();
    for index in absent {
        remove(&mut asked, MEMBERS[*index].1);
    }
    let mut expected = asked.clone();
    for (index, _) in refused.iter().filter(|(index, _)| pointer(&asked, MEMBERS[*index].0).is_some()) {
        remove(&mut expected, MEMBERS[*index].1);
    }
    let options =
        |asked: &Value| SessionOptions { config: config(&asked.to_string()), dialect, ..Default::default() };
    let begin = if first { asked.clone() } else { json!({"type": "realtime"}) };
    let mut bench = Bench::with(options(&begin));
    bench.server(json!({"type": "session.created", "session": {}}));
    if !first {
        bench.server(json!({"type": "session.updated", "session": {}}));
        bench.app(Command::UpdateConfig { config: Box::new(config(&asked.to_string())) });
    }

    let mut settled = 0;
    let mut units: Vec<String> = Vec::new();
    let mut size = usize::MAX;
    let accepted = loop {
        let Some((event_id, sent)) = last_update(&bench) else { break None };
        let text = sent.to_string();
        assert!(text.len() < size, "each round is smaller: {text}");
        size = text.len();
        let found = refused.iter().find_map(|(index, spelling)| {
            let (member, unit) = MEMBERS[*index];
            Some((pointer(&sent, member)?, unit, *spelling))
        });
        let Some((pointer, unit, spelling)) = found else { break Some(sent) };
        let at = self::pointer(&asked, unit).unwrap();
        units.push(spelled(&at, 1, Dialect::Ga));
        let error = json!({"code": "unknown_parameter", "message": "no", "event_id": event_id,
            "param": spelled(&pointer, spelling, dialect)});
        bench.server(json!({"type": "error", "error": error}));
        settled += bench.told().filter(|event| matches!(event, Event::Settled { .. })).count();
    };

    let Some(accepted) = accepted else {
        assert!(!first && expected == json!({"type": "realtime"}), "something is left: {expected}");
        assert_eq!(settled, 1, "refused");
        return;
    };
    assert_eq!(accepted, expected);
    let echo = if echoes { accepted } else { json!({}) };
    bench.server(json!({"type": "session.updated", "session": echo}));
    settled += bench.told().filter(|event| matches!(event, Event::Settled { .. })).count();
    let (holds, told) = bench.configured();
    assert_eq!(serde_json::to_value(&holds).unwrap(), expected);
    assert_eq!(told, units);
    for (index, _) in refused {
        let Some(at) = pointer(&asked, MEMBERS[*index].0) else { continue };
        let at = spelled(&at, 1, Dialect::Ga);
        assert!(told.iter().any(|unit| is_within(&at, unit)) || units.is_empty(), "{at} of {told:?}");
    }
    assert_eq!(settled, usize::from(!first));
    if !first {
        assert_eq!(paths(&bench.updated().refused), units);
    }
}

proptest! {
    #[test]
    fn what_holds_is_what_was_asked_for_less_the_smallest_units(
        absent in proptest::collection::vec(0..MEMBERS.len(), 0..12),
        refused in proptest::collection::vec((0..MEMBERS.len(), 0..6_u8), 0..MEMBERS.len()),
        beta: bool,
        first: bool,
        echoes: bool,
    ) {
        let dialect = if beta { Dialect::Beta } else { Dialect::Ga };
        check(&absent, &refused, dialect, first, echoes);
    }
}

#[test]
fn a_server_may_refuse_everything_in_any_order() {
    for dialect in [Dialect::Ga, Dialect::Beta] {
        for first in [true, false] {
            let mut all: Vec<(usize, u8)> =
                (0..MEMBERS.len()).map(|index| (index, index as u8 % 6)).collect();
            check(&[], &all, dialect, first, false);
            all.reverse();
            check(&[], &all, dialect, first, true);
        }
    }
}

proptest! {
    #[test]
    fn no_error_about_a_configuration_makes_a_session_panic_or_ask_for_ever(
        params in proptest::collection::vec(".{0,12}|(session|tools|[0-9]|audio|input|\\.|\\[|\\]|'|/|x){0,8}", 1..12),
    ) {
        let mut bench = Bench::with(SessionOptions {
            config: config(&all().to_string()),
            ..Default::default()
        });
        bench.server(json!({"type": "session.created", "session": {}}));
        let mut rounds = 0;
        for param in params.iter().cycle() {
            let Some((event_id, _)) = last_update(&bench) else { break };
            rounds += 1;
            prop_assert!(rounds <= 64);
            let error = json!({"code": "unknown_parameter", "param": param, "event_id": event_id});
            bench.server(json!({"type": "error", "error": error}));
        }
        prop_assert!(bench.last.contains(&Output::Close));
    }
}
