//! Offline commands: validate, demo upstream, loading of YAML files

pub mod demo;
