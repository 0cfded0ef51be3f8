//! The pool of connections to providers, on real sockets.
#![cfg(test)]

mod pool;
mod refused;
mod support;
mod tls;
