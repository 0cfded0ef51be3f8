//! One name for many models: the binary
fn main() {}
