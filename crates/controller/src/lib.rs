//! Watches, compiles, publishes and writes status
