//! Tools that run at the other end of a socket: [`PeerTools`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_context::{Function, FunctionContext, ToolError};
use realtime_protocol::id::CallId;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::chain::{Cx, Frame, Processor};
use crate::media::ToolAnswer;

/// Tools that run at the other end of a socket, such as in a page: the model calls them, the client is told,
/// and what it sends back is the output.
///
/// Each is a [`Function`] of the agent's, and waits for its answer as long as its
/// [policy](Function::policy) lets it run. The [stage](Self::stage) stands before the service, where the
/// answers come. An RTVI client runs only functions of which it is told the name and the arguments:
///
/// ```
/// use realtime_pipeline::Agent;
/// use realtime_pipeline::media::rtvi::{FunctionReport, RtviOptions};
/// use realtime_pipeline::protocol::time::UnixTime;
/// use realtime_pipeline::sockets::PeerTools;
/// use serde_json::json;
///
/// let page = PeerTools::new();
/// let agent = Agent::new("You help with a map.")
///     .function(page.function("where_am_i", "Where the user is", json!({ "type": "object" })))
///     .listen(page.stage());
/// let options = RtviOptions::new(UnixTime::from_secs(0)).function("where_am_i", FunctionReport::Arguments);
/// # let _ = (agent, options);
/// ```
#[derive(Clone, Default)]
pub struct PeerTools(Arc<Mutex<Calls>>);

/// Calls that wait for their answers.
type Calls = BTreeMap<CallId, oneshot::Sender<Value>>;

impl PeerTools {
    /// No tools yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tool that runs at the other end. `parameters` is the JSON Schema of its arguments.
    pub fn function(
        &self,
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
    ) -> Function {
        let calls = self.clone();
        Function::raw(name, description, parameters, move |_: Value, cx: FunctionContext| {
            let answer = calls.wait(cx.call_id());
            async move { answer.answer().await }
        })
    }

    /// The stage that takes the answers. Put it before the service, once.
    pub fn stage(&self) -> impl Processor + use<> {
        Stage(self.clone())
    }

    fn wait(&self, call_id: &CallId) -> Waiting {
        let (to, answer) = oneshot::channel();
        self.lock().insert(call_id.clone(), to);
        Waiting { calls: self.clone(), answer }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits. Once it is dropped, nobody does.
struct Waiting {
    calls: PeerTools,
    answer: oneshot::Receiver<Value>,
}

impl Waiting {
    async fn answer(mut self) -> Result<Value, ToolError> {
        let answer = (&mut self.answer).await;
        answer.map_err(|_| ToolError::new("the call was made again before it was answered"))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Not another one: the same call may have been made again.
        self.answer.close();
        self.calls.lock().retain(|_, to| !to.is_closed());
    }
}

/// Takes answers on their way downstream.
struct Stage(PeerTools);

impl Processor for Stage {
    fn name(&self) -> &str {
        "peer_tools"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind().as_custom::<ToolAnswer>() {
            Some(answer) => {
                if let Some(to) = self.0.lock().remove(&answer.call_id) {
                    // The call may have been cancelled.
                    let _ = to.send(answer.result.clone());
                }
            }
            None => cx.forward(frame),
        }
    }
}

impl fmt::Debug for PeerTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerTools({} calls)", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::{FunctionCall, FunctionOutput};
    use realtime_protocol::time::Timestamp;
    use serde_json::json;
    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::chain::{Chain, Direction, FrameKind, Output, Stages};

    fn call(id: &str) -> Arc<FunctionCall> {
        Arc::new(FunctionCall {
            call_id: id.into(),
            item_id: None,
            name: "look".into(),
            arguments: "{}".into(),
            key: "key".into(),
        })
    }

    fn chain(tools: &PeerTools) -> Chain {
        Chain::new(Stages::new().then(tools.stage())).unwrap()
    }

    /// Gives the chain an answer. Returns the frames that leave it.
    fn give(chain: &mut Chain, id: &str, result: Value) -> Vec<&'static str> {
        let answer = FrameKind::custom(ToolAnswer::new(id.into(), result));
        chain.handle_input(Timestamp::ZERO, Direction::Downstream, answer);
        let outputs = std::iter::from_fn(|| chain.poll_output());
        let left = outputs.filter_map(|output| match output {
            Output::Frame(_, frame) => Some(frame.kind().name()),
            _ => None,
        });
        left.collect()
    }

    #[tokio::test]
    async fn a_call_is_answered_by_the_other_end() {
        let tools = PeerTools::new();
        let function = tools.function("look", "Looks", json!({ "type": "object" }));
        let mut chain = chain(&tools);
        let [one, two] = ["one", "two"].map(call);
        let first = function.start(&one, FunctionContext::of(&one)).unwrap();
        let second = function.start(&two, FunctionContext::of(&two)).unwrap();
        assert_eq!(give(&mut chain, "two", json!({ "sky": "blue" })), ["start"], "it ends here");
        give(&mut chain, "one", json!("red"));
        assert_eq!(second.await, FunctionOutput::Result(json!({ "sky": "blue" })));
        assert_eq!(first.await, FunctionOutput::Result(json!("red")));
        assert_eq!(format!("{tools:?}"), "PeerTools(0 calls)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_leaves_nothing_behind_and_a_late_answer_does_nothing() {
        let tools = PeerTools::new();
        let function = tools.function("look", "Looks", json!({ "type": "object" }));
        let mut chain = chain(&tools);
        let one = call("one");
        let waits = function.start(&one, FunctionContext::of(&one)).unwrap();
        assert!(timeout(Duration::from_secs(30), waits).await.is_err());
        assert_eq!(format!("{tools:?}"), "PeerTools(0 calls)");
        give(&mut chain, "one", json!(1));

        let first = function.start(&one, FunctionContext::of(&one)).unwrap();
        let again = function.start(&one, FunctionContext::of(&one)).unwrap();
        assert!(matches!(first.await, FunctionOutput::Error(_)), "the other one waits in its place");
        give(&mut chain, "one", json!(2));
        assert_eq!(again.await, FunctionOutput::Result(json!(2)));
    }
}
