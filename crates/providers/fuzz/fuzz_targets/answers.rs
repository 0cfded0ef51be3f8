//! Answers and streams of every dialect, for every caller.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use providers::dialect::Dialect;

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

fuzz_target!(|input: (u8, &[u8], [u8; 3])| {
    let (dialect, bytes, cuts) = input;
    let dialect = Dialect::ALL[usize::from(dialect) % Dialect::ALL.len()];
    holds::answer(dialect, &Bytes::copy_from_slice(bytes), &cuts);
});
