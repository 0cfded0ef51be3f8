//! The stream's laws: what is written is read, in whatever pieces it comes; what was cut or changed
//! on its way never takes effect; a frame that cannot be read concerns its own resource alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use routing::{
    Digest, Money, ObjectId,
    fleet::{
        Dimension, Draw, FleetKey, FleetKeyLimit, FleetLimit, FleetModel, FleetView, KeyId,
        LimitKey,
    },
    hmac::Hmac,
    key::KeyHash,
    material::{AwsKey, GoogleKey, Material},
    spend::Word,
    stats::{Part, Sums, TimeScale},
};
use serde_json::value::RawValue;
use wire::{
    AdminToken, Cause, Commit, Counts, Credential, CredentialFrame, DecodeError, Decoder,
    EncodeError, Encoder, Frame, HashKey, HashesFrame, Heartbeat, Hello, Hold, Key, Kind, MAX_LINE,
    Reconnect, Remove, Upsert,
};

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,12}"
}

fn id() -> impl Strategy<Value = ObjectId> {
    (name(), name()).prop_map(|(ns, name)| ObjectId::new(ns, name))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Alias), Just(Kind::Target), Just(Kind::Key), Just(Kind::from("Later"))]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 4]>().prop_map(|bytes| Digest::of(&bytes))
}

fn upsert() -> impl Strategy<Value = Frame> {
    let resource = proptest::option::of("[^\\x00]{0,40}");
    (kind(), id(), any::<u64>(), resource, proptest::collection::vec(name(), 0..2)).prop_map(
        |(kind, id, version, text, requires)| {
            let json = text.map(|text| format!("{{\"any\" :  {}}}", serde_json::json!(text)));
            let digest = Digest::of(json.as_deref().unwrap_or("held").as_bytes());
            let resource = json.map(|json| RawValue::from_string(json).unwrap());
            Frame::Upsert(Upsert { kind, id, version, digest, requires, resource })
        },
    )
}

/// Of numbers that survive JSON to the bit.
fn fleet() -> impl Strategy<Value = Frame> {
    let draws = (any::<i32>(), any::<bool>(), any::<u32>());
    (any::<u32>(), id(), "[ -~]{1,20}", draws, digest()).prop_map(
        |(routers, target, model, (n, of_quota, age), uid)| {
            let (value, age_ms) = (f64::from(n) / 64.0, u64::from(age));
            let mut sums = Sums::default();
            sums.set(TimeScale::Slow, Part::FirstTokenLog, value);
            let quota = of_quota.then(|| model.clone());
            let key = LimitKey { target: target.clone(), quota, dimension: Dimension::Tokens };
            let others = Draw { demand: value, used: 1.0, recent: 0.5 };
            let dimension = Dimension::InFlight;
            let caller = FleetKey {
                key: KeyId { id: target.clone(), uid },
                limits: vec![FleetKeyLimit { dimension, share: value, others }],
                budget: of_quota.then(|| Word {
                    period_start: i64::from(n),
                    spent: Money::from_atto(u128::from(routers) << 70),
                    part: age,
                    at: Money::from_atto(u128::from(age)),
                    counted: Money::ZERO,
                }),
                age_ms,
            };
            Frame::Fleet(FleetView {
                routers,
                run: model.clone(),
                models: vec![FleetModel { target: target.clone(), model, age_ms, sums }],
                limits: vec![FleetLimit { key, share: value, others, age_ms }],
                keys: vec![caller],
                probes: vec![target],
            })
        },
    )
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        4 => upsert(),
        1 => fleet(),
        1 => (kind(), id(), any::<u64>(), any::<String>(), any::<String>()).prop_map(
            |(kind, id, version, reason, message)| {
                Frame::Hold(Hold { kind, id, version, reason, message })
            }
        ),
        1 => (kind(), id(), any::<u64>(), any::<bool>()).prop_map(|(kind, id, version, seen)| {
            let cause = if seen { Cause::Deleted } else { Cause::Absent };
            Frame::Remove(Remove { kind, id, version, cause })
        }),
        1 => (id(), any::<u64>(), digest(), proptest::option::of(material())).prop_map(
            |(target, version, hash, material)| {
                let credential = material.map(|m| Credential::new(version, hash, m));
                Frame::Credential(CredentialFrame { target, version, credential })
            }
        ),
        1 => proptest::option::of(any::<u32>()).prop_map(|routers| Frame::Heartbeat(Heartbeat { routers })),
        1 => any::<u64>().prop_map(|after_millis| Frame::Reconnect(Reconnect { after_millis })),
        1 => (id(), any::<u64>(), proptest::collection::vec(any::<[u8; 4]>(), 0..3)).prop_map(
            |(id, version, keys)| {
                let hmac = Hmac::new(b"k");
                let hashes = keys.iter().map(|key| KeyHash::of(&hmac, key)).collect();
                Frame::Hashes(HashesFrame { id, version, hashes })
            }
        ),
        1 => any::<[u8; 32]>().prop_map(|key| Frame::HashKey(HashKey::new(&key))),
        1 => (digest(), any::<[u16; 5]>()).prop_map(|(revision, n)| {
            let [aliases, targets, credentials, keys, hashes] = n.map(usize::from);
            let counts = Counts { aliases, targets, credentials, keys, hashes };
            Frame::Commit(Commit { revision, counts })
        }),
        1 => (name(), name(), proptest::collection::vec(name(), 0..3), proptest::option::of(name())).prop_map(
            |(controller, cluster, features, token)| Frame::Hello(Hello {
                protocol: 1, controller, cluster, features, heartbeat_millis: 5_000, routers: 3,
                admin_token: token.map(AdminToken::new),
            })
        ),
    ]
}

fn material() -> impl Strategy<Value = Material> {
    let text = "[!-~]{1,40}";
    prop_oneof![
        text.prop_map(Material::from),
        (text, text, proptest::option::of(text)).prop_map(|(id, secret, token)| {
            Material::Aws(AwsKey {
                access_key_id: id.into(),
                secret_access_key: secret.into(),
                session_token: token.map(Into::into),
            })
        }),
        (text, proptest::option::of(text), "[ -~\n]{1,80}", text).prop_map(
            |(client_email, private_key_id, private_key, token_uri)| {
                Material::Google(GoogleKey {
                    client_email,
                    private_key_id,
                    private_key: private_key.into(),
                    token_uri,
                })
            }
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    format!("{bytes:02x?}")
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    proptest::collection::vec(frame(), 1..12)
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    for frame in frames {
        encoder.encode(frame, &mut out).unwrap();
    }
    out
}

/// What can be compared of a frame: all of it, the material of a credential too.
fn shown(frame: &Frame) -> String {
    let material = match frame {
        Frame::Credential(CredentialFrame { credential: Some(c), .. }) => {
            hex(&c.material().canonical())
        }
        Frame::Hello(Hello { admin_token: Some(token), .. }) => token.expose().to_owned(),
        Frame::Hashes(frame) => format!("{}", KeyHash::digest(&frame.hashes)),
        Frame::HashKey(key) => hex::encode(key.bytes()),
        _ => String::new(),
    };
    format!("{frame:?}{material}")
}

fn all_shown(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(shown).collect()
}

/// Everything that these bytes give, and the error that ended it.
fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Vec<Frame>, Option<DecodeError>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece.as_ref());
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_in_any_pieces(frames in frames(), size in 1_usize..50) {
        let bytes = written(&frames);
        let (back, error) = read(bytes.chunks(size));
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(all_shown(&back), all_shown(&frames));
        for frame in &back {
            if let Frame::Upsert(upsert) = frame {
                prop_assert!(upsert.is_intact());
            }
        }
    }

    #[test]
    fn a_cut_at_any_point_gives_whole_frames_alone(frames in frames()) {
        let bytes = written(&frames);
        let all = all_shown(&frames);
        for cut in 0..bytes.len() {
            let (back, error) = read([&bytes[..cut]]);
            prop_assert!(error.is_none(), "{error:?}");
            let back = all_shown(&back);
            prop_assert!(back.len() < all.len());
            prop_assert_eq!(&back[..], &all[..back.len()]);
        }
    }

    /// One bit that is changed on the way: no COMMIT is read that would let something else take
    /// effect than what was sent.
    #[test]
    fn no_commit_passes_what_was_changed(frames in frames(), at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = written(&frames);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (back, _) = read([&bytes]);
        let is_commit = |f: &Frame| matches!(f, Frame::Commit(_));
        if let Some(last) = back.iter().rposition(is_commit) {
            let (back, all) = (all_shown(&back[..=last]), all_shown(&frames));
            let prefix = &all[..back.len().min(all.len())];
            prop_assert_eq!(back, prefix);
        }
    }

    #[test]
    fn noise_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read([&bytes]);
    }
}

#[test]
fn a_newer_controller_is_understood_as_far_as_it_can_be() {
    let lines = concat!(
        r#"{"type":"FLEET","targets":[1,2]}"#,
        "\n",
        r#"{"extra":1,"type":"HOLD","kind":"Key","id":"a/b","version":7,"reason":"New","more":{}}"#,
        "\n",
        "\n",
        r#"{"type":"UPSERT","kind":"Alias","id":"a/c","version":8,"digest":"no","resource":{}}"#,
        "\n",
        r#"{"type":"CREDENTIAL","target":"a/d","version":"sk-canary","key":"sk-canary"}"#,
        "\n",
    );
    let (frames, error) = read([lines]);
    assert!(error.is_none(), "{error:?}");
    let [
        Frame::Unknown(fleet),
        Frame::Hold(hold),
        Frame::Unreadable(alias),
        Frame::Unreadable(key),
    ] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    assert_eq!(fleet, "FLEET");
    assert_eq!((hold.kind.name(), hold.version), ("Key", 7));
    assert_eq!(alias.key, Key::new(Kind::Alias, "a/c".parse().unwrap()));
    assert_eq!(alias.version, Some(8));
    assert!(alias.message.contains("32 hexadecimal"), "{}", alias.message);
    assert_eq!(key.key.kind, Kind::Credential);
    assert!(!format!("{key:?}").contains("canary"));
}

#[test]
fn limits_are_named() {
    let big = format!("\"{}\"", "x".repeat(MAX_LINE));
    let frame = Frame::Upsert(Upsert {
        kind: Kind::Alias,
        id: ObjectId::new("a", "b"),
        version: 1,
        digest: Digest::of(big.as_bytes()),
        requires: Vec::new(),
        resource: Some(RawValue::from_string(big).unwrap()),
    });
    let (mut encoder, mut out) = (Encoder::default(), b"kept".to_vec());
    let error = encoder.encode(&frame, &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::TooLong { .. }));
    assert!(error.to_string().contains("4194304"), "{error}");
    assert_eq!(out, b"kept");

    let (_, error) = read([vec![b' '; MAX_LINE + 1]]);
    assert!(matches!(error, Some(DecodeError::TooLong)));
    let (_, error) = read(["{\"type\":\"HEARTBEAT\"}\n{\"key\": oops}\n"]);
    let error = error.unwrap();
    assert!(matches!(error, DecodeError::Malformed { line: 2, .. }));
    assert!(!error.to_string().contains("oops"));
}

#[test]
fn nothing_prints_a_credential() {
    let credential = Credential::new(3, Digest::of(b"k"), "sk-canary".into());
    let target = ObjectId::new("a", "b");
    let frame = CredentialFrame { target, version: 3, credential: Some(credential) };
    assert!(!format!("{:?}", Frame::Credential(frame)).contains("canary"));
}
