//! Labelled prompts as rows of features.

use std::collections::BTreeMap;

use super::{TrainError, seeds};
use crate::{Category, dataset::Prompt, features::Row, grams::Words};

/// Where a prompt stands in the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    Train,
    Template,
    Seed,
    Dev,
}

/// A prompt and its features.
#[derive(Clone, Debug)]
pub(super) struct Labelled {
    pub(super) text: String,
    pub(super) row: Row,
    pub(super) category: Category,
    pub(super) split: Split,
    pub(super) source: String,
    pub(super) natural: bool,
}

impl Labelled {
    /// Sources with the same first word are kin: they are held out together.
    pub(super) fn family(&self) -> &str {
        self.source.split([' ', '/']).next().unwrap_or_default()
    }

    /// Measured when its family is held out: real prompts, not templates.
    pub(super) fn measured(&self) -> bool {
        matches!(self.split, Split::Train | Split::Dev)
    }
}

/// The rows of one part of the data.
pub(super) fn of(
    split: Split,
    name: &'static str,
    prompts: &[Prompt],
) -> Result<Vec<Labelled>, TrainError> {
    let mut words = Words::default();
    let mut rows = Vec::with_capacity(prompts.len());
    for (at, prompt) in prompts.iter().enumerate() {
        let wrong = |problem: String| TrainError::Label { split: name, at: at + 1, problem };
        let label = prompt.category.as_ref().ok_or_else(|| wrong("has no category".to_owned()))?;
        rows.push(Labelled {
            row: Row::of(&prompt.text, &mut words),
            text: prompt.text.clone(),
            category: label
                .parse()
                .map_err(|error: crate::UnknownCategory| wrong(error.to_string()))?,
            split,
            source: prompt.source.clone(),
            natural: prompt.style == "natural",
        });
    }
    Ok(rows)
}

/// The rows of Moniker's own prompts.
pub(super) fn seeds() -> Vec<Labelled> {
    let mut words = Words::default();
    let row = |(category, text): (Category, String)| Labelled {
        row: Row::of(&text, &mut words),
        text,
        category,
        split: Split::Seed,
        source: "Moniker".to_owned(),
        natural: false,
    };
    seeds::seeds().into_iter().map(row).collect()
}

/// Each row's weight: templates and seeds less than real prompts, prompts of a large family less
/// than those of a small one, and every category the same in all.
pub(super) fn weights(rows: &[&Labelled]) -> Vec<f64> {
    const TEMPLATE: f64 = 0.4;
    const SEED: f64 = 0.7;
    let mut families: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows {
        *families.entry(row.family()).or_default() += 1.0;
    }
    let real = families.iter().filter(|(name, _)| **name != "Moniker");
    let (count, total) =
        real.fold((0.0, 0.0), |(count, total), (_, size)| (count + 1.0, total + size));
    let mean = total / f64::max(count, 1.0);
    let mut categories = [0.0; crate::CATEGORIES];
    for row in rows {
        categories[row.category.index()] += 1.0;
    }
    let all: f64 = categories.iter().sum();
    let present = categories.iter().filter(|count| **count > 0.0).fold(0.0, |sum, _| sum + 1.0);
    let weight = |row: &&Labelled| {
        let family = families.get(row.family()).copied().unwrap_or(1.0);
        let own = match row.split {
            Split::Seed => SEED,
            Split::Template => TEMPLATE * (mean / family).sqrt(),
            Split::Train | Split::Dev => (mean / family).sqrt(),
        };
        own * all / (present * categories[row.category.index()])
    };
    rows.iter().map(weight).collect()
}
