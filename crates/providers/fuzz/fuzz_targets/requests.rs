//! Requests of every protocol, for every dialect and server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::protocol::Protocol;

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

fuzz_target!(|input: (u8, &[u8])| {
    let protocol = Protocol::ALL[usize::from(input.0) % Protocol::ALL.len()];
    holds::request(protocol, input.1);
});
