//! The data plane: HTTP server, pipeline, attempts, pools, streams

pub mod args;
mod body;
mod clock;
mod conn;
mod errors;
mod gzip;
mod http;
pub mod tls;
pub mod upstream;
mod decide;
mod filter;
pub mod live;
mod models;
mod source;
mod explain;
mod record;
mod respond;
mod facts;
