//! For tests: API server launcher, fault proxy, fake providers

pub mod argocd;
mod assets;
pub mod ca;
pub mod cluster;
pub mod control_plane;
pub mod daemon;
pub mod demo;
pub mod fleet;
pub mod helm;
pub mod kubectl;
pub mod moniker;
mod pki;
pub mod programs;
pub mod upstream;
