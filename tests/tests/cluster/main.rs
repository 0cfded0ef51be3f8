//! What needs a Kubernetes API server: one module per subject. `cargo xtask test --fast` leaves
//! this target out.

// The attribute tells clippy that the helpers in there are tests too, where unwrap may stand.
#[cfg(test)]
mod charts;
#[cfg(test)]
mod control_plane;
#[cfg(test)]
mod controller;
#[cfg(test)]
mod crds;
