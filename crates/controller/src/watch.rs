//! What the API server holds, followed: our kinds in full, the objects that they name as metadata
//! until one is named, namespaces' labels. Everything meets in [`Cluster`], which joins it into the
//! compiler's `World`.
//!
//! ```text
//! source (one per kind and namespace) --Change--> Cluster --World--> compile
//! fetch  (one GET per named object)   --Change-->    |
//!                                                    '--named objects to read--> fetch
//! ```

mod backoff;
mod cluster;
mod debounce;
mod errors;
mod fetch;
mod named;
mod ours;
mod reach;
mod source;
mod stored;

pub(crate) use backoff::Backoff;
pub(crate) use cluster::{Cluster, Compile, Effects};
pub(crate) use debounce::Debounce;
pub(crate) use errors::{for_good, said};
pub(crate) use fetch::Fetches;
pub(crate) use reach::Reach;
pub(crate) use source::{Kind, Sources, version};
