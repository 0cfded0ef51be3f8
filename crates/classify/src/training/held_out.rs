//! Validation on sources that were not learnt from: each family of sources is held out whole, with
//! its templates, and told by a model that was trained on all others and Moniker's own prompts.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    few,
    learn::{self, Calibration},
    rows::Labelled,
};
use crate::{CATEGORIES, Category, Report};

/// One family and its scores without bounds, by place in all rows.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) family: String,
    pub(super) answers: Vec<(usize, Vec<f64>)>,
    /// What categories that were trained from ten examples each say: place and category.
    pub(super) few: Vec<(usize, Option<usize>)>,
}

/// Trains once for each family, two at a time.
pub(super) fn folds(rows: &[Labelled]) -> Vec<Fold> {
    let families: BTreeSet<&str> =
        rows.iter().filter(|row| row.measured()).map(Labelled::family).collect();
    let families: Vec<&str> = families.into_iter().collect();
    let share = |start: usize| {
        let families = &families;
        move || {
            families
                .iter()
                .skip(start)
                .step_by(2)
                .map(|family| fold(rows, family))
                .collect::<Vec<_>>()
        }
    };
    let (even, odd) = std::thread::scope(|scope| {
        let even = scope.spawn(share(0));
        let odd = share(1)();
        (even.join().unwrap_or_default(), odd)
    });
    let mut all: Vec<Fold> = even.into_iter().chain(odd).collect();
    all.sort_by(|a, b| a.family.cmp(&b.family));
    all
}

fn fold(rows: &[Labelled], family: &str) -> Fold {
    let learnt: Vec<&Labelled> = rows.iter().filter(|row| row.family() != family).collect();
    let weights = learn::weights_of(&learnt);
    let held = rows.iter().enumerate().filter(|(_, row)| row.measured() && row.family() == family);
    let held: Vec<(usize, &Labelled)> = held.collect();
    let answers = held.iter().map(|(at, row)| (*at, weights.scores(&row.row))).collect();
    let few = few::told(&weights, &learnt, &held);
    Fold { family: family.to_owned(), answers, few }
}

/// What was said about rows.
fn report<'a>(
    rows: &[Labelled],
    answers: impl Iterator<Item = &'a (usize, Vec<f64>)>,
    calibration: Calibration,
) -> Report {
    let mut report = Report::new(Category::ALL.map(Category::name));
    for (at, scores) in answers {
        let scores = calibration.shares(scores);
        let best =
            (1..CATEGORIES).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
        #[expect(clippy::cast_possible_truncation, reason = "a share of one")]
        report.count(rows[*at].category.name(), Category::ALL[best].name(), scores[best] as f32);
    }
    report
}

/// The reports on all held-out prompts and on the natural ones, and the text with every family.
pub(super) fn told(
    rows: &[Labelled],
    folds: &[Fold],
    calibration: Calibration,
) -> (Report, Report, String) {
    let all = report(rows, folds.iter().flat_map(|fold| &fold.answers), calibration);
    let natural = folds.iter().flat_map(|fold| &fold.answers).filter(|(at, _)| rows[*at].natural);
    let natural = report(rows, natural, calibration);
    let mut text = String::new();
    let _ = writeln!(text, "\nsources held out: {}\n{}", all.summary(), all.confusion());
    let _ = writeln!(text, "\nof them natural: {}", natural.summary());
    let mut mean = 0.0;
    for fold in folds {
        let report = report(rows, fold.answers.iter(), calibration);
        mean += report.accuracy();
        let _ = writeln!(text, "  {:28} {}", fold.family, report.summary());
    }
    // Families are few.
    let count = f64::from(u16::try_from(folds.len().max(1)).unwrap_or(u16::MAX));
    let _ = writeln!(text, "  mean over families: accuracy {:.3}", mean / count);
    let few = few::report(rows, folds.iter().flat_map(|fold| &fold.few));
    let _ = writeln!(
        text,
        "\n{} examples a category, sources held out: {}",
        few::EXAMPLES,
        few.summary()
    );
    let _ = writeln!(text, "{}", few.confusion());
    let _ = writeln!(text, "\nconfidence at least -> share of prompts, accuracy of these");
    for percent in (30..=90).step_by(10) {
        let (share, right) = all.at_least(percent);
        let _ = writeln!(text, "  {percent}%: {share:.2}, {right:.2}");
    }
    (all, natural, text)
}
