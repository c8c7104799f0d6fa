//! What a server refuses of a configuration: how small a unit is left out, who is told, and what holds then.

use super::*;

/// The server refuses an update for what it calls `param`.
fn refused(event_id: &str, param: &str) -> Value {
    json!({"type": "error", "error": {"type": "invalid_request_error", "code": "unknown_parameter", "param": param,
        "message": "no", "event_id": event_id}})
}

fn acknowledged() -> Value {
    json!({"type": "session.updated", "session": {}})
}

fn update(update: Value) -> Command {
    Command::UpdateConfig { config: Box::new(config(&update.to_string())) }
}

/// A session whose first configuration is in flight, as `evt_0_1`.
fn configuring(options: Value) -> Bench {
    let mut bench =
        Bench::with(SessionOptions { config: config(&options.to_string()), ..Default::default() });
    bench.server(json!({"type": "session.created", "session": {"id": "sess_1", "instructions": "default"}}));
    bench
}

/// What the last step sent as a configuration.
fn asked(bench: &Bench) -> Value {
    let mut sent = bench.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0)["session"].take()
}

#[test]
fn a_member_of_one_tool_costs_that_member_and_no_tool() {
    let function = |name: &str| json!({"type": "function", "name": name});
    let mut odd = function("c");
    odd["meta"] = json!({"x": 1});
    let mut bench = configuring(json!({"type": "realtime", "tools": [function("a"), function("b"), odd]}));
    let outputs = bench.server(refused("evt_0_1", "session.tools[2].meta"));
    assert_eq!(outputs, ["warning", "> session.update", "server_error"]);
    let left = json!([function("a"), function("b"), function("c")]);
    assert_eq!(asked(&bench), json!({"type": "realtime", "tools": left}));
    assert_eq!(bench.server(acknowledged()), ["ready"]);
    let (config, refused) = bench.configured();
    assert_eq!(refused, ["tools[2].meta"]);
    assert_eq!(serde_json::to_value(&config.tools).unwrap(), left);
}

#[test]
fn tools_that_are_refused_one_after_another_keep_their_numbers() {
    let tools: Vec<Value> = "abcd".chars().map(|name| json!({"type": "function", "name": name})).collect();
    let mut bench = configuring(json!({"type": "realtime", "tools": tools}));
    for event in 1..=3 {
        bench.server(refused(&format!("evt_0_{event}"), "session.tools.1.name"));
    }
    assert_eq!(asked(&bench)["tools"], json!([tools[0]]));
    bench.server(acknowledged());
    assert_eq!(bench.configured().1, ["tools[1]", "tools[2]", "tools[3]"]);
}

#[test]
fn an_object_that_cannot_be_without_a_member_is_left_out_whole() {
    for (half, object, member) in [
        ("input", "turn_detection", "type"),
        ("input", "transcription", "model"),
        ("input", "format", "type"),
        ("output", "format", "type"),
    ] {
        let mut all = json!({"type": "realtime", "instructions": "x", "audio": {
            "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}, "noise_reduction": null,
                "transcription": {"model": "w", "language": "de"}, "format": {"type": "audio/pcmu"}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.5}}});
        let mut bench = configuring(all.clone());
        bench.server(refused("evt_0_1", &format!("session.audio.{half}.{object}.{member}")));
        all["audio"][half].as_object_mut().unwrap().remove(object);
        assert_eq!(asked(&bench), all);
        assert_eq!(bench.server(acknowledged()), ["ready"]);
        assert_eq!(bench.configured().1, [format!("audio.{half}.{object}")]);
    }
}

#[test]
fn a_format_that_is_refused_does_not_tag_the_audio() {
    let pcmu = json!({"format": {"type": "audio/pcmu"}});
    let mut bench = configuring(json!({"type": "realtime", "audio": {"input": pcmu, "output": pcmu}}));
    bench.server(refused("evt_0_1", "session.audio.output.format.type"));
    bench.server(acknowledged());
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 20));
    let chunk = bench.told().find_map(|event| match event {
        Event::Audio(chunk) => Some(chunk.format),
        _ => None,
    });
    assert_eq!(chunk, Some(AudioFormat::PCM16_24K));
    assert_eq!(bench.session.config().input_format(), AudioFormat::Pcmu, "that one was taken");
}

#[test]
fn audio_that_waited_in_a_format_that_is_refused_is_not_sent_as_another() {
    let pcmu = json!({"format": {"type": "audio/pcmu"}});
    for is_refused in [false, true] {
        let mut bench = configuring(json!({"type": "realtime", "audio": {"input": pcmu}}));
        let second = Bytes::from(alloc::vec![0; 8_000]);
        for _ in 0..3 {
            bench.app(Media::Append(second.clone()));
        }
        if is_refused {
            bench.server(refused("evt_0_1", "session.audio.input.format"));
        }
        let outputs = bench.server(acknowledged());
        let lost = bench.told().find_map(|event| match event {
            Event::Warning(Warning::InputAudioDropped { lost }) => Some(*lost),
            _ => None,
        });
        if is_refused {
            assert_eq!(outputs, ["warning", "ready"]);
            assert_eq!(lost, Some(MediaTime::from_millis(2000)), "all that was held, measured as what it is");
        } else {
            assert_eq!(outputs.iter().filter(|output| *output == "> input_audio_buffer.append").count(), 2);
        }
    }
}

#[test]
fn a_session_opens_with_the_servers_defaults_if_nothing_is_left() {
    let mut bench = configuring(json!({"type": "realtime", "instructions": "x"}));
    bench.server(refused("evt_0_1", "session.instructions"));
    assert_eq!(asked(&bench), json!({"type": "realtime"}));
    assert_eq!(bench.server(acknowledged()), ["ready"]);
    let (config, refused) = bench.configured();
    assert_eq!(
        (config.instructions.value().map(String::as_str), refused),
        (Some("default"), alloc::vec!["instructions".into()])
    );
}

#[test]
fn a_server_that_takes_not_even_the_kind_of_session_is_asked_without() {
    let mut bench = configuring(json!({"type": "realtime"}));
    bench.server(refused("evt_0_1", "session.type"));
    assert_eq!(asked(&bench), json!({}));
    bench.server(acknowledged());
    bench.app(update(json!({"instructions": "y"})));
    assert_eq!(asked(&bench), json!({"instructions": "y"}), "nor later");
    let mut bench = configuring(json!({"type": "realtime"}));
    bench.server(refused("evt_0_1", "session.type"));
    assert_eq!(bench.server(refused("evt_0_2", "session.type")), ["> close", "server_error"]);
}

#[test]
fn an_error_that_names_nothing_of_the_update_refuses_it() {
    for param in
        [json!("session.other"), json!("session.tools[3]"), json!("tools"), json!(""), json!(null), json!(7)]
    {
        let mut error = refused("evt_0_1", "");
        error["error"]["param"] = param.clone();
        let mut bench = configuring(json!({"type": "realtime", "instructions": "x"}));
        assert!(bench.server(error.clone()).contains(&"> close".into()), "{param}");
        let mut bench = Bench::ready();
        bench.app(update(json!({"instructions": "y"})));
        error["error"]["event_id"] = "evt_0_2".into();
        assert!(bench.server(error).contains(&"1 refused".into()), "{param}");
        assert!(bench.sent().is_empty());
    }
}

#[test]
fn an_update_that_is_refused_in_part_says_so_in_its_outcome() {
    let mut bench = Bench::ready();
    bench.app(update(json!({"instructions": "y", "reasoning": {"effort": "low"}, "tracing": "auto"})));
    assert_eq!(
        bench.server(refused("evt_0_2", "session.reasoning")),
        ["warning", "> session.update", "server_error"]
    );
    bench.server(refused("evt_0_3", "session.tracing"));
    assert_eq!(bench.server(acknowledged()), ["1 updated", "config_updated"]);
    let updated = bench.updated();
    assert!(updated.changed && Outcome::Updated(updated.clone()).is_ok());
    assert_eq!(paths(&updated.refused), ["reasoning", "tracing"]);
    assert_eq!(updated.refused[0].error.message_str(), "no");
    let (config, refused) = bench.configured();
    assert_eq!(refused, ["reasoning", "tracing"]);
    assert!(config.reasoning.is_absent() && config.tracing.is_absent());
}

#[test]
fn an_update_of_which_nothing_is_left_is_refused_and_nothing_is_sent() {
    let mut bench = configuring(json!({"type": "realtime", "tools": [{"type": "function", "name": "old"}]}));
    bench.server(acknowledged());
    bench.app(update(json!({"tools": [{"type": "function", "name": "new", "strict": true}]})));
    bench.server(refused("evt_0_2", "session.tools[0].strict"));
    assert_eq!(asked(&bench)["tools"], json!([{"type": "function", "name": "new"}]), "the tool can stand");
    assert_eq!(
        bench.server(refused("evt_0_3", "session.tools[0].name")),
        ["warning", "1 refused", "server_error"]
    );
    let tools = serde_json::to_value(&bench.session.config().tools).unwrap();
    assert_eq!(tools, json!([{"type": "function", "name": "old"}]), "an empty list would have taken it away");
}

#[test]
fn what_is_sent_again_does_not_undo_a_later_update() {
    let mut bench = Bench::ready();
    bench.app(update(json!({"instructions": "A", "tracing": "auto", "reasoning": {"effort": "low"},
        "audio": {"input": {"noise_reduction": null}, "output": {"speed": 1.5}}})));
    bench.app(update(json!({"instructions": "B", "audio": {"output": {"speed": 0.5}}})));
    bench.server(refused("evt_0_2", "session.reasoning"));
    let left = json!({"type": "realtime", "tracing": "auto", "audio": {"input": {"noise_reduction": null}}});
    assert_eq!(asked(&bench), left);
    assert_eq!(
        bench.server(acknowledged()),
        ["2 updated", "config_updated"],
        "in the order in which they went out"
    );
    assert_eq!(bench.server(acknowledged()), ["1 updated", "config_updated"]);
    assert_eq!(bench.session.config().instructions.value().map(String::as_str), Some("B"));

    bench.app(update(json!({"instructions": "C", "reasoning": {"effort": "low"}})));
    bench.app(update(json!({"instructions": "D"})));
    assert_eq!(
        bench.server(refused("evt_0_5", "session.reasoning")),
        ["warning", "3 updated", "server_error"]
    );
    assert_eq!(paths(&bench.updated().refused), ["reasoning"]);
    assert_eq!(bench.server(acknowledged()), ["4 updated", "config_updated"]);
}

#[test]
fn the_second_of_two_updates_is_refused_alone() {
    let mut bench = Bench::ready();
    bench.app(update(json!({"instructions": "A"})));
    bench.app(update(json!({"reasoning": {"effort": "low"}})));
    assert_eq!(
        bench.server(refused("evt_0_3", "session.reasoning")),
        ["warning", "2 refused", "server_error"]
    );
    assert_eq!(bench.server(acknowledged()), ["1 updated", "config_updated"]);
}

#[test]
fn an_error_without_an_id_is_for_the_only_update_that_waits() {
    let mut unnamed = refused("", "session.reasoning");
    unnamed["error"].as_object_mut().unwrap().remove("event_id");
    let odd = || update(json!({"instructions": "A", "reasoning": {"effort": "low"}}));
    let mut bench = Bench::ready();
    assert_eq!(bench.server(unnamed.clone()), ["server_error"], "no update waits");
    bench.app(odd());
    assert_eq!(bench.server(unnamed.clone()), ["warning", "> session.update", "server_error"]);
    bench.app(odd());
    assert_eq!(bench.server(unnamed.clone()), ["server_error"], "which of the two?");
    let mut bench = Bench::ready();
    bench.app(odd());
    unnamed["error"]["param"] = "reasoning".into();
    assert_eq!(bench.server(unnamed), ["server_error"], "it may be of anything");
}

#[test]
fn a_refusal_that_comes_after_the_acknowledgement_settles_nothing_again() {
    let mut bench = Bench::ready();
    bench.app(update(json!({"instructions": "A"})));
    bench.server(acknowledged());
    assert_eq!(bench.server(refused("evt_0_2", "session.instructions")), ["server_error"]);
}

#[test]
fn a_member_of_a_response_that_is_refused_is_not_asked_for_again() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"instructions": "x", "max_output_tokens": 1})));
    assert_eq!(bench.server(refused("evt_0_2", "response.max_output_tokens")), ["1 refused", "server_error"]);
}

#[test]
fn a_refusal_that_comes_too_late_is_taken_back() {
    for (param, told) in [
        ("session.reasoning", &["warning", "> session.update", "server_error"][..]),
        ("session.other", &["config_updated", "server_error"]),
    ] {
        let mut bench =
            configuring(json!({"type": "realtime", "instructions": "x", "reasoning": {"effort": "low"}}));
        assert_eq!(bench.later(5000), ["warning", "ready"]);
        assert!(bench.session.config().reasoning.value().is_some(), "it counts as taken over");
        assert_eq!(bench.server(refused("evt_0_1", param)), told);
        assert!(bench.session.config().reasoning.is_absent());
        let rest = bench.session.config().instructions.value().map(String::as_str);
        assert_eq!(rest, Some(if told.len() == 3 { "x" } else { "default" }));
    }
}

#[test]
fn what_was_refused_before_the_deadline_does_not_count_as_taken_over() {
    let mut bench =
        configuring(json!({"type": "realtime", "instructions": "x", "reasoning": {"effort": "low"}}));
    bench.server(refused("evt_0_1", "session.reasoning"));
    assert_eq!(bench.later(5000), ["warning", "ready"]);
    let (config, refused) = bench.configured();
    assert!(config.reasoning.is_absent());
    assert_eq!(refused, ["reasoning"]);
}

#[test]
fn a_first_acknowledgement_that_is_overdue_still_counts() {
    let mut bench = Bench::with(SessionOptions {
        config: config(r#"{"type":"realtime","instructions":"x"}"#),
        deadlines: Deadlines::all(Deadline { after: Duration::from_secs(1), policy: OverduePolicy::Report }),
        ..Default::default()
    });
    bench.server(json!({"type": "session.created", "session": {}}));
    assert_eq!(bench.later(2000), ["overdue"]);
    assert_eq!(
        bench.server(refused("evt_0_1", "session.instructions")),
        ["warning", "> session.update", "server_error"]
    );
    assert_eq!(bench.later(2000), ["overdue"]);
    assert_eq!(bench.server(acknowledged()), ["ready"]);
    assert_eq!(bench.configured().1, ["instructions"]);
}

#[test]
fn an_update_that_joined_is_told_what_of_it_was_refused() {
    let mut bench = Bench::with(SessionOptions {
        config: config(r#"{"type":"realtime","tracing":"auto"}"#),
        ..Default::default()
    });
    let tool = |name: &str| json!({"type": "function", "name": name});
    bench.app(update(json!({"reasoning": {"effort": "low"}})));
    bench.app(update(json!({"instructions": "x", "tools": [tool("a"), tool("b"), tool("c")]})));
    bench.app(update(json!({"instructions": "y"})));
    bench.server(json!({"type": "session.created", "session": {}}));
    for (event, param) in
        ["session.tracing", "session.tools[0].name", "reasoning.effort", "tools[0].name"].iter().enumerate()
    {
        bench.server(refused(&format!("evt_0_{}", event + 1), param));
    }
    assert_eq!(bench.server(acknowledged()), ["1 refused", "2 updated", "3 updated", "ready"]);
    assert_eq!(paths(&bench.updated().refused), ["tools[0]", "tools[1]"]);
    assert_eq!(bench.configured().1, ["tracing", "tools[0]", "reasoning.effort", "tools[1]"]);
}

#[test]
fn what_the_dialect_does_not_say_is_told_and_does_not_hold() {
    let tools = json!([{"type": "mcp", "server_label": "m"}, {"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    let mut bench = Bench::with(SessionOptions {
        dialect: crate::event::Dialect::Beta,
        config: config(&json!({"type": "realtime", "tools": tools, "truncation": "auto"}).to_string()),
        ..Default::default()
    });
    bench.server(json!({"type": "session.created", "session": {}}));
    bench.server(refused("evt_0_1", "session.tools[0].name"));
    bench.server(acknowledged());
    let (config, refused) = bench.configured();
    assert_eq!(refused, ["truncation", "tools[0]", "tools[1]"]);
    assert_eq!(serde_json::to_value(&config.tools).unwrap(), json!([tools[2]]));
    assert!(config.truncation.is_absent());
    assert_eq!(bench.app(update(json!({"reasoning": {"effort": "low"}}))), ["1 refused"]);
}
