//! The task runner: setup, test, crds, docs, tidy, bench
fn main() {}
