//! What a tool at the other end of a transport returns: [`ToolAnswer`].

use std::fmt;

use realtime_protocol::id::CallId;
use serde_json::Value;

use crate::chain::CustomFrame;

/// The other end has run a tool, and this is what it returns. A [`MediaProtocol`](super::MediaProtocol) gives
/// it into the chain, and [`PeerTools`](crate::sockets::PeerTools) take it there.
///
/// `Debug` shows none of its content.
#[derive(Clone, Eq, PartialEq)]
#[doc(alias = "RTVILLMFunctionCallResult")]
#[non_exhaustive]
pub struct ToolAnswer {
    /// The call.
    pub call_id: CallId,
    /// What it returns.
    pub result: Value,
}

impl ToolAnswer {
    /// What this call returns.
    pub const fn new(call_id: CallId, result: Value) -> Self {
        Self { call_id, result }
    }
}

impl CustomFrame for ToolAnswer {
    fn name(&self) -> &'static str {
        "tool_answer"
    }

    fn passes_hold(&self) -> bool {
        true
    }

    fn survives_interruption(&self) -> bool {
        true
    }
}

impl fmt::Debug for ToolAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolAnswer").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}
