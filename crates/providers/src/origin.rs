//! Where a signature comes from. Agents change providers in mid-conversation, and a signature that
//! somebody else issued is refused; so what leaves in a translated answer carries the tag of its
//! issuer, `mk1.<8 characters>.`, which is taken off on the way back. No table is kept: any router
//! computes the same.

use xxhash_rust::xxh3::xxh3_128;

use crate::ids::base62;

/// Who issued a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A ProviderTarget and family, by their tag.
    Tag(String),
    /// No tag: the makers of the caller's protocol, since an answer that is passed through is
    /// untagged.
    Maker(Maker),
}

/// Who makes the models of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Claude,
    /// Google.
    Gemini,
}

const PREFIX: &str = "mk1.";
const TAG: usize = 8;

/// The tag of a ProviderTarget and the family of its model.
pub fn tag(target: &str, family: &str) -> String {
    let hash = base62(xxh3_128(format!("{target}\0{family}").as_bytes()));
    hash[..TAG].to_owned()
}

/// A signature with its issuer's tag before it.
pub fn mark(tag: &str, data: &str) -> String {
    format!("{PREFIX}{tag}.{data}")
}

/// A signature as a caller sent it: its origin, and what its issuer wrote.
pub fn read(text: &str, maker: Maker) -> (Origin, &str) {
    let tagged = text.strip_prefix(PREFIX).and_then(|rest| {
        let (tag, data) = (rest.get(..TAG)?, rest.get(TAG..)?.strip_prefix('.')?);
        tag.bytes().all(|b| b.is_ascii_alphanumeric()).then_some((tag, data))
    });
    match tagged {
        Some((tag, data)) => (Origin::Tag(tag.to_owned()), data),
        None => (Origin::Maker(maker), text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back() {
        let tag = tag("ns/anthropic", "claude-opus-4-5");
        let marked = mark(&tag, "EqQB.x==");
        assert_eq!(read(&marked, Maker::OpenAi), (Origin::Tag(tag), "EqQB.x=="));
        for plain in ["EqQB==", "mk1.short", "mk1.1234567\u{e9}.x", ""] {
            assert_eq!(read(plain, Maker::Claude), (Origin::Maker(Maker::Claude), plain));
        }
    }
}
