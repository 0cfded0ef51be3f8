//! What is counted of a category: how its requests were told, and how surely; and of a judge, what
//! became of the questions.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Count, family::Families};
use crate::names;

/// Makes a closed set of words for a label.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in labels and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// Who or what told a category.
    CategoryBy {
        /// The caller's header.
        Header = "header",
        /// A keyword or a regex.
        Rule = "rule",
        /// What was learnt from examples.
        Examples = "examples",
        /// The built-in detector.
        Builtin = "builtin",
        /// A judge, now or when it was asked the same before.
        Judge = "judge",
        /// Nothing: there was no text, no header, or no judge that answered.
        Nothing = "nothing",
    }
}

words! {
    /// What became of a question to a judge.
    JudgeOutcome {
        /// It named a category.
        Answered = "answered",
        /// It had answered the same before.
        Cached = "cached",
        /// It took too long.
        Timeout = "timeout",
        /// It named none of the categories.
        Nonsense = "nonsense",
        /// No target of it answered.
        Failed = "failed",
        /// Its targets are ejected or at a limit, or it is not there: nobody was asked.
        Skipped = "skipped",
    }
}

/// Upper bounds of the buckets of a confidence, in shares of one.
const BOUNDS: [f64; 7] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// What is counted per (alias, category).
#[derive(Debug, Default)]
pub struct CategoryMetrics {
    told: [Count; CategoryBy::ALL.len()],
    confidence: [Count; BOUNDS.len()],
    /// Millionths.
    sum: AtomicU64,
}

impl CategoryMetrics {
    /// A request goes to this category. `confidence`: of what was likeliest, from 0 to 1, where a
    /// detector says how sure it is.
    pub fn told(&self, by: CategoryBy, confidence: Option<f32>) {
        self.told[by as usize].inc();
        let Some(confidence) = confidence.map(f64::from) else { return };
        let at = BOUNDS.partition_point(|bound| *bound < confidence).min(BOUNDS.len() - 1);
        self.confidence[at].inc();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of one in millionths"
        )]
        self.sum.fetch_add((confidence.clamp(0.0, 1.0) * 1e6) as u64, Ordering::Relaxed);
    }

    pub(super) fn collect(&self, alias: &str, category: &str, out: &mut Families) {
        for (by, count) in CategoryBy::ALL.iter().zip(&self.told) {
            if count.get() > 0 {
                out.count(&names::CATEGORY_REQUESTS, &[alias, category, by.name()], count.get());
            }
        }
        let mut total = 0;
        let buckets = BOUNDS.iter().zip(&self.confidence).map(|(bound, count)| {
            total += count.get();
            (*bound, total)
        });
        let buckets: Vec<_> = buckets.collect();
        #[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        let of = &names::CATEGORY_CONFIDENCE;
        out.distribution(of, &[alias, category], buckets.into_iter(), total, sum);
    }
}

/// What is counted of the judge of an alias.
#[derive(Debug, Default)]
pub struct JudgeMetrics([Count; JudgeOutcome::ALL.len()]);

impl JudgeMetrics {
    /// A question ended so.
    pub fn ended(&self, outcome: JudgeOutcome) {
        self.0[outcome as usize].inc();
    }

    pub(super) fn collect(&self, alias: &str, out: &mut Families) {
        for (outcome, count) in JudgeOutcome::ALL.iter().zip(&self.0) {
            if count.get() > 0 {
                out.count(&names::CATEGORY_JUDGE, &[alias, outcome.name()], count.get());
            }
        }
    }
}
