//! A ServiceAccount's token as a caller's key: a JWT (RFC 7519) in the compact form of RFC 7515, signed
//! by the cluster's issuer. Nothing in it counts before its signature is verified, but for whose key it
//! claims to be, by which the issuer's keys are found. Only signatures by a private key are any.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use routing::key::{AUDIENCE, CompiledTokens, IssuerKey, TokenAlgorithm};
use serde::Deserialize;

/// How far the issuer's clock may be ahead, in seconds.
const AHEAD: i64 = 60;
/// What the subject of a ServiceAccount's token begins with.
const SUBJECT: &str = "system:serviceaccount:";

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood, and is not.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token claims.
pub(super) struct Claims<'t> {
    header: Header,
    payload: Payload,
    ends: i64,
    /// What is signed, and the signature.
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Claims<'t> {
    /// Those of a token that could be one at this time, in seconds since 1970; not verified.
    pub(super) fn of(token: &'t [u8], now: i64) -> Option<Self> {
        let last = token.iter().rposition(|byte| *byte == b'.')?;
        let (signed, signature) = (&token[..last], &token[last + 1..]);
        let mut parts = signed.split(|byte| *byte == b'.');
        let (header, payload) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let payload: Payload = serde_json::from_slice(&decode(payload)?).ok()?;
        let for_us = match &payload.aud {
            Audience::One(one) => one == AUDIENCE,
            Audience::Many(many) => many.iter().any(|one| one == AUDIENCE),
        };
        let ends = seconds(payload.exp)?;
        let begun = match payload.nbf {
            Some(begin) => seconds(begin)? <= now.saturating_add(AHEAD),
            None => true,
        };
        let timely = begun && now < ends;
        let known = subject(&payload.sub).is_some();
        let signature = decode(signature)?;
        (header.crit.is_none() && for_us && timely && known).then_some(Self {
            header,
            payload,
            ends,
            signed,
            signature,
        })
    }

    /// When it ends, in seconds since 1970.
    pub(super) fn ends(&self) -> i64 {
        self.ends
    }

    /// The namespace that it claims.
    pub(super) fn namespace(&self) -> &str {
        subject(&self.payload.sub).unwrap_or_default().0
    }

    /// The ServiceAccount that it claims.
    pub(super) fn account(&self) -> &str {
        subject(&self.payload.sub).unwrap_or_default().1
    }

    /// Whether it is what this issuer says.
    pub(super) fn verify(&self, tokens: &CompiledTokens) -> Option<()> {
        if *self.payload.iss != *tokens.issuer || self.account() != &*tokens.account {
            return None;
        }
        let named = |key: &&IssuerKey| match (&self.header.kid, &key.id) {
            (Some(wanted), Some(id)) => **wanted == **id,
            _ => true,
        };
        let mut fitting = tokens.keys.iter().filter(named);
        fitting.any(|key| self.is_signed_by(key)).then_some(())
    }

    fn is_signed_by(&self, key: &IssuerKey) -> bool {
        let decode = |number: &str| URL_SAFE_NO_PAD.decode(number).ok();
        let [first, second] = &key.numbers;
        let (Some(first), Some(second)) = (decode(first), decode(second)) else { return false };
        let (name, curve) = match key.algorithm {
            TokenAlgorithm::RS256 => {
                let public = RsaPublicKeyComponents { n: &first, e: &second };
                let scheme = &RSA_PKCS1_2048_8192_SHA256;
                return self.header.alg == "RS256"
                    && public.verify(scheme, self.signed, &self.signature).is_ok();
            }
            TokenAlgorithm::ES256 => ("ES256", &ECDSA_P256_SHA256_FIXED),
            TokenAlgorithm::ES384 => ("ES384", &ECDSA_P384_SHA384_FIXED),
            TokenAlgorithm::ES512 => ("ES512", &ECDSA_P521_SHA512_FIXED),
        };
        // A point of SEC 1 that is not compressed.
        let point = [&[4], &first[..], &second].concat();
        self.header.alg == name
            && UnparsedPublicKey::new(curve, point).verify(self.signed, &self.signature).is_ok()
    }
}

/// The namespace and name of a ServiceAccount.
fn subject(text: &str) -> Option<(&str, &str)> {
    let (namespace, name) = text.strip_prefix(SUBJECT)?.split_once(':')?;
    let fine = |part: &str| !part.is_empty() && !part.contains(':');
    (fine(namespace) && fine(name)).then_some((namespace, name))
}

/// A NumericDate of RFC 7519 in whole seconds; `None`: it is none, or beyond any clock.
fn seconds(date: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is within bounds, and a part is cut")]
    (0.0..4e15).contains(&date).then_some(date as i64)
}

#[cfg(test)]
mod tests;
