//! The data plane: HTTP server, pipeline, attempts, pools, streams

pub mod args;
mod body;
mod clock;
mod conn;
mod errors;
mod gzip;
mod http;
pub mod upstream;
