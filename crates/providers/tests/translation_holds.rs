//! What the fuzz targets ask of any bytes, asked of generated ones: bytes that look like requests,
//! answers, streams and frames, and such as were small fixtures and are broken.

#![cfg(test)]

#[path = "translation/holds.rs"]
mod holds;

use std::{fs, path::Path};

use bytes::Bytes;
use proptest::prelude::*;
use providers::{dialect::Dialect, protocol::Protocol};
use serde_json::Value;

/// The small fixtures of a folder: names and contents.
fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// Bytes with some of them changed, removed or doubled.
fn broken(mut bytes: Vec<u8>, harm: &[(u16, u8, u8)]) -> Vec<u8> {
    for (place, kind, byte) in harm {
        let at = usize::from(*place) % (bytes.len() + 1);
        match kind % 4 {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => bytes[at] = *byte,
            2 if at < bytes.len() => drop(bytes.remove(at)),
            // A part twice.
            3 => {
                let part = bytes[at..bytes.len().min(at + usize::from(*byte))].to_vec();
                let tail = bytes.split_off(at);
                bytes.extend(part);
                bytes.extend(tail);
            }
            _ => {}
        }
    }
    bytes
}

fn harm() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    prop::collection::vec(any::<(u16, u8, u8)>(), 0..4)
}

fn cuts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn answers(pick in any::<prop::sample::Index>(), harm in harm(), cuts in cuts(), own in any::<bool>()) {
        let all = fixtures("answers");
        let (name, bytes) = pick.get(&all);
        let bytes = Bytes::from(broken(bytes.clone(), &harm));
        let dialect = Dialect::of(name.split('_').next().unwrap()).unwrap();
        if own {
            holds::answer(dialect, &bytes, &cuts);
        } else {
            // Of whichever dialect it is said to be.
            for dialect in Dialect::ALL {
                holds::answer(dialect, &bytes, &cuts);
            }
        }
    }

    #[test]
    fn requests(pick in any::<prop::sample::Index>(), harm in harm()) {
        let all = fixtures("requests");
        let (_, fixture) = pick.get(&all);
        let fixture: Value = serde_json::from_slice(fixture).unwrap();
        let bytes = broken(fixture["body"].to_string().into_bytes(), &harm);
        for protocol in Protocol::ALL {
            holds::request(protocol, &bytes);
        }
        holds::endpoints(&bytes);
        holds::passed(&Bytes::from(bytes));
    }

    #[test]
    fn anything(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        let bytes = Bytes::from(bytes);
        for dialect in Dialect::ALL {
            holds::answer(dialect, &bytes, &cuts);
        }
        for protocol in Protocol::ALL {
            holds::request(protocol, &bytes);
        }
        holds::endpoints(&bytes);
        holds::passed(&bytes);
    }
}

/// Every small fixture at every offset.
#[test]
fn every_fixture_at_every_split() {
    for (name, bytes) in fixtures("answers") {
        let dialect = Dialect::of(name.split('_').next().unwrap()).unwrap();
        let bytes = Bytes::from(bytes);
        let whole = holds::events(dialect, std::slice::from_ref(&bytes));
        for at in 0..=bytes.len() {
            let halves = [bytes.slice(..at), bytes.slice(at..)];
            assert_eq!(holds::events(dialect, &halves), whole, "{name} at {at}");
        }
    }
}
