//! The Kubernetes resources of Moniker: their fields, rules, status, and the closed set of
//! conditions and reasons. The only source of the CRDs, of the reference documentation and of what
//! `moniker validate` checks. Doc comments on fields are what `kubectl explain` prints.

pub mod alias;
pub mod category;
pub mod common;
pub mod condition;
pub mod crd;
pub mod health;
pub mod key;
pub mod price;
pub mod quota;
pub mod rules;
pub mod spending;
pub mod strategy;
pub mod target;

pub use alias::{ModelAlias, ModelAliasSpec, ModelAliasStatus};
pub use condition::{Class, ConditionType, Reason};
pub use health::HealthFault;
pub use key::{AccessKey, AccessKeySpec, AccessKeyStatus};
pub use routing::duration;
pub use target::{ProviderTarget, ProviderTargetSpec, ProviderTargetStatus};

/// The API group of every kind.
pub const GROUP: &str = "moniker.dev";
/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";
