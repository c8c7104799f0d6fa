//! Hosted MCP servers in a call: approvals, failures, and the response that follows a call.
//!
//! The rules kept here: each request for an approval of a declared server gets one answer, and what nobody
//! approves is refused. The service does not go on by itself after a call: a response is asked for, unless
//! the model says something about it anyway.

use std::collections::VecDeque;
use std::sync::Arc;

use realtime_protocol::call::{Command, CommandId, Event, Notice, Outcome, ResponseEnd};
use realtime_protocol::event::ServerEvent;
use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::{Item, McpApprovalResponseItem, McpCallItem, McpError};
use realtime_protocol::response::ResponseParams;
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::{ToolChoice, ToolMode};

use crate::desk::output::{Asker, DeskOutput, Work};
use crate::desk::{JobId, NOT_APPROVED, RETRY};
use crate::hosted::{ApprovalRequest, HostedServer, NO_HOOK};
use crate::toolbox::Toolbox;

/// Requests that wait for an answer; more are refused.
const MOST_REQUESTS: usize = 64;
/// Items of which something is remembered.
const MOST_ITEMS: usize = 256;
/// Responses after calls, without a word in between: the last one may call nothing.
const MOST_ROUNDS: u32 = 8;
/// Why a request is refused of which the answer can't arrive.
const LOST: &str = "the connection was lost before the answer";
const TOO_MANY: &str = "too many calls wait for an approval";

/// What a desk knows of the hosted servers.
#[derive(Default)]
pub(super) struct Hosted {
    requests: Vec<Request>,
    /// Requests that were seen.
    seen: VecDeque<ItemId>,
    /// The lists of tools by item, with the server's label.
    lists: VecDeque<(ItemId, String)>,
    /// Calls that failed, before their item says why.
    failed: VecDeque<ItemId>,
    /// The response in the conversation.
    running: Option<ResponseId>,
    /// The responses that made calls, by the call's item.
    calls: VecDeque<(ItemId, ResponseId)>,
    /// A call of this response has ended, and the model has said nothing since that knows of it.
    unanswered: Option<Option<ResponseId>>,
    /// Responses that were asked for in a row, without a word of the user's or the model's.
    rounds: u32,
}

struct Request {
    job: JobId,
    request: Arc<ApprovalRequest>,
    stage: Stage,
}

enum Stage {
    /// The hook decides until then.
    Asking(Timestamp),
    /// The answer goes out from then on.
    Answers(Verdict, Timestamp),
    /// The answer is on its way; the id follows.
    Sent(Verdict, Option<CommandId>),
}

type Verdict = Result<(), String>;

impl Hosted {
    /// Hears an event. `next` makes the ids of jobs.
    pub(super) fn handle_event(
        &mut self,
        now: Timestamp,
        event: &Event,
        toolbox: &Toolbox,
        next: impl FnOnce() -> JobId,
        out: &mut VecDeque<DeskOutput>,
    ) {
        match event {
            Event::ItemPlaced { item, .. } => self.note_list(item),
            Event::ItemDone { item } => match &**item {
                Item::McpApprovalRequest(item) => {
                    if let Some(request) = ApprovalRequest::of(item) {
                        self.open(now, request, toolbox, next, out);
                    }
                }
                Item::McpCall(call) => self.on_call(call, out),
                _ => {}
            },
            Event::Server(event) => match &**event {
                ServerEvent::McpListToolsFailed(event) => self.on_list_failed(&event.item_id, out),
                ServerEvent::ResponseMcpCallFailed(event) => {
                    remember(&mut self.failed, event.item_id.clone());
                }
                ServerEvent::ResponseMcpCallArgumentsDone(event) => {
                    if let Field::Value(response_id) = &event.response_id {
                        remember(&mut self.calls, (event.item_id.clone(), response_id.clone()));
                    }
                }
                _ => {}
            },
            Event::ResponseStarted { response_id, out_of_band: false, .. } => {
                self.running = Some(response_id.clone());
                self.unanswered = None; // it knows of the call
            }
            Event::Text { response_id, .. } => {
                self.rounds = 0;
                if self.unanswered.as_ref().is_some_and(|of| of.as_ref() == Some(response_id)) {
                    self.unanswered = None;
                }
            }
            Event::FunctionCalls { out_of_band: false, .. } => self.unanswered = None,
            Event::ResponseFinished(report) if self.running.as_ref() == Some(&report.response_id) => {
                self.running = None;
                if matches!(report.end, ResponseEnd::Cancelled { .. }) {
                    self.unanswered = None; // the user's words bring the next response
                }
            }
            Event::Settled { id, outcome } => self.settled(*id, outcome, out),
            _ => {}
        }
        if self.running.is_none() && self.unanswered.take().is_some() {
            self.rounds += 1;
            let must_speak = self.rounds >= MOST_ROUNDS;
            let params = must_speak
                .then(|| Box::new(ResponseParams::default().tool_choice(ToolChoice::Mode(ToolMode::None))));
            let command = Command::CreateResponse { params, protected: false };
            out.push_back(DeskOutput::Ask { asker: Asker::Nobody, command });
        }
    }

    /// The conversation on the server is another one: nobody there waits for these answers.
    pub(super) fn handle_lost(&mut self, out: &mut VecDeque<DeskOutput>) {
        self.requests.retain(|Request { job, request, stage }| {
            match stage {
                Stage::Sent(..) => return true, // it is settled
                Stage::Asking(_) => out.push_back(DeskOutput::Stop(*job)),
                Stage::Answers(..) => {}
            }
            out.push_back(told(request, &Err(LOST.to_owned())));
            false
        });
        (self.running, self.unanswered) = (None, None);
    }

    /// The hook has decided. Returns whether it is a request of a hosted server.
    pub(super) fn handle_approved(&mut self, now: Timestamp, job: JobId, verdict: Verdict) -> bool {
        let request = self.requests.iter_mut().find(|request| request.job == job);
        let Some(request) = request else { return false };
        if matches!(request.stage, Stage::Asking(_)) {
            request.stage = Stage::Answers(verdict, now);
        }
        true
    }

    pub(super) fn handle_asked(&mut self, job: JobId, id: CommandId) {
        let request = self.requests.iter_mut().find(|request| request.job == job);
        if let Some(Request { stage: Stage::Sent(_, sent), .. }) = request {
            *sent = Some(id);
        }
    }

    /// A command was refused at once. What may be taken later is sent again.
    pub(super) fn handle_refused(&mut self, now: Timestamp, id: CommandId, is_retryable: bool) {
        let Some(index) = self.requests.iter().position(|request| request.is_sent_as(id)) else { return };
        let request = &mut self.requests[index];
        match &request.stage {
            Stage::Sent(verdict, _) if is_retryable => {
                request.stage = Stage::Answers(verdict.clone(), now + RETRY.0);
            }
            _ => drop(self.requests.remove(index)),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let due = |request: &Request| match &request.stage {
            Stage::Asking(due) | Stage::Answers(_, due) => Some(*due),
            Stage::Sent(..) => None,
        };
        self.requests.iter().filter_map(due).min()
    }

    /// Sends what may be sent, and refuses what was not decided in time.
    pub(super) fn go_on(&mut self, now: Timestamp, out: &mut VecDeque<DeskOutput>) {
        for request in &mut self.requests {
            match &request.stage {
                Stage::Asking(due) if *due <= now => {
                    out.push_back(DeskOutput::Stop(request.job));
                    request.stage = Stage::Answers(Err(NOT_APPROVED.to_owned()), now);
                }
                _ => {}
            }
            if let Stage::Answers(verdict, at) = &request.stage
                && *at <= now
            {
                let verdict = verdict.clone();
                out.push_back(request.answer(&verdict));
                out.push_back(told(&request.request, &verdict));
                request.stage = Stage::Sent(verdict, None);
            }
        }
    }

    fn open(
        &mut self,
        now: Timestamp,
        request: ApprovalRequest,
        toolbox: &Toolbox,
        next: impl FnOnce() -> JobId,
        out: &mut VecDeque<DeskOutput>,
    ) {
        // What the application declared by itself, it answers by itself.
        if self.seen.contains(&request.item_id) || !toolbox.has_declared_hosted(&request.server_label) {
            return;
        }
        remember(&mut self.seen, request.item_id.clone());
        let (job, request) = (next(), Arc::new(request));
        let server = toolbox.tools().hosted(&request.server_label).cloned();
        let stage = match server.filter(HostedServer::has_hook) {
            None => Stage::Answers(Err(NO_HOOK.to_owned()), now),
            Some(_) if self.requests.len() >= MOST_REQUESTS => Stage::Answers(Err(TOO_MANY.to_owned()), now),
            Some(server) => {
                let (due, request) = (now + server.timeout(), Arc::clone(&request));
                let work = Work::new(move || server.ask(request));
                out.push_back(DeskOutput::Approve { job, work });
                Stage::Asking(due)
            }
        };
        self.requests.push(Request { job, request, stage });
    }

    fn settled(&mut self, id: CommandId, outcome: &Outcome, out: &mut VecDeque<DeskOutput>) {
        let Some(index) = self.requests.iter().position(|request| request.is_sent_as(id)) else { return };
        let Request { request, .. } = self.requests.remove(index);
        let reason = match outcome {
            Outcome::Refused { error } => error.message_str().to_owned(),
            Outcome::Declined { reason } => reason.to_string(),
            _ => return,
        };
        out.push_back(told(&request, &Err(reason)));
    }

    fn note_list(&mut self, item: &Item) {
        if let Item::McpListTools(list) = item
            && let (Field::Value(id), Field::Value(label)) = (&list.id, &list.server_label)
        {
            remember(&mut self.lists, (id.clone(), label.clone()));
        }
    }

    fn on_list_failed(&self, item_id: &ItemId, out: &mut VecDeque<DeskOutput>) {
        let known = |(id, _): &&(ItemId, String)| item_id == id;
        let server_label = self.lists.iter().find(known).map(|(_, label)| label.clone());
        out.push_back(DeskOutput::Tell(Notice::HostedToolsFailed { server_label }));
    }

    fn on_call(&mut self, call: &McpCallItem, out: &mut VecDeque<DeskOutput>) {
        let id = call.id.value();
        let failed = self.failed.iter().position(|failed| Some(failed) == id);
        if let Some(failed) = failed {
            self.failed.remove(failed);
        }
        let reason = match (call.error.value(), failed) {
            (Some(error), _) => Some(text(error)),
            (None, Some(_)) => Some("the server did not say why".to_owned()),
            (None, None) => None,
        };
        if let Some(reason) = reason {
            let server_label = call.server_label.value().cloned().unwrap_or_default();
            let name = call.name.value().cloned().unwrap_or_default();
            out.push_back(DeskOutput::Tell(Notice::HostedCallFailed { server_label, name, reason }));
        }
        let made_by = self.calls.iter().find(|(item_id, _)| Some(item_id) == id);
        self.unanswered =
            Some(made_by.map(|(_, response)| response.clone()).or_else(|| self.running.clone()));
    }
}

impl Request {
    fn is_sent_as(&self, id: CommandId) -> bool {
        matches!(&self.stage, Stage::Sent(_, Some(sent)) if *sent == id)
    }

    fn answer(&self, verdict: &Verdict) -> DeskOutput {
        let mut answer = McpApprovalResponseItem::default()
            .approval_request_id(self.request.item_id.to_string())
            .approve(verdict.is_ok());
        if let Err(reason) = verdict {
            answer = answer.reason(reason.as_str());
        }
        let command = Command::CreateItem { item: Box::new(answer.into()), after: None, respond: true };
        DeskOutput::Ask { asker: Asker::Approval(self.job), command }
    }
}

fn told(request: &ApprovalRequest, verdict: &Verdict) -> DeskOutput {
    DeskOutput::Tell(Notice::HostedApproval {
        server_label: request.server_label.clone(),
        name: request.name.clone(),
        approved: verdict.is_ok(),
        reason: verdict.clone().err(),
    })
}

fn text(error: &McpError) -> String {
    let message = match error {
        McpError::Protocol(error) => error.message.value(),
        McpError::ToolExecution(error) => error.message.value(),
        McpError::Http(error) => error.message.value(),
        _ => None,
    };
    message.cloned().unwrap_or_else(|| "the server did not say why".to_owned())
}

fn remember<T>(known: &mut VecDeque<T>, item: T) {
    if known.len() == MOST_ITEMS {
        known.pop_front();
    }
    known.push_back(item);
}

#[cfg(test)]
mod tests;
