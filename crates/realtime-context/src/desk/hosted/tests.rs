//! Approvals, failures and follow-ups, by events alone.

use std::time::Duration;

use realtime_protocol::call::Origin;
use realtime_protocol::error::ApiError;
use realtime_protocol::session_config::SessionConfig;
use serde_json::{Value, json};

use super::*;
use crate::learn::tests::finished;

struct Bench {
    hosted: Hosted,
    toolbox: Toolbox,
    now: Timestamp,
    jobs: u64,
    asked: Vec<Command>,
    told: Vec<Notice>,
    asking: Vec<JobId>,
    stopped: Vec<JobId>,
}

impl Bench {
    fn new(server: HostedServer) -> Self {
        let toolbox = Toolbox::new().hosted(server);
        let _ = toolbox.session_config(SessionConfig::realtime());
        Self {
            hosted: Hosted::default(),
            toolbox,
            now: Timestamp::ZERO,
            jobs: 0,
            asked: Vec::new(),
            told: Vec::new(),
            asking: Vec::new(),
            stopped: Vec::new(),
        }
    }

    fn hear(&mut self, event: &Event) {
        let mut out = VecDeque::new();
        let jobs = &mut self.jobs;
        let next = || {
            *jobs += 1;
            JobId(*jobs)
        };
        self.hosted.handle_event(self.now, event, &self.toolbox, next, &mut out);
        self.drain(out);
    }

    /// Goes on, and does what is wanted. The ids of commands count from 1.
    fn drain(&mut self, mut out: VecDeque<DeskOutput>) {
        self.hosted.go_on(self.now, &mut out);
        for output in out {
            match output {
                DeskOutput::Ask { asker, command } => {
                    self.asked.push(command);
                    if let Asker::Approval(job) = asker {
                        self.hosted.handle_asked(job, CommandId(self.asked.len() as u64));
                    }
                }
                DeskOutput::Tell(notice) => self.told.push(notice),
                DeskOutput::Approve { job, .. } => self.asking.push(job),
                DeskOutput::Stop(job) => self.stopped.push(job),
                other => panic!("{other:?}"),
            }
        }
    }

    fn item_done(&mut self, item: Value) {
        self.hear(&Event::ItemDone { item: serde_json::from_value(item).unwrap() });
    }

    fn request(&mut self, id: &str) {
        self.item_done(
            json!({ "type": "mcp_approval_request", "id": id, "server_label": "docs", "name": "search",
            "arguments": "{}" }),
        );
    }

    fn decide(&mut self, verdict: Verdict) {
        let job = *self.asking.last().unwrap();
        assert!(self.hosted.handle_approved(self.now, job, verdict));
        self.drain(VecDeque::new());
    }

    /// The answers: the request, whether it is approved, and why not.
    fn answers(&self) -> Vec<(String, bool, Option<String>)> {
        let answer = |command: &Command| match command {
            Command::CreateItem { item, respond: true, .. } => match &**item {
                Item::McpApprovalResponse(item) => Some((
                    item.approval_request_id.value()?.clone(),
                    *item.approve.value()?,
                    item.reason.value().cloned(),
                )),
                _ => None,
            },
            _ => None,
        };
        self.asked.iter().filter_map(answer).collect()
    }

    fn start(&mut self, response: &str) {
        self.hear(&Event::ResponseStarted {
            response_id: response.into(),
            origin: Origin::Client,
            out_of_band: false,
            metadata: Default::default(),
        });
    }

    fn finish(&mut self, response: &str) {
        self.hear(&finished(response));
    }

    fn say(&mut self, response: &str) {
        self.hear(&Event::Text {
            response_id: response.into(),
            item_id: "words".into(),
            content_index: 0,
            delta: "Three.".into(),
            spoken: true,
        });
    }

    fn server(&mut self, event: Value) {
        self.hear(&Event::Server(Arc::new(serde_json::from_value(event).unwrap())));
    }

    /// A response of the conversation calls.
    fn called(&mut self, response: &str, error: Option<&str>) {
        self.server(
            json!({ "type": "response.mcp_call_arguments.done", "response_id": response, "item_id": "call",
            "output_index": 0, "arguments": "{}" }),
        );
        let error = error.map(|message| json!({ "type": "tool_execution_error", "message": message }));
        self.item_done(json!({ "type": "mcp_call", "id": "call", "server_label": "docs", "name": "search",
            "arguments": "{}", "error": error }));
    }

    fn follow_ups(&self) -> usize {
        self.asked.iter().filter(|command| matches!(command, Command::CreateResponse { .. })).count()
    }
}

fn server() -> HostedServer {
    HostedServer::at("docs", "https://mcp.example")
}

fn asked() -> HostedServer {
    server().approval(|_| async { Ok(()) })
}

fn approval(approved: bool, reason: Option<&str>) -> Notice {
    Notice::HostedApproval {
        server_label: "docs".into(),
        name: "search".into(),
        approved,
        reason: reason.map(Into::into),
    }
}

#[test]
fn what_nobody_decides_about_is_refused_and_told() {
    let mut bench = Bench::new(server());
    bench.request("r1");
    assert_eq!(bench.answers(), [("r1".into(), false, Some(NO_HOOK.into()))]);
    assert_eq!(bench.told, [approval(false, Some(NO_HOOK))]);
}

#[test]
fn the_hook_decides_once_for_each_request() {
    let mut bench = Bench::new(asked());
    bench.request("r1");
    bench.request("r1");
    assert_eq!((bench.asking.len(), bench.asked.len()), (1, 0));
    bench.decide(Ok(()));
    bench.request("r2");
    bench.decide(Err("not today".into()));
    let expected = [("r1".into(), true, None), ("r2".into(), false, Some("not today".into()))];
    assert_eq!(bench.answers(), expected);
    assert_eq!(bench.told, [approval(true, None), approval(false, Some("not today"))]);
}

#[test]
fn a_hook_that_does_not_answer_in_time_refuses() {
    let mut bench = Bench::new(asked().approval_timeout(Duration::from_secs(5)));
    bench.request("r1");
    bench.now = bench.hosted.poll_timeout().unwrap();
    assert_eq!(bench.now, Timestamp::from_millis(5000));
    bench.drain(VecDeque::new());
    assert_eq!(bench.answers(), [("r1".into(), false, Some(NOT_APPROVED.into()))]);
    assert_eq!(bench.stopped, bench.asking);
}

#[test]
fn a_server_that_the_application_declared_by_itself_is_its_own() {
    let mut bench = Bench::new(HostedServer::at("other", "https://mcp.example"));
    bench.request("r1");
    assert!(bench.asked.is_empty() && bench.told.is_empty());
}

#[test]
fn an_answer_that_finds_no_room_is_sent_again_and_one_that_is_refused_is_told() {
    let mut bench = Bench::new(server());
    bench.request("r1");
    bench.hosted.handle_refused(bench.now, CommandId(1), true);
    bench.now = bench.hosted.poll_timeout().unwrap();
    bench.drain(VecDeque::new());
    assert_eq!(bench.answers().len(), 2);
    let error = Box::new(ApiError::default().message("there is no such request"));
    bench.hear(&Event::Settled { id: CommandId(2), outcome: Outcome::Refused { error } });
    assert_eq!(bench.told.last(), Some(&approval(false, Some("there is no such request"))));
    assert_eq!(bench.hosted.poll_timeout(), None);
}

#[test]
fn a_request_that_is_lost_with_its_conversation_is_told() {
    let mut bench = Bench::new(asked());
    bench.request("r1");
    let mut out = VecDeque::new();
    bench.hosted.handle_lost(&mut out);
    bench.drain(out);
    assert_eq!(bench.told, [approval(false, Some(LOST))]);
    assert!(bench.asked.is_empty() && bench.stopped == bench.asking);
}

#[test]
fn the_model_is_asked_to_go_on_after_a_call_unless_it_does() {
    let mut bench = Bench::new(server());
    bench.start("a");
    bench.called("a", None);
    assert_eq!(bench.follow_ups(), 0);
    bench.finish("a");
    assert_eq!(bench.follow_ups(), 1);
    bench.start("b");
    bench.say("b");
    bench.finish("b");
    assert_eq!(bench.follow_ups(), 1);

    let mut bench = Bench::new(server());
    bench.start("a");
    bench.called("a", None);
    bench.say("a");
    bench.finish("a");
    assert_eq!(bench.follow_ups(), 0, "it has said something about it");
}

#[test]
fn a_call_that_ends_beside_another_response_is_followed_up_after_it() {
    let mut bench = Bench::new(server());
    bench.start("b");
    bench.called("a", None);
    bench.say("b");
    assert_eq!(bench.follow_ups(), 0);
    bench.finish("b");
    assert_eq!(bench.follow_ups(), 1);

    let mut bench = Bench::new(server());
    bench.called("a", None);
    assert_eq!(bench.follow_ups(), 1, "nothing runs");
}

#[test]
fn a_model_that_only_calls_is_made_to_speak() {
    let mut bench = Bench::new(server());
    for _ in 0..8 {
        bench.start("a");
        bench.called("a", None);
        bench.finish("a");
    }
    let choices = bench.asked.iter().map(|command| match command {
        Command::CreateResponse { params, .. } => params.is_some(),
        _ => false,
    });
    assert_eq!(choices.collect::<Vec<_>>(), [false, false, false, false, false, false, false, true]);
}

#[test]
fn failures_are_told_by_name() {
    let mut bench = Bench::new(server());
    bench.start("a");
    bench.called("a", Some("no such index"));
    let failed = |reason: &str| Notice::HostedCallFailed {
        server_label: "docs".into(),
        name: "search".into(),
        reason: reason.into(),
    };
    assert_eq!(bench.told, [failed("no such index")]);
    bench.server(json!({ "type": "response.mcp_call.failed", "item_id": "call", "output_index": 0 }));
    bench.called("a", None);
    assert_eq!(bench.told[1], failed("the server did not say why"));

    let item = json!({ "type": "mcp_list_tools", "id": "list", "server_label": "docs", "tools": [] });
    bench.hear(&Event::ItemPlaced {
        item: serde_json::from_value(item).unwrap(),
        place: realtime_protocol::call::Place::First,
        origin: Origin::Server,
    });
    bench.server(json!({ "type": "mcp_list_tools.failed", "item_id": "list" }));
    assert_eq!(bench.told[2], Notice::HostedToolsFailed { server_label: Some("docs".into()) });
}
