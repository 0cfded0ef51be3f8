//! The data path over real sockets: providers that fail in every way, and what callers get.

mod explain;
mod fallback;
mod limits;
mod passthrough;
mod patience;
mod rig;
mod streams;
mod upstream;
