//! Thin drivers around the machines, on tokio and NATS: [`serve`] runs a worker, [`gateway()`] a gateway.
//!
//! ```no_run
//! use realtime_fleet::drive::{self, NatsOptions, ServedCall};
//! use realtime_fleet::gateway::NewCall;
//! use realtime_fleet::worker::WorkerOptions;
//! use realtime_fleet::{Content, Leg, Placing, Tenant};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = NatsOptions::new("nats://127.0.0.1:4222", "voice");
//!
//! // A worker. What a call is, is the application's.
//! let worker = drive::serve(nats.clone(), WorkerOptions::new(), |call: ServedCall| async move {
//!     // Attach to the model by the call's id and serve it, from `call.placed().resume` on if there is one.
//!     call.stopped().await;
//! })
//! .await?;
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
mod gateway;
mod lateness;
mod served;
mod tools;
mod worker;

pub use crate::engine::nats::{EngineError, Nats, NatsOptions};
pub use gateway::{GatewayHandle, Placed, gateway};
pub use served::{ServedCall, Stopped};
pub use worker::{WorkerHandle, serve};
