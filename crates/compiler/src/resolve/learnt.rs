//! What was learnt from categories, kept from one compile to the next: training takes milliseconds,
//! and an edit of any object compiles all of them. What is kept is what training gives again, so a
//! compile gives the same bytes whatever is kept.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use classify::custom::{self, CustomError, CustomSpec};
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use routing::category::CompiledCategories;
use sha2::{Digest as _, Sha256};

/// What the categories of one alias compile to.
pub(super) type Learnt = Arc<Result<CompiledCategories, Vec<CustomError>>>;

#[derive(Default)]
struct Kept {
    /// Counts compiles.
    generation: u64,
    /// By the digest of what was written; with the generation that used it last.
    learnt: HashMap<[u8; 32], (u64, Learnt), FixedState>,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

/// Checks and trains the categories of an alias, unless an earlier compile did.
pub(super) fn compile(specs: &[CustomSpec]) -> Learnt {
    let key = digest(specs);
    {
        let mut kept = KEPT.lock();
        let generation = kept.generation;
        if let Some((used, learnt)) = kept.learnt.get_mut(&key) {
            *used = generation;
            return Arc::clone(learnt);
        }
    }
    let learnt = Learnt::new(custom::compile(specs));
    let mut kept = KEPT.lock();
    let generation = kept.generation;
    kept.learnt.insert(key, (generation, Arc::clone(&learnt)));
    learnt
}

/// A compile ends: what neither it nor the one before used is forgotten.
pub(super) fn forget() {
    let mut kept = KEPT.lock();
    let generation = kept.generation;
    kept.learnt.retain(|_, (used, _)| *used + 1 >= generation);
    kept.generation += 1;
}

/// The digest of all that is written of some categories.
fn digest(specs: &[CustomSpec]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for CustomSpec { name, description, examples, keywords, regexes } in specs {
        add(name);
        add(description.as_deref().unwrap_or_default());
        for list in [examples, keywords, regexes] {
            add(&list.len().to_string());
            for text in list {
                add(text);
            }
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another_digest() {
        let spec = |name: &str, examples: &[&str], keywords: &[&str]| CustomSpec {
            name: name.to_owned(),
            examples: examples.iter().map(|text| (*text).to_owned()).collect(),
            keywords: keywords.iter().map(|text| (*text).to_owned()).collect(),
            ..CustomSpec::default()
        };
        let all = [
            vec![],
            vec![spec("a", &[], &[])],
            vec![spec("a", &["b"], &[])],
            vec![spec("a", &[], &["b"])],
            vec![spec("a", &["b", "c"], &[])],
            vec![spec("a", &["bc"], &[])],
            vec![spec("a", &[], &[]), spec("b", &[], &[])],
        ];
        let digests: std::collections::BTreeSet<_> =
            all.iter().map(|specs| digest(specs)).collect();
        assert_eq!(digests.len(), all.len());
    }
}
