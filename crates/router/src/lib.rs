//! The data plane: HTTP server, pipeline, attempts, pools, streams.

pub mod admin;
pub mod args;
mod attempt;
mod attempts;
mod body;
mod clock;
mod conn;
mod decide;
mod errors;
mod explain;
mod facts;
mod filter;
mod gzip;
mod http;
pub mod link;
pub mod live;
mod models;
pub mod pipeline;
mod record;
mod relay;
mod respond;
pub mod run;
pub mod server;
mod source;
pub mod store;
pub mod tls;
pub mod upstream;
