//! Holds one call, to its end: on one of the threads for calls.

use realtime_client::Endpoint;
use realtime_context::budget::Budget;
use realtime_pipeline::chain::Ended;
use realtime_pipeline::task::Finished;
use realtime_pipeline::turns::{DtmfAggregator, FirstWord};
use realtime_pipeline::{Agent, Transport};

use crate::agent::Reach;
use crate::one_line;
use crate::serve::calls::LiveCall;
use crate::serve::server::Parts;

/// Holds a call with the server's agent.
pub(super) async fn hold(
    parts: &Parts,
    call: LiveCall,
    budget: Budget,
    reach: Reach,
    transport: impl Transport,
) {
    match parts.model.endpoint() {
        Ok(endpoint) => {
            let agent = parts.agent(reach);
            let agent = if parts.dials { agent.greets_after(FirstWord::new()) } else { agent };
            hold_at(parts, call, budget, endpoint, agent, transport).await;
        }
        Err(error) => call.failed(one_line(&*error)),
    }
}

/// Holds a call with this agent, at this endpoint.
pub(super) async fn hold_at(
    parts: &Parts,
    call: LiveCall,
    budget: Budget,
    endpoint: Endpoint,
    agent: Agent,
    transport: impl Transport,
) {
    let log = match parts.recordings.as_ref().map(|recordings| recordings.log(call.id())).transpose() {
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
            let client = if parts.traces_content { client.trace_content() } else { client };
            match log {
                Some(log) => client.log(log),
                None => client,
            }
        })
        .observe(call.books());
    let (task, _conversation) = match agent.task(endpoint, transport) {
        Ok(made) => made,
        Err(error) => return call.failed(one_line(&error)),
    };
    let running = parts.runner.spawn(task);
    call.runs(running.handle().clone());
    if parts.places.is_draining() {
        // It began while the others were asked to end.
        let _ = running.handle().end("the server ends");
    }
    match running.finished().await.and_then(Finished::into_result) {
        Ok(Finished { ended: Ended::Ended { reason } | Ended::Cancelled { reason }, .. }) => {
            call.ended(reason)
        }
        Ok(_) => call.ended("the run is over"),
        Err(error) => call.failed(one_line(&error)),
    }
}
