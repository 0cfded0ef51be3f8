//! How well categories are told that are trained from ten examples each, on sources that neither
//! the examples nor the built-in model beside them are from.

use super::{
    learn,
    rows::{Labelled, Split},
};
use crate::{CATEGORIES, Category, Detector, Report, Scratch, custom::Learnt, regression::Weights};

/// Examples of each category.
pub(super) const EXAMPLES: usize = 10;

/// Takes ten examples of each category from what a fold learnt from, and asks about what it held
/// out.
pub(super) fn told(
    weights: &Weights,
    learnt: &[&Labelled],
    held: &[(usize, &Labelled)],
) -> Vec<(usize, Option<usize>)> {
    let file = learn::model(weights, learn::Calibration::NONE, learn::anchors(learnt)).encode();
    let Ok(detector) = Detector::from_model(&file) else { return Vec::new() };
    let examples: Vec<Vec<String>> = Category::ALL.map(|category| chosen(learnt, category)).into();
    let classifier = Learnt::train(&detector, &examples);
    let mut scratch = Scratch::default();
    held.iter()
        .map(|(at, row)| (*at, classifier.best(&detector, &row.text, &mut scratch)))
        .collect()
}

/// Real prompts at even distances.
fn chosen(learnt: &[&Labelled], category: Category) -> Vec<String> {
    let real = |row: &&&Labelled| row.split == Split::Train && row.category == category;
    let own: Vec<&&Labelled> = learnt.iter().filter(real).collect();
    let step = (own.len() / EXAMPLES).max(1);
    own.iter().skip(step / 2).step_by(step).take(EXAMPLES).map(|row| row.text.clone()).collect()
}

pub(super) fn report<'a>(
    rows: &[Labelled],
    answers: impl Iterator<Item = &'a (usize, Option<usize>)>,
) -> Report {
    let mut report = Report::new(Category::ALL.map(Category::name));
    for (at, said) in answers {
        let said = said
            .filter(|said| *said < CATEGORIES)
            .map_or("none", |said| Category::ALL[said].name());
        report.count(rows[*at].category.name(), said, 1.0);
    }
    report
}
