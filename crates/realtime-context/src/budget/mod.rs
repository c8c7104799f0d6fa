//! What a conversation weighs and costs: an estimate of tokens for each entry, policies that keep it small,
//! prices, and limits.
//!
//! The rules kept here: a call is never dropped without its output, pinned entries and instructions stay, and
//! whatever is done is returned or told. All prices are the user's: this crate knows none.

mod estimate;
mod policy;
mod price;
mod spend;

pub use estimate::{Estimate, estimate};
pub use policy::{Policy, Pruned};
pub use price::{Cost, Prices};
pub use spend::{Budget, SpendLimits};
