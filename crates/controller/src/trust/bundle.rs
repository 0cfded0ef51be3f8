//! Whom routers trust, as the ConfigMap says it: certificates in PEM, whose order means nothing.

use std::collections::BTreeSet;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bundle(BTreeSet<String>);

impl Bundle {
    /// Those of a text; what stands around them is left out.
    pub(super) fn of(text: &str) -> Self {
        let blocks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
        Self(blocks.map(|(body, _)| format!("{BEGIN}\n{}\n{END}\n", body.trim())).collect())
    }

    /// As the ConfigMap holds it.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(String::as_str).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has every certificate of the other one.
    pub(super) fn has(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// Both.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_what_stands_around_mean_nothing() {
        let block = |body: &str| format!("{BEGIN}\n{body}\n{END}\n");
        let one = Bundle::of(&format!("# two\n{}\n\n{}", block("b"), block("a")));
        assert_eq!(one, Bundle::of(&(block("a") + &block("b") + BEGIN + "cut")));
        assert_eq!(Bundle::of(&one.text()), one);
        assert!(one.has(&Bundle::of(&block("a"))) && !Bundle::of(&block("a")).has(&one));
        assert_eq!(Bundle::of(&block("a")).with(&Bundle::of(&block("b"))), one);
        assert!(Bundle::of("none").is_empty());
    }
}
