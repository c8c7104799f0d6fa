//! Calls over many machines: placed where there is room, fenced, and taken over when a worker is lost.
//!
//! A *worker* serves calls, a *gateway* places them. Between them is an *engine*, which keeps a journal of
//! each call and a lease of each worker. A worker that is killed, stopped or cut off loses its lease; others
//! find its calls, and one writes itself into the journal of each as the next owner. From that line on the
//! engine takes no line of the one before, so a worker that wakes up too late changes nothing. The next owner
//! begins with the last snapshot, and with what the journal says of each function: it ran and this is its
//! output, or nobody knows.
//!
//! With the feature `nats`, `drive` runs all of it on NATS with JetStream and tokio. Everything else here is
//! a machine: it takes inputs with their time, and puts out requests and events. It has no clock, no socket
//! and no task, so whole fleets run in a test, in virtual time:
//!
//! ```
//! use std::time::Duration;
//!
//! use realtime_fleet::engine::memory::Memory;
//! use realtime_fleet::engine::{Answer, Push, Request};
//! use realtime_fleet::gateway::{Gateway, GatewayOutput, NewCall};
//! use realtime_fleet::worker::{Event, OfferId, Output, Worker, WorkerOptions};
//! use realtime_fleet::{Content, Leg, Placing, Tenant};
//! use realtime_protocol::time::Timestamp;
//!
//! let now = Timestamp::from_millis(1);
//! let mut engine = Memory::new(Duration::from_secs(3));
//! let mut worker = Worker::new(now, WorkerOptions::new(), 1);
//! let mut gateway = Gateway::new(Duration::from_secs(3), 2);
//!
//! // A driver: it carries requests to the engine, and offers to workers.
//! let mut begun = Vec::new();
//! let mut asked = None;
//! let mut run = |worker: &mut Worker, gateway: &mut Gateway| loop {
//!     if let Some(output) = worker.poll_output() {
//!         match output {
//!             Output::Request(id, request) => {
//!                 if let Request::Renew { worker, card, .. } = &request {
//!                     gateway.handle_push(now, Push::Renewed(worker.clone(), card.clone()));
//!                 }
//!                 let answer = engine.handle(now, &request).unwrap_or(Answer::Unclear);
//!                 worker.handle_answer(now, id, answer);
//!             }
//!             Output::Reply(_, answer) => {
//!                 let request = asked.take().expect("it was asked");
//!                 gateway.handle_answer(now, request, Answer::Offered(answer));
//!             }
//!             Output::Event(Event::Begin(call)) => begun.push(call),
//!             Output::Event(_) => {}
//!         }
//!     } else if let Some(output) = gateway.poll_output() {
//!         match output {
//!             GatewayOutput::Request(id, Request::Offer { offer, .. }) => {
//!                 asked = Some(id);
//!                 worker.handle_offer(now, OfferId(0), offer);
//!             }
//!             GatewayOutput::Request(id, request) => {
//!                 let answer = engine.handle(now, &request).unwrap_or(Answer::Unclear);
//!                 gateway.handle_answer(now, id, answer);
//!             }
//!             GatewayOutput::Placed { result, .. } => assert!(result.is_ok()),
//!             GatewayOutput::Checked { .. } => {}
//!         }
//!     } else {
//!         break;
//!     }
//! };
//!
//! run(&mut worker, &mut gateway);
//! let leg = Leg::Sideband { call_id: "rtc_1".into() };
//! let call = Placing { tenant: Tenant::unnamed(), leg, metadata: Content::default() };
//! gateway.place(now, NewCall::new(call));
//! run(&mut worker, &mut gateway);
//! assert_eq!(begun[0].epoch, 1);
//! assert!(worker.may_act(now, &begun[0].id));
//! ```
//!
//! # What holds
//!
//! - **At most one worker acts for a call**, whatever is delayed, lost or stopped. The engine's refusal of
//!   late lines keeps the journal right, and the lease keeps everything else right that a worker does.
//! - **A function runs once.** It is claimed in the journal before it runs. Where its worker is lost
//!   meanwhile, the model is told that its outcome is unknown, unless the function may run again.
//! - **A call that was placed ends, or has an owner, or is being offered**, as long as some worker lives.
//! - **A call moves between two turns**, where its worker drains: the next owner is attached before the last
//!   one lets go, and never do both act.
//! - **An engine that is away ends no call.** Workers begin nothing that cannot be undone, and go on later.
//!
//! # What it does not do
//!
//! It moves no audio: a call's media must outlive its worker to be taken over, as a side channel's does
//! ([`Leg::Sideband`]), or a carrier's socket in a process of its own ([`Leg::Phone`], for which
//! `realtime-telephony` has the machine and `realtime fleet leg` the process).
//!
//! # Map
//!
//! | module | what lives there |
//! |---|---|
//! | [`worker`], `worker::held`, `worker::moving` | a worker, one of its calls, and one that moves |
//! | [`gateway`] | who places calls |
//! | `drive` | both on tokio and NATS (feature `nats`) |
//! | [`engine`] | what both ask of an engine, and an engine in memory |
//! | `recovery` | lost calls are found and offered |
//! | `placement`, `admission` | which worker is asked, and what it says |
//! | `quota` | how many calls a tenant has in the fleet |
//! | `money`, `spend`, `purse` | what a tenant may spend, what its calls cost, and what gateways know of that |
//! | `lease` | until when a worker may act |
//! | `board` | what people are shown of a fleet |
//! | `writer` | one author's lines into a journal |
//! | `record`, `ledger`, `line` | a journal folded, its functions, its lines |
//! | `snapshot` | what the next owner begins with |
//! | `id`, `content`, `token`, `entropy` | names, words and secrets that do not show, chance from a seed |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "nats")]
pub mod drive;
pub mod engine;
pub mod gateway;
pub mod worker;

mod admission;
mod board;
mod content;
mod entropy;
mod id;
mod lease;
mod ledger;
mod line;
mod money;
mod pace;
mod placement;
mod purse;
mod quota;
mod record;
mod recovery;
#[cfg(test)]
mod samples;
mod snapshot;
mod spend;
mod token;
mod writer;

pub use admission::AdmissionOptions;
pub use board::{OpenCall, TenantSeen, WorkerSeen};
pub use content::Content;
pub use id::{CallId, NameError, SHARDS, Sequence, Tenant, WorkerId};
pub use lease::LeaseOptions;
pub use ledger::{Claim, OnTakeover, Progress};
pub use line::{Body, Entry, Leg, Line, Listed, Placing, Whose, Why};
pub use money::MoneyLimit;
pub use placement::Wants;
pub use record::{CallRecord, LineError, Ownership};
pub use snapshot::{LARGEST_SNAPSHOT, Resume, SNAPSHOT_VERSION, Snapshot, SnapshotError};
pub use token::LegToken;
