//! Ids of calls and names of tools, fitted to what a dialect allows by pure functions: whoever
//! computes them computes the same, and no table is kept.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

/// The length of a hash in base62.
const HASH: usize = 22;
/// How ids begin that we made.
const MADE: &str = "call_mk";

/// 128 bits as 22 letters and digits.
pub(crate) fn base62(mut value: u128) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = [b'0'; HASH];
    for slot in out.iter_mut().rev() {
        *slot = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which ids a dialect takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRule {
    /// The most characters.
    pub max: usize,
    /// Whether they must be that many.
    pub exact: bool,
    /// Characters beside letters and digits; `None`: any.
    pub beside: Option<&'static str>,
}

impl IdRule {
    fn fits(&self, id: &str) -> bool {
        let long = if self.exact { id.len() == self.max } else { id.len() <= self.max };
        let chars = self.beside.is_none_or(|beside| {
            id.chars().all(|c| c.is_ascii_alphanumeric() || beside.contains(c))
        });
        long && chars && !id.is_empty()
    }
}

/// The ids of one request, fitted.
#[derive(Debug)]
pub(crate) struct Ids {
    rule: IdRule,
    sent: HashMap<String, String>,
    taken: HashMap<String, String>,
    /// Whether any id was rewritten.
    pub(crate) rewritten: bool,
}

impl Ids {
    pub(crate) fn new(rule: IdRule) -> Self {
        Self { rule, sent: HashMap::new(), taken: HashMap::new(), rewritten: false }
    }

    /// What is sent for an id: itself if it fits, else its hash, cut to what is allowed.
    pub(crate) fn fit(&mut self, id: &str) -> String {
        if let Some(sent) = self.sent.get(id) {
            return sent.clone();
        }
        let len = self.rule.max.min(HASH);
        let mut fitted = if self.rule.fits(id) {
            id.to_owned()
        } else {
            base62(xxh3_128(id.as_bytes()))[..len].to_owned()
        };
        let mut ordinal = 0_u32;
        while self.taken.get(&fitted).is_some_and(|of| of != id) {
            let hash = base62(xxh3_128(format!("{id}\0{ordinal}").as_bytes()));
            hash[..len].clone_into(&mut fitted);
            ordinal += 1;
        }
        self.rewritten |= fitted != id;
        self.taken.insert(fitted.clone(), id.to_owned());
        self.sent.insert(id.to_owned(), fitted.clone());
        fitted
    }
}

/// An id that we make, for an answer without one: of the answer's seed, the choice and the part.
pub(crate) fn made(seed: &str, choice: u32, part: u32) -> String {
    format!("{MADE}{}", base62(xxh3_128(format!("{seed}\0{choice}\0{part}").as_bytes())))
}

/// Whether we made this id.
pub(crate) fn is_made(id: &str) -> bool {
    id.len() == MADE.len() + HASH && id.starts_with(MADE)
}

/// Which names of tools a dialect takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameRule {
    /// The most characters.
    pub(crate) max: usize,
    /// Characters beside letters and digits.
    pub(crate) beside: &'static str,
    /// Whether the first must be a letter or `_`.
    pub(crate) letter_first: bool,
}

/// A name that a dialect takes: itself if it fits; else its legal characters, `_` for the others,
/// cut, and the hash of the name behind it.
pub(crate) fn fit_name(name: &str, rule: &NameRule) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || rule.beside.contains(c);
    let first = |c: char| !rule.letter_first || c.is_ascii_alphabetic() || c == '_';
    let fits = !name.is_empty()
        && name.len() <= rule.max
        && name.chars().all(legal)
        && name.chars().next().is_some_and(first);
    if fits {
        return name.to_owned();
    }
    let hash = xxh3_128(name.as_bytes()) & u128::from(u32::MAX);
    let mut kept: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if !kept.chars().next().is_some_and(first) {
        kept.insert(0, '_');
    }
    kept.truncate(rule.max - 9);
    format!("{kept}_{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: IdRule = IdRule { max: 9, exact: true, beside: Some("") };

    #[test]
    fn an_id_that_fits_is_untouched_and_others_are_hashed() {
        let mut ids = Ids::new(STRICT);
        assert_eq!(ids.fit("abcDEF123"), "abcDEF123");
        assert!(!ids.rewritten);
        let hashed = ids.fit("call_1234567890");
        assert!(STRICT.fits(&hashed) && ids.rewritten);
        assert_eq!(ids.fit("call_1234567890"), hashed);
        assert_eq!(Ids::new(STRICT).fit("call_1234567890"), hashed);
        // A clash with an id that is another's hash.
        let mut ids = Ids::new(STRICT);
        assert_eq!(ids.fit(&hashed), hashed);
        let other = ids.fit("call_1234567890");
        assert!(other != hashed && STRICT.fits(&other));
    }

    #[test]
    fn made_ids_are_known_again() {
        let id = made("seed", 0, 1);
        assert!(is_made(&id) && id != made("seed", 0, 2));
        assert!(!is_made("call_mk1"));
    }

    #[test]
    fn names_keep_what_is_legal() {
        let rule = NameRule { max: 20, beside: "_-", letter_first: true };
        assert_eq!(fit_name("get_weather", &rule), "get_weather");
        let fitted = fit_name("mcp.server/get wetter!!", &rule);
        assert!(fitted.starts_with("mcp_server_") && fitted.len() == 20, "{fitted}");
        assert!(fit_name("1st", &rule).starts_with("_1st_"));
        assert_ne!(fit_name("a b", &rule), fit_name("a.b", &rule));
        assert_eq!(fit_name("", &rule).len(), 10);
    }
}
