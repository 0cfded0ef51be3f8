//! Embeddings and counts of tokens: requests and answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

fuzz_target!(|bytes: &[u8]| holds::endpoints(bytes));
