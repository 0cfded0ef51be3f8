//! Server-sent events that are passed through: every byte comes out again, in order, whatever the
//! split, and their meaning is the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use providers::{Event, Stream};
use routing::{Endpoint, ProviderKind};

#[path = "../../tests/translation/holds.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod holds;

fn read(chunks: &[Bytes]) -> (Vec<Event>, bool) {
    let mut stream =
        Stream::new(ProviderKind::OpenAICompatible, Endpoint::ChatCompletions, false);
    let mut events = Vec::new();
    let mut fine = true;
    for chunk in chunks {
        stream.push(chunk.clone());
        loop {
            match stream.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => {
                    fine = false;
                    break;
                }
            }
        }
    }
    (events, fine)
}

fuzz_target!(|input: (&[u8], [u8; 3])| {
    let bytes = Bytes::copy_from_slice(input.0);
    let (events, fine) = read(std::slice::from_ref(&bytes));
    assert_eq!(read(&holds::chunks(&bytes, &input.1)), (events.clone(), fine));
    if fine {
        let told: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
        assert!(bytes.windows(told.len().max(1)).any(|part| part == told) || told.is_empty());
    }
});
