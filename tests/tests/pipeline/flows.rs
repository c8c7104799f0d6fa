//! One test for each story of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_context::{Function, FunctionContext, Message, ToolError, ToolPolicy, Toolbox};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::chain::{Answer, FrameKind, Intent, Respond, UserInput};
use realtime_pipeline::turns::{EnergyVad, Key, Turns};
use realtime_protocol::call::{Outcome, ResponseEnd};
use realtime_protocol::session_config::SessionConfig;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{DIALECTS, Scene, answers};

const LONG: &str = "This is a long answer, with so many words in it that a user loses patience with it, speaks, \
    and does not want to hear the end of it at all.";

fn host() -> Agent {
    Agent::new("You are a friendly host.").hang_up(None)
}

#[tokio::test(start_paused = true)]
async fn an_agent_greets_first() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("Fine.")).begin(host().greeting("Say hello."));
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.words(), ["assistant: Hello there."], "{:#?}", told.lines);
        assert_eq!(told.count("response started"), 1);
        assert!(told.place("ready", 1) < told.place("response started", 1));
        assert!(told.place("first byte", 1) < told.place("bot started", 1));
        assert!(told.finished.clone().into_result().is_ok(), "{:?}", told.finished);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_speaks_and_is_answered() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("I am fine.")).begin(host());
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.words(), ["user: How are you?", "assistant: I am fine."], "{:#?}", told.lines);
        for (before, after) in [
            ("user started", "user stopped"),
            ("user stopped", "response started"),
            ("response started", "bot started"),
            ("bot started", "voice to voice"),
        ] {
            assert!(told.place(before, 1) < told.place(after, 1), "{before} {after} {:#?}", told.lines);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_speaks_over_the_agent_stops_it_and_the_conversation_holds_what_was_heard() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers(LONG)).begin(host());
        stage.speak(1_000).await;
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(1_500)).await;
        stage.speak(800).await;
        stage.until("bot stopped", 2).await;
        let told = stage.finish().await;
        let cut = &told.lines[told.place("interrupted", 1)];
        let cut: u64 = cut.split_whitespace().nth(1).unwrap().parse().unwrap();
        let heard = told.heard_ms();
        assert_eq!(heard.len(), 2, "{heard:?} {:#?}", told.lines);
        assert!(heard[0].abs_diff(cut) <= 1, "heard {} ms, told {cut} ms", heard[0]);
        assert!((1_000..3_000).contains(&cut), "{cut}");
        let words = told.words();
        assert_eq!(words.len(), 4, "{words:?}");
        let said = words[1].strip_prefix("assistant: ").unwrap();
        assert!(LONG.starts_with(said) && said.len() < LONG.len() && !said.is_empty(), "{said}");
        assert_eq!(words[3], format!("assistant: {LONG}"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_user_types_stops_the_agent_and_is_answered() {
    let typed = |text: &str, respond| FrameKind::UserInput(UserInput::Text { text: text.into(), respond });
    for beta in DIALECTS {
        let script = json!({ "turns": [
            { "on": "text", "reply": [{ "say": LONG }] },
            { "on": "text", "repeat": true, "reply": [{ "say": "You wrote: {input}" }] },
        ] });
        let stage = Scene::new(beta, script).begin(host());
        stage.handle.queue(typed("Tell me all.", Respond::Yes)).unwrap();
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(1_500)).await;
        stage.handle.queue(typed("Stop.", Respond::Written)).unwrap();
        stage.until("response finished", 2).await;
        let told = stage.finish().await;
        let words = told.words();
        assert_eq!(words.len(), 4, "{words:?}");
        assert_eq!((&*words[0], &*words[2]), ("user: Tell me all.", "user: Stop."));
        assert!(words[1].len() < LONG.len(), "{words:?}");
        assert_eq!(words[3], "assistant: You wrote: Stop.");
        assert_eq!((told.count("interrupted"), told.count("bot started")), (1, 1), "{:#?}", told.lines);
        assert_eq!(told.count("fault"), 0, "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn functions_run_and_are_answered_once_also_two_at_a_time() {
    let script = json!({ "turns": [
        { "on": "speech", "transcript": "Both, please.", "reply": [
            { "call": "look", "arguments": { "city": "Paris" } },
            { "call": "look", "arguments": { "city": "Rome" } } ] },
        { "on": { "tool": "look" }, "reply": [{ "say": "Sunny in both." }] },
    ] });
    for beta in DIALECTS {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let look = move |city: Value| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(300)).await;
                Ok::<_, ToolError>(json!({ "city": city["city"], "sky": "sunny" }))
            }
        };
        let function = Function::raw("look", "Looks", json!({ "type": "object" }), look);
        let stage = Scene::new(beta, script.clone()).begin(host().function(function));
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(ran.load(Ordering::Relaxed), 2);
        assert_eq!(told.count("functions 2"), 1, "{:#?}", told.lines);
        assert_eq!(told.count("function ended look"), 2);
        assert_eq!(told.count("response started"), 2, "one answer to both");
        assert_eq!(told.words().last().unwrap(), "assistant: Sunny in both.");
        // The first byte of the answer is told when it comes, since the last output.
        assert!(told.place("function ended", 2) < told.place("first byte", 1), "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_the_user_speaks_over_is_cancelled_and_its_late_result_is_not_answered() {
    let script = json!({ "turns": [
        { "on": "speech", "transcript": "Look it up.", "reply": [
            { "say": "One moment, I am looking it up for you now." }, { "call": "look", "arguments": {} } ] },
        { "on": "speech", "transcript": "Never mind.", "reply": [{ "say": "As you wish." }] },
    ] });
    for beta in DIALECTS {
        let look = |_: Value, cx: FunctionContext| async move {
            cx.cancelled().await;
            Ok::<_, ToolError>(json!("too late"))
        };
        let function = Function::raw("look", "Looks", json!({ "type": "object" }), look)
            .policy(ToolPolicy::new().timeout(Duration::from_secs(60)));
        let stage = Scene::new(beta, script.clone()).begin(host().function(function));
        stage.speak(1_000).await;
        stage.until("functions 1", 1).await;
        stage.until("bot stopped", 1).await;
        stage.speak(1_000).await;
        stage.until("bot stopped", 2).await;
        let told = stage.finish().await;
        assert_eq!(told.count("function ended look"), 1, "{:#?}", told.lines);
        assert_eq!(told.count("response started"), 2, "{:#?}", told.lines);
        assert_eq!(told.words().last().unwrap(), "assistant: As you wish.");
    }
}

#[tokio::test(start_paused = true)]
async fn with_push_to_talk_the_key_begins_and_ends_turns_and_interrupts() {
    for beta in DIALECTS {
        let scene = Scene::new(beta, answers(LONG)).without_server_turns();
        let stage = scene.begin(host().listen(Turns::push_to_talk()));
        stage.handle.queue(Key::Pressed.into()).unwrap();
        stage.speak(900).await;
        stage.handle.queue(Key::Released.into()).unwrap();
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(1_000)).await;
        stage.handle.queue(Key::Pressed.into()).unwrap();
        stage.speak(900).await;
        stage.handle.queue(Key::Released.into()).unwrap();
        stage.until("bot stopped", 2).await;
        let told = stage.finish().await;
        assert_eq!(told.count("interrupted"), 1, "{:#?}", told.lines);
        assert_eq!(told.words().len(), 4, "{:?}", told.words());
        assert!(told.heard_ms()[0].abs_diff(1_000) < 100, "{:?}", told.heard_ms());
        assert_eq!(told.count("server error"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_detector_of_its_own_the_pipeline_finds_the_turns() {
    for beta in DIALECTS {
        let scene = Scene::new(beta, answers("I am fine.")).without_server_turns();
        let stage = scene.begin(host().listen(Turns::by_voice(EnergyVad::new())));
        sleep(Duration::from_millis(600)).await;
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        stage.speak(1_000).await;
        stage.until("bot stopped", 2).await;
        let told = stage.finish().await;
        let words = told.words();
        assert_eq!(words[..2], ["user: How are you?", "assistant: I am fine."], "{:#?}", told.lines);
        assert_eq!(words.len(), 4);
        assert_eq!(told.count("server error"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn text_reaches_the_server_and_is_answered_and_what_it_refuses_is_told() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("Fine.")).begin(host());
        let messages = vec![Message::user("Tell me more.")];
        let answer = stage.ask(Intent::Append { messages, run: true }).await;
        let Answer::Settled(Outcome::Responded { end, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(end, ResponseEnd::Completed);
        let quiet =
            stage.ask(Intent::Append { messages: vec![Message::user("By the way.")], run: false }).await;
        assert_eq!(quiet, Answer::Settled(Outcome::Done));
        let orphan = vec![Message::tool("nobody", "42")];
        let refused = stage.ask(Intent::Append { messages: orphan, run: false }).await;
        assert!(matches!(refused, Answer::Refused(_)), "{refused:?}");
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        let expected = ["user: Tell me more.", "assistant: You wrote: Tell me more.", "user: By the way."];
        assert_eq!(told.words()[..3], expected, "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn settings_change_field_by_field() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("Fine.")).begin(host());
        stage.until("ready", 1).await;
        let config = SessionConfig::default().instructions("Be brief.");
        let answer = stage.ask(Intent::Settings(Box::new(config))).await;
        let Answer::Settled(Outcome::Updated(updated)) = answer else { panic!("{answer:?}") };
        assert!(updated.changed && updated.refused.is_empty());
        stage.until("config updated", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("config updated"), 1, "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn tools_are_replaced_in_the_call_declaration_and_handler() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "call": "new", "arguments": {} }] },
        { "on": { "tool": "new" }, "reply": [{ "say": "It says {output}." }] },
    ] });
    for beta in DIALECTS {
        let stage = Scene::new(beta, script.clone()).begin(host());
        stage.until("ready", 1).await;
        let new = |_: Value| async { Ok::<_, ToolError>("hi") };
        let tools = Toolbox::new().with(Function::raw("new", "Says hi", json!({ "type": "object" }), new));
        let answer = stage.ask(Intent::Toolbox(tools)).await;
        let Answer::Settled(Outcome::Updated(updated)) = answer else { panic!("{answer:?}") };
        assert!(updated.changed && updated.refused.is_empty());
        let messages = vec![Message::user("Call it.")];
        assert!(stage.ask(Intent::Append { messages, run: true }).await.is_ok());
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.words().last().unwrap(), "assistant: It says \"hi\".", "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_replaced_and_the_server_answers_the_new_one() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("I am fine.")).begin(host());
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        let messages = vec![Message::user("We spoke of boats."), Message::assistant("We did.")];
        let answer = stage.ask(Intent::Replace { messages, run: false }).await;
        assert_eq!(answer, Answer::Settled(Outcome::Done));
        let more = vec![Message::user("Go on.")];
        let answer = stage.ask(Intent::Append { messages: more, run: true }).await;
        assert!(answer.is_ok(), "{answer:?}");
        stage.until("bot stopped", 2).await;
        let told = stage.finish().await;
        let expected = [
            "user: We spoke of boats.",
            "assistant: We did.",
            "user: Go on.",
            "assistant: You wrote: Go on.",
        ];
        assert_eq!(told.words(), expected, "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_lets_the_agent_finish_and_cancel_does_not() {
    for beta in DIALECTS {
        let stage = Scene::new(beta, answers("I am fine, and I have a good deal to say.")).begin(host());
        stage.speak(1_000).await;
        stage.until("bot started", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("bot stopped"), 1, "{:#?}", told.lines);
        assert_eq!(told.words()[1], "assistant: I am fine, and I have a good deal to say.");

        let stage = Scene::new(beta, answers(LONG)).begin(host());
        stage.speak(1_000).await;
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(500)).await;
        stage.handle.cancel("at once").unwrap();
        let told = stage.finish().await;
        assert!(told.heard_ms()[0] < 700, "{:?}", told.heard_ms());
    }
}
