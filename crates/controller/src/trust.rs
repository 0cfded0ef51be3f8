//! Who may follow the stream, and how routers know whom they follow.
//!
//! The release ships three objects without data, and the controller fills them: the Secret
//! `RELEASE-ca` with the authority that signs for the stream, the ConfigMap `RELEASE-ca` with whom
//! routers trust, and the Secret `RELEASE-keys`, from which every key is derived that all replicas
//! must have alike. What is filled is never made anew while anybody knows it.
//!
//! ```text
//! Secrets, ConfigMap <-(Keeper, every 5 s)-> Authority -> certificate -> TLS
//!                                            Secrets <- HKDF <- RELEASE-keys
//! router's token -> Callers -(TokenReview, kept 60 s)-> stream or refusal
//! ```

mod authority;
mod bundle;
mod callers;
mod certificate;
mod keeper;
mod keys;
mod objects;

pub(crate) use callers::{Callers, Peer, guarded};
pub(crate) use certificate::Certificates;
pub(crate) use keeper::{Keeper, Set};
pub(crate) use keys::Keys;
