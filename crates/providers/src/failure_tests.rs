//! Tests, see the module.
