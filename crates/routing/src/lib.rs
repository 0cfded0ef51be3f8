//! The domain of Moniker, pure: identities, the compiled snapshot, the catalog of providers,
//! request facts, strategies, ranking, decision, fallback plan, ejection and budget.
//!
//! Nothing here knows a clock, a socket, a runtime or Kubernetes: time is [`Nanos`], randomness is
//! [`Rng`], both arguments. So every decision can be replayed.

pub mod affinity;
pub mod budget;
pub mod catalog;
pub mod category;
pub mod duration;
pub mod ejection;
pub mod facts;
pub mod fallback;
pub mod filter;
pub mod fleet;
pub mod hmac;
pub mod id;
pub mod key;
pub mod material;
pub mod ordered;
pub mod outcome;
pub mod price;
pub mod quota;
pub mod rank;
pub mod revision;
pub mod rng;
pub mod snapshot;
pub mod spend;
pub mod stats;
pub mod strategy;
pub mod time;
pub mod usage;

pub use catalog::{AuthKind, Capability, CapabilitySet, Endpoint, ProviderKind};
pub use facts::RequestFacts;
pub use id::{CandidateIx, Digest, ObjectId};
pub use outcome::OutcomeClass;
pub use price::{Money, Price};
pub use rng::Rng;
pub use snapshot::RoutingSnapshot;
pub use strategy::{StrategyKind, StrategySpec};
pub use time::Nanos;
pub use usage::Usage;
