//! Small values that tests are made of.

#[cfg(feature = "nats")]
use realtime_protocol::call::FunctionCall;
use realtime_protocol::time::Timestamp;

use crate::content::Content;
use crate::id::{Tenant, WorkerId};
use crate::ledger::OnTakeover;
use crate::line::{Entry, Leg, Line, Placing, Why};

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub(crate) fn id(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

pub(crate) fn placing() -> Placing {
    let leg = Leg::Sideband { call_id: "rtc_1".into() };
    Placing { tenant: Tenant::unnamed(), leg, metadata: Content::default() }
}

pub(crate) fn placed(worker: &str) -> Line {
    Line::Placed { worker: id(worker), gateway: id("g"), placing: Box::new(placing()) }
}

pub(crate) fn owner(worker: &str, epoch: u64) -> Line {
    Line::Owner { worker: id(worker), epoch, why: Why::Lost }
}

pub(crate) fn claim(key: &str) -> Line {
    Line::Claim { key: key.into(), name: "book".into(), on_takeover: OnTakeover::Unknown, call: None }
}

#[cfg(feature = "nats")]
pub(crate) fn function_call(call_id: &str) -> FunctionCall {
    FunctionCall {
        call_id: call_id.into(),
        item_id: None,
        name: "book".into(),
        arguments: "{}".into(),
        key: "key".into(),
    }
}

pub(crate) fn entry(by: &str, n: u64, line: Line) -> Entry {
    Entry { by: id(by), n, line }
}
