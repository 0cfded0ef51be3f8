//! Which requests have a caller, and who that is.

use http::HeaderValue;
use proptest::prelude::*;
use routing::{
    Digest, ObjectId,
    hmac::Hmac,
    key::{CompiledKey, KeyHash, MAX_KEY},
    snapshot::{CompiledKeys, Resource},
};
use wire::{HashKey, Hashes};

use super::*;
use crate::store::AllHashes;

const NOW: i64 = 1_000;

/// A table of keys by name, each with what stands for it.
fn table(keys: &[(&str, CompiledKey, &[&str])]) -> Arc<Keys> {
    let hash_key = HashKey::new(&[7; 32]);
    let hmac = Hmac::new(&hash_key.bytes());
    let mut compiled = CompiledKeys::default();
    let mut hashes = AllHashes::default();
    for (name, value, texts) in keys {
        let id: ObjectId = name.parse().unwrap();
        let value = Arc::new(value.clone());
        compiled
            .insert(id.clone(), Resource::Value { version: 1, digest: Digest::default(), value });
        let of = texts.iter().map(|text| KeyHash::of(&hmac, text.as_bytes())).collect();
        hashes.insert(id, Hashes { version: 1, hashes: of });
    }
    let (compiled, hashes) = (Arc::new(compiled), Arc::new(hashes));
    let table = Keys::of(&Arc::default(), &compiled, &hashes, Some(&hash_key));
    assert!(Arc::ptr_eq(&table, &Keys::of(&table, &compiled, &hashes, Some(&hash_key))));
    table
}

fn shop() -> Arc<Keys> {
    table(&[
        ("shop/checkout", CompiledKey::default(), &["mk-new", "mk-old"]),
        ("web/off", CompiledKey { disabled: true, ..CompiledKey::default() }, &["mk-off"]),
        ("web/over", CompiledKey { expires_at: Some(NOW), ..CompiledKey::default() }, &["mk-over"]),
    ])
}

fn headers(list: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// The caller's AccessKey, `-` for one without, or the refusal's message.
fn who(
    keys: &Keys,
    anonymous: &Anonymous,
    list: &[(&'static str, &[u8])],
) -> Result<String, String> {
    match authorize(keys, anonymous, &headers(list), NOW) {
        Ok(Caller::Known(key)) => Ok(key.id.to_string()),
        Ok(Caller::Anonymous(namespace)) => Ok(format!("-{namespace}")),
        Err(denied) => {
            let refusal = Refusal::from(denied);
            assert_eq!((refusal.status.as_u16(), &*refusal.code), (401, "invalid_api_key"));
            Err(refusal.message.to_string())
        }
    }
}

#[test]
fn a_key_is_taken_from_any_of_its_headers() {
    let keys = shop();
    for list in [
        &[("authorization", &b"Bearer mk-new"[..])][..],
        &[("authorization", b"bearer   mk-old  ")],
        &[("authorization", b"BEARER\tmk-new")],
        &[("x-api-key", b"mk-new")],
        &[("api-key", b" mk-new ")],
        &[("authorization", b"Bearer mk-new"), ("x-api-key", b"mk-new"), ("api-key", b"mk-new")],
        &[("authorization", b""), ("api-key", b"mk-new")],
    ] {
        assert_eq!(who(&keys, &Anonymous::Refused, list).unwrap(), "shop/checkout", "{list:?}");
    }
}

#[test]
fn what_is_not_one_key_is_refused() {
    let keys = shop();
    let huge = vec![b'a'; MAX_KEY + 1];
    for list in [
        &[][..],
        &[("authorization", &b""[..])],
        &[("authorization", b"Bearer")],
        &[("authorization", b"Bearer ")],
        &[("authorization", b"mk-new")],
        &[("authorization", b"Bearermk-new")],
        &[("authorization", b"Basic mk-new")],
        &[("authorization", b"Bearer Bearer mk-new")],
        &[("authorization", b"Bearer mk-new, Bearer mk-new")],
        &[("authorization", b"Bearer mk-new"), ("authorization", b"Bearer mk-new")],
        &[("x-api-key", b"mk-new"), ("x-api-key", b"mk-new")],
        &[("authorization", b"Bearer mk-new"), ("x-api-key", b"mk-old")],
        &[("x-api-key", b"mk-new"), ("api-key", b"mk-other")],
        &[("x-api-key", b"Bearer mk-new")],
        &[("x-api-key", b"' OR '1'='1")],
        &[("x-api-key", b"mk-new\xff")],
        &[("x-api-key", &huge)],
    ] {
        who(&keys, &Anonymous::Refused, list).unwrap_err();
        who(&keys, &Anonymous::WithoutKeys("n".into()), list).unwrap_err();
    }
}

#[test]
fn those_that_are_none_are_refused_alike() {
    let keys = shop();
    let say = |key: &'static str| {
        who(&keys, &Anonymous::Of("n".into()), &[("x-api-key", key.as_bytes())]).unwrap_err()
    };
    assert_eq!(say("mk-unknown"), say("mk-off"));
    assert_eq!(say("mk-unknown"), say("mk-over"));
}

#[test]
fn a_key_ends_by_the_clock_whichever_way_that_goes() {
    let keys = shop();
    assert!(keys.find(b"mk-over", NOW - 1).is_some());
    assert!(keys.find(b"mk-over", NOW).is_none() && keys.find(b"mk-over", i64::MAX).is_none());
    assert!(keys.find(b"mk-over", NOW - 1).is_some(), "a step ahead that is undone ends nothing");
    assert!(keys.find(b"mk-off", NOW - 1).is_none());
    assert!(keys.find(b"mk-new", i64::MIN).is_some());
}

#[test]
fn callers_without_a_key_are_served_where_that_is_said() {
    let (none, some) = (Keys::default(), shop());
    let junk: &[(&'static str, &[u8])] = &[("authorization", b"Bearer junk")];
    let of = Anonymous::Of("n".into());
    let without = Anonymous::WithoutKeys("n".into());
    for anonymous in [&of, &without] {
        assert_eq!(who(&none, anonymous, &[]).unwrap(), "-n");
        assert_eq!(who(&none, anonymous, junk).unwrap(), "-n");
        who(&some, anonymous, junk).unwrap_err();
    }
    assert_eq!(who(&some, &of, &[]).unwrap(), "-n");
    who(&some, &without, &[]).unwrap_err();
    who(&none, &Anonymous::Refused, &[]).unwrap_err();
    who(&none, &Anonymous::Refused, junk).unwrap_err();
}

#[test]
fn hashes_without_a_form_or_a_key_of_hashes_are_nobody() {
    let hash_key = HashKey::new(&[7; 32]);
    let hash = KeyHash::of(&Hmac::new(&hash_key.bytes()), b"mk-1");
    let id: ObjectId = "shop/held".parse().unwrap();
    let held = Resource::Hold { version: 1, reason: "InvalidSpec".into(), message: String::new() };
    let hashes = Hashes { version: 1, hashes: [hash].into() };
    let hashes = Arc::new(AllHashes::from_iter([(id.clone(), hashes)]));
    let compiled = Arc::new(CompiledKeys::from_iter([(id.clone(), held)]));
    let table = Keys::of(&Arc::default(), &compiled, &hashes, Some(&hash_key));
    assert!(table.find(b"mk-1", NOW).is_none() && !table.is_empty());
    let value = Resource::Value { version: 1, digest: Digest::default(), value: Arc::default() };
    let compiled = Arc::new(CompiledKeys::from_iter([(id, value)]));
    assert!(Keys::of(&table, &compiled, &hashes, None).find(b"mk-1", NOW).is_none());
    assert!(Keys::of(&table, &compiled, &hashes, Some(&hash_key)).find(b"mk-1", NOW).is_some());
}

proptest! {
    #[test]
    fn every_key_is_found_and_no_other(names in proptest::collection::btree_set("[a-z]{1,6}", 0..80)) {
        let ids: Vec<String> = names.iter().map(|name| format!("shop/{name}")).collect();
        let list: Vec<_> = names.iter().map(|name| [name.as_str()]).collect();
        let keys: Vec<_> = ids
            .iter()
            .zip(&list)
            .map(|(id, texts)| (id.as_str(), CompiledKey::default(), &texts[..]))
            .collect();
        let table = table(&keys);
        for name in &names {
            prop_assert_eq!(&*table.find(name.as_bytes(), NOW).unwrap().id.name, name.as_str());
            let other = format!("{name}-");
            prop_assert!(table.find(other.as_bytes(), NOW).is_none());
        }
    }
}
