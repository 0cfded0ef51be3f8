//! Offline commands: validate, demo upstream, loading of YAML files

pub mod demo;
pub mod load;
pub mod validate;
