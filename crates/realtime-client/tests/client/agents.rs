//! Agents that hand over, and guards, against the emulator over a socket.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use realtime_client::{Client, ClientOptions, ConnectError, Endpoint, Events, Handle};
use realtime_context::{
    AgentSpec, Agents, Conversation, FunctionContext, Message, Said, ToolError, Toolbox, Verdict,
};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::{Event, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use serde_json::{Value, json};

use crate::support::{connect, next, ready};

#[tokio::test]
async fn an_agent_hands_over_and_the_conversation_stays() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "call": "handoff_to_billing", "arguments": {} }] },
        { "on": "request", "reply": [{ "say": "Billing here." }] },
        { "on": { "tool": "handoff_to_billing" }, "reply": [{ "say": "Billing here." }] },
        { "on": "text", "reply": [{ "call": "find_invoice", "arguments": {} }] },
        { "on": { "tool": "find_invoice" }, "reply": [{ "say": "It is number {output}." }] },
    ] });
    let toolbox = Toolbox::new().tool("find_invoice", "", |(): ()| async { Ok::<_, ToolError>(7) });
    let agents = agents();
    let conversation = Conversation::from_messages([Message::system("You are somebody else.")]);
    // The order does not matter.
    let options = options().agents(agents.clone()).conversation(conversation.clone()).toolbox(toolbox);
    let mut call = Call::begin(options, &script).await;
    assert_eq!(call.ask("My invoice is wrong.").await, "Billing here.");
    assert_eq!(agents.current(), "billing");
    assert_eq!(call.configs.len(), 2, "one update: {:?}", call.configs);
    let instructions: Vec<_> = call.configs.iter().map(|(instructions, _)| instructions.as_str()).collect();
    assert_eq!(instructions, ["You find out what the caller wants.", "You help with invoices."]);
    assert_eq!(call.configs[1].1, ["find_invoice", "handoff_to_front_desk"]);
    assert_eq!(call.ask("Which one is it?").await, "It is number 7.");
    let said: Vec<String> = conversation.messages().iter().map(Message::text).collect();
    assert!(said.contains(&"My invoice is wrong.".to_owned()), "{said:?}");
    let changed =
        Notice::AgentChanged { from: "front_desk".into(), to: "billing".into(), keeps_voice: false };
    assert!(call.told.contains(&changed));
}

#[tokio::test(start_paused = true)]
async fn of_two_handoffs_in_one_response_the_first_counts_and_the_second_is_told_so() {
    let agents = Agents::new([
        AgentSpec::new("front", "You ask.").handoffs(["billing", "sales"]),
        AgentSpec::new("billing", "You bill.").handoffs(["sales"]),
        AgentSpec::new("sales", "You sell."),
    ]);
    let agents = agents.unwrap();
    let (_handle, _events, mut server) = ready(ClientOptions::default().agents(agents.clone())).await;
    let call = |id: &str, to: &str| {
        json!({"id": format!("item_{id}"), "type": "function_call", "status": "completed", "call_id": id,
            "name": format!("handoff_to_{to}"), "arguments": "{}"})
    };
    for (response, calls, expected) in [
        ("r1", vec![call("c1", "billing"), call("c2", "sales")], "billing"),
        ("r2", vec![call("c3", "sales")], "sales"),
    ] {
        let begun = json!({"id": response, "status": "in_progress", "output": []});
        server.send(json!({"type": "response.created", "response": begun})).await;
        let done = json!({"id": response, "status": "completed", "output": calls});
        server.send(json!({"type": "response.done", "response": done})).await;
        let mut outputs = Vec::new();
        loop {
            let mut event = server.receive().await;
            match event["type"].as_str().unwrap() {
                "conversation.item.create" => {
                    let item = event["item"].take();
                    outputs.push((item["call_id"].clone(), item["output"].as_str().unwrap().to_owned()));
                    server.send(json!({"type": "conversation.item.added", "item": item})).await;
                    server.send(json!({"type": "conversation.item.done", "item": item})).await;
                }
                "session.update" => {
                    server.send(json!({"type": "session.updated", "session": event["session"]})).await;
                }
                "response.create" => break,
                _ => {}
            }
        }
        assert_eq!(agents.current(), expected);
        outputs.sort_by_key(|(call_id, _)| call_id.to_string());
        assert!(outputs[0].1.contains("handed_over_to"), "{outputs:?}");
        assert!(
            outputs.iter().skip(1).all(|(_, output)| output.contains("to billing already")),
            "{outputs:?}"
        );
        let answer = format!("answer_{response}");
        server.begin_response(&answer, &format!("item_{answer}")).await;
        server.end_response(&answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_after_one_with_agents_has_the_conversations_instructions_again() {
    let conversation = Conversation::from_messages([Message::system("Be brief.")]);
    let agents = Agents::new([AgentSpec::new("front", "You ask.")]).unwrap();
    for (agents, expected) in [(Some(agents), "You ask."), (None, "Be brief.")] {
        let mut options = ClientOptions::default().conversation(conversation.clone());
        options.agents = agents;
        let (handle, mut events, mut server) = connect(options).await;
        server.send(json!({"type": "session.created", "session": {"id": "s"}})).await;
        let update = server.expect("session.update").await;
        assert_eq!(update["session"]["instructions"], expected);
        server.send(json!({"type": "session.updated", "session": update["session"]})).await;
        server.expect_silence().await;
        drop((handle, server));
        while events.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_tool_that_no_toolbox_has_is_a_mistake() {
    let error = Client::connect(Endpoint::new("ws://127.0.0.1:1", "m").unwrap(), options().agents(agents()));
    let error = error.await.unwrap_err();
    assert!(matches!(&error, ConnectError::BadTool { name, .. } if name == "find_invoice"), "{error}");
}

#[tokio::test]
async fn a_guard_stops_words_and_has_others_said() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "say": "I guarantee that it will rise, and much more than that, for ever." }] },
        { "on": "request", "reply": [{ "say": "I can not promise that." }] },
        { "on": "any", "reply": [{ "say": "I can not promise that." }] },
    ] });
    let guard = |said: &Said<'_>| match said.text.contains("guarantee") {
        true => Verdict::Interrupt { say: Some("I can not promise that.".into()) },
        false => Verdict::Pass,
    };
    let mut call = Call::begin(options().guard(guard), &script).await;
    call.handle.send_text("Will it rise?", true).await.unwrap();
    while !call.words.ends_with("I can not promise that.") {
        call.hear().await;
    }
    assert!(matches!(&call.told[..], [Notice::GuardInterrupted { .. }]), "{:?}", call.told);
}

#[tokio::test]
async fn a_tool_reads_what_led_to_its_call_whatever_was_told_first() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "call": "read", "arguments": {} }] },
        { "on": { "tool": "read" }, "reply": [{ "say": "Done." }] },
    ] });
    for conversation_first in [true, false] {
        let conversation = Conversation::new();
        let read = Arc::new(Mutex::new(Vec::new()));
        let toolbox = Toolbox::new().tool("read", "", {
            let (read, conversation) = (Arc::clone(&read), conversation.clone());
            move |(): (), cx: FunctionContext| {
                let has_call = conversation
                    .with(|log| log.entries().iter().any(|e| e.name() == Some(cx.call().name.as_str())));
                read.lock().unwrap().push(has_call);
                async { Ok::<_, ToolError>(1) }
            }
        });
        let options = match conversation_first {
            true => options().conversation(conversation).toolbox(toolbox),
            false => options().toolbox(toolbox).conversation(conversation),
        };
        let mut call = Call::begin(options, &script).await;
        assert_eq!(call.ask("Go.").await, "Done.");
        assert_eq!(*read.lock().unwrap(), [true]);
    }
}

fn agents() -> Agents {
    Agents::new([
        AgentSpec::new("front_desk", "You find out what the caller wants.").handoffs(["billing"]),
        AgentSpec::new("billing", "You help with invoices.")
            .tools(["find_invoice"])
            .handoffs(["front_desk"])
            .voice("cedar")
            .greeting("Say that you are from billing."),
    ])
    .unwrap()
}

fn options() -> ClientOptions {
    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    ClientOptions::new(SessionOptions::default().config(config))
}

struct Call {
    handle: Handle,
    events: Events,
    told: Vec<Notice>,
    words: String,
    /// Instructions and tools, each time that they were acknowledged.
    configs: Vec<(String, Vec<String>)>,
}

impl Call {
    async fn begin(options: ClientOptions, script: &Value) -> Self {
        let script = Script::parse(&script.to_string()).unwrap();
        let server = Options::default().script(script);
        let emulator = Emulator::bind((Ipv4Addr::LOCALHOST, 0), server).await.unwrap();
        let endpoint = Endpoint::new(emulator.url().split('?').next().unwrap(), "gpt-realtime").unwrap();
        tokio::spawn(emulator.serve(std::future::pending()));
        let (handle, events) = Client::connect(endpoint, options).await.unwrap().split();
        Self { handle, events, told: Vec::new(), words: String::new(), configs: Vec::new() }
    }

    /// Sends a text, and returns the words of the first response that has some.
    async fn ask(&mut self, text: &str) -> String {
        self.words.clear();
        self.handle.send_text(text, true).await.unwrap();
        while !matches!(self.hear().await, Event::ResponseFinished(_)) || self.words.is_empty() {}
        self.words.clone()
    }

    async fn hear(&mut self) -> Event {
        let event = next(&mut self.events).await;
        match &event {
            Event::Notice(notice) => self.told.push(notice.clone()),
            Event::Text { delta, .. } => self.words.push_str(delta),
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                let tools = config.tools.value().into_iter().flatten();
                let names = tools.filter_map(|tool| tool.function_name()).map(ToOwned::to_owned).collect();
                self.configs.push((config.instructions.value().cloned().unwrap_or_default(), names));
            }
            _ => {}
        }
        event
    }
}
