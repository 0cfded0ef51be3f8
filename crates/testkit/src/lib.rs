//! For tests: API server launcher, fault proxy, fake providers

mod assets;
pub mod ca;
pub mod control_plane;
pub mod daemon;
pub mod fleet;
pub mod moniker;
pub mod programs;
pub mod upstream;
