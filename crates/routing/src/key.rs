//! A caller's key: what it may name and until when, the keyed hash that stands for it, and the globs
//! that its models are named by.

use std::{fmt, ops::Deref, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    fleet::Dimension,
    hmac::Hmac,
    id::{Digest, ObjectId},
    spend::CompiledBudget,
};

/// The longest key in bytes: what is longer is nobody's.
pub const MAX_KEY: usize = 4096;

/// An AccessKey as routers serve it. Its hashes travel apart, as credentials do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledKey {
    /// What tells it from an object of the same name before it or after it: what is counted of it
    /// belongs to this.
    #[serde(default)]
    pub uid: Digest,
    /// Globs on the models that it may name; absent: all that its namespace may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<List<Box<str>>>,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// It serves nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// The targets whose models it may name without an alias, as `target/model`: by name, each
    /// name once.
    #[serde(default, skip_serializing_if = "List::is_nothing")]
    pub direct: List<ObjectId>,
    /// The ServiceAccount whose tokens are its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Box<CompiledTokens>>,
    /// How much of the fleet it may have at once; absent: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Box<CompiledLimits>>,
    /// How much its callers may spend; absent: as much as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<CompiledBudget>>,
}

/// A list that many keys may have alike, and then share. Written as a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct List<T>(Arc<[T]>);

impl<T> List<T> {
    /// Whether there is nothing in it.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// How many have it.
    pub fn sharers(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(Vec::<T>::deserialize(d)?.into()))
    }
}

/// The audience that callers' tokens are for.
pub const AUDIENCE: &str = "moniker";

/// The tokens of a ServiceAccount of the key's namespace, and by what they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledTokens {
    /// The ServiceAccount.
    pub account: Box<str>,
    /// Who issues them.
    pub issuer: Box<str>,
    /// The keys that it signs with.
    pub keys: List<IssuerKey>,
}

/// A public key of the issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerKey {
    /// What tells it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// How it signs.
    pub algorithm: TokenAlgorithm,
    /// Its numbers: modulus and exponent of RSA, x and y of a curve's point; base64url, as RFC 7518
    /// (6.2, 6.3) has them.
    pub numbers: [Box<str>; 2],
}

/// How tokens are signed (RFC 7518, 3.1): with a private key only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// ECDSA with P-521 and SHA-512.
    ES512,
}

/// What a key may have of all routers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledLimits {
    /// Requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at one moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u64>,
}

impl CompiledLimits {
    /// What it limits, and to how much.
    pub fn amounts(&self) -> impl Iterator<Item = (Dimension, u64)> {
        [
            (Dimension::Requests, self.requests_per_minute),
            (Dimension::Tokens, self.tokens_per_minute),
            (Dimension::InFlight, self.max_in_flight),
        ]
        .into_iter()
        .filter_map(|(dimension, amount)| Some((dimension, amount?)))
    }
}

impl CompiledKey {
    /// Whether it may name this model.
    pub fn may_name(&self, model: &str) -> bool {
        self.aliases.as_ref().is_none_or(|globs| globs.iter().any(|glob| matches(glob, model)))
    }

    /// The target and the model that a name of the form `target/model` stands for.
    pub fn direct<'m>(&self, name: &'m str) -> Option<(&ObjectId, &'m str)> {
        let (target, model) = name.split_once('/')?;
        let at = self.direct.binary_search_by(|id| (*id.name).cmp(target)).ok()?;
        Some((&self.direct[at], model))
    }

    /// Whether it serves at this time, in seconds since 1970.
    pub fn serves_at(&self, now: i64) -> bool {
        !self.disabled && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Whether a glob matches all of the text: `*` stands for any characters, none too, and everything
/// else for itself.
pub fn matches(glob: &str, text: &str) -> bool {
    let Some((head, mut tail)) = glob.split_once('*') else { return glob == text };
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    // What stands between two stars is found at its first place, which leaves most to the others.
    while let Some((part, after)) = tail.split_once('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        tail = after;
    }
    rest.ends_with(tail)
}

/// The keyed hash of a caller's key: all that routers hold of it. Of no use to who lacks the key of
/// the hashes. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a caller's key under the key of the hashes.
    pub fn of(hmac: &Hmac, key: &[u8]) -> Self {
        Self(hmac.of(key))
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    pub fn same(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// Its first bytes as a number: evenly spread, as those of every code are.
    pub fn head(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// What tells one set of hashes from another.
    pub fn digest(hashes: &[Self]) -> Digest {
        Digest::of_parts(hashes.iter().map(|hash| &hash.0[..]))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a text is no hash. It is not quoted.
#[derive(Debug, thiserror::Error)]
#[error("a keyed hash has 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for KeyHash {
    type Err = InvalidHash;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(s, &mut bytes).map_err(|_| InvalidHash)?;
        Ok(Self(bytes))
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs_match_all_of_a_name() {
        for (glob, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "anything"),
            ("prod-*", "prod-"),
            ("prod-*", "prod-chat"),
            ("*-chat", "prod-chat"),
            ("p*-c*t", "prod-chat"),
            ("a**b", "ab"),
            ("*a*a", "aa"),
            ("*ab", "aab"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("a", "b"),
            ("a", "A"),
            ("prod-*", "prod"),
            ("prod-*", "xprod-chat"),
            ("*-chat", "prod-chat "),
            ("a*a", "a"),
            ("p*-c*t", "prod-chats"),
            ("", "a"),
            ("a?c", "abc"),
            ("[ab]", "a"),
        ] {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    /// The same by trying every place for every star.
    fn slow(glob: &[u8], text: &[u8]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
            Some((byte, rest)) => {
                text.split_first().is_some_and(|(b, t)| b == byte && slow(rest, t))
            }
        }
    }

    proptest! {
        #[test]
        fn globs_are_what_trying_everything_gives(glob in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&glob, &text), slow(glob.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_direct_name_is_that_of_a_target_and_a_model() {
        let ids = ["p/azure", "n/open.ai", "n/vllm"].map(|id| id.parse().unwrap());
        let key = CompiledKey { direct: ids.iter().cloned().collect(), ..CompiledKey::default() };
        assert_eq!(key.direct("azure/gpt"), Some((&ids[0], "gpt")));
        assert_eq!(key.direct("vllm/meta/llama:8b"), Some((&ids[2], "meta/llama:8b")));
        for none in ["azure", "azur/gpt", "p/azure/gpt", "", "/", "/gpt"] {
            assert_eq!(key.direct(none), None, "{none}");
        }
    }

    #[test]
    fn an_end_and_a_switch_end_it() {
        let key = CompiledKey { expires_at: Some(100), ..CompiledKey::default() };
        assert!(key.serves_at(99) && !key.serves_at(100));
        assert!(!CompiledKey { disabled: true, ..key }.serves_at(99));
        assert!(CompiledKey::default().serves_at(i64::MAX));
    }

    #[test]
    fn a_hash_survives_its_text_and_is_not_printed() {
        let hash = KeyHash::of(&Hmac::new(b"k"), b"mk-1");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(text.len(), 66);
        let back: KeyHash = serde_json::from_str(&text).unwrap();
        assert!(back.same(&hash) && back == hash);
        assert!(!KeyHash::of(&Hmac::new(b"k"), b"mk-2").same(&hash));
        assert_eq!(format!("{hash:?}"), "***");
        assert!("xy".parse::<KeyHash>().is_err());
    }
}
