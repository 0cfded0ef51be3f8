//! Keys out of texts: providers repeat them in their errors, and an error goes to callers and logs.

use std::borrow::Cow;

/// What stands where a key stood.
const REDACTED: &str = "[redacted]";
/// How keys begin. A word that begins so and is longer than a name would be is a key.
const PREFIXES: [&str; 14] = [
    "sk-", "sk_", "mk-", "pk-", "rk-", "gsk_", "xai-", "AIza", "hf_", "nvapi-", "pplx-", "csk-",
    "fw_", "eyJ",
];
/// The shortest key, prefix included. `sk-***123` is one too: its end is part of the key.
const SHORTEST: usize = 8;
/// A secret that is shorter cannot be told from text.
const SHORTEST_SECRET: usize = 4;

/// The text without these secrets and without whatever looks like a key.
pub fn scrub<'t>(text: &'t str, secrets: &[&str]) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets.iter().map(|s| s.trim()).filter(|s| s.len() >= SHORTEST_SECRET) {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, REDACTED));
        }
    }
    match keys(&text) {
        Some(scrubbed) => Cow::Owned(scrubbed),
        None => text,
    }
}

/// The text without what looks like a key; `None` if there is none.
fn keys(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut kept = 0;
    let mut bearer = false;
    for (start, word) in words(text) {
        let after_bearer = std::mem::replace(&mut bearer, word.eq_ignore_ascii_case("bearer"));
        let known = PREFIXES.iter().any(|p| word.starts_with(p));
        let assigned = names_a_key(&text[..start]);
        if word.len() >= SHORTEST && (known || after_bearer || assigned) {
            out.push_str(&text[kept..start]);
            out.push_str(REDACTED);
            kept = start + word.len();
        }
    }
    (kept > 0).then(|| out + &text[kept..])
}

/// Whether the text ends in `key=` or the like, as in an URL.
fn names_a_key(before: &str) -> bool {
    ["key=", "token=", "secret=", "password="].iter().any(|name| {
        let tail = before.len().checked_sub(name.len()).and_then(|at| before.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(name))
    })
}

/// The runs of characters that keys are made of, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+' | '~');
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(part)?;
        let len = text[start..].find(|c| !part(c)).unwrap_or(text.len() - start);
        from = start + len;
        // A full stop behind a key is the sentence's.
        Some((start, text[start..from].trim_end_matches('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_and_words_stay() {
        let cases = [
            ("Incorrect API key: sk-proj-abcDEF123_4. See", "Incorrect API key: [redacted]. See"),
            ("provided: sk-abc***************xyz1.", "provided: [redacted]."),
            ("header 'Bearer 0123456789abcdef' refused", "header 'Bearer [redacted]' refused"),
            ("GET /v1?key=AbCdEfGhIjK&x=1", "GET /v1?key=[redacted]&x=1"),
            ("jwt eyJhbGciOi.eyJzdWIi.c2lnbmF0", "jwt [redacted]"),
            ("The model `gpt-4o` does not exist", "The model `gpt-4o` does not exist"),
            ("sk-1 is short", "sk-1 is short"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(scrub(text, &[]), want);
        }
    }

    #[test]
    fn a_given_secret_goes_wherever_it_stands() {
        assert_eq!(scrub("a:hunter22:b hunter22", &["hunter22\n"]), "a:[redacted]:b [redacted]");
        assert_eq!(scrub("as it is", &["", "is"]), "as it is");
    }
}
