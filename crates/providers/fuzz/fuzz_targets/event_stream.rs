//! Frames of AWS's event stream: as they come, and with sums that are right, so that what is within
//! them is reached.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use providers::dialect::Dialect;

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

const NAMES: [&str; 8] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
    "modelStreamErrorException",
];

fn frame(name: &str, payload: &[u8]) -> Vec<u8> {
    let exception = name.ends_with("Exception");
    let (kind, header) =
        if exception { ("exception", ":exception-type") } else { ("event", ":event-type") };
    let mut head = Vec::new();
    for (key, value) in [(":message-type", kind), (header, name)] {
        head.push(key.len() as u8);
        head.extend_from_slice(key.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = (16 + head.len() + payload.len()) as u32;
    let mut out = total.to_be_bytes().to_vec();
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

fuzz_target!(|input: (&[u8], Vec<(u8, &[u8])>, [u8; 3])| {
    let (raw, frames, cuts) = input;
    holds::answer(Dialect::Bedrock, &Bytes::copy_from_slice(raw), &cuts);
    let framed = frames.iter().map(|(name, payload)| {
        frame(NAMES[usize::from(*name) % NAMES.len()], payload)
    });
    let framed = framed.collect::<Vec<_>>().concat();
    holds::answer(Dialect::Bedrock, &Bytes::from(framed), &cuts);
});
