//! Offline commands: classify, validate, prices, demo upstream, loading of YAML files

pub mod classify;
pub mod demo;
pub mod load;
pub mod prices;
pub mod validate;
