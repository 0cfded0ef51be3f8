//! Bodies that are passed through, fitted to every server.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

fuzz_target!(|bytes: &[u8]| holds::passed(&Bytes::copy_from_slice(bytes)));
