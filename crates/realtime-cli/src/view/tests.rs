//! Whole logs as models and pages: of every content and version, damaged, hostile, and two at once.

use std::path::{Path, PathBuf};

use realtime_protocol::call::{Call, ConnectionId};
use realtime_protocol::log::{Filter, Header, Input, LogContent, LogWriter};
use realtime_protocol::time::{Timestamp, UnixTime};
use realtime_tests::golden::Golden;
use serde_json::{Value, json};

use super::call::{Options, Reader};
use super::model::{Level, Model, TurnKind};
use super::page;

const OPTIONS: Options = Options { prices: None, audio: 1 << 20 };

/// The model of a log's text, as a file would give it.
fn model(log: &str) -> Model {
    let mut lines = log.lines().enumerate();
    let (_, first) = lines.next().unwrap();
    let mut reader = Reader::new("a.jsonl", first, OPTIONS).unwrap();
    for (index, line) in lines {
        if reader.line(index + 1, line, &mut |_, _| None).is_err() {
            reader.damaged(index + 1);
        }
    }
    reader.finish()
}

/// The log of a golden session.
fn recorded(name: &str) -> String {
    let path = workspace().join(format!("tests/golden/{name}.jsonl"));
    let golden = Golden::read(&path);
    let header = Header::new(golden.header.options.clone(), "m", UnixTime::from_secs(1));
    let (writer, mut log) = (LogWriter::default(), String::new());
    writer.header(&mut log, &header);
    let mut call = Call::new(header.machines());
    let drain = |call: &mut Call, at: Timestamp, log: &mut String| {
        while let Some(output) = call.poll_output() {
            writer.output(log, at, &output);
        }
    };
    drain(&mut call, Timestamp::ZERO, &mut log);
    for (at, input) in &golden.inputs {
        while let Some(due) = call.poll_timeout().filter(|due| due <= at) {
            writer.timer(&mut log, due);
            call.handle_timeout(due);
            drain(&mut call, due, &mut log);
        }
        let at = *at;
        match input {
            Input::Connected(connection, wall) => {
                writer.connected(&mut log, at, *connection, *wall);
                call.handle_connected(at, *connection, *wall);
            }
            Input::Text(connection, text) => {
                writer.text(&mut log, at, *connection, text);
                call.handle_text(at, *connection, text);
            }
            Input::Disconnected(_, reason) => {
                writer.disconnected(&mut log, at, ConnectionId(0), reason);
                call.handle_disconnected(at, ConnectionId(0), reason.clone());
            }
            Input::Command(id, command) => {
                writer.command(&mut log, at, *id, command);
                let _ = call.handle_command(at, *id, (**command).clone());
            }
            Input::Media(media) => {
                writer.media(&mut log, at, media);
                let _ = call.handle_media(at, media.clone());
            }
            other => panic!("{name}: expected no {other:?}"),
        }
        drain(&mut call, at, &mut log);
    }
    log
}

fn filtered(log: &str, content: LogContent) -> String {
    let mut filter = Filter::new(content);
    let mut kept = String::new();
    for (index, line) in log.lines().enumerate() {
        let mut line = filter.line(line, &mut Vec::new()).into_owned();
        if index == 0 {
            let mut header: Value = serde_json::from_str(&line).unwrap();
            header["content"] = serde_json::to_value(content).unwrap();
            line = header.to_string();
        }
        kept.push_str(&line);
        kept.push('\n');
    }
    kept
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(models: &[Model]) -> String {
    let mut page = Vec::new();
    page::write(models, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn a_barge_in_shows_what_was_heard_what_was_not_and_the_cut() {
    let model = model(&recorded("barge_in"));
    let part = &model.output.spans[0];
    let cut = part.cut.clone().unwrap();
    let heard: u64 = part.runs.iter().map(|(_, from, to)| to - from).sum();
    assert!(heard > 0 && heard < part.total, "{part:?}");
    assert_eq!(cut.heard, (heard * 1_000_000 / 24_000) as i64);
    assert!(cut.told.starts_with("truncated at "), "{cut:?}");
    let text = cut.text.unwrap();
    assert!(text > 0 && text < part.text.len(), "{text} of {}", part.text);
    assert_eq!(model.interruptions[0].parts, [0]);
    assert_eq!(model.notes, []);
}

#[test]
fn functions_have_their_arguments_their_results_and_their_time() {
    let model = model(&recorded("function_call"));
    let function = &model.functions[0];
    assert!(!function.name.is_empty() && function.arguments.starts_with('{'), "{function:?}");
    assert!(function.stop.unwrap() >= function.start);
    assert_eq!(function.end, "result");
    assert!(!function.output.is_empty());
}

#[test]
fn a_turn_has_its_place_in_the_audio_and_its_words() {
    let model = model(&recorded("server_vad_turn"));
    let turn = &model.turns[0];
    assert_eq!((turn.kind, turn.role.as_str()), (TurnKind::Speech, "user"));
    assert!(turn.from <= turn.start && turn.stop.is_some() && turn.text.is_some(), "{turn:?}");
    assert_eq!(model.latencies.len(), model.output.spans.iter().filter(|p| !p.runs.is_empty()).count());
}

#[test]
fn a_turn_that_is_pushed_begins_where_the_user_began() {
    let model = model(&recorded("push_to_talk"));
    let turn = model.turns.iter().find(|turn| turn.kind == TurnKind::Committed).unwrap();
    assert!(turn.stop.unwrap() > turn.from, "{turn:?}");
    assert!(!model.input.spans.is_empty());
}

#[test]
fn a_lost_connection_and_oddities_are_told() {
    let lost = model(&recorded("connection_lost"));
    assert!(lost.connections[0].end.is_some() && !lost.connections[0].closed, "{:?}", lost.connections);
    let odd = model(&recorded("odd_server"));
    assert!(odd.marks.iter().any(|mark| mark.level == Level::Bad), "{:?}", odd.marks);
    assert!(odd.responses.iter().any(|response| response.end == "failed"));
}

#[test]
fn playback_that_was_held_has_a_gap() {
    let model = model(&recorded("held_and_resumed"));
    let runs = &model.output.spans[0].runs;
    assert!(runs.len() > 1, "{runs:?}");
    assert!(runs.windows(2).all(|pair| pair[0].2 == pair[1].1), "{runs:?}");
}

#[test]
fn what_the_server_plays_is_heard_while_it_says_so() {
    let model = model(&recorded("side_channel_barge_in"));
    assert_eq!(model.playback, "server");
    let part = &model.output.spans[0];
    assert_eq!(part.runs, [(220_000, 0, 1_505_000)]);
    assert!(part.cut.is_some());
}

#[test]
fn every_golden_session_has_a_page() {
    for (name, golden) in Golden::all() {
        if golden.header.slow.is_some() {
            continue; // its shortfalls come from sides that only the harness has
        }
        let model = model(&recorded(&name));
        assert!(model.events.count > 3, "{name}");
        assert!(!model.connections.is_empty(), "{name}");
        for part in &model.output.spans {
            assert!(part.runs.iter().all(|(_, from, to)| from < to && *to <= part.total), "{name} {part:?}");
        }
        let page = page(&[model]);
        assert!(page.ends_with("</html>\n"), "{name}");
    }
}

#[test]
fn each_content_shows_what_it_has() {
    let log = recorded("barge_in");
    let full = model(&log);
    let digest = model(&filtered(&log, LogContent::AudioDigest));
    let metadata = model(&filtered(&log, LogContent::Metadata));
    let runs = |model: &Model| model.output.spans.iter().map(|part| part.runs.clone()).collect::<Vec<_>>();
    assert_eq!(runs(&digest), runs(&full));
    assert_eq!(runs(&metadata), runs(&full));
    assert!(full.output.spans[0].peaks.is_some() && !full.output.audio.is_empty());
    assert!(
        digest.output.spans[0].peaks.is_none() && digest.output.spans[0].text == full.output.spans[0].text
    );
    let part = &metadata.output.spans[0];
    assert_eq!((part.text.as_str(), part.hidden), ("", full.output.spans[0].text.len() as u64));
    assert_eq!(metadata.interruptions[0].heard, full.interruptions[0].heard);
    assert!(metadata.notes[0].text.contains("no words"), "{:?}", metadata.notes);
    // The file beside this log is not there.
    let aside = model(&filtered(&log, LogContent::AudioAside));
    assert_eq!(runs(&aside), runs(&full));
    assert!(aside.notes[0].text.contains("audio file"), "{:?}", aside.notes);
}

#[test]
fn older_versions_are_read() {
    for (name, version) in [("v1-connections", 1), ("v2-connections", 2)] {
        let path = workspace().join(format!("tests/logs/{name}.jsonl"));
        let model = model(&std::fs::read_to_string(path).unwrap());
        assert_eq!(model.version, version);
        assert_eq!(model.functions.iter().filter(|function| function.end == "result").count(), 1, "{name}");
        assert!(model.functions.iter().all(|function| function.stop.is_some()));
        assert!(model.connections.len() > 3 && model.connections.iter().any(|link| !link.closed));
        assert_eq!(model.interruptions[0].heard, 60_000, "{name}");
        assert!(model.output.spans.iter().any(|part| !part.runs.is_empty()));
        assert!(model.turns.iter().any(|turn| turn.text.as_deref() == Some("turn 1")));
        assert!(model.marks.iter().any(|mark| mark.title == "the call goes on"), "{name}");
    }
}

#[test]
fn a_version_that_is_not_known_is_shown_as_far_as_it_is() {
    let log = recorded("greeting").replacen("\"version\":3", "\"version\":9", 1);
    let model = model(&log);
    assert!(model.notes[0].text.contains("later release"), "{:?}", model.notes);
    assert!(!model.responses.is_empty());
}

#[test]
fn a_log_without_call_events_is_read_from_the_wire() {
    let log: String = recorded("barge_in")
        .lines()
        .filter(|line| {
            !line.contains(r#""from":"session""#)
                && !line.contains(r#""from":"app""#)
                && !line.contains(r#""from":"timer""#)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let model = model(&log);
    assert!(!model.turns.is_empty() && !model.responses.is_empty(), "{:?}", model.events.kinds);
    let part = &model.output.spans[0];
    assert!(part.guessed && part.cut.is_some() && !part.text.is_empty(), "{part:?}");
    assert!(model.notes[0].text.contains("server's log"), "{:?}", model.notes);
}

#[test]
fn a_first_line_that_is_no_header_is_refused_with_what_came() {
    for (line, said) in [
        (
            "{\"format\":\"other\"}",
            "expected a log of format realtime-session-log, got {\"format\":\"other\"}",
        ),
        ("hello", "expected the header of a session log"),
    ] {
        let error = Reader::new("a", line, OPTIONS).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_damaged_log_is_read_as_far_as_it_goes_and_says_so() {
    let log = recorded("greeting");
    let file = scratch("damaged.jsonl");
    let lines: Vec<&str> = log.lines().collect();
    let middle = lines.len() / 2;
    let cut = format!(
        "\u{feff}{}\r\n\r\n{}\r\nno JSON\r\n{}\r\n{}",
        lines[0],
        lines[1..middle].join("\r\n"),
        lines[middle],
        &lines[middle + 1][..20]
    );
    std::fs::write(&file, cut).unwrap();
    let model = super::file::read_with(&file, OPTIONS).unwrap();
    let notes: Vec<&str> = model.notes.iter().map(|note| note.text.as_str()).collect();
    let last = middle + 4;
    assert_eq!(
        notes,
        [
            format!("the log ends in the middle of line {last}: whoever wrote it was cut off"),
            format!("1 line could not be read, first line {}", middle + 2),
        ]
    );
    assert_eq!(model.events.count, middle);
}

#[test]
fn audio_is_read_from_the_file_beside_the_log() {
    let log = recorded("barge_in");
    let file = scratch("aside.jsonl");
    let mut filter = Filter::new(LogContent::AudioAside);
    let (mut kept, mut audio) = (String::new(), Vec::new());
    for (index, line) in log.lines().enumerate() {
        let line = filter.line(line, &mut audio).into_owned();
        let line = if index == 0 { line.replace("\"full\"", "\"audio_aside\"") } else { line };
        kept.push_str(&line);
        kept.push('\n');
    }
    std::fs::write(&file, kept).unwrap();
    std::fs::write(realtime_client::audio_path(&file), &audio).unwrap();
    let full = model(&log);
    let read = super::file::read_with(&file, OPTIONS).unwrap();
    assert_eq!(read.output.audio, full.output.audio);
    assert_eq!(read.notes, []);
    std::fs::write(realtime_client::audio_path(&file), &audio[..audio.len() / 2]).unwrap();
    let short = super::file::read_with(&file, OPTIONS).unwrap();
    assert!(short.notes[0].text.contains("shorter"), "{:?}", short.notes);
}

#[test]
fn nothing_that_is_said_becomes_markup() {
    const EVIL: &str =
        "</script><img src=x onerror=\"document.title='hit'\"><!--<script>\u{2028}\u{2029}]]>&lt;";
    let log = recorded("function_call");
    let mut hostile = String::new();
    for line in log.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        poison(&mut value, EVIL);
        hostile.push_str(&value.to_string());
        hostile.push('\n');
    }
    let model = model(&hostile);
    assert!(model.functions.iter().any(|function| function.name.contains("<img")), "{:?}", model.functions);
    let page = page(&[model]);
    let data: String = page.split("<script type=").skip(1).collect();
    assert_eq!(data.matches("</script").count(), page.matches("<script").count());
    assert!(!page.contains("<img") && !page.contains("<!--") && !page.contains('\u{2028}'));
    for block in page.split("<script type=").skip(1) {
        let (data, _) = block.split_once("</script>").unwrap();
        assert!(data.is_ascii());
    }
}

/// Puts hostile text into every text that is not one of the log's own words.
fn poison(value: &mut Value, evil: &str) {
    const OWN: [&str; 8] = ["from", "type", "format", "content", "playback", "dialect", "audio", "delta"];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(_) if name.ends_with("_id") || OWN.contains(&name.as_str()) => {}
                    Value::String(text) => text.push_str(evil),
                    member => poison(member, evil),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| poison(element, evil)),
        _ => {}
    }
}

#[test]
fn two_logs_stand_in_one_page() {
    let models = [model(&recorded("greeting")), model(&recorded("barge_in"))];
    let page = page(&models);
    for block in ["model-0", "model-1", "columns-1", "output-audio-1"] {
        assert_eq!(page.matches(&format!("id=\"{block}\"")).count(), 1, "{block}");
    }
    assert!(!page.contains("model-2"));
}

#[test]
fn the_same_log_gives_the_same_page_and_a_cost_if_prices_are_known() {
    let log = recorded("function_call");
    assert_eq!(page(&[model(&log)]), page(&[model(&log)]));
    let usage = json!({"input_tokens": 1_000_000, "input_token_details": {"text_tokens": 1_000_000}});
    let line = json!({"at_us": 1, "from": "session",
        "event": {"response_finished": {"response_id": "r", "end": "completed", "usage": usage}}});
    let prices = serde_json::from_str(r#"{"input_text": 4.0}"#).unwrap();
    let options = Options { prices: Some(prices), ..OPTIONS };
    let mut reader = Reader::new("a", log.lines().next().unwrap(), options).unwrap();
    reader.line(2, &line.to_string(), &mut |_, _| None).unwrap();
    assert_eq!(reader.finish().totals.cost, Some(4.0));
}

#[test]
fn numbers_out_of_all_bounds_break_nothing() {
    let lines = [
        json!({"at_us": u64::MAX, "from": "session", "event": {"speech_started": {"at": u64::MAX}}}),
        json!({"at_us": 0, "from": "session", "event": {"audio": {"response_id": "r", "item_id": "i",
            "start": u64::MAX, "format": "pcm16 1 Hz", "audio": "18446744073709551615 bytes"}}}),
        json!({"at_us": 1, "from": "app", "media": {"report": {"played": {"item_id": "i",
            "content_index": 0, "played": u64::MAX}}}}),
        json!({"at_us": 1, "from": "session", "event": {"interrupted": {"parts": [{"item_id": "i",
            "content_index": 0, "format": "pcm16 0 Hz", "heard": u64::MAX, "received": u64::MAX}]}}}),
        json!({"at_us": 1, "from": "session", "event": {"warning": {"audio_dropped": {"lost": u64::MAX}}}}),
        json!({"at_us": 1, "from": "app", "media": {"append": {"audio": "[18446744073709551615 bytes]"}}}),
        json!({"at_us": 1, "from": "odd", "event": {}}),
    ];
    let log = recorded("greeting");
    let header = log.lines().next().unwrap();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let model = model(&format!("{header}\n{}\n", lines.join("\n")));
    assert_eq!(model.events.count, 7);
    page(&[model]);
}

#[test]
fn lines_of_any_shape_break_nothing() {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let odd = [json!(null), json!(true), json!(-1), json!(1e300), json!("\u{1f600}"), json!([]), json!({})];
    for name in ["barge_in", "function_call", "connection_lost", "push_to_talk", "odd_server"] {
        let log = recorded(name);
        let header = log.lines().next().unwrap();
        for round in 0..12 {
            let mut reader = Reader::new("a", header, OPTIONS).unwrap();
            for (index, line) in log.lines().enumerate().skip(1) {
                let mut value: Value = serde_json::from_str(line).unwrap();
                if round > 0 && random(3) == 0 {
                    spoil(&mut value, &odd[random(odd.len())], &mut random);
                }
                let mut text = value.to_string();
                if round > 0 && random(40) == 0 {
                    text.truncate(random(text.len()));
                }
                let _ = reader.line(index + 1, &text, &mut |_, _| None);
            }
            let page = page(&[reader.finish()]);
            assert!(page.ends_with("</html>\n"));
        }
    }
}

/// Puts something odd somewhere into a value.
fn spoil(value: &mut Value, odd: &Value, random: &mut impl FnMut(usize) -> usize) {
    match value {
        Value::Object(members) if !members.is_empty() && random(8) > 0 => {
            let number = random(members.len());
            if let Some((_, member)) = members.iter_mut().nth(number) {
                spoil(member, odd, random);
            }
        }
        Value::Array(elements) if !elements.is_empty() && random(8) > 0 => {
            let number = random(elements.len());
            spoil(&mut elements[number], odd, random);
        }
        value => *value = odd.clone(),
    }
}

/// A file for a test of this name.
fn scratch(name: &str) -> PathBuf {
    let folder = workspace().join("target/tests-of-view");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}
