//! One call of a worker: the agent joins it, on its side channel or over a carrier's leg, goes on where
//! another worker was, and lets go of it when it is another worker's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use realtime_client::Endpoint;
use realtime_context::budget::Budget;
use realtime_fleet::Leg;
use realtime_fleet::drive::ServedCall;
use realtime_pipeline::chain::{Direction, FrameKind, Hop, Observer};
use realtime_pipeline::edges::SideChannel;
use realtime_pipeline::{Agent, HangUp, Transport};
use realtime_protocol::call::{Event, Notice};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::accounts::Accounts;
use crate::agent::Reach;
use crate::one_line;
use crate::serve::calls::LiveCall;
use crate::serve::fleet::phone_call::{self, PhoneLeg};
use crate::serve::hold::{over, start};
use crate::serve::host::Host;

/// How long the run may take to end once the call is another worker's.
const LETTING_GO: Duration = Duration::from_secs(2);

/// How often it is looked whether the lease is good again.
const AGAIN: Duration = Duration::from_millis(50);

/// What is remembered of a call: of several agents the one that speaks.
const AGENT: &str = "agent";

/// Remembers which agent speaks.
struct Speakers(ServedCall);

impl Observer for Speakers {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if let ("realtime", FrameKind::Event(event)) = (&**hop.from, hop.frame.kind())
            && hop.direction == Direction::Downstream
            && let Event::Notice(Notice::AgentChanged { to, .. }) = &**event
        {
            self.0.remember(json!({ AGENT: to }));
        }
    }
}

/// Holds a call, to its end or until another worker has it.
pub(super) async fn hold(host: Arc<Host>, accounts: Arc<Accounts>, served: ServedCall) {
    let why = match &served.placed().placing.leg {
        Leg::Sideband { call_id } => sideband(&host, &served, call_id).await,
        Leg::Phone { carrier, call_id, url, token } => {
            let leg = PhoneLeg { carrier, call_id: call_id.as_deref(), url, token };
            phone_call::converse(&host, &accounts, &served, leg).await
        }
        _ => Some("expected a call with a side channel, or one of a leg".to_owned()),
    };
    if let Some(why) = why {
        served.end(why).await;
    }
}

/// Holds a call on its side channel. Returns why it is over; `None`: it is another worker's.
async fn sideband(host: &Host, served: &ServedCall, call_id: &str) -> Option<String> {
    let why = converse(host, served, call_id).await?;
    may_end(served).await?;
    if let Ok(rest) = host.model.rest() {
        // One that is over needs it no more.
        let _ = rest.hang_up_call(call_id).await;
    }
    Some(why)
}

/// Waits until it is sure whose the call is: to hang up what another worker has would end it for the caller.
/// `None`: it is another worker's.
pub(super) async fn may_end(served: &ServedCall) -> Option<()> {
    while !served.may_act() {
        tokio::select! {
            () = served.stopped() => return None,
            () = sleep(AGAIN) => {}
        }
    }
    Some(())
}

/// Speaks. Returns why the call is over; `None`: it is another worker's.
async fn converse(host: &Host, served: &ServedCall, call_id: &str) -> Option<String> {
    let place = match host.place("openai") {
        Ok(place) => place,
        Err(why) => return Some(why.to_string()),
    };
    let (call, budget) = host.begin("openai", place);
    served.pay_by(&budget);
    call.known_as(Some(call_id.to_owned()));
    let metadata = &served.placed().placing.metadata.0;
    let said = |name: &str| metadata[name].as_str().map(str::to_owned);
    call.between(said("from"), said("to"));
    let joined = || -> Result<_, crate::Error> {
        Ok((served.conversation()?, host.model.rest()?, host.model.side_channel(call_id)?))
    };
    let (conversation, rest, endpoint) = match joined() {
        Ok(joined) => joined,
        Err(error) => {
            let why = one_line(&*error);
            call.failed(&why);
            return Some(why);
        }
    };
    let agent = host
        .agent(Reach::Sip)
        .change_library(|library| served.tools(library))
        .conversation(conversation.clone())
        .client(|client| {
            // A server that is away for a moment is tried again.
            served.client(client.fallback(endpoint.clone()), &conversation)
        });
    let agent = begin_with(host, served, agent);
    follow(host, served, call, budget, endpoint, agent, SideChannel::new(rest, call_id)).await
}

/// The agent as it goes on: the one of several that spoke last speaks, and what is to be known later is.
pub(super) fn begin_with(host: &Host, served: &ServedCall, agent: Agent) -> Agent {
    let agent = match served.remembered().0[AGENT].as_str().filter(|name| host.agent.knows(name)) {
        Some(name) => agent.begins_with(name),
        None => agent,
    };
    let agent = agent.observe(Speakers(served.clone()));
    // Whether somebody is there was found out by the first owner: a caller may be silent for long later.
    if served.placed().epoch > 1 { agent.hang_up(HangUp::new().goes_on()) } else { agent }
}

/// Runs the agent until the call is over, or another worker's. Returns why it is over.
pub(super) async fn follow(
    host: &Host,
    served: &ServedCall,
    call: LiveCall,
    budget: Budget,
    endpoint: Endpoint,
    agent: Agent,
    transport: impl Transport,
) -> Option<String> {
    let running = match start(host, &call, budget, endpoint, agent, transport) {
        Ok(running) => running,
        Err(error) => {
            let why = one_line(&error);
            call.failed(&why);
            return Some(why);
        }
    };
    let handle = running.handle().clone();
    let mut finished = pin!(running.finished());
    let finished = tokio::select! {
        finished = &mut finished => finished,
        // Its client is suspended, and the run ends by that.
        () = served.stopped() => match timeout(LETTING_GO, &mut finished).await {
            Ok(finished) => finished,
            Err(_) => {
                let _ = handle.cancel("the call goes on elsewhere"); // one that is over needs it no more
                finished.await
            }
        },
    };
    let why = over(call, finished);
    served.stopped().now_or_never().is_none().then_some(why)
}
