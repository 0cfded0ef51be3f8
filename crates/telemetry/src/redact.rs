//! A wrapper for what must not be read: keys in messages of others, and values that are secrets.

use std::{borrow::Cow, fmt};

/// A value that is never shown: `Debug` and `Display` print `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps it.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never log what this returns.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Redacted<String> {
    /// `text` with every occurrence of this secret replaced by `***`, for what a provider answered:
    /// some echo the key that they refuse. An empty secret occurs nowhere.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.0.is_empty() || !text.contains(self.0.as_str()) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace(self.0.as_str(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Redacted::new("canary".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.scrub("bad key: canary!"), "bad key: ***!");
        assert!(matches!(secret.scrub("bad key"), Cow::Borrowed(_)));
        assert_eq!(Redacted::new(String::new()).scrub("abc"), "abc");
    }
}
