//! Aliases that choose by category, as requests use them: a lineup for each category beside
//! Default's, and what tells the category. Each lineup is an alias of its own as far as ranking,
//! statistics and attempts go, under the one name that callers know.

use std::sync::Arc;

use classify::custom::{Classifier, CustomError};
use http::HeaderValue;
use routing::{
    Digest,
    category::{CompiledCategories, CompiledChoice, DEFAULT, DetectorKind},
    snapshot::CompiledAlias,
};
use telemetry::{CategoryMetrics, Metrics};

use super::{LiveAlias, LiveSnapshot, target::header_value};
use crate::category::{Answers, instructions};

/// The category whose lineup an alias is.
#[derive(Clone)]
pub(crate) struct LiveCategory {
    /// Its name.
    pub(crate) name: Box<str>,
    /// Its name, as a header.
    pub(crate) header: HeaderValue,
    /// What is counted of it.
    pub(crate) metrics: Arc<CategoryMetrics>,
}

impl LiveCategory {
    fn of(alias: &str, name: &str, metrics: &Metrics) -> Self {
        Self {
            name: name.into(),
            header: header_value(name),
            metrics: metrics.category(alias, name),
        }
    }
}

/// How requests of an alias are told apart, and where they go.
pub(crate) struct LiveChoice {
    /// As it was compiled.
    pub(crate) compiled: CompiledChoice,
    /// Tells a text's category.
    pub(crate) classifier: Classifier,
    /// The lineup of each category, by place.
    pub(crate) lineups: Vec<Arc<LiveAlias>>,
    /// What a judge is told of the categories.
    pub(crate) instructions: Box<str>,
    /// What a judge said before.
    pub(crate) answers: Arc<Answers>,
}

/// What stands beside a lineup: of which alias it is, and whether it is one of several.
pub(super) struct Beside<'a> {
    /// The alias as it was compiled.
    pub(super) whole: &'a CompiledAlias,
    /// The category, if it is one's.
    pub(super) category: Option<LiveCategory>,
    /// Of Default's lineup, the others.
    pub(super) choice: Option<Box<LiveChoice>>,
    /// Whether those others are as they were before.
    pub(super) unchanged: bool,
}

impl<'a> Beside<'a> {
    /// Of an alias with one lineup.
    pub(super) fn nothing(whole: &'a CompiledAlias) -> Self {
        Self { whole, category: None, choice: None, unchanged: true }
    }
}

impl LiveSnapshot {
    /// An alias with all of its lineups.
    pub(super) fn with_categories(
        &self,
        old: Option<&Arc<LiveAlias>>,
        digest: Digest,
        whole: &CompiledAlias,
        metrics: &Metrics,
    ) -> Arc<LiveAlias> {
        let Some(compiled) = &whole.categories else {
            return self.alias_of(old, digest, whole, Beside::nothing(whole), metrics);
        };
        let id = whole.id.to_string();
        let before = old.and_then(|old| old.choice.as_ref());
        let mut unchanged = before.is_some();
        let mut lineups = Vec::with_capacity(compiled.overrides.len());
        for (place, category) in compiled.known.categories.iter().enumerate() {
            let Some(own) = whole.of_category(place) else { continue };
            let old = before.and_then(|before| before.lineup_of(&category.name));
            let category = LiveCategory::of(&id, &category.name, metrics);
            let beside = Beside { category: Some(category), ..Beside::nothing(whole) };
            let lineup = self.alias_of(old, digest, &own, beside, metrics);
            unchanged &= old.is_some_and(|old| Arc::ptr_eq(old, &lineup));
            lineups.push(lineup);
        }
        let answers = before
            .filter(|before| before.judges_alike(compiled))
            .map_or_else(Arc::default, |before| Arc::clone(&before.answers));
        let judged = compiled.detector.kind == DetectorKind::Alias;
        let choice = LiveChoice {
            classifier: classifier(&id, &compiled.known),
            lineups,
            instructions: if judged { instructions(compiled).into() } else { Box::default() },
            answers,
            compiled: (**compiled).clone(),
        };
        let beside = Beside {
            whole,
            category: Some(LiveCategory::of(&id, DEFAULT, metrics)),
            choice: Some(Box::new(choice)),
            unchanged,
        };
        self.alias_of(old, digest, whole, beside, metrics)
    }
}

impl LiveChoice {
    /// The lineup of the category of this name.
    fn lineup_of(&self, name: &str) -> Option<&Arc<LiveAlias>> {
        let of = |lineup: &&Arc<LiveAlias>| {
            lineup.category.as_ref().is_some_and(|category| &*category.name == name)
        };
        self.lineups.iter().find(of)
    }

    /// Whether a judge is asked the same there as here.
    fn judges_alike(&self, other: &CompiledChoice) -> bool {
        self.compiled.detector.judge == other.detector.judge
            && self.compiled.known.categories == other.known.categories
    }
}

/// What tells the categories apart. What was trained by a controller with another model than this
/// router's is left out, until both are of one version: the rest is told as well as it can be.
fn classifier(alias: &str, known: &CompiledCategories) -> Classifier {
    Classifier::new(known).unwrap_or_else(|error| {
        tracing::warn!(alias, %error, "some categories are not told from their examples");
        let mut known = known.clone();
        let unreadable = matches!(error, CustomError::Weights(_));
        for category in &mut known.categories {
            category.trained = None;
            if !unreadable {
                category.patterns.clear();
            }
        }
        Classifier::new(&known).unwrap_or_default()
    })
}
