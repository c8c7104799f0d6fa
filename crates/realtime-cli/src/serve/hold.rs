//! Holds one call, to its end: on one of the threads for calls.

use realtime_client::Endpoint;
use realtime_context::budget::Budget;
use realtime_pipeline::chain::Ended;
use realtime_pipeline::task::{Finished, RunningTask, TaskError};
use realtime_pipeline::turns::{DtmfAggregator, FirstWord};
use realtime_pipeline::{Agent, Transport};

use crate::agent::Reach;
use crate::one_line;
use crate::serve::calls::LiveCall;
use crate::serve::host::Host;
use crate::serve::server::Parts;

/// Holds a call with the server's agent.
pub(super) async fn hold(
    parts: &Parts,
    call: LiveCall,
    budget: Budget,
    reach: Reach,
    transport: impl Transport,
) {
    match parts.host.model.endpoint() {
        Ok(endpoint) => {
            let agent = parts.host.agent(reach);
            let agent = if parts.dials { agent.greets_after(FirstWord::new()) } else { agent };
            hold_at(&parts.host, call, budget, endpoint, agent, transport).await;
        }
        Err(error) => call.failed(one_line(&*error)),
    }
}

/// Holds a call with this agent, at this endpoint.
pub(super) async fn hold_at(
    host: &Host,
    call: LiveCall,
    budget: Budget,
    endpoint: Endpoint,
    agent: Agent,
    transport: impl Transport,
) {
    match start(host, &call, budget, endpoint, agent, transport) {
        Ok(running) => drop(over(call, running.finished().await)),
        Err(error) => call.failed(one_line(&error)),
    }
}

/// Begins a call with this agent, at this endpoint.
///
/// # Errors
/// [`TaskError`]: the agent can't be put together.
pub(super) fn start(
    host: &Host,
    call: &LiveCall,
    budget: Budget,
    endpoint: Endpoint,
    agent: Agent,
    transport: impl Transport,
) -> Result<RunningTask, TaskError> {
    let log = match host.recordings.as_ref().map(|recordings| recordings.log(call.id())).transpose() {
        Ok(log) => log,
        // A call that can't be recorded is held nonetheless, and whoever runs the server is told.
        Err(error) => {
            tracing::error!(call = call.id(), "the call's session log cannot be written: {error}");
            None
        }
    };
    let agent = agent
        .listen(DtmfAggregator::new())
        .client(|client| {
            let client = client.listener(budget);
            let client = if host.traces_content { client.trace_content() } else { client };
            match log {
                Some(log) => client.log(log),
                None => client,
            }
        })
        .observe(call.books());
    let (task, _conversation) = agent.task(endpoint, transport)?;
    let running = host.runner.spawn(task);
    call.runs(running.handle().clone());
    if host.places.is_draining() {
        // It began while the others were asked to end.
        let _ = running.handle().end("the server ends");
    }
    Ok(running)
}

/// A call is over. Returns why, for people.
pub(super) fn over(call: LiveCall, finished: Result<Finished, TaskError>) -> String {
    let (why, is_fine) = match finished.and_then(Finished::into_result) {
        Ok(Finished { ended: Ended::Ended { reason } | Ended::Cancelled { reason }, .. }) => {
            (reason.to_string(), true)
        }
        Ok(_) => ("the run is over".to_owned(), true),
        Err(error) => (one_line(&error), false),
    };
    if is_fine {
        call.ended(&why)
    } else {
        call.failed(&why)
    }
    why
}
