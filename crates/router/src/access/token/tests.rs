//! Which tokens are keys: those of the issuer, for this audience, in their time.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use routing::key::List;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Signer {
    Curve(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    fn curve() -> Self {
        Self::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn public(&self, id: &str) -> IssuerKey {
        let (algorithm, numbers) = match self {
            Self::Curve(pair) => {
                let point = pair.public_key().as_ref();
                (TokenAlgorithm::ES256, [text(&point[1..33]), text(&point[33..])])
            }
            Self::Rsa(pair) => {
                // RSAPublicKey of RFC 8017: a sequence of n, behind a zero, and e.
                let der = pair.public_key().as_ref();
                assert_eq!((der.len(), der[8]), (270, 0));
                (TokenAlgorithm::RS256, [text(&der[9..265]), text(&der[267..])])
            }
        };
        IssuerKey { id: Some(id.into()), algorithm, numbers: numbers.map(Into::into) }
    }

    fn sign(&self, header: &Value, payload: &Value) -> String {
        let signed = format!(
            "{}.{}",
            text(header.to_string().as_bytes()),
            text(payload.to_string().as_bytes())
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Curve(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut out).unwrap();
                out
            }
        };
        format!("{signed}.{}", text(&signature))
    }
}

fn payload() -> Value {
    json!({
        "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:shop:checkout",
        "aud": ["moniker"], "exp": NOW + 600, "nbf": NOW - 5, "iat": NOW - 5,
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut all = payload();
    for (name, value) in changes {
        all[name] = value.clone();
    }
    all
}

fn tokens(keys: impl IntoIterator<Item = IssuerKey>) -> CompiledTokens {
    CompiledTokens {
        account: "checkout".into(),
        issuer: "https://kubernetes.default.svc".into(),
        keys: keys.into_iter().collect::<List<_>>(),
    }
}

fn is_key(token: &str, tokens: &CompiledTokens) -> bool {
    let claims = Claims::of(token.as_bytes(), NOW);
    claims.is_some_and(|c| c.namespace() == "shop" && c.verify(tokens).is_some())
}

#[test]
fn what_the_issuer_signed_is_a_key() {
    for (signer, alg) in [(Signer::curve(), "ES256"), (Signer::rsa(), "RS256")] {
        let other = Signer::curve();
        let tokens = tokens([other.public("other"), signer.public("k")]);
        let header = json!({"alg": alg, "kid": "k"});
        assert!(is_key(&signer.sign(&header, &payload()), &tokens));
        assert!(is_key(&signer.sign(&json!({"alg": alg}), &payload()), &tokens));
        let one = with(&[("aud", "moniker".into()), ("exp", json!(1_800_000_000.5 + 9.0))]);
        assert!(is_key(&signer.sign(&header, &one), &tokens));
        let two = with(&[("aud", json!(["https://api", "moniker"])), ("nbf", Value::Null)]);
        assert!(is_key(&signer.sign(&header, &two), &tokens));
        // As one that begins in a moment, by a clock that is ahead.
        assert!(is_key(&signer.sign(&header, &with(&[("nbf", json!(NOW + 59))])), &tokens));

        for wrong in [
            ("iss", json!("https://elsewhere")),
            ("iss", Value::Null),
            ("sub", json!("system:serviceaccount:web:checkout")),
            ("sub", json!("system:serviceaccount:shop:other")),
            ("sub", json!("system:serviceaccount:shop:checkout:x")),
            ("sub", json!("system:serviceaccount::checkout")),
            ("sub", json!("shop:checkout")),
            ("aud", json!(["https://kubernetes.default.svc"])),
            ("aud", json!([])),
            ("aud", json!("moniker-stream.moniker-system.moniker")),
            ("aud", Value::Null),
            ("exp", json!(NOW)),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("exp", json!("2100-01-01")),
            ("exp", Value::Null),
            ("nbf", json!(NOW + 61)),
        ] {
            let token = signer.sign(&header, &with(std::slice::from_ref(&wrong)));
            assert!(!is_key(&token, &tokens), "{wrong:?}");
        }
        for wrong in [
            json!({"alg": "none", "kid": "k"}),
            json!({"alg": "HS256", "kid": "k"}),
            json!({"alg": "RS512", "kid": "k"}),
            json!({"alg": alg, "kid": "other"}),
            json!({"alg": alg, "kid": "k", "crit": ["b64"], "b64": false}),
            json!({"kid": "k"}),
        ] {
            assert!(!is_key(&signer.sign(&wrong, &payload()), &tokens), "{wrong}");
        }
        // Another's signature, none, and one of something else.
        assert!(!is_key(&other.sign(&header, &payload()), &tokens));
        let token = signer.sign(&header, &payload());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let more = text(with(&[("exp", json!(NOW + 9_999))]).to_string().as_bytes());
        let forged = format!("{}.{more}.{signature}", signed.split_once('.').unwrap().0);
        for wrong in [
            format!("{signed}."),
            signed.to_owned(),
            forged,
            format!("{token}."),
            format!("{token}.x"),
            format!("{token}="),
            format!(" {token}"),
            "eyJ.eyJ.x".to_owned(),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(!is_key(&wrong, &tokens), "{wrong}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret_of_a_hash() {
    // The old trick: a token whose HMAC is keyed with the public key.
    let signer = Signer::rsa();
    let tokens = tokens([signer.public("k")]);
    let signed = format!(
        "{}.{}",
        text(json!({"alg": "HS256", "kid": "k"}).to_string().as_bytes()),
        text(payload().to_string().as_bytes())
    );
    let [n, _] = &signer.public("k").numbers;
    let code = routing::hmac::Hmac::new(n.as_bytes()).of(signed.as_bytes());
    assert!(!is_key(&format!("{signed}.{}", text(&code)), &tokens));
}
