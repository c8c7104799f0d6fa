//! Thin drivers around the machines, on tokio and NATS: [`serve`] runs a worker, [`gateway()`] a gateway, and
//! by [`look`] people see what there is.
//!
//! ```no_run
//! use realtime_client::{ApiKey, ClientOptions, Endpoint};
//! use realtime_context::Toolbox;
//! use realtime_fleet::drive::{self, NatsOptions, ServedCall};
//! use realtime_fleet::gateway::NewCall;
//! use realtime_fleet::worker::WorkerOptions;
//! use realtime_fleet::{Content, Leg, Placing, Tenant};
//! use realtime_protocol::call::Event;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = NatsOptions::new("nats://127.0.0.1:4222", "voice");
//!
//! // A worker. It attaches to a call by its id at the model's server, and serves it. It does the same with a
//! // call of a lost worker: the snapshot, and what the journal says of functions, are taken care of.
//! async fn serve(call: ServedCall) {
//!     let Leg::Sideband { call_id } = &call.placed().placing.leg else { return };
//!     let endpoint = Endpoint::openai_call(ApiKey::from("sk-example"), call_id);
//!     let options = ClientOptions::default().toolbox(Toolbox::new());
//!     let Ok(mut client) = call.attach(endpoint, options).await else { return };
//!     while let Some(event) = client.next().await {
//!         if let Event::Closed { reason } = event {
//!             call.end(reason.to_string()).await; // else another worker has it
//!         }
//!     }
//! }
//! let worker = drive::serve(nats.clone(), WorkerOptions::new(), serve).await?;
//!
//! // A gateway, in the handler of a webhook.
//! let gateway = drive::gateway(nats).await?;
//! let leg = Leg::Sideband { call_id: "rtc_1".into() };
//! let placing = Placing { tenant: Tenant::unnamed(), leg, metadata: Content::default() };
//! let placed = gateway.place(NewCall::new(placing)).await?;
//! println!("{} is served", placed.call);
//!
//! worker.drain();
//! worker.ended().await; // once its last call has ended
//! # Ok(())
//! # }
//! ```

mod clock;
mod gap;
mod gateway;
mod keep;
mod lateness;
mod media;
mod requests;
mod served;
mod sideband;
mod tools;
mod voice;
mod worker;

pub use crate::engine::nats::{EngineError, Nats, NatsOptions};
pub use gateway::{GatewayHandle, Placed, gateway};
pub use served::{ServedCall, Stopped};
pub use sideband::AttachError;
pub use worker::{WorkerHandle, WorkerState, serve};

/// Connects to a fleet that is there, to look at it ([`Nats::workers`], [`Nats::open_calls`]) and to ask its
/// workers to [drain](Nats::drain). It makes nothing.
///
/// Must be called within a tokio runtime with time and I/O enabled.
///
/// # Errors
/// [`EngineError`]: no server, or no such fleet.
pub async fn look(nats: NatsOptions) -> Result<Nats, EngineError> {
    Nats::look(nats).await
}
