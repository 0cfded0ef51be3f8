//! `cargo bench -p router --bench access`: what it costs to know a caller by its key, with one key
//! and with a hundred thousand, and what these take in memory: as the router holds them, in its
//! store, by which it tells what is newer, and in the table that requests use. Memory is what the
//! system has given: with `MIMALLOC_PURGE_DELAY=0` what filling them has freed is not in it, as it is
//! not after a moment in a router.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(clippy::expect_used, reason = "what does not work here has no figures")]

use std::{fs, hint::black_box, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue};
use router::{
    access::{Anonymous, Keys, authorize},
    store::{Applied, Store},
};
use routing::{
    Digest, Nanos, ObjectId,
    hmac::Hmac,
    key::KeyHash,
    revision::{Counting, KEY},
};
use serde_json::value::RawValue;
use wire::{Commit, Counts, Frame, HashKey, HashesFrame, Hello, Kind, Upsert};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOOK_UPS: usize = 2_000_000;
const CALLERS: usize = 1_024;

fn main() {
    for keys in [1, 1_000, 100_000] {
        let before = resident();
        let mut store = Store::default();
        let applied = fill(&mut store, keys);
        let table = Keys::of(
            &Arc::default(),
            &applied.snapshot.keys,
            &applied.hashes,
            applied.hash_key.as_ref(),
        );
        let taken = resident().saturating_sub(before);
        // Those that ask are spread over all keys, and there are as many requests with headers of
        // their own where all have one key.
        let callers: Vec<HeaderMap> = (0..CALLERS).map(|n| headers(n * keys / CALLERS)).collect();
        let strangers: Vec<HeaderMap> = (0..CALLERS).map(|n| headers(keys + n)).collect();
        let known = nanos(|n| authorized(&table, &callers[n % CALLERS]));
        let unknown = nanos(|n| authorized(&table, &strangers[n % CALLERS]));
        println!(
            "{keys:>7} keys: {known:>4.0} ns for one that is known, {unknown:>4.0} ns for one that \
             is not; {:.1} MB in all",
            taken as f64 / 1e6
        );
        drop(store);
    }
}

fn authorized(keys: &Keys, headers: &HeaderMap) -> bool {
    authorize(keys, &Anonymous::Refused, headers, 0).is_ok()
}

fn nanos(mut work: impl FnMut(usize) -> bool) -> f64 {
    let begin = Instant::now();
    for n in 0..LOOK_UPS {
        black_box(work(black_box(n)));
    }
    begin.elapsed().as_secs_f64() * 1e9 / LOOK_UPS as f64
}

fn key(n: usize) -> String {
    format!("mk-{n:08}-abcdefghijklmnopqrstuvwxyz0123456789")
}

fn headers(n: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("Bearer {}", key(n));
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("authorization", value.parse().expect("it is ASCII"));
    headers
}

/// A store that was told so many keys, as a controller tells them.
fn fill(store: &mut Store, keys: usize) -> Applied {
    let hash_key = HashKey::new(&[7; 32]);
    let hmac = Hmac::new(&hash_key.bytes());
    let id = |n| ObjectId::new("shop", format!("caller-{n:08}"));
    store.connect();
    let mut tell = |frame| store.step(frame, Nanos::ZERO).expect("it is in order");
    tell(Frame::Hello(Hello {
        protocol: wire::PROTOCOL,
        controller: "bench".to_owned(),
        cluster: "bench".to_owned(),
        features: Vec::new(),
        heartbeat_millis: 5_000,
        routers: 1,
        admin_token: None,
    }));
    tell(Frame::HashKey(hash_key));
    let mut counting = Counting::default();
    for n in 0..keys {
        let uid = Digest::of(key(n).as_bytes());
        let json = format!(r#"{{"uid":"{uid}","aliases":["prod-*"],"expiresAt":1830000000}}"#);
        let digest = Digest::of(json.as_bytes());
        counting.add(KEY, &id(n), Some(digest));
        tell(Frame::Upsert(Upsert {
            kind: Kind::Key,
            id: id(n),
            version: 1,
            digest,
            requires: Vec::new(),
            resource: RawValue::from_string(json).ok(),
        }));
        let hashes = vec![KeyHash::of(&hmac, key(n).as_bytes())];
        tell(Frame::Hashes(HashesFrame { id: id(n), version: 1, hashes }));
    }
    let revision = counting.revision();
    let counts = Counts { keys, hashes: keys, ..Counts::default() };
    let effects = tell(Frame::Commit(Commit { revision, counts }));
    effects.applied.expect("it is new")
}

/// What this process holds, in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}
