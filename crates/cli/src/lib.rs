//! Commands beside the product: classify, validate, prices, check, demo upstream, loading of YAML files

pub mod check;
pub mod classify;
pub mod demo;
pub mod load;
pub mod prices;
pub mod validate;
