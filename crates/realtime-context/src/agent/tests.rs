//! Agents that hand over, with the desk that declares their tools.

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::{
    Asked, CommandId, ConnectionEvent, Event, FunctionCall, FunctionEnd, Listeners, Outcome, Updated,
};
use realtime_protocol::field::Field;
use realtime_protocol::time::{MediaTime, Timestamp, UnixTime};

use super::*;
use crate::desk::{Desk, DeskOptions, DeskOutput};

fn specs() -> [AgentSpec; 3] {
    [
        AgentSpec::new("desk", "You ask.").tools(["find"]).handoffs(["billing", "sales"]).voice("marin"),
        AgentSpec::new("billing", "You bill.").handoffs(["desk"]).voice("cedar").greeting("Say hello."),
        AgentSpec::new("sales", "You sell."),
    ]
}

fn library() -> Toolbox {
    Toolbox::new().tool("find", "Finds", |(): ()| async { Ok::<_, ToolError>(1) })
}

/// A call with agents and a desk.
struct Bench {
    agents: Agents,
    library: Toolbox,
    listeners: Listeners,
    desk: Desk,
    config: SessionConfig,
    last: u64,
    told: Vec<Notice>,
}

impl Bench {
    fn new(specs: impl IntoIterator<Item = AgentSpec>) -> Self {
        let (agents, library) = (Agents::new(specs).unwrap(), library());
        let toolbox = agents.toolbox(&library).unwrap();
        let config = toolbox.session_config(agents.session_config(SessionConfig::realtime()));
        let mut listeners = Listeners::default();
        listeners.add(Box::new(agents.clone()));
        let desk = Desk::new(toolbox, DeskOptions::default());
        Self { agents, library, listeners, desk, config, last: 0, told: Vec::new() }
    }

    fn hear(&mut self, event: Event) -> Vec<Command> {
        self.desk.handle_event(Timestamp::ZERO, &event);
        self.listeners.begin();
        self.listeners.hear(Timestamp::ZERO, UnixTime::from_secs(1), &event);
        self.asked()
    }

    fn ready(&mut self) -> Vec<Command> {
        self.hear(Event::Ready { config: Box::new(self.config.clone()), refused: Vec::new() })
    }

    /// What is asked for; configurations are acknowledged.
    fn asked(&mut self) -> Vec<Command> {
        self.desk.handle_timeout(Timestamp::ZERO);
        self.listeners.handle_timeout(Timestamp::ZERO);
        let mut commands: Vec<Command> = std::iter::from_fn(|| self.listeners.poll_asked())
            .filter_map(|asked| match asked {
                Asked::Command(_, command) => Some(command),
                Asked::Media(_) => None,
            })
            .collect();
        self.told.extend(std::iter::from_fn(|| self.listeners.poll_notice()));
        while let Some(output) = self.desk.poll_output() {
            match output {
                DeskOutput::Ask { asker, command } => {
                    self.last += 1;
                    let id = CommandId(self.last);
                    self.desk.handle_asked(asker, id);
                    commands.push(command.clone());
                    if matches!(command, Command::UpdateConfig { .. }) {
                        let outcome = Outcome::Updated(Updated::default());
                        self.desk.handle_event(Timestamp::ZERO, &Event::Settled { id, outcome });
                    }
                }
                DeskOutput::Tell(notice) => self.told.push(notice),
                other => panic!("{other:?}"),
            }
        }
        commands
    }

    fn hand_over(&mut self, to: &str) -> Vec<Command> {
        let call = Arc::new(FunctionCall {
            key: String::new(),
            call_id: "c".into(),
            item_id: None,
            name: format!("handoff_to_{to}"),
            arguments: "{}".into(),
        });
        self.hear(Event::FunctionEnded { call, end: FunctionEnd::Result(Value::Null) })
    }

    fn tools(&self) -> Vec<String> {
        let tools = self.agents.shared.active.tools();
        tools.iter().map(|function| function.name().to_owned()).collect()
    }
}

fn voice(config: &SessionConfig) -> Option<String> {
    let voice = config.output().and_then(|output| output.voice.value());
    voice.map(|voice| serde_json::to_value(voice).unwrap().as_str().unwrap().to_owned())
}

#[test]
fn the_first_agent_begins_with_its_instructions_tools_and_voice() {
    let mut bench = Bench::new(specs());
    assert_eq!(bench.config.instructions, Field::Value("You ask.".into()));
    assert_eq!(bench.tools(), ["find", "handoff_to_billing", "handoff_to_sales"]);
    assert_eq!(voice(&bench.config), Some("marin".into()));
    assert!(bench.ready().is_empty(), "it has no greeting");
}

#[test]
fn in_a_call_that_goes_on_from_another_process_the_next_agent_speaks_and_nobody_greets_again() {
    let mut bench = Bench::new(specs());
    let resumed = ConnectionEvent::Resumed { gap: Duration::ZERO, audio_lost: MediaTime::ZERO };
    assert!(bench.hear(Event::Connection(resumed)).is_empty());
    let config = Box::new(bench.config.clone());
    assert!(bench.hear(Event::ConfigUpdated { config, refused: Vec::new() }).is_empty());
    let asked = bench.hand_over("billing");
    assert!(asked.iter().any(|command| matches!(command, Command::CreateResponse { .. })), "{asked:?}");
}

#[test]
fn a_first_agent_with_a_greeting_says_it_once() {
    let mut bench = Bench::new([AgentSpec::new("a", "You are A.").greeting("Say hello.")]);
    let asked = bench.ready();
    let [Command::CreateResponse { params: Some(params), protected: true }] = &asked[..] else {
        panic!("{asked:?}")
    };
    let instructions = params.instructions.value().unwrap();
    assert!(instructions.starts_with("You are A.") && instructions.ends_with("Say hello."));
    assert!(bench.ready().is_empty());
}

#[test]
fn a_handoff_changes_instructions_tools_and_voice_in_one_update_and_then_greets() {
    let mut bench = Bench::new(specs());
    bench.ready();
    let asked = bench.hand_over("billing");
    let [Command::UpdateConfig { config }, Command::CreateResponse { params: Some(params), .. }] = &asked[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!(config.instructions, Field::Value("You bill.".into()));
    let names: Vec<_> =
        config.tools.value().unwrap().iter().filter_map(|tool| tool.function_name()).collect();
    assert_eq!(names, ["handoff_to_desk"]);
    assert_eq!(voice(config), Some("cedar".into()));
    assert!(params.instructions.value().unwrap().contains("Say hello."));
    let changed = Notice::AgentChanged { from: "desk".into(), to: "billing".into(), keeps_voice: false };
    assert_eq!(bench.told, [changed]);
}

#[test]
fn the_voice_stays_once_something_was_spoken_and_that_is_told() {
    let mut bench = Bench::new(specs());
    bench.ready();
    bench.hear(crate::learn::tests::audio("r", "i"));
    let asked = bench.hand_over("billing");
    let Command::UpdateConfig { config } = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(voice(config), None);
    assert!(matches!(bench.told[..], [Notice::AgentChanged { keeps_voice: true, .. }]));

    // Another session takes the voice, once.
    let resumed = || {
        let (gap, audio_lost) = (Duration::ZERO, MediaTime::ZERO);
        Event::Connection(ConnectionEvent::Resumed { gap, audio_lost })
    };
    assert!(bench.hear(resumed()).is_empty(), "the same session goes on");
    bench.hear(Event::Created { session_id: None });
    let asked = bench.hear(resumed());
    assert!(
        matches!(&asked[..], [Command::UpdateConfig { config }] if voice(config) == Some("cedar".into()))
    );
    assert!(bench.hear(resumed()).is_empty());
}

#[test]
fn an_agent_without_a_greeting_answers() {
    let mut bench = Bench::new(specs());
    bench.ready();
    let asked = bench.hand_over("sales");
    assert!(
        matches!(&asked[..], [_, Command::CreateResponse { params: None, protected: false }]),
        "{asked:?}"
    );
    assert!(bench.hand_over("billing").is_empty(), "this agent does not hand over");
    assert_eq!(bench.agents.current(), "sales");
}

#[test]
fn the_application_hands_over_too_and_before_the_call_without_a_word() {
    let mut bench = Bench::new(specs());
    bench.agents.switch_to("sales").unwrap();
    let asked = bench.ready();
    assert!(
        matches!(&asked[..], [Command::UpdateConfig { config }] if config.instructions.value().unwrap() == "You sell.")
    );
    bench.agents.switch_to("desk").unwrap();
    assert_eq!(bench.asked().len(), 2);
    let error = bench.agents.switch_to("nobody").unwrap_err();
    assert_eq!(error.to_string(), "expected one of the agents billing, desk, sales, got `nobody`");
}

#[test]
fn tools_follow_the_library() {
    let bench = Bench::new(specs());
    let version = bench.agents.shared.active.version();
    bench.library.tell(Notice::BudgetSpent {});
    assert_eq!(bench.agents.shared.active.version(), version, "a notice changes no tool");
    assert_eq!(bench.agents.shared.active.notices(0).0, [Notice::BudgetSpent {}]);
    bench.library.unregister("find");
    assert_eq!(bench.tools(), ["handoff_to_billing", "handoff_to_sales"]);
}

#[test]
fn what_can_not_be_right_is_an_error() {
    let error = |specs: Vec<AgentSpec>| Agents::new(specs).unwrap_err();
    let agent = |name: &str| AgentSpec::new(name, "");
    assert!(matches!(error(vec![]), AgentError::NoSuchAgent { .. }));
    assert!(matches!(error(vec![agent("a"), agent("a")]), AgentError::SameName { .. }));
    assert!(matches!(error(vec![agent("not good")]), AgentError::BadName { .. }));
    assert!(matches!(error(vec![agent("a").handoffs(["b"])]), AgentError::NoSuchAgent { .. }));
    assert!(matches!(error(vec![agent("a").handoffs(["a"])]), AgentError::HandsOverToItself { .. }));
    let agents = Agents::new([agent("a").tools(["lost"])]).unwrap();
    assert!(matches!(agents.toolbox(&library()).unwrap_err(), AgentError::NoSuchTool { .. }));
    let taken = Toolbox::new().tool("handoff_to_a", "", |(): ()| async { Ok::<_, ToolError>(1) });
    let agents = Agents::new([agent("a")]).unwrap();
    assert!(matches!(agents.toolbox(&taken).unwrap_err(), AgentError::TakenName { .. }));
}

#[test]
fn a_star_stands_for_all_tools_also_those_that_come_later() {
    let agents = Agents::new([AgentSpec::new("all", "Do it.").tools(["*"])]).unwrap();
    let library = Toolbox::new().with(Function::raw("one", "", json!({}), nothing));
    let active = agents.toolbox(&library).unwrap();
    library.register(Function::raw("two", "", json!({}), nothing)).unwrap();
    let names: Vec<String> = active.tools().iter().map(|function| function.name().to_owned()).collect();
    assert_eq!(names, ["one", "two"]);
    library.unregister("one");
    assert_eq!(active.tools().iter().count(), 1);
}

async fn nothing(_: Value) -> Result<Value, ToolError> {
    Ok(Value::Null)
}
