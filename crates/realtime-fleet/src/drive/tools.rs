//! Tools of a call that the fleet serves: each is claimed in the journal before it runs, and answered from it
//! if it has run before.

use std::future::pending;
use std::sync::Arc;

use realtime_context::{BoxFuture, Function, Toolbox};
use realtime_protocol::call::{FunctionCall, FunctionOutput};

use crate::drive::served::ServedCall;
use crate::ledger::OnTakeover;
use crate::worker::Verdict;

/// What the model reads where nobody knows whether a function ran.
const UNKNOWN: &str = "it is not known whether this was done, because the program that did it was lost: do not \
                       do it again by yourself, and tell the user so";
/// The same, where the user is to decide.
const ASK: &str = "it is not known whether this was done, because the program that did it was lost: ask the \
                   user whether to do it again";

impl ServedCall {
    /// The same tools, of which each run is claimed first, and its output written down before the model is
    /// told. What the next owner does with one that was claimed and has no output is in its
    /// [`ToolPolicy`](realtime_context::ToolPolicy::on_takeover). Where the call is another worker's by now,
    /// a run never ends: let go of the call.
    pub fn tools(&self, toolbox: &Toolbox) -> Toolbox {
        toolbox.map(|function| {
            let (call, on_takeover) = (self.clone(), rule(&function));
            // The next owner's client starts it again, and the journal says what comes of it.
            let policy = function.tool_policy().clone().on_takeover(realtime_context::OnTakeover::Again);
            function
                .policy(policy)
                .within(move |function, run| claimed(call.clone(), function, on_takeover, run))
        })
    }
}

async fn claimed(
    call: ServedCall,
    function: Arc<FunctionCall>,
    on_takeover: OnTakeover,
    run: BoxFuture<'static, FunctionOutput>,
) -> FunctionOutput {
    let Ok(verdict) = call.claim_call(&function, on_takeover).await else {
        return pending().await;
    };
    let output = match verdict {
        Verdict::Run => run.await,
        Verdict::Unknown => FunctionOutput::Error(UNKNOWN.to_owned()),
        Verdict::Ask => FunctionOutput::Error(ASK.to_owned()),
        Verdict::Refused(error) => return FunctionOutput::Refused(error.to_string()),
        Verdict::Answer(output) => {
            return serde_json::from_value(output.0).unwrap_or_else(|_| {
                FunctionOutput::Error("it was done, and its output is unreadable".to_owned())
            });
        }
    };
    let written = serde_json::to_value(&output).expect("strings and JSON values are JSON");
    match call.result(&function.key[..], written).await {
        Ok(()) => output,
        Err(_) => pending().await,
    }
}

fn rule(function: &Function) -> OnTakeover {
    match function.tool_policy().on_takeover {
        realtime_context::OnTakeover::Again => OnTakeover::Again,
        realtime_context::OnTakeover::Ask => OnTakeover::Ask,
        _ => OnTakeover::Unknown,
    }
}
